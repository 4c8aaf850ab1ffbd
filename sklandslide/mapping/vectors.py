"""A landslide map and an inventory as vectors: points, pixels, GeoPackage layers, rows of a table."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..exceptions import SceneError
from ..geodata import Grid, Window, check_output, written_beside
from .styles import write_layer_styles

if TYPE_CHECKING:
    import geopandas


def red_points(grid: Grid, probability: np.ndarray, red: np.ndarray) -> geopandas.GeoDataFrame:
    """Centres of the red pixels with their ``probability``, row by row."""
    import geopandas

    xy = grid.xy(*(np.argwhere(red).T + 0.5))
    points = geopandas.points_from_xy(xy[:, 0], xy[:, 1])
    return geopandas.GeoDataFrame({"probability": probability[red]}, geometry=points, crs=grid.crs)


def landslide_pixels(geometries: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices of the pixels whose centre lies on each polygon, and the polygon's number.

    Polygon by polygon, as landslides may overlap. One that holds no centre gets the pixel that holds its representative
    point; one off the grid gets none.
    """
    from rasterio.features import rasterize

    pixels, owners = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for number, geometry in enumerate(geometries):
        low, high = (np.clip(ends, 0, grid.shape).astype(int) for ends in grid.pixel_box(geometry.bounds))
        if (high <= low).any():
            continue
        window = Window(*low.tolist(), *(high - low).tolist())
        shape, transform = (window.height, window.width), grid.crop(window).transform
        inside = rasterize([(geometry, 1)], out_shape=shape, transform=transform, dtype="uint8")
        rows, cols = np.nonzero(inside)
        rows, cols = rows + window.row_off, cols + window.col_off
        if not len(rows):
            point = geometry.representative_point()
            at = np.floor(np.clip(grid.rowcol([[point.x, point.y]]), -1, grid.shape)).astype(int)
            rows, cols = at[((at >= 0) & (at < grid.shape)).all(axis=1)].T
        pixels.append(rows * grid.shape[1] + cols)
        owners.append(np.full(len(rows), number))
    return np.concatenate(pixels), np.concatenate(owners)


def write_gpkg(
    path: str | os.PathLike[str], layers: Mapping[str, tuple[geopandas.GeoDataFrame, str]], overwrite: bool
) -> Path:
    """Write layers, (frame, geometry type) by name, and their styles; the file appears complete or not at all."""
    # GDAL wants the suffix
    with written_beside(path, overwrite, ".gpkg") as part, warnings.catch_warnings():
        # A map without a CRS is the user's choice, made when the scene was built.
        warnings.filterwarnings("ignore", "'crs' was not provided")
        for name, (frame, kind) in layers.items():
            options = {"geometry_type": kind, "promote_to_multi": kind.startswith("Multi")}
            frame.to_file(part, layer=name, driver="GPKG", engine="pyogrio", **options)
        write_layer_styles(part, layers)
    return Path(path)


def write_csv(path: str | os.PathLike[str], objects: geopandas.GeoDataFrame, overwrite: bool) -> Path:
    """Write objects by rank with a place on each in WGS 84; the file appears complete or not at all."""
    places = objects.geometry.representative_point().to_crs(4326)
    table = objects.drop(columns="geometry")
    # grids may reach across the meridian of 180 degrees
    table.insert(1, "longitude", (places.x + 180) % 360 - 180)
    table.insert(2, "latitude", places.y)
    table.insert(0, "rank", table.pop("rank"))
    digits = {"longitude": 6, "latitude": 6, "probability": 3, "probability_max": 3}
    digits |= {"area_m2": 1, "length_m": 1, "slope": 1}
    with written_beside(path, overwrite) as part:
        table.sort_values("rank").round(digits).to_csv(part, index=False)
    return Path(path)


def check_gpkg(path: Path, overwrite: bool) -> None:
    """Say why a GeoPackage cannot be written there, as early as possible."""
    if path.suffix.lower() != ".gpkg":
        raise ValueError(f"{path} does not end in .gpkg; the output is a GeoPackage. Add the suffix.")
    if set(os.path.abspath(path)) & set("!;\n\r\t"):
        raise SceneError(f"In {str(path)!r} an ! or ; or line break is misread by GDAL's tools. Choose another name.")
    check_output(path, overwrite)
