"""
From an event and a box to an interactive map
=============================================

An earthquake has a date and a place, and somebody has drawn landslides. From there: search a catalogue for Sentinel-1
before and after it, look at what was chosen, train on the landslides, map the box, and open the map in a browser.

Take the notebook at the foot of this page, and put your own catalogue, collection, box, event and inventory into the
next cell. As they stand there, a small archive of simulated dates is made on this machine, and no network is needed.
It needs ``pip install "sklandslide[plot,archives,explore]"``.
"""

# sphinx_gallery_thumbnail_number = 3

import os
import tempfile
import warnings
from pathlib import Path

import geopandas
import numpy as np
import pystac
import rasterio
from rasterio.warp import transform_geom
from shapely.geometry import box, mapping, shape
from sklearn.pipeline import make_pipeline

from sklandslide import (
    Augmenter,
    BandStacker,
    LandslideCNN,
    PatchSampler,
    SlidingWindowPredictor,
    SpatialBlockKFold,
    cross_val_map,
    find_sentinel1,
    make_scene,
    sample_polygons,
    save_model,
)
from sklandslide.exceptions import SamplingWarning

out = Path(os.environ.get("SKLANDSLIDE_OUT") or tempfile.mkdtemp())

api = os.environ.get("SKLANDSLIDE_STAC")  # address of a STAC API
collection = "sentinel-1-rtc"
event = "2018-09-06T03:07+09:00"
area = None  # west, south, east, north in degrees
inventory = None  # a file of landslide polygons

# %%
# An archive on this machine
# --------------------------
# In place of a real one: five dates of VV and VH as Cloud Optimised GeoTIFFs, with items as catalogues have them. One
# of the dates after the event covers half of the ground.

DATES = {"before2": "08-19", "before": "08-31", "half": "09-07", "after": "09-12", "after2": "09-24"}


def make_archive(folder):
    """Write files, ``items.json`` and ``inventory.gpkg``; the items, and the box that the ground lies in."""
    folder.mkdir(parents=True)
    scene, polygons = make_scene(shape=(480, 480), random_state=3, units="linear", n_before=2)
    polygons[polygons["class"] == "landslide"].drop(columns="class").to_file(folder / "inventory.gpkg")
    items, grid = [], scene.grid
    for role, day in DATES.items():
        rows, columns = grid.shape[0], grid.shape[1] // (2 if role == "half" else 1)
        left, bottom, right, top = rasterio.transform.array_bounds(rows, columns, grid.transform)
        ground = transform_geom(grid.crs, "EPSG:4326", mapping(box(left, bottom, right, top)))
        orbit = {"sat:relative_orbit": 46, "sat:orbit_state": "descending", "platform": "SENTINEL-1A"}
        projection = {"proj:code": "EPSG:32654", "proj:transform": [*grid.transform[:6]], "proj:shape": [rows, columns]}
        item = pystac.Item(
            f"S1A_2018-{day}",
            ground,
            list(shape(ground).bounds),
            pystac.utils.str_to_datetime(f"2018-{day}T20:42:00Z"),
            {**orbit, **projection},
            collection=collection,
        )
        item.stac_extensions = ["https://stac-extensions.github.io/projection/v2.0.0/schema.json"]
        for polarisation in ("VV", "VH"):
            file = folder / f"{item.id}_{polarisation}.tif"
            band = scene.read(f"{polarisation}_{'after' if role == 'half' else role}")[:, :columns, 0]
            profile = {"crs": grid.crs, "transform": grid.transform, "count": 1, "dtype": "float32", "nodata": np.nan}
            with rasterio.open(file, "w", driver="COG", height=rows, width=columns, BLOCKSIZE=256, **profile) as raster:
                raster.write(band, 1)
            item.add_asset(polarisation.lower(), pystac.Asset(str(file), media_type="image/tiff; application=geotiff"))
        items.append(item)
    pystac.ItemCollection(items).save_object(folder / "items.json")
    west, south, east, north = shape(items[0].geometry).bounds
    return items, (west + 0.002, south + 0.002, east - 0.002, north - 0.002)


if area is None:
    items, area = make_archive(out / "archive")
    api = api or items
    inventory = out / "archive" / "inventory.gpkg"

# %%
# What there is, and what is chosen
# ---------------------------------
# Dates of one track, the last before the event and the first two after it that cover the box; each of the others with
# the reason why it is not used. ``found.choose`` replaces any of them.

found = find_sentinel1(api, collection, area, event)
found

# %%
# The scene
# ---------
# It is fetched when it is read, and only what is read.

scene = found.to_scene()
print(scene)
panels = scene.plot("VV_before", "VV_after", "VV_after2")

# %%
# Samples of landslides alone
# ---------------------------
# Negatives come from the rest of the box and from the ground just outside the outlines.

landslides = geopandas.read_file(inventory).to_crs(scene.grid.crs.to_wkt())
warnings.simplefilter("ignore", SamplingWarning)  # the report says the same
X, y, groups, report = sample_polygons(
    scene, landslides, patch_size=17, stride=5, max_per_polygon=12, bands="BAA", random_state=0, return_report=True
)
print(report)
ax = X.plot(y, bands="BAA", patch_size=17)

# %%
# Training, and a threshold on ground held out
# --------------------------------------------

pipeline = make_pipeline(
    BandStacker("BAA"),
    PatchSampler(17),
    Augmenter(translation=0),
    LandslideCNN(input_size=None, epochs=12, random_state=0),
)
folds = SpatialBlockKFold(3, block_size=800, buffer=X.patch_extent(17), random_state=0)
held_out = cross_val_map(pipeline, X, y, out / "held_out.tif", cv=folds, groups=groups, step=3)
threshold = held_out.choose_threshold(landslides)
score = held_out.score(landslides, threshold=threshold)
print(f"On ground held out, at {threshold:.2f}: {score['n_hit']} of {score['n_landslides']} landslides hit,")
print(f"{score['false_alarms_per_km2']:.1f} false alarms per km2")

# %%
# The map
# -------

model = pipeline.fit(X, y)
save_model(model, out / "model.skops")
mapped = SlidingWindowPredictor(model, step=2).predict_map(scene, out / "map.tif")
ax = mapped.plot(background=scene, inventory=landslides, threshold=threshold)

# %%
# In the browser
# --------------
# One file that opens anywhere: probability, objects in the order to look at them, and the inventory; a click tells the
# facts. ``tiles=None`` leaves out the base map, the only thing that would come from a network.

page = mapped.explore(out / "map.html", inventory=landslides, threshold=threshold, min_area_m2=400, tiles=None)
page
