"""Shared computation in C: the plan of border states as lists of sums for `_sums.c`. Imported where that was built.

The maps of some states hold a position for each window, others several. To make all alike, maps are kept in parts: the
positions with one remainder modulo the windows' distance. A part has one row and column for each window (some have
a few more), and the neighbours of a position lie whole windows away, in the same part or another.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product, repeat
from typing import Any

import numpy as np

from . import _sums  # type: ignore[attr-defined]
from .states import AxisPlan, Lattice, Step

KINDS = ("plain", "AVX2", "AVX-512")
# What is done with a value, as in _sums.c.
_STORE, _BIAS, _RELU = 1, 2, 4
# No tile of _sums.c has more positions, or channels; the channels of its narrower ones.
_ROWS, _WIDE, _NARROW = 8, 32, 16

Part = tuple[int, int]  # a border state, and the remainder of its positions
Spans = dict[Part, tuple[int, int]]  # from and to, in windows
Term = tuple[int, Part, int]  # tap, the part of the inputs that it stands at, and how many windows away


class Maps:
    """How the maps of all pairs of parts lie in one array: planes of some channels, one after the other."""

    def __init__(self, spans: Spans, width: int, channels: int, wide: int) -> None:
        self.spans, self.width, self.wide = spans, width, wide
        self.planes = -(-channels // self.wide)
        self.index = {part: i for i, part in enumerate(spans)}
        rows = max(stop for _, stop in spans.values())
        self.shape = (len(spans), len(spans), self.planes, rows, width, self.wide)
        self.plane = rows * width * self.wide
        # tiles reach over the ends of the first and last rows, and so do their neighbours
        self.margin = width * self.wide

    def offset(self, pair: Sequence[Part], shifts: Sequence[int]) -> int:
        """Of the value that lies so many rows and columns from a position, in numbers beyond the position's own."""
        row, col = (self.index[part] for part in pair)
        map_start = (row * len(self.spans) + col) * self.planes * self.plane
        return self.margin + map_start + (shifts[0] * self.width + shifts[1]) * self.wide

    def empty(self) -> np.ndarray:
        """Zeros for all maps."""
        return _aligned(int(np.prod(self.shape)) + 2 * self.margin)

    def seen(self, values: np.ndarray) -> np.ndarray:
        """The maps in an array: (parts of rows, parts of columns, planes, rows, columns, channels)."""
        return values[self.margin : -self.margin].reshape(self.shape)


@dataclass(frozen=True)
class Layer:
    """What `_sums.layer` takes besides values.

    The list: the number of groups; of each its range (rows from, to, columns from, to), how many products and outputs
    it has, and how many numbers follow with these seven. Products: how many are summed before they go into sums, into
    how many; of each of those its number, whether it begins here, its range; of each product where its input lies and
    which weights it takes. Outputs: of each its sum, what is done with it, where it goes, its range.
    """

    list: np.ndarray
    outputs: Maps
    weights: np.ndarray
    bias: np.ndarray
    depth: int
    taps: int
    n_sums: int

    def run(self, kind: int, out: np.ndarray, values: np.ndarray, sums: np.ndarray) -> None:
        """Fill the output maps, in any thread."""
        to = self.outputs
        shape = (to.width, self.depth, self.taps, to.planes, to.plane)
        _sums.layer(kind, to.wide, out, values, self.weights, self.bias, self.list, sums, *shape)


class Kernel:
    """The whole computation of squares of windows, from images (squares, rows, cols, bands).

    Convolutions and dense layers are pairs of weights and bias.
    """

    def __init__(
        self, scale: Any, convolutions: Sequence[Any], dense: Sequence[Any], plan: AxisPlan, side: int, step: int
    ) -> None:
        self.kind = _sums.kind
        self.scale, self.side = scale, side
        # all strides divide it; a square of one window has those of the window's own features
        self.distance = step if side > 1 else 2 ** len(convolutions)
        levels = [_spans(one, self.distance) for one in (plan.steps[0].inputs, *(s.outputs for s in plan.steps))]
        width = max(stop for spans in levels for _, stop in spans.values()) + 2 * _ROWS
        windows: Spans = {(0, 0): (0, side)}
        spans = [*levels[::2], windows, windows]
        bands, *channels = convolutions[0][0].shape[2], *(len(bias) for _, bias in (*convolutions, *dense))
        largest = _WIDE if KINDS[self.kind] == "AVX-512" else _NARROW
        planes = [bands, *(_NARROW if n <= _NARROW else largest for n in channels)]
        self.maps = [Maps(*one) for one in zip(spans, repeat(width), (bands, *channels), planes, strict=False)]
        self.layers = []
        for i, weights in enumerate(convolutions):
            steps = plan.steps[2 * i], plan.steps[2 * i + 1]
            self.layers.append(
                _convolution(self.maps[i], self.maps[i + 1], levels[2 * i + 1], steps, self.distance, *weights)
            )
        places = [
            ((state, k * 2 ** len(convolutions) % self.distance), k * 2 ** len(convolutions) // self.distance)
            for k, state in enumerate(plan.states)
        ]
        self.layers.append(_dense(self.maps[-3], self.maps[-2], places, dense[0], _RELU))
        self.layers.append(_dense(self.maps[-2], self.maps[-1], [((0, 0), 0)], dense[1], 0))
        self.units, self.classes = channels[-2:]
        self._room = threading.local()

    def __call__(self, images: np.ndarray, hidden: bool = False) -> list[np.ndarray]:
        """Probabilities (squares, side, side, classes); the hidden layer (squares, side, side, units) if asked for."""
        shape = len(images), self.side, self.side
        found = [np.empty((*shape, n), np.float32) for n in (self.classes, self.units)[: 1 + hidden]]
        for number, image in enumerate(images):
            values = self._values(image)
            for i, out in enumerate(found, 1):
                planes = self.maps[-i].seen(values[-i])[0, 0, :, :, : self.side]
                out[number] = np.moveaxis(planes, 0, 2).reshape(self.side, self.side, -1)[..., : out.shape[-1]]
        powers = np.exp(found[0] - found[0].max(axis=-1, keepdims=True))
        return [powers / powers.sum(axis=-1, keepdims=True), *found[1:]]

    def _values(self, image: np.ndarray) -> list[np.ndarray]:
        """The maps of all layers, in arrays of the calling thread's."""
        if not hasattr(self._room, "values"):
            self._room.values = [maps.empty() for maps in self.maps]
            self._room.sums = _aligned(max(layer.n_sums for layer in self.layers) * _ROWS * _WIDE)
        values = self._room.values
        if self.scale is not None:
            image = (image - self.scale[0]) / self.scale[1]
        pixels = self.maps[0].seen(values[0])
        for row, col in product(self.maps[0].spans, repeat=2):
            part = image[row[1] :: self.distance, col[1] :: self.distance]
            i, j = self.maps[0].index[row], self.maps[0].index[col]
            pixels[i, j, 0, : part.shape[0], : part.shape[1]] = part
        for layer, inputs, outputs in zip(self.layers, values, values[1:], strict=False):
            layer.run(self.kind, outputs, inputs, self._room.sums)
        return values


def _convolution(
    inputs: Maps, outputs: Maps, between: Spans, steps: tuple[Step, Step], distance: int, kernel: Any, bias: Any
) -> Layer:
    """A convolution with its pooling and ReLU; `between` them lie the spans of what is summed."""
    terms = _terms(steps[0], between, distance)
    pools = defaultdict(list)
    for part, taps in _terms(steps[1], outputs.spans, distance).items():
        for tap, source, shift in taps:
            pools[source].append((shift, tap, part))
    remainders = sorted({remainder for _, remainder in between})
    groups, uses = [], defaultdict(list)  # uses: of each output, when something goes into it
    for number, pair in enumerate(product(remainders, repeat=2)):
        # positions of other remainders have no product in common
        sums = list(product(*([part for part in between if part[1] == remainder] for remainder in pair)))
        moves = sorted(
            ((dy, dx), slot, (above, left))
            for slot, (row, col) in enumerate(sums)
            for (dy, _, above), (dx, _, left) in product(pools[row], pools[col])
        )
        for shifts, _, out in moves:
            uses[out].append((number, shifts))
        groups.append((sums, moves))
    lines = [len(groups)]
    for number, (sums, moves) in enumerate(groups):
        spans = [_range(between[row], between[col]) for row, col in sums]
        runs = list(_runs(sums, terms, inputs))
        tail = list(_run_lines(runs, spans, inputs))
        for shifts, slot, out in moves:
            what = _STORE * (uses[out][0] == (number, shifts)) + (_BIAS + _RELU) * (uses[out][-1] == (number, shifts))
            to = outputs.offset(out, [-shift for shift in shifts])
            tail += [slot, what, to, *_range(outputs.spans[out[0]], outputs.spans[out[1]], *shifts)]
        whole: list[int] = [f(span[i] for span in spans) for i, f in enumerate((min, max, min, max))]
        lines += [*whole, len(runs), len(moves), 7 + len(tail), *tail]
    most = max(len(sums) for sums, _ in groups)
    return _layer(lines, inputs, outputs, kernel.reshape(9, *kernel.shape[2:]), bias, most)


def _runs(sums: list, terms: dict[Part, list[Term]], inputs: Maps) -> Iterator[tuple[list[int], list]]:
    """Products that are summed in registers, and the sums that take them.

    Each product once, for all sums that take it, unless those are so few, or the products so small, that to make them
    anew for each is less work: an addition to a sum counts as two products with one channel.
    """
    takers = defaultdict(list)
    for slot, (row, col) in enumerate(sums):
        for (a, above, dy), (b, left, dx) in product(terms[row], terms[col]):
            takers[3 * a + b, (above, left), (dy, dx)].append(slot)
    additions, depth = sum(map(len, takers.values())), inputs.planes * inputs.wide
    if depth * (additions - len(takers)) > 2 * (additions - len(sums)):
        # those of one tap together: their weights stay in the cache
        yield from ((slots, [term]) for term, slots in sorted(takers.items()))
    else:
        for slot in range(len(sums)):
            yield [slot], [term for term, slots in sorted(takers.items()) if slot in slots]


def _run_lines(runs: list, spans: list[list[int]], inputs: Maps) -> Iterator[int]:
    """The list of products of a group, see `Layer`."""
    begun = set()
    for slots, items in runs:
        yield from (len(items) * inputs.planes, len(slots))
        for slot in slots:
            yield from (slot, 0 if slot in begun else _STORE, *spans[slot])
            begun.add(slot)
        for tap, pair, shifts in items:
            for plane in range(inputs.planes):
                yield from (inputs.offset(pair, shifts) + plane * inputs.plane, tap * inputs.planes + plane)


def _dense(inputs: Maps, outputs: Maps, places: list, weights: Any, relu: int) -> Layer:
    """A dense layer, as one sum of the products of the features at all places (part and shift, along one axis)."""
    span = _range(outputs.spans[0, 0], outputs.spans[0, 0])
    items = [
        (number, (above, left), (dy, dx)) for number, ((above, dy), (left, dx)) in enumerate(product(places, repeat=2))
    ]
    part = [*_run_lines([([0], items)], [span], inputs)]
    part += [0, _STORE + _BIAS + relu, outputs.offset([(0, 0), (0, 0)], (0, 0)), *span]
    lines = [1, *span, 1, 1, 7 + len(part), *part]
    kernel, bias = weights
    return _layer(lines, inputs, outputs, kernel.reshape(len(items), -1, kernel.shape[-1]), bias, 1)


def _layer(lines: list[int], inputs: Maps, outputs: Maps, kernel: Any, bias: Any, n_sums: int) -> Layer:
    """Weights (taps, inputs, outputs) in the order in which tiles take them, with zeros for channels that are none."""
    taps, depth, n = kernel.shape
    room = (0, inputs.planes * inputs.wide - depth), (0, outputs.planes * outputs.wide - n)
    by_plane = np.pad(kernel, ((0, 0), *room)).reshape(taps, inputs.planes, inputs.wide, outputs.planes, outputs.wide)
    weights = _aligned(by_plane.size)
    weights[:] = by_plane.transpose(3, 0, 1, 2, 4).ravel()
    biases = _aligned(n + room[1][1])
    biases[:n] = bias
    return Layer(np.array(lines, np.int32), outputs, weights, biases, inputs.wide, taps * inputs.planes, n_sums)


def _spans(lattices: Sequence[Lattice], distance: int) -> Spans:
    """Windows from and to in which each part has positions."""
    spans: Spans = {}
    for state, lattice in enumerate(lattices):
        for place in range(lattice.first, lattice.first + lattice.stride * lattice.count, lattice.stride):
            window, remainder = divmod(place, distance)
            first, _ = spans.get((state, remainder), (window, 0))
            spans[state, remainder] = first, window + 1
    return spans


def _terms(step: Step, outputs: Spans, distance: int) -> dict[Part, list[Term]]:
    """What each part of a layer's outputs is made of."""
    terms: dict[Part, list[Term]] = {part: [] for part in outputs}
    for state, remainder in outputs:
        for tap, before in enumerate(step.recipes[state]):
            if before is not None:
                shift, there = divmod(remainder + step.offsets[tap], distance)
                terms[state, remainder].append((tap, (before, there), shift))
    return terms


def _range(rows: tuple[int, int], cols: tuple[int, int], down: int = 0, right: int = 0) -> list[int]:
    return [rows[0] + down, rows[1] + down, cols[0] + right, cols[1] + right]


def _aligned(n: int) -> np.ndarray:
    """Zeros that begin with a line of the cache. Not np.zeros: large np.empty arrays get large pages."""
    room = np.empty(n + 16, np.float32)
    room[:] = 0
    start = -room.ctypes.data // 4 % 16
    return room[start : start + n]
