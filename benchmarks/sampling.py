"""PatchSampler, against copying the same bytes and against reading the files whole."""

import numpy as np
import rasterio
import scenes
from timing import compare

from sklandslide import BandStacker, PatchSampler, Scene

SIZE = 25


def run(options, folder):
    """All rows about sampling."""
    n = 5_000 if options.quick else 20_000
    sampler = PatchSampler(patch_size=SIZE)
    X = BandStacker("RGB").fit_transform(scenes.locations(scenes.in_memory(2000), n, SIZE))
    same = sampler.fit(X).transform(X)
    rows = [
        compare(
            "sampling from memory", "numpy's copy of the same bytes", lambda: sampler.transform(X), same.copy,
            repeats=options.repeats, units=(n, n), detail="{rate:,.0f} patches/s",
            check=lambda a, b: None if np.array_equal(a, b) else _fail(),
        )
    ]  # fmt: skip
    side = 1000 if options.quick else 3000
    n = (side // SIZE) ** 2  # as many pixels in the patches as in the scene
    for name, layout in (("tiled", scenes.TILED), ("striped", scenes.STRIPED)):
        place = folder / name
        place.mkdir(exist_ok=True)
        paths = scenes.files(place, side, layout)
        X = BandStacker("RGB").fit_transform(scenes.locations(Scene.from_files(paths), n, SIZE))
        rows.append(
            compare(
                f"sampling from {name} GeoTIFF",
                "rasterio reading the three files whole",
                lambda X=X: sampler.transform(X),
                lambda paths=paths: whole(paths),
                repeats=options.repeats,
                detail=f"{n} patches of {SIZE} x {SIZE} x 3, {side} x {side} pixels",
            )
        )
    return rows


def whole(paths):
    """The files as arrays, and no patch."""
    out = []
    for path in paths.values():
        with rasterio.open(path) as dataset:
            out.append(dataset.read(1))
    return out


def _fail():
    raise AssertionError("The patches differ.")
