"""Training, against the loop that a skilled TensorFlow user writes; and what many fits leave in memory."""

import os
import subprocess
import sys

import numpy as np
from timing import compare, row

from sklandslide import Augmenter, LandslideCNN, build_cnn

SIZE = 25


def run(options, folder):
    """All rows about training."""
    X, y = patches(512 if options.quick else 2048)
    cnn = LandslideCNN(epochs=5, batch_size=32, random_state=0)
    augmented = Augmenter(random_state=0).fit_transform(X)
    loop = WholeEpochLoop(build_cnn(patch_shape=X.shape[1:], n_classes=2, mean=[0.0] * 3, variance=[1.0] * 3))
    done = len(X) * cnn.epochs
    about = {"repeats": options.repeats, "units": (done, done), "detail": "{rate:,.0f} patches/s"}
    return [
        compare(
            "LandslideCNN.fit, batch 32",
            "hand-written loop, whole epochs in one tf.function",
            lambda: cnn.fit(X, y),
            lambda: loop.fit(X, y, cnn.epochs),
            **about,
        ),
        compare(
            "LandslideCNN.fit with Augmenter", "without", lambda: cnn.fit(augmented, y), lambda: cnn.fit(X, y), **about
        ),
        memory_of_fits(20 if options.quick else 100),
    ]


def patches(n):
    """Noise in which landslides are brighter."""
    random = np.random.default_rng(0)
    y = np.arange(n) % 2
    X = random.normal(size=(n, SIZE, SIZE, 3)) + 0.3 * y[:, None, None, None]
    return X.astype("float32"), y


class WholeEpochLoop:
    """The best loop of a skilled TensorFlow user: one compiled graph for all batches of an epoch."""

    def __init__(self, network, batch_size=32, learning_rate=1e-3):
        import keras
        import tensorflow as tf

        self.network = network
        self.optimizer = keras.optimizers.Adam(learning_rate)
        self.optimizer.build(network.trainable_variables)
        loss_of = keras.losses.SparseCategoricalCrossentropy()

        @tf.function(reduce_retracing=True)
        def epoch(patches, codes, order):
            n, loss_sum = tf.shape(order)[0], tf.constant(0.0)
            for start in tf.range(0, n, batch_size):
                rows = order[start : start + batch_size]
                x, y = tf.gather(patches, rows), tf.gather(codes, rows)
                with tf.GradientTape() as tape:
                    loss = loss_of(y, network(x, training=True))
                variables = network.trainable_variables
                self.optimizer.apply(tape.gradient(loss, variables), variables)
                loss_sum += loss * tf.cast(tf.shape(rows)[0], tf.float32)
            return loss_sum / tf.cast(n, tf.float32)

        self.epoch = epoch

    def fit(self, patches, codes, epochs):
        """Losses of the epochs."""
        import tensorflow as tf

        random = np.random.default_rng(0)
        patches, codes = tf.constant(patches), tf.constant(codes, tf.int64)
        return [float(self.epoch(patches, codes, tf.constant(random.permutation(len(codes))))) for _ in range(epochs)]


def memory_of_fits(fits):
    """Resident memory of a process that fits many networks, after a tenth of the fits and after all."""
    code = f"""if True:
    import psutil
    from training import patches
    from sklandslide import LandslideCNN
    X, y = patches(128)
    for i in range({fits}):
        LandslideCNN(epochs=1, learning_rate=1e-3 * (i + 1), random_state=i).fit(X, y).predict_proba(X)
        if i + 1 in ({fits} // 10, {fits}):
            print(psutil.Process().memory_info().rss / 2**20)
    """
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=True)
    early, late = (float(text) for text in done.stdout.split()[-2:])
    detail = f"{early:.0f} MB after {fits // 10} fits, {late:.0f} MB after {fits}"
    return row("resident memory", f"{fits} fits in one process", [(late - early) / (0.9 * fits)], detail, "MB a fit")
