"""The share of the cores that TensorFlow gets in this process."""

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
    """Give TensorFlow its threads, if it has not started yet: the same number for its kernels in every process.

    Two gradients are summed in an order that depends on that number, so it is that of the machine's cores in the
    process that starts a search and in each of its workers alike: a search finds the same with one worker or eight.
    Workers run no more operations at once than their share of the cores (``OMP_NUM_THREADS``, which joblib and Dask
    set and TensorFlow does not read). Call this before anything that could start TensorFlow. After TensorFlow has
    started, or where the user has set numbers of threads, it does nothing; nor to the kernels where the user has set
    the variable ``TF_NUM_INTRAOP_THREADS``, which workers inherit.
    """
    import joblib
    import tensorflow as tf

    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() or threading.get_inter_op_parallelism_threads():
        return
    try:
        if "TF_NUM_INTRAOP_THREADS" not in os.environ:
            threading.set_intra_op_parallelism_threads(joblib.cpu_count())
        if share := _share():
            threading.set_inter_op_parallelism_threads(share)
    except RuntimeError:  # TensorFlow has started
        return
