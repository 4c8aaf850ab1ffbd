"""A small archive as files: dates of Sentinel-1 in frames, decoys, an optical image and heights, and items for them."""

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import rasterio
import shapely
from affine import Affine
from pystac import Asset, Item
from rasterio.warp import transform_geom

from sklandslide import make_scene
from sklandslide.geodata import Grid, Window

COLLECTION = "OPERA_L2_RTC-S1_V1"
EVENT = "2023-01-15T12:00Z"
DATES = {"before2": "2022-11-02", "before": "2022-12-08", "after": "2023-10-04", "after2": "2023-11-09"}
BANDS = [f"{polarisation}_{role}" for role in ("before", "after", "after2") for polarisation in ("VV", "VH")]
_PROJECTION = "https://stac-extensions.github.io/projection/v1.1.0/schema.json"
_REAL = Path(__file__).resolve().parents[2] / "shared/data/rtc_s1"


def pixels_by_role():
    """Power of two polarisations, (2, rows, cols) by role, CRS and transform: real ones where the machine has them."""
    if not _REAL.is_dir():
        roles = [f"{polarisation}_{role}" for role in DATES for polarisation in ("VV", "VH")]
        scene, _ = make_scene(shape=(100, 100), random_state=0, units="linear", n_before=2)
        pixels = dict(zip(roles, np.moveaxis(scene.read(roles), -1, 0), strict=True))
        crs, transform = scene.grid.crs, scene.grid.transform
    else:
        pixels = {}
        for role, date in DATES.items():
            for polarisation in ("VV", "VH"):
                with rasterio.open(_REAL / f"292320-IW2_{date.replace('-', '')}_{polarisation}.tif") as raster:
                    pixels[f"{polarisation}_{role}"], crs, transform = raster.read(1), raster.crs, raster.transform
    return {role: np.stack([pixels[f"VV_{role}"], pixels[f"VH_{role}"]]) for role in DATES}, crs, transform


class LocalArchive:
    """Files in a folder, and items that name them at an address."""

    def __init__(self, folder, address):
        self.folder, self.address, self.items = folder, address, []
        self.pixels, self.crs, self.transform = pixels_by_role()
        self.shape = next(iter(self.pixels.values())).shape[1:]
        self.grid = Grid(self.crs, self.transform, self.shape)
        # within the pixels, whose edges are no lines of constant longitude
        self.area = shapely.geometry.shape(self.footprint(slice(0, 100), inset=12)).bounds
        left, right = slice(0, 60), slice(50, 100)
        for role, date in DATES.items():
            for i, columns in enumerate((left, right)):
                self.radar(f"{date}_{i}", f"{date}T13:58:0{i}Z", self.pixels[role][:, :, columns], columns)
        decoy = np.full_like(self.pixels["after"], 9)
        self.radar("older_copy", f"{DATES['after']}T13:58:00Z", decoy[:, :, left], left, updated="2020-01-01T00:00:00Z")
        self.radar("half", "2023-02-01T13:58:00Z", decoy[:, :, left], left)
        self.radar("of_the_day", "2023-01-15T11:59:30Z", decoy, slice(0, 100), orbit=9)
        for date in ("2023-01-10", "2023-01-20"):
            self.radar(f"{date}_ascending", f"{date}T01:50:00Z", decoy, slice(0, 100), orbit=64, direction="ascending")
        self.radar("other_orbit", "2023-01-20T13:50:00Z", decoy, slice(0, 100), orbit=144)
        self.optical("cloudy", "2023-01-17T18:40:00Z", 400, clouds=80)
        self.optical("clear", "2023-01-22T18:40:00Z", 300, clouds=3)
        self.heights()

    def footprint(self, columns, inset=0):
        left, right, top, bottom = columns.start + inset, columns.stop - inset, inset, self.shape[0] - inset
        corners = self.grid.xy([top, top, bottom, bottom], [left, right, right, left])
        polygon = shapely.geometry.mapping(shapely.Polygon(corners))
        return transform_geom(self.crs, "EPSG:4326", polygon)

    def radar(self, name, time, pixels, columns, *, orbit=137, direction="descending", updated="2024-01-01T00:00:00Z"):
        said = {
            "sat:relative_orbit": orbit,
            "sat:orbit_state": direction,
            "platform": "sentinel-1a",
            "updated": updated,
        }
        transform = self.grid.crop(Window(0, columns.start, *pixels.shape[1:])).transform
        item = self.item(name, COLLECTION, time, self.footprint(columns), transform, pixels.shape[1:], **said)
        for polarisation, band in zip(("VV", "VH"), pixels, strict=True):
            self.asset(item, polarisation, band, self.crs, transform, nodata=np.nan)

    def optical(self, name, time, level, clouds):
        said = {"eo:cloud_cover": clouds, "s2:processing_baseline": "05.09"}
        everywhere = slice(0, self.shape[1])
        item = self.item(name, "sentinel-2-l2a", time, self.footprint(everywhere), self.transform, self.shape, **said)
        for i, key in enumerate(("B04", "B03", "B02")):
            band = np.full(self.shape, 1000 + level + i, np.uint16)
            band[:5] = 0
            self.asset(item, key, band, self.crs, self.transform, nodata=0)

    def heights(self):
        """A plane in degrees, twice as coarse and wider than the rest."""
        west, south, east, north = shapely.geometry.shape(self.footprint(slice(0, self.shape[1]), inset=-20)).bounds
        size = 70
        transform = Affine((east - west) / size, 0, west, 0, (south - north) / size, north)
        box = shapely.geometry.mapping(shapely.box(west, south, east, north))
        item = self.item("heights", "cop-dem-glo-30", "2021-04-22T00:00:00Z", box, transform, (size, size), crs=4326)
        band = np.add.outer(np.arange(size) * 10.0, np.zeros(size)).astype("float32")
        self.asset(item, "data", band, "EPSG:4326", transform, nodata=None)

    def item(self, name, collection, time, geometry, transform, shape, crs=None, **said):
        moment = datetime.fromisoformat(time).astimezone(UTC)
        epsg = crs or rasterio.crs.CRS.from_user_input(self.crs).to_epsg()
        said |= {"proj:epsg": epsg, "proj:transform": list(transform)[:6], "proj:shape": list(shape)}
        bounds = list(shapely.geometry.shape(geometry).bounds)
        item = Item(name, geometry, bounds, moment, said, collection=collection)
        item.stac_extensions = [_PROJECTION]
        self.items.append(item)
        return item

    def asset(self, item, key, band, crs, transform, nodata):
        file = f"{item.id}_{key}.tif"
        size = {"width": band.shape[1], "height": band.shape[0], "count": 1, "dtype": band.dtype, "nodata": nodata}
        with rasterio.open(self.folder / file, "w", driver="COG", crs=crs, transform=transform, **size, BLOCKSIZE=128,
                           COMPRESS="DEFLATE", OVERVIEWS="NONE") as out:  # fmt: skip
            out.write(band, 1)
        item.add_asset(key, Asset(f"{self.address}/{file}?sig={os.getpid()}", media_type="image/tiff", roles=["data"]))

    def signed(self, signature):
        """The items, their addresses signed in another way."""
        items = [item.clone() for item in self.items]
        for item in items:
            for asset in item.assets.values():
                asset.href = f"{asset.href.split('?')[0]}?sig={signature}"
        return items

    def expected(self, bands, grid):
        """What the bands of a scene must be, by pixels of the files: (rows, cols, bands), NaN beyond them."""
        row, col = self.grid.rowcol((grid.transform.c, grid.transform.f)).round().astype(int)
        whole = np.stack(
            [self.pixels[role][("VV", "VH").index(pol)] for pol, role in (b.split("_") for b in bands)], -1
        )
        rows, cols = grid.shape
        return whole[row : row + rows, col : col + cols]
