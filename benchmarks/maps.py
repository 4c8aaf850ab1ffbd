"""Maps, from GeoTIFFs to a GeoTIFF, against the ways people make them today."""

from contextlib import nullcontext
from unittest.mock import patch

import numpy as np
import onnx_models
import scenes
from numpy.lib.stride_tricks import sliding_window_view
from timing import compare, cores

from sklandslide import Scene, SlidingWindowPredictor
from sklandslide.mapping import shared, windows

STEP = 2  # the paper's


def run(options, folder):
    """All rows about maps."""
    rows = []
    for size, padding in ((25, "same"), (32, "same"), (32, "valid")):
        rows += _shared(options, folder, size, padding)
    return [*rows, _resampled(options, folder), _as_installed(options, folder)]


def _shared(options, folder, size, padding):
    """Patches taken as they are: shared computation."""
    scene, small = (Scene.from_files(scenes.files(folder, side)) for side in (options.side, options.side // 2))
    pipe = scenes.pipeline(scene, size, padding=padding, input_size=None)
    n, cut = windows_of(scene, size), cutwindows_of(scene, size, options.rows)
    fast, name = onnx_models.strongest(pipe[-1].model_, cut[:4096], cores())
    usual = onnx_models.as_exported(pipe[-1].model_, 1024)
    model, what = pipe[-1].model_, f"map, shared computation, {size} px, {padding}"
    rivals = {
        "the loop that users write": (lambda: usual_loop(scene, pipe, options.rows // 4), options.rows // 4),
        "model.predict(batch_size=1024) on windows cut beforehand": (
            lambda: model.predict(cut, batch_size=1024, verbose=0)[:, 1],
            options.rows,
        ),
        "ONNX Runtime as Keras exports it (batch 1024) on windows cut beforehand": (lambda: usual(cut), options.rows),
        f"ONNX Runtime at its best ({name}) on windows cut beforehand": (lambda: fast(cut), options.rows),
    }
    columns, rows = len(cut) // options.rows, []
    for rival, (theirs, lines) in rivals.items():
        ours = lambda: mapped(scene, pipe, "shared", folder, options)  # noqa: E731
        rows.append(
            compare(
                what, rival, ours, theirs, repeats=options.repeats, units=(n, lines * columns),
                detail="{rate:,.0f} windows/s", check=difference,
            )
        )  # fmt: skip
    rows.append(
        compare(
            what,
            "our window engine, file to file",
            lambda: mapped(small, pipe, "shared", folder, options),
            lambda: mapped(small, pipe, "window", folder, options),
            repeats=options.repeats,
            check=difference,
        )
    )
    rows.append(
        compare(
            what,
            "the same in TensorFlow, as where there is no C compiler",
            lambda: mapped(scene, pipe, "shared", folder, options),
            lambda: mapped(scene, pipe, "shared-graph", folder, options),
            repeats=options.repeats,
            check=difference,
        )
    )
    return rows


def _resampled(options, folder):
    """The paper's resampling of 25 to 32 pixels: window by window."""
    scene = Scene.from_files(scenes.files(folder, options.side // 2))
    pipe = scenes.pipeline(scene, 25, input_size=32)
    n, cut = windows_of(scene, 25), cutwindows_of(scene, 25, options.rows)
    model, what = pipe[-1].model_, "map, window engine, 25 px resampled to 32"
    fast, name = onnx_models.strongest(model, cut[:4096], cores())
    rival = f"ONNX Runtime at its best ({name}) on windows cut beforehand, resampling included"
    return compare(
        what, rival, lambda: mapped(scene, pipe, "window", folder, options), lambda: fast(cut),
        repeats=options.repeats, units=(n, len(cut)), detail="{rate:,.0f} windows/s", check=difference,
    )  # fmt: skip


def _as_installed(options, folder):
    """The main job's map by what the README's command installs, against what it did before shared computation."""
    scene = Scene.from_files(scenes.files(folder, options.side // 2))
    now, before = scenes.pipeline(scene, 25, input_size=None), scenes.pipeline(scene, 25, input_size=32)
    n = windows_of(scene, 25)

    def by_keras():
        with patch.object(windows, "_onnx_network", return_value=(None, None)):
            return mapped(scene, before, "window", folder, options)

    return compare(
        "map of the main job, as installed (patches of 25 as they are, step 2)",
        "as the paper's patches were mapped before: resampled to 32, window by window in TensorFlow",
        lambda: mapped(scene, now, "shared", folder, options),
        by_keras,
        repeats=options.repeats,
        units=(n, n),
        detail="{rate:,.0f} windows/s",
    )


def mapped(scene, pipe, engine, folder, options):
    """A whole map, file written."""
    jobs = {} if options.jobs is None else {"n_jobs": options.jobs}
    predictor = SlidingWindowPredictor(pipe, step=STEP, method=engine.removesuffix("-graph"), **jobs)
    without = patch.object(shared, "find_spec", return_value=None) if engine == "shared-graph" else nullcontext()
    with without:
        values = predictor.predict_map(scene, folder / f"{engine}.tif", overwrite=True).probability
    if predictor.engine_ != engine:
        raise AssertionError(f"The map was made by {predictor.engine_}, not {engine}: is there a C compiler?")
    return values


def usual_loop(scene, pipe, rows):
    """The published loop: cut out every window of some rows of the map, stack them, `model.predict`."""
    image, size = scene.read(), pipe[1].patch_size
    out = []
    for i in range(rows):
        patches = [image[STEP * i : STEP * i + size, j : j + size] for j in range(0, image.shape[1] - size + 1, STEP)]
        out.append(pipe[-1].model_.predict(np.stack(patches), verbose=0)[:, 1])
    return np.concatenate(out)


def cutwindows_of(scene, size, rows):
    """All windows of some rows of the map, cut beforehand."""
    windows = sliding_window_view(scene.read(), (size, size), axis=(0, 1))[: STEP * rows : STEP, ::STEP]
    return np.ascontiguousarray(windows.transpose(0, 1, 3, 4, 2)).reshape(-1, size, size, 3)


def difference(ours, theirs):
    """Largest difference of probabilities; more than 1e-5 is an error, not a figure."""
    n = min(ours.size, theirs.size)
    largest = float(np.abs(ours.ravel()[:n] - theirs.ravel()[:n]).max())
    if not largest <= 1e-5:
        raise AssertionError(f"Probabilities differ by {largest}.")
    return f"largest difference {largest:.0e}"


def windows_of(scene, size):
    return int(np.prod([(length - size) // STEP + 1 for length in scene.grid.shape]))
