"""Scenes of noise and hardly trained networks: speed does not depend on what is on the ground or what was learnt."""

import numpy as np
import rasterio
from affine import Affine
from sklearn.pipeline import make_pipeline

from sklandslide import BandStacker, LandslideCNN, Locations, PatchSampler, Scene

BANDS = ("Red", "Green", "Blue")
TRANSFORM = Affine(10, 0, 500_000, 0, -10, 4_700_000)
CRS = "EPSG:32654"
TILED = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
STRIPED = {"blockysize": 1}


def arrays(side):
    """Three bands of noise."""
    random = np.random.default_rng(0)
    return {name: random.normal(size=(side, side)).astype("float32") for name in BANDS}


def files(folder, side, layout=None):
    """The same bands as GeoTIFFs, tiled and compressed unless told otherwise; their paths by band."""
    paths = {}
    for name, pixels in arrays(side).items():
        paths[name] = folder / f"{name}_{side}.tif"
        with rasterio.open(paths[name], "w", **_profile(side), **(layout or TILED)) as dataset:
            dataset.write(pixels, 1)
    return paths


def large_files(folder, size):
    """GeoTIFFs of any size, a side or rows and columns, written block by block; noise of 8 bits, as disks are small."""
    paths, random = {}, np.random.default_rng(0)
    for name in BANDS:
        paths[name] = folder / f"{name}_{size if isinstance(size, int) else 'x'.join(map(str, size))}.tif"
        with rasterio.open(paths[name], "w", **_profile(size, "uint8"), **TILED) as dataset:
            for _, window in dataset.block_windows(1):
                shape = int(window.height), int(window.width)
                dataset.write(random.integers(0, 256, shape, np.uint8), 1, window=window)
    return paths


def _profile(size, dtype="float32"):
    height, width = np.broadcast_to(size, 2).tolist()
    shape = {"width": width, "height": height, "count": 1}
    return {"driver": "GTiff", "dtype": dtype, "crs": CRS, "transform": TRANSFORM, "BIGTIFF": "IF_SAFER", **shape}


def locations(scene, n, size, seed=0):
    """Random places where a patch fits."""
    random = np.random.default_rng(seed)
    rows, cols = (random.integers(size, length - size, n) + 0.5 for length in scene.grid.shape)
    return Locations(scene, scene.grid.xy(rows, cols))


def pipeline(scene, size, **network):
    """The pipeline of the paper, fitted on eight patches of the scene."""
    steps = BandStacker("RGB"), PatchSampler(patch_size=size), LandslideCNN(epochs=1, random_state=0, **network)
    return make_pipeline(*steps).fit(locations(scene, 8, size), np.arange(8) % 2)


def in_memory(side):
    """A scene of arrays."""
    return Scene.from_arrays(arrays(side), transform=TRANSFORM, crs=CRS)
