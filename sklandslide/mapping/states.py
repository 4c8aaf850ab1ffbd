"""Border states: what tells a window's features apart, along one axis. Pure arithmetic.

A feature of a window depends on the image alone, except near the window's border, where zero padding and dropped rows
enter. Features with equal border states are equal functions of the image, so one map of each serves all windows.

A map is kept at the positions where some window has a feature of that state, and nowhere else. Windows lie `step`
pixels apart, and a state of the border occurs once in a window, so its positions lie `step` apart. Features of the
interior lie d = 2 ** (number of poolings) apart in the window, so their positions lie gcd(step, d) apart.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import gcd


@dataclass(frozen=True)
class Lattice:
    """Positions of the features that a map holds along one axis, in pixels from the first window's first pixel."""

    first: int
    stride: int
    count: int

    def indices_of(self, other: Lattice, shift: int = 0) -> slice:
        """Where this lattice holds the positions of another one, all moved by `shift` pixels."""
        start = (other.first + shift - self.first) // self.stride
        stride = other.stride // self.stride if other.count > 1 else 1
        return slice(start, start + (other.count - 1) * stride + 1, stride)


@dataclass(frozen=True)
class Step:
    """One layer along one axis.

    Its kind is that of a convolution of three taps, by its padding ("same", "valid"), or "pool" for max pooling by two.
    """

    kind: str
    recipes: tuple[tuple[int | None, ...], ...]  # by output state, the input state at each tap; None beyond the window
    offsets: tuple[int, ...]  # of the taps, in pixels
    inputs: tuple[Lattice, ...]  # of each input state
    outputs: tuple[Lattice, ...]

    def taps(self, output: int) -> list[tuple[int, int, slice]]:
        """Of an output state: each tap inside the window, the input state there, and where that one's map holds it."""
        return [
            (tap, state, self.inputs[state].indices_of(self.outputs[output], self.offsets[tap]))
            for tap, state in enumerate(self.recipes[output])
            if state is not None
        ]

    @property
    def uses(self) -> dict[int, list[int]]:
        """The taps that each input state stands at."""
        pairs = {(state, tap) for recipe in self.recipes for tap, state in enumerate(recipe) if state is not None}
        return {state: sorted(tap for s, tap in pairs if s == state) for state in sorted({s for s, _ in pairs})}


@dataclass(frozen=True)
class AxisPlan:
    """The layers along one axis, for a row of neighbouring windows."""

    length: int  # pixels from the first window's first one to the last window's last one that the network sees
    steps: tuple[Step, ...]
    states: tuple[int, ...]  # of each of a window's last features
    takes: tuple[slice, ...]  # for each of them, where its state's map holds that of each window


def axis_plan(patch_size: int, step: int, kinds: Sequence[str], side: int = 1) -> AxisPlan:
    """Follow the border states of `side` neighbouring windows through layers of these kinds (see `Step`).

    Three convolutions and poolings of 32 pixels have 3, 5, 5 convolution states and 3, 3, 3 pooled ones.
    """
    sizes, needed = _sizes(patch_size, kinds)
    distance = 1
    states = [0] * needed[0]
    lattices = _lattices(states, distance, step, side)
    length = lattices[0].count
    steps = []
    for kind, size, count in zip(kinds, sizes[:-1], needed[1:], strict=True):
        if kind == "same":
            taps = [tuple(states[k] if 0 <= k < size else None for k in (i - 1, i, i + 1)) for i in range(count)]
            offsets: tuple[int, ...] = (-distance, 0, distance)
        elif kind == "valid":
            taps = [tuple(states[i : i + 3]) for i in range(count)]
            offsets = (0, distance, 2 * distance)
        else:
            taps = [tuple(states[2 * i : 2 * i + 2]) for i in range(count)]
            offsets = (0, distance)
            distance *= 2
        states, recipes = _numbered(taps)
        inputs, lattices = lattices, _lattices(states, distance, step, side)
        steps.append(Step(kind, recipes, offsets, inputs, lattices))
    windows = [Lattice(i * distance, step, side) for i in range(len(states))]
    takes = tuple(lattices[state].indices_of(window) for state, window in zip(states, windows, strict=True))
    return AxisPlan(length, tuple(steps), tuple(states), takes)


def _sizes(patch_size: int, kinds: Sequence[str]) -> tuple[list[int], list[int]]:
    """Number of a window's features before each layer and at the end, and how many of the first of them are used.

    Pooling drops the last feature of an odd number, so nothing need be computed for it.
    """
    sizes = [patch_size]
    for kind in kinds:
        sizes.append({"same": sizes[-1], "valid": sizes[-1] - 2, "pool": sizes[-1] // 2}[kind])
    needed = [sizes[-1]]
    for kind, size in zip(reversed(kinds), reversed(sizes[:-1]), strict=True):
        after = needed[0]
        needed.insert(0, {"same": min(after + 1, size), "valid": after + 2, "pool": 2 * after}[kind])
    return sizes, needed


def _lattices(states: Sequence[int], distance: int, step: int, side: int) -> tuple[Lattice, ...]:
    """The positions of each state's features in all windows."""
    lattices = []
    for state in range(max(states) + 1):
        where = [i * distance for i, s in enumerate(states) if s == state]
        # all windows' positions are multiples of this apart
        stride = gcd(*(position - where[0] for position in where), step if side > 1 else 0) or 1
        lattices.append(Lattice(where[0], stride, (where[-1] - where[0] + (side - 1) * step) // stride + 1))
    return tuple(lattices)


def _numbered(taps: Sequence[Hashable]) -> tuple[list[int], tuple]:
    """Number equal items equally, in order of appearance."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(item, len(numbers)) for item in taps], tuple(numbers)
