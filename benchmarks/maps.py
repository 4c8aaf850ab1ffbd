"""Maps, from GeoTIFFs to a GeoTIFF, against the ways people make them today."""

from contextlib import nullcontext
from unittest.mock import patch

import numpy as np
import onnx_models
import scenes
from numpy.lib.stride_tricks import sliding_window_view
from timing import compare, cores, row, seconds

from sklandslide import Scene, SlidingWindowPredictor
from sklandslide.mapping import shared, windows
from sklandslide.mapping.states import axis_plan
from sklandslide.mapping.tiles import MapTask

STEP = 2  # the paper's


def run(options, folder):
    """All rows about maps."""
    rows = []
    for size, padding in ((25, "same"), (32, "same"), (32, "valid")):
        rows += _shared(options, folder, size, padding)
    rows += _resampled(options, folder)
    return [*rows, _as_installed(options, folder)]


def _shared(options, folder, size, padding):
    """Patches taken as they are: shared computation."""
    scene, small = (Scene.from_files(scenes.files(folder, side)) for side in (options.side, options.side // 2))
    pipe = scenes.pipeline(scene, size, padding=padding, input_size=None)
    n, cut = _windows(scene, size), cut_windows(scene, size, options.rows)
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
    needed = shared_multiply_adds(model, size)
    rows.append(_arithmetic(what, lambda: mapped(scene, pipe, "shared", folder, options), n, model, needed, options))
    tile, n_tile = tile_in_memory(pipe, size)
    rows.append(_arithmetic(f"{what}, a tile in memory", tile, n_tile, model, needed, options))
    return rows


def _resampled(options, folder):
    """The paper's resampling of 25 to 32 pixels: window by window."""
    scene = Scene.from_files(scenes.files(folder, options.side // 2))
    pipe = scenes.pipeline(scene, 25)
    n, cut = _windows(scene, 25), cut_windows(scene, 25, options.rows)
    model, what = pipe[-1].model_, "map, window engine, 25 px resampled to 32"
    fast, name = onnx_models.strongest(model, cut[:4096], cores())
    rival = f"ONNX Runtime at its best ({name}) on windows cut beforehand, resampling included"
    rows = [
        compare(
            what, rival, lambda: mapped(scene, pipe, "window", folder, options), lambda: fast(cut),
            repeats=options.repeats, units=(n, len(cut)), detail="{rate:,.0f} windows/s", check=difference,
        )
    ]  # fmt: skip
    whole = lambda: mapped(scene, pipe, "window", folder, options)  # noqa: E731
    return [*rows, _arithmetic(what, whole, n, model, multiply_adds(model), options)]


def _as_installed(options, folder):
    """The main job's map by what the README's command installs, against what it did before shared computation."""
    scene = Scene.from_files(scenes.files(folder, options.side // 2))
    now, before = scenes.pipeline(scene, 25, input_size=None), scenes.pipeline(scene, 25, input_size=32)
    n = _windows(scene, 25)

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


def tile_in_memory(pipe, size):
    """A call that computes one tile of a map from pixels in memory, and how many windows it has."""
    scene = scenes.in_memory(2 * 255 + size)
    task = MapTask(pipe, [pipe[0]], size, STEP, 1)
    engine = shared.shared_engine()(task)
    return lambda: engine.tile(scene), 256**2


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


def cut_windows(scene, size, rows):
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


def _windows(scene, size):
    return int(np.prod([(length - size) // STEP + 1 for length in scene.grid.shape]))


def _arithmetic(what, whole_map, n, model, needed, options):
    """How much of the processor's arithmetic the map uses, on average over everything from file to file."""
    a, b = np.random.default_rng(0).normal(size=(2, 2048, 2048)).astype("float32")
    a @ b
    parts, reached = [], []
    for _ in range(options.repeats):
        spent = seconds(whole_map)[0]
        limit = 2 * len(a) ** 3 / min(seconds(lambda: a @ b)[0] for _ in range(5))
        reached.append((2 * needed * n / spent / 1e9, limit / 1e9))
        parts.append(reached[-1][0] / reached[-1][1])
    used, limit = np.median(reached, axis=0)
    detail = (
        f"{needed / 1e6:.2f} million multiply-adds a window ({multiply_adds(model) / 1e6:.2f} by itself), "
        f"{used:.0f} of {limit:.0f} GFLOP/s"
    )
    return row(what, "numpy's product of 2048 x 2048 float32 matrices", parts, detail, "of it")


def multiply_adds(model):
    """Multiply-adds of one window by itself, from the layers of the network."""
    total = 0
    for layer in model.layers:
        if type(layer).__name__ == "Conv2D":
            total += int(np.prod(layer.output.shape[1:3])) * int(np.prod(layer.kernel.shape))
        elif type(layer).__name__ == "Dense":
            total += int(np.prod(layer.kernel.shape))
    return total


def shared_multiply_adds(model, size, side=64):
    """Multiply-adds of one window of a square of them, as shared computation does them."""
    layers = [layer for layer in model.layers if type(layer).__name__ in ("Conv2D", "MaxPooling2D")]
    kinds = [layer.padding if type(layer).__name__ == "Conv2D" else "pool" for layer in layers]
    total = 0
    for layer, step in zip(layers, axis_plan(size, STEP, kinds, side).steps, strict=True):
        if step.kind == "pool":
            continue
        channels, filters = layer.kernel.shape[2:]
        if len(step.inputs) == 1:  # one product for each state of the columns, the three rows of the kernel at once
            columns = sum(len(step.taps(j)) * step.outputs[j].count for j in range(len(step.outputs)))
            total += 3 * step.inputs[0].count * columns * channels * filters
        else:  # the taps of rows and columns combine
            total += sum(len(taps) * step.inputs[s].count for s, taps in step.uses.items()) ** 2 * channels * filters
    dense = sum(int(np.prod(layer.kernel.shape)) for layer in model.layers if type(layer).__name__ == "Dense")
    return total / side**2 + dense
