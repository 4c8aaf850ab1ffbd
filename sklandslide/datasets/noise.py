"""Random fields that can be computed piece by piece: any window, with the values that the whole would have there."""

from __future__ import annotations

import zlib

import numpy as np
from scipy import sparse

from ..geodata import Window

_BLOCK = 64  # normals are drawn in blocks of so many points a side, each from a stream of its own
_ORIGIN = 2**32  # blocks left of and above the scene have numbers as well
# Mean over all places of the sum of the squared weights of a cubic B-spline: the integral of its square.
_SPLINE_POWER = 151 / 315
_FAINT = 0.004  # amplitude of an octave, against the first, below which the rest are left out


class Seeds:
    """Independent random streams by name, so that adding a part to the simulator changes no other part."""

    def __init__(self, root: int, path: str = "") -> None:
        self._root, self._path = root, path

    def __truediv__(self, name: object) -> Seeds:
        """The streams of a part."""
        return Seeds(self._root, f"{self._path}/{name}")

    def _sequence(self) -> np.random.SeedSequence:
        return np.random.SeedSequence(self._root, spawn_key=(zlib.crc32(self._path.encode()),))

    @property
    def rng(self) -> np.random.Generator:
        """A generator for a few numbers; a new one, from its start, each time."""
        return np.random.default_rng(self._sequence())

    @property
    def key(self) -> np.ndarray:
        """Key of a counter-based generator."""
        return self._sequence().generate_state(2, np.uint64)


def grow(window: Window, pixels: int) -> Window:
    """The window with a margin; it may reach beyond the scene."""
    return Window(
        window.row_off - pixels, window.col_off - pixels, window.height + 2 * pixels, window.width + 2 * pixels
    )


def white(key: np.ndarray, window: Window, layer: int = 0) -> np.ndarray:
    """White noise, standard normal, float32: one number for each place, whatever window asks for it."""
    first = np.array([window.row_off, window.col_off]) // _BLOCK
    last = (np.array([window.row_off + window.height, window.col_off + window.width]) - 1) // _BLOCK
    out = np.empty(tuple((last - first + 1) * _BLOCK), np.float32)
    for i, row in enumerate(range(first[0], last[0] + 1)):
        for j, col in enumerate(range(first[1], last[1] + 1)):
            counter = np.array([0, layer, row + _ORIGIN, col + _ORIGIN], np.uint64)
            block = np.random.Generator(np.random.Philox(key=key, counter=counter))
            out[i * _BLOCK : (i + 1) * _BLOCK, j * _BLOCK : (j + 1) * _BLOCK] = block.standard_normal(
                (_BLOCK, _BLOCK), dtype=np.float32
            )
    row, col = window.row_off - first[0] * _BLOCK, window.col_off - first[1] * _BLOCK
    return out[row : row + window.height, col : col + window.width]


class Noise:
    """Gaussian random field with a power-law spectrum, mean 0 and standard deviation 1.

    A sum of octaves; each is white noise on a lattice, interpolated by cubic B-splines. The spectrum is flat beyond the
    wavelength `scale` (pixels along rows and along columns) and falls with the exponent `beta` below it; 3.6 is a Hurst
    exponent of 0.8. Octaves finer than `finest` pixels are left out: what is smoothed afterwards needs none.
    """

    def __init__(self, seeds: Seeds, scale: tuple[float, float], beta: float = 3.6, finest: float = 1.0) -> None:
        self._key = seeds.key
        spacing = np.maximum(np.array(scale, float) / 3, 1.0)  # a cubic B-spline's cut-off: about three points
        self._octaves: list[tuple[np.ndarray, float]] = []  # lattice spacing and amplitude
        while True:
            self._octaves.append((spacing, 2.0 ** (-len(self._octaves) * (beta - 2) / 2)))
            if spacing.min() < 1.5 * finest or self._octaves[-1][1] < _FAINT:
                break
            spacing = spacing / 2
        power = sum(amplitude**2 for _, amplitude in self._octaves) * _SPLINE_POWER**2
        self._octaves = [(spacing, amplitude / power**0.5) for spacing, amplitude in self._octaves]

    def __call__(self, window: Window) -> np.ndarray:
        """Values at the centres of the window's pixels, float32."""
        out = np.zeros((window.height, window.width), np.float32)
        for layer, (spacing, amplitude) in enumerate(self._octaves):
            row, by_row = _spline(window.row_off, window.height, spacing[0])
            col, by_col = _spline(window.col_off, window.width, spacing[1])
            lattice = white(self._key, Window(row, col, by_row.shape[1], by_col.shape[1]), layer)
            out += (by_col @ (by_row @ (np.float32(amplitude) * lattice)).T).T
        return out


def noise_in_metres(seeds: Seeds, metres: float, beta: float, pixel: tuple[float, float], finest: float = 1.0) -> Noise:
    """A field whose longest wavelength is given in metres, on pixels of a height and width in metres."""
    return Noise(seeds, (metres / pixel[0], metres / pixel[1]), beta, finest)


def _spline(first: int, length: int, spacing: float) -> tuple[int, sparse.csr_array]:
    """First lattice point that matters, and the weights (pixels, lattice points) of the cubic B-spline."""
    place = (first + np.arange(length) + 0.5) / spacing
    before = np.floor(place).astype(np.int64)
    t = place - before
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    start = int(before[0]) - 1
    columns = before[None] - 1 - start + np.arange(4)[:, None]
    rows = np.broadcast_to(np.arange(length), columns.shape)
    shape = (length, int(before[-1]) + 3 - start)
    matrix = sparse.csr_array((weights.ravel().astype(np.float32), (rows.ravel(), columns.ravel())), shape=shape)
    return start, matrix
