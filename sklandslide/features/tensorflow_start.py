"""TensorFlow's start in this process: as many threads as in every other, and no lines of its own on the console."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()


def start_tensorflow() -> None:
    """Call this before anything that could import TensorFlow; after the first time it does nothing.

    Its libraries write lines on the console while they load, which no setting of theirs hides, and later ones unless
    ``TF_CPP_MIN_LOG_LEVEL`` says otherwise; 0 in that variable shows them all. Errors after the start are shown.
    """
    with _lock:
        if "tensorflow" not in sys.modules and os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2") != "0":
            with _no_console():
                import tensorflow as tf

                tf.config.list_physical_devices()  # without a graphics card this prints an error, once
        _set_threads()


def cores() -> int:
    """Cores that this process may use: its share where it is a worker, else all that the system grants it."""
    import joblib

    return _share() or joblib.cpu_count()


def _share() -> int | None:
    """``OMP_NUM_THREADS``, which joblib's and Dask's workers set to their share of the cores."""
    # OpenMP allows a list, one number for each level of nesting; the first is the one that counts here
    value = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(value) if value.isascii() and value.isdigit() and int(value) >= 1 else None


def _set_threads() -> None:
    """Give TensorFlow its threads, if it has not started yet: the same number for its kernels in every process.

    Two gradients are summed in an order that depends on that number, so it is that of the machine's cores in the
    process that starts a search and in each of its workers alike: a search finds the same with one worker or eight.
    Workers run no more operations at once than their share of the cores (``OMP_NUM_THREADS``, which TensorFlow does
    not read). Numbers that the user has set stay, those of ``TF_NUM_INTRAOP_THREADS`` among them.
    """
    import joblib
    import tensorflow as tf

    threads = tf.config.threading
    if threads.get_intra_op_parallelism_threads() or threads.get_inter_op_parallelism_threads():
        return
    try:
        if "TF_NUM_INTRAOP_THREADS" not in os.environ:
            threads.set_intra_op_parallelism_threads(joblib.cpu_count())
        if share := _share():
            threads.set_inter_op_parallelism_threads(share)
    except RuntimeError:  # TensorFlow has started
        return


@contextmanager
def _no_console() -> Iterator[None]:
    """Nothing that this process writes on standard error, not even a C library, reaches the console meanwhile."""
    try:
        console = os.dup(2)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(console, 2)
        os.close(console)
        os.close(nowhere)
