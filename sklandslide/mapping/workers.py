"""Compute the tiles of a map: in this process, or by joblib's workers, which may die."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from copy import copy
from functools import cache
from multiprocessing import current_process
from threading import Lock, Thread
from typing import Any

import cloudpickle
import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.hashing import NumpyHasher
from joblib.parallel import get_active_backend

from ..exceptions import SklandslideError
from .shared import SharedEngine, SharedGraphEngine
from .tiles import MapTask
from .windows import WindowEngine

_log = logging.getLogger("sklandslide")
_END = object()

ENGINES = {engine.name: engine for engine in (SharedEngine, SharedGraphEngine, WindowEngine)}
# What a worker's death looks like: joblib's own processes; Dask's scheduler, or data that died with a worker. By name,
# because Dask is optional.
_DEATHS = {"BrokenProcessPool", "KilledWorker", "CancelledError", "FutureCancelledError", "CommClosedError"}
# So many times in a row workers may die without finishing a tile.
_PATIENCE = 3
# Larger estimators are sent to workers as an array, which joblib maps into memory once for all; the pixels of a tile
# are smaller, and are not.
_LARGE = 64 << 20


def computed_tiles(
    engine: Any,
    parts: Callable[[Iterable[int]], Generator[tuple[int, Any], None, None]],
    numbers: list[int],
    n_jobs: int | None,
) -> Generator[tuple[int, np.ndarray], None, None]:
    """Compute the tiles of these numbers, in any order, the next ones being read (by `TileSource.parts`) meanwhile.

    Raises SklandslideError if workers die again and again.
    """
    if not numbers:
        return
    if _local(n_jobs):
        with closing(_OneAhead(parts(numbers))) as ahead:
            for number, part in ahead:
                yield number, engine.tile(part)
        return
    left, deaths = set(numbers), 0
    payload, digest = _packed(engine.task)
    while left:
        ahead = _OneAhead(parts(sorted(left)))
        try:
            home = os.getpid()
            tasks = (delayed(_compute)(home, payload, digest, engine.name, number, part) for number, part in ahead)
            pool = Parallel(n_jobs, return_as="generator_unordered", batch_size=1, max_nbytes=_LARGE)
            for number, values in pool(tasks):
                left.discard(number)
                deaths = 0
                yield number, values
        except Exception as error:
            if not {kind.__name__ for kind in type(error).__mro__} & _DEATHS:
                raise
            deaths += 1
            _log.warning("A worker died (%s); %d tiles are still to do.", type(error).__name__, len(left))
            if deaths == _PATIENCE:
                raise SklandslideError(
                    f"Workers died {deaths} times without finishing a tile. Probably memory is short: use fewer "
                    "workers (n_jobs). The finished tiles are kept, and the same call goes on from there."
                ) from error
        finally:
            ahead.close()


def _local(n_jobs: int | None) -> bool:
    """Whether one process of this machine is asked for, and so this one will do."""
    backend, _ = get_active_backend()
    elsewhere = getattr(backend, "default_n_jobs", 1) == -1  # Dask's and Ray's: all that the cluster has
    return not elsewhere and effective_n_jobs(n_jobs) == 1


class _OneAhead:
    """The items of a generator, each made in a thread while the one before is in use.

    Close it: what is left to the garbage collector may be finalised while a lock of the thread pool is held.
    """

    def __init__(self, items: Generator[Any, None, None]) -> None:
        self._items, self._lock, self._closed = items, Lock(), False
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="sklandslide-reader")
        self._coming = self._reader.submit(next, items, _END)

    def __iter__(self) -> _OneAhead:
        return self

    def __next__(self) -> Any:
        item = self._coming.result()
        with self._lock:  # joblib asks from threads of its own, perhaps while this is being closed
            if item is _END or self._closed:
                raise StopIteration
            self._coming = self._reader.submit(next, self._items, _END)
        return item

    def close(self) -> None:
        """Let the thread that has the files open close them, and end it."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._reader.submit(self._items.close)
        self._reader.shutdown()


def digest_of(estimator: Any) -> str:
    """Digest of a fitted estimator: equal ones have equal digests, in any process, or at worst do not."""
    try:
        return _Hasher(hash_name="md5").hash(estimator)
    except Exception:  # whatever one of its attributes raises; joblib cannot hash masked arrays or lambdas
        return hashlib.sha256(cloudpickle.dumps(estimator)).hexdigest()


class _Hasher(NumpyHasher):
    """As `joblib.hash`, for what a saved and loaded model has in common with the original."""

    def save(self, obj: Any) -> None:
        if hasattr(obj, "_skl_callbacks"):  # they change no value
            obj = copy(obj).set_callbacks()
        elif isinstance(obj, np.random.RandomState):
            obj = obj.get_state(legacy=False)
        elif isinstance(obj, np.ndarray) and obj.dtype.names:  # the bytes between its fields are whatever was there
            obj = {name: obj[name].copy() for name in obj.dtype.names}
        elif isinstance(obj, np.ndarray):  # not where it lies in a larger array
            obj = obj.copy()
        super().save(obj)


def _packed(task: MapTask) -> tuple[Any, str]:
    """A task as bytes, and their digest."""
    data = cloudpickle.dumps(task)  # also functions of a script or notebook
    digest = hashlib.sha256(data).hexdigest()
    return (data if len(data) < _LARGE else np.frombuffer(data, np.uint8)), digest


def _compute(home: int, payload: Any, digest: str, kind: str, number: int, part: Any) -> tuple[int, np.ndarray]:
    """In the worker: values of one tile."""
    _leave_with(home)
    return number, _engines.get(payload, digest, kind).tile(part)


@cache
def _leave_with(home: int) -> None:
    """In a process of joblib's: end when the one that sends the tiles was killed, instead of minutes later."""
    if not current_process().name.startswith("LokyProcess"):
        return

    def watch() -> None:
        while os.getppid() == home:
            time.sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True, name="sklandslide-watch").start()


class _Engines:
    """The engine that this worker used last: to build one means to build, and to compile, the network."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._key: tuple[str, str] | None = None
        self._engine: Any = None

    def get(self, payload: Any, digest: str, kind: str) -> Any:
        with self._lock:
            if self._key != (digest, kind):
                task = pickle.loads(memoryview(payload))
                self._key, self._engine = (digest, kind), ENGINES[kind](task)
            return self._engine


_engines = _Engines()
