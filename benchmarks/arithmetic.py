"""How much of the processor's arithmetic maps use: multiply-adds counted from the plan, against a matrix product."""

import numpy as np
import scenes
from maps import STEP, mapped, windows_of
from timing import row, seconds

from sklandslide import Scene
from sklandslide.mapping import shared
from sklandslide.mapping.states import axis_plan
from sklandslide.mapping.tiles import MapTask


def run(options, folder):
    """A row for each whole map, from file to file, and one for a tile of it from pixels in memory."""
    rows = []
    scene, small = (Scene.from_files(scenes.files(folder, side)) for side in (options.side, options.side // 2))
    for size, padding in ((25, "same"), (32, "same"), (32, "valid")):
        pipe = scenes.pipeline(scene, size, padding=padding, input_size=None)
        needed, whole = shared_multiply_adds(pipe[-1].model_, size), _whole(scene, pipe, "shared", folder, options)
        tile = tile_in_memory(pipe, size)
        for where, (function, n) in {"": whole, ", a tile in memory": tile}.items():
            what = f"map, shared computation, {size} px, {padding}{where}"
            rows.append(_arithmetic(what, function, n, pipe[-1].model_, needed, options))
    pipe = scenes.pipeline(small, 25, input_size=32)
    whole, n = _whole(small, pipe, "window", folder, options)
    needed = multiply_adds(pipe[-1].model_)
    what = "map, window engine, 25 px resampled to 32"
    return [*rows, _arithmetic(what, whole, n, pipe[-1].model_, needed, options)]


def _whole(scene, pipe, engine, folder, options):
    return lambda: mapped(scene, pipe, engine, folder, options), windows_of(scene, pipe[1].patch_size)


def tile_in_memory(pipe, size):
    """A call that computes one tile of a map from pixels in memory, and how many windows it has."""
    scene = scenes.in_memory(2 * 255 + size)
    task = MapTask(pipe, [pipe[0]], size, STEP, 1)
    engine = shared.shared_engine()(task)
    return lambda: engine.tile(scene), 256**2


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
