"""Small maps and inventories for tests of maps."""

import geopandas
import numpy as np
import rasterio
import shapely
from affine import Affine
from rasters import rotated, write

UTM = Affine(20, 0, 500_000, 0, -20, 4_700_000)
ROTATED = rotated(500_000, 4_700_000, 25, 20)
GEOGRAPHIC = Affine(1e-4, 0, 141.9, 0, -2e-4, 42.77)
PLACES = [(UTM, "EPSG:32654"), (ROTATED, "EPSG:32654"), (GEOGRAPHIC, "EPSG:4326"), (UTM, None)]
NAN = np.nan


def write_map(path, values, transform=UTM, crs="EPSG:32654", nodata=NAN, tags=None, dtype="float32"):
    write(path, np.asarray(values, dtype), transform=transform, crs=crs, nodata=nodata)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**(tags or {}))
    return path


def random_values(shape=(23, 31), seed=0):
    rng = np.random.default_rng(seed)
    values = rng.random(shape).astype("float32")
    values[rng.random(shape) < 0.1] = NAN
    values[0, :4] = [0.5, np.nextafter(np.float32(0.5), np.float32(0)), NAN, 1.0]
    return values


def inventory_of(geometries, m, classes=None):
    classes = ["landslide"] * len(geometries) if classes is None else classes
    return geopandas.GeoDataFrame({"class": classes}, geometry=geometries, crs=m.grid.crs)


def pixel_box(m, row, col, height=1, width=1):
    """Polygon of whole map pixels."""
    corners = m.grid.xy([row, row, row + height, row + height], [col, col + width, col + width, col])
    return shapely.Polygon(corners)


def random_landslides(m, n=25, seed=0):
    """Stars of many sizes, some with a hole, overlapping, some on nodata or partly or wholly off the map."""
    rng = np.random.default_rng(seed)
    rows, cols = m.grid.shape
    out = []
    for number in range(n):
        centre = rng.uniform([-4, -4], [rows + 4, cols + 4])
        angle = np.linspace(0, 2 * np.pi, 13)[:-1]
        radius = rng.uniform(0.4, 1) * rng.uniform(0.2, 4) * rng.uniform(0.5, 1, 12)
        shell, hole = (centre + (r * radius * [np.sin(angle), np.cos(angle)]).T for r in (1, 0.4))
        rings = [m.grid.xy(*ring.T) for ring in (shell, hole)]
        out.append(shapely.Polygon(rings[0], [rings[1]] if number % 3 == 0 else None))
    assert shapely.is_valid(out).all()
    return out
