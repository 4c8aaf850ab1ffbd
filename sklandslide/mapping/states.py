"""Border states: what tells a window's features apart, along one axis. Pure arithmetic.

A feature of a window depends on the image alone, except near the window's border, where zero padding and dropped rows
enter. Features with equal border states are equal functions of the image, so one map of each serves all windows.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import gcd

__all__ = ["Step", "axis_plan"]


@dataclass(frozen=True)
class Step:
    """One layer along one axis.

    Attributes
    ----------
    kind : {"same", "valid", "pool"}
        A convolution of three taps with that padding, or max pooling by two.
    recipes : tuple of tuple of (int or None)
        For each output state, the input state at each tap; None where the tap lies outside the window.
    offsets : tuple of int
        Of the taps, in stored positions.
    stride : int
        Every so-manieth stored position is kept in the output.
    """

    kind: str
    recipes: tuple[tuple[int | None, ...], ...]
    offsets: tuple[int, ...]
    stride: int


@dataclass(frozen=True)
class AxisPlan:
    """The layers along one axis, and what a window takes from the last.

    Attributes
    ----------
    steps : tuple of Step
    states : tuple of int
        State of each of a window's last features.
    spacing : int
        Distance of neighbouring last features, in stored positions.
    grid : int
        Distance of stored positions at the end, in pixels.
    """

    steps: tuple[Step, ...]
    states: tuple[int, ...]
    spacing: int
    grid: int

    def extent(self, first: int, length: int) -> tuple[int, int]:
        """First stored position at the end and their number, for an input of `length` pixels from `first` on."""
        for step in self.steps:
            low, high = min(step.offsets), max(step.offsets)
            first, length = first - low, length - (high - low)
            skip = -first % step.stride
            first, length = (first + skip) // step.stride, -(-(length - skip) // step.stride)
        return first, length

    def margins(self, patch_size: int, step: int, count: int) -> tuple[int, int]:
        """Pixels that `count` windows need before the first pixel of the first one, and in all."""
        before, distance = 0, 1
        for layer in self.steps:  # only "same" convolutions look before a feature, each by the distance of its inputs
            before += distance if layer.kind == "same" else 0
            distance *= 2 if layer.kind == "pool" else 1
        needed = (len(self.states) - 1) * self.spacing + (count - 1) * (step // self.grid) + 1
        length = before + (count - 1) * step + patch_size
        while True:
            first, stored = self.extent(-before, length)
            if first + stored >= needed:
                return before, length
            length += 1


def axis_plan(patch_size: int, step: int, kinds: Sequence[str]) -> AxisPlan:
    """Follow the border states of a window through the layers.

    Parameters
    ----------
    patch_size, step : int
        Length of the window and distance of windows, in pixels.
    kinds : sequence of {"same", "valid", "pool"}
        The layers.

    Returns
    -------
    AxisPlan

    Examples
    --------
    Three convolutions and poolings of 32 pixels have 3, 5, 5 convolution states and 3, 3, 3 pooled ones:

    >>> from sklandslide.mapping.states import axis_plan
    >>> [len(step.recipes) for step in axis_plan(32, 2, ["same", "pool"] * 3).steps]
    [3, 3, 5, 3, 5, 3]
    """
    states: list[int] = [0] * patch_size
    taps: list[tuple[int | None, ...]]
    distance = 1
    steps = []
    for kind in kinds:
        grid = gcd(step, distance)
        near = distance // grid
        n = len(states)
        if kind == "same":
            taps = [(states[i - 1] if i else None, states[i], states[i + 1] if i + 1 < n else None) for i in range(n)]
            offsets: tuple[int, ...] = (-near, 0, near)
        elif kind == "valid":
            taps = [tuple(states[i : i + 3]) for i in range(n - 2)]
            offsets = (0, near, 2 * near)
        else:
            taps = [(states[2 * i], states[2 * i + 1]) for i in range(n // 2)]
            offsets = (0, near)
            distance *= 2
        states, recipes = _numbered(taps)
        steps.append(Step(kind, recipes, offsets, gcd(step, distance) // grid))
    grid = gcd(step, distance)
    return AxisPlan(tuple(steps), tuple(states), distance // grid, grid)


def _numbered(taps: Sequence[Hashable]) -> tuple[list[int], tuple]:
    """Number equal items equally, in order of appearance."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(item, len(numbers)) for item in taps], tuple(numbers)
