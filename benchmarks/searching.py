"""A grid search of the whole pipeline, against scikeras's KerasClassifier on patches cut beforehand."""

import os
from unittest.mock import patch

import numpy as np
import scenes
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from timing import compare, cores

from sklandslide import BandStacker, LandslideCNN, PatchSampler, Scene, build_cnn

SIZES = (16, 25, 32)
RATES = (3e-4, 1e-3, 3e-3)
FOLDS = KFold(2, shuffle=True, random_state=0)


def run(options, folder):
    """The rows about searches."""
    n, epochs = (200, 2) if options.quick else (1200, 6)
    X = scenes.locations(Scene.from_files(scenes.files(folder, 600)), n, max(SIZES))
    y = np.arange(n) % 2
    patches = [PatchSampler(patch_size=size).fit_transform(X) for size in SIZES]
    rival = "GridSearchCV of KerasClassifier(build_cnn), n_jobs=1, patches cut beforehand"
    fits = len(SIZES) * len(RATES) * FOLDS.get_n_splits()
    jobs = min(2, cores())
    rows = []
    for more, environment in (("", {}), (", TF_NUM_INTRAOP_THREADS=1", {"TF_NUM_INTRAOP_THREADS": "1"})):
        get_reusable_executor().shutdown(wait=True)  # workers read it when they start
        with patch.dict(os.environ, environment):
            rows.append(
                compare(
                    f"GridSearchCV of the pipeline, {fits} fits, n_jobs={jobs}{more}",
                    rival,
                    lambda: ours(X, y, epochs, jobs),
                    lambda: theirs(patches, y, epochs),
                    repeats=options.repeats,
                    units=(fits, fits),
                    detail=f"{n} samples, {epochs} epochs; {{rate:.2f}} fits/s",
                )
            )
    return rows


def ours(X, y, epochs, jobs):
    """Sizes and rates in one search; the patches are read by the pipeline."""
    pipe = make_pipeline(BandStacker("RGB"), PatchSampler(), LandslideCNN(epochs=epochs, random_state=0))
    grid = {"patchsampler__patch_size": SIZES, "landslidecnn__learning_rate": RATES}
    return GridSearchCV(pipe, grid, cv=FOLDS, n_jobs=jobs, refit=False, error_score="raise").fit(X, y)


def theirs(patches, y, epochs):
    """A search for each size, as the patch size is no parameter there."""
    from scikeras.wrappers import KerasClassifier

    for stack in patches:
        classifier = KerasClassifier(
            build_cnn, model__random_state=0, model__learning_rate=1e-3, epochs=epochs, batch_size=32, verbose=0
        )
        grid = {"model__learning_rate": RATES}
        GridSearchCV(classifier, grid, cv=FOLDS, n_jobs=1, refit=False, error_score="raise").fit(stack, y)
