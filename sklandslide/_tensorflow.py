"""The share of the cores that this process may take, and TensorFlow with it."""

from __future__ import annotations

import os

__all__ = ["cores", "share_of_cores"]


def cores() -> int:
    """Cores that this process may use: its share where it is a worker, else all that the system grants it."""
    import joblib

    return _share() or joblib.cpu_count()


def _share() -> int | None:
    """``OMP_NUM_THREADS``, which joblib's and Dask's workers set to their share of the cores."""
    # OpenMP allows a list, one number for each level of nesting; the first is the one that counts here
    value = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(value) if value.isascii() and value.isdigit() and int(value) >= 1 else None


def share_of_cores() -> None:
    """Let TensorFlow keep to ``OMP_NUM_THREADS``, if it has not started yet.

    joblib's and Dask's workers set that variable to their share of the cores. TensorFlow does not read it: each worker
    would take every core. Call this before anything that could start TensorFlow. Without the variable, with a value
    that is no number of threads, after TensorFlow has started, or where the user has set numbers of threads, it does
    nothing.
    """
    share = _share()
    if share is None:
        return
    import tensorflow as tf

    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() or threading.get_inter_op_parallelism_threads():
        return
    try:
        threading.set_intra_op_parallelism_threads(share)
        threading.set_inter_op_parallelism_threads(share)
    except RuntimeError:  # TensorFlow has started
        return
