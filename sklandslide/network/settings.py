"""Settings of Keras and TensorFlow that are always the same while the network is built and trained."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..features import share_of_cores

__all__ = ["usual_settings", "usual_tracing"]


class _Switches:
    """Settings of the whole process that are put to their usual values while any thread is inside."""

    def __init__(self, find: Callable[[], list[tuple[Callable[[], Any], Callable[[Any], None], Any]]]) -> None:
        self._find, self._lock, self._inside = find, threading.Lock(), 0
        self._changed: list[tuple[Callable[[Any], None], Any]] = []

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                found = [(get(), put, usual) for get, put, usual in self._find()]
                self._changed = [(put, value) for value, put, usual in found if value != usual]
                for value, put, usual in found:
                    if value != usual:
                        put(usual)

    def __exit__(self, *_: Any) -> None:
        with self._lock:
            self._inside -= 1
            while not self._inside and self._changed:
                put, value = self._changed.pop()
                put(value)


def _of_keras() -> list[tuple[Callable[[], Any], Callable[[Any], None], Any]]:
    from keras import config

    return [
        (config.floatx, config.set_floatx, "float32"),
        (config.epsilon, config.set_epsilon, 1e-7),
        (config.image_data_format, config.set_image_data_format, "channels_last"),
    ]


def _of_tracing() -> list[tuple[Callable[[], Any], Callable[[Any], None], Any]]:
    try:
        from tensorflow.python.framework import config
    except ImportError:  # TensorFlow offers a way to switch it on only
        return []

    def put(on: bool) -> None:
        (config.enable_op_determinism if on else config.disable_op_determinism)()

    return [(config.is_op_determinism_enabled, put, False)]


_keras, _tracing = _Switches(_of_keras), _Switches(_of_tracing)


@contextmanager
def usual_settings() -> Iterator[None]:
    """Build and train the network the same whatever Keras's global settings are, and leave those as they are.

    A user's own models may need others: half precision (a dtype policy, floatx), bands first, another epsilon.
    """
    share_of_cores()
    import keras
    from keras.src.backend.common import global_state  # `keras.config` gives a policy even where none was set

    policy = global_state.get_global_attribute("dtype_policy", None)  # of this thread
    with _keras:
        try:
            keras.config.set_dtype_policy("float32")
            yield
        finally:
            global_state.set_global_attribute("dtype_policy", policy)


@contextmanager
def usual_tracing() -> Iterator[None]:
    """Trace graphs of the same operations whether TensorFlow's op determinism is switched on or not.

    With it a bias is added, and its gradient summed, by other operations, which round differently. Anything in the
    process may have switched it on (scikeras does for each ``random_state``). How operations run is left as it is.
    """
    with _tracing:
        yield
