"""The share of the cores that TensorFlow may take, settled before it starts."""

from __future__ import annotations

import os

__all__ = ["share_of_cores"]


def share_of_cores() -> None:
    """Let TensorFlow keep to ``OMP_NUM_THREADS``, if it has not started yet.

    joblib's and Dask's workers set that variable to their share of the cores. TensorFlow does not read it: each worker
    would take every core. Call this before anything that could start TensorFlow. Without the variable, with a value
    that is no number of threads, after TensorFlow has started, or where the user has set numbers of threads, it does
    nothing.
    """
    # OpenMP allows a list, one number for each level of nesting; the first is the one that counts here
    value = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        return
    import tensorflow as tf

    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() or threading.get_inter_op_parallelism_threads():
        return
    try:
        threading.set_intra_op_parallelism_threads(int(value))
        threading.set_inter_op_parallelism_threads(int(value))
    except RuntimeError:  # TensorFlow has started
        return
