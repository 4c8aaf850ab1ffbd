"""Places, lengths and areas on every kind of grid, against computations of other kinds; or a clear refusal."""

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS as ProjCRS
from pyproj import Geod, Transformer
from rasters import centres, grid_of, rotated, same, write
from scenes import random_scene
from shapely import affinity
from shapely.geometry import MultiPolygon, Point, Polygon, box

from sklandslide import LandslideMap, Locations, Scene, SpatialBlockKFold, sample_polygons
from sklandslide.exceptions import InventoryError, SceneError
from sklandslide.geodata.grid import Grid, Window
from sklandslide.geodata.terrain import square_metres_per_unit
from sklandslide.sampling.locations import read_patches

UTM = "EPSG:32654"

# Transforms of 10 m and others, about the same place in UTM 54.
TRANSFORMS = {
    "north-up": Affine(10, 0, 500_000, 0, -10, 4_700_000),
    "south-up": Affine(10, 0, 500_000, 0, 10, 4_699_600),
    "east-left": Affine(-10, 0, 500_500, 0, -10, 4_700_000),
    "rotated": rotated(500_100, 4_700_000, 33, 10),
    "sheared": Affine(10, 4, 500_000, -3, -9, 4_700_000),
    "oblong": Affine(14, 0, 500_000, 0, -6, 4_700_000),
}
each_transform = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS.keys())


# -- lengths, slopes and areas on the ground --------------------------------------------------------------------------

# Systems by a place (longitude, latitude) in them: units of feet and metres, conformal, equal-area and neither, three
# dimensions, shifted datums, south-oriented, the poles, Mars.
SYSTEMS = {
    "UTM": ("EPSG:32654", 141.9, 42.7),
    "across 180": ("EPSG:32660", 180.2, 52.0),
    "Mercator": ("EPSG:3857", 10.0, 60.0),
    "PDC Mercator": ("EPSG:3832", 179.9, -17.0),
    "plate carree": ("EPSG:4087", 10.0, 60.0),
    "sinusoidal": ("+proj=sinu +R=6371007.181", 140.0, 43.0),
    "equal area": ("EPSG:3035", 25.0, 65.0),
    "Albers": ("EPSG:5070", -122.0, 47.0),
    "north pole": ("EPSG:3413", -30.0, 72.0),
    "south pole": ("EPSG:3031", 100.0, -70.0),
    "feet": ("EPSG:2225", -122.0, 40.5),
    "northing first": ("EPSG:2193", 172.0, -43.0),
    "south-oriented": ("EPSG:2053", 29.5, -27.0),
    "Bessel, shifted": ("+proj=utm +zone=54 +ellps=bessel +towgs84=-146.414,507.337,680.507", 141.0, 42.0),
    "compound": ("EPSG:32654+5773", 141.9, 42.7),
    "three dimensions": ("EPSG:4979", 10.0, 60.0),
    "geographic": ("EPSG:4326", 10.0, 60.0),
    "Mars": ("+proj=longlat +R=3396190 +no_defs", -60.0, -10.0),
}
each_system = pytest.mark.parametrize(("crs", "lon", "lat"), SYSTEMS.values(), ids=SYSTEMS.keys())


class Ground:
    """Geodesics, independent of the package: map coordinates to metres east and north of a place."""

    def __init__(self, crs, lon, lat):
        self.system = ProjCRS.from_wkt(crs.to_wkt())
        base = ProjCRS.from_wkt(self.system.geodetic_crs.to_wkt())
        self.geod = Geod(a=base.ellipsoid.semi_major_metre, b=base.ellipsoid.semi_minor_metre)
        if crs.is_projected:
            self.back = Transformer.from_crs(self.system, base, always_xy=True)
            self.at = Transformer.from_crs(base, self.system, always_xy=True).transform(lon, lat)
            self.unit = self.system.axis_info[0].unit_conversion_factor
        else:
            self.back, self.at, self.unit = None, (lon, lat), np.radians(self.geod.a)

    def lonlat(self, x, y):
        x, y = (np.asarray(v, float) for v in (x, y))
        return (x, y) if self.back is None else self.back.transform(x, y)

    def metres(self, x, y, origin):
        """East and north of an origin, along geodesics."""
        lon, lat = self.lonlat(x, y)
        lon0, lat0 = self.lonlat(*origin)
        bearing, _, distance = self.geod.inv(np.full_like(lon, lon0), np.full_like(lat, lat0), lon, lat)
        return distance * np.sin(np.radians(bearing)), distance * np.cos(np.radians(bearing))


@each_system
def test_a_hillside_has_its_slope_in_every_coordinate_system(crs, lon, lat):
    crs = rasterio.crs.CRS.from_user_input(crs)
    ground = Ground(crs, lon, lat)
    size = 30 / ground.unit
    x, y = ground.at
    transform = rotated(x, y, 20, size)
    transform = Affine(transform.a, 1.3 * transform.b, x, transform.d, 1.3 * transform.e, y)
    grid = Grid(crs, transform, (9, 11))
    for bearing in (0.0, 70.0, 140.0):
        east, north = ground.metres(*centres(grid), grid.xy(4.5, 5.5))
        along = east * np.sin(np.radians(bearing)) + north * np.cos(np.radians(bearing))
        dem = 1000 + along * np.tan(np.radians(30))
        slope = Scene.from_arrays({"DEM": dem.astype("float64")}, transform=transform, crs=crs).read("Slope")[4, 5, 0]
        assert abs(slope - 30) < 0.02


@each_system
def test_areas_are_square_metres_in_every_coordinate_system(tmp_path, crs, lon, lat):
    crs = rasterio.crs.CRS.from_user_input(crs)
    ground = Ground(crs, lon, lat)
    size = 30 / ground.unit
    transform = rotated(*ground.at, -15, size)
    values = np.zeros((6, 8), "float32")
    values[2:5, 3:7] = 0.9
    m = LandslideMap.open(write(tmp_path / "map.tif", values, transform=transform, crs=crs, nodata=np.nan))
    found = m.polygons(0.5)
    corners = m.grid.xy([2, 2, 5, 5], [3, 7, 7, 3])
    expected = abs(ground.geod.polygon_area_perimeter(*ground.lonlat(*corners.T))[0])
    np.testing.assert_allclose(found["area_m2"], expected, rtol=2e-5)
    scores = m.score(found, class_column=None)
    np.testing.assert_allclose([scores["red_km2"], scores["landslide_km2"]], expected / 1e6, rtol=2e-5)
    assert scores["tp"] == 12 == scores["n_points"]
    rates = m.hit_rates(found, class_column=None, edges=(0.999 * expected, 1.001 * expected))
    assert rates["n_hit"].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:3413", Affine(9_000, 0, 400_000, 0, -9_000, 900_000)),
        ("EPSG:5070", Affine(20_000, 0, -2_300_000, 0, -20_000, 3_100_000)),
        ("EPSG:32654", Affine(100, 0, 200_000, 0, -100, 5_500_000)),
    ],
)
def test_the_scale_of_a_projection_is_that_of_each_pixel_of_a_large_raster(crs, transform):
    grid = grid_of(crs, transform, (230, 200))
    ground = Ground(grid.crs, 0, 0)
    whole = Window(0, 0, 230, 200)
    areas = np.broadcast_to(square_metres_per_unit(grid, whole), grid.shape)
    step = 0.01
    for row, col in [(0, 0), (0, 199), (229, 0), (229, 199), (100, 70), (64, 128), (63, 127)]:
        corners = grid.xy(row + 0.5 + np.array([0, 0, step, step]), col + 0.5 + np.array([0, step, step, 0]))
        area = abs(ground.geod.polygon_area_perimeter(*ground.lonlat(*corners.T))[0])
        np.testing.assert_allclose(areas[row, col], area / (step * transform.a) ** 2, rtol=1e-4)
        one = square_metres_per_unit(grid, Window(row, col, 1, 1))
        assert float(np.ravel(one)[0]) == areas[row, col], "a part differs from the whole"


def test_a_global_raster_that_reaches_beyond_the_poles_has_areas_and_slopes():
    grid = grid_of("EPSG:4326", Affine(1, 0, -180.5, 0, -1, 90.5), (181, 361))
    assert (square_metres_per_unit(grid, Window(0, 0, 181, 361)) > 0).all()
    scene = Scene.from_arrays({"DEM": np.ones((181, 361))}, transform=grid.transform, crs=grid.crs)
    assert np.nanmax(scene.read("Slope")) == 0


def test_heights_in_feet_of_a_compound_system_are_metres_in_slopes():
    transform = Affine(100, 0, 6_500_000, 0, -100, 2_100_000)  # a foot up for a foot along
    dem = np.add.outer(np.zeros(7), np.arange(7.0) * 100)
    slopes = {}
    for crs in ("EPSG:2225", "EPSG:2225+6360"):
        scene = Scene.from_arrays({"DEM": dem}, transform=transform, crs=crs)
        slopes[crs] = scene.read("Slope")[3, 3, 0]
    assert abs(slopes["EPSG:2225+6360"] - 45) < 0.01
    assert abs(slopes["EPSG:2225"] - np.degrees(np.arctan(3937 / 1200))) < 0.01  # heights are metres


# -- the antimeridian -------------------------------------------------------------------------------------------------

UTM60 = Affine(200, 0, 695_928, 0, -200, 5_775_288)  # 180 degrees runs through the middle
AT_180 = (100, 100)


def field(lon, lat):
    """Something smooth that is the same a turn farther on."""
    return 100 + 50 * np.sin(np.radians(lon) * 40) + 20 * np.cos(np.radians(lat) * 60)


def degrees_band(tmp_path, name, west, east, pixel=0.002, lat=(51.6, 52.4)):
    """A raster of the field in EPSG:4326 from west to east."""
    shape = round((lat[1] - lat[0]) / pixel), round((east - west) / pixel)
    grid = grid_of("EPSG:4326", Affine(pixel, 0, west, 0, -pixel, lat[1]), shape)
    return write(tmp_path / name, field(*centres(grid)), transform=grid.transform, crs=grid.crs, nodata=np.nan), grid


@pytest.mark.parametrize(("west", "east"), [(179.0, 181.0), (-181.0, -179.0), (539.0, 541.0)])
def test_a_band_in_degrees_serves_a_scene_that_crosses_180(tmp_path, west, east):
    path, _ = degrees_band(tmp_path, "band.tif", west, east)
    reference = write(tmp_path / "grid.tif", np.ones(AT_180), transform=UTM60, crs="EPSG:32660")
    scene = Scene.from_files({"Reference": reference, "Band": path})
    expected = field(*centres(scene.grid, "EPSG:4326"))
    np.testing.assert_allclose(scene.read("Band")[..., 0], expected, atol=0.1)


def test_a_band_that_ends_at_180_serves_its_side_and_a_global_one_both(tmp_path):
    reference = write(tmp_path / "grid.tif", np.ones(AT_180), transform=UTM60, crs="EPSG:32660")
    bands = {"West": (179.0, 180.0), "East": (-180.0, -179.0)}
    files = {name: degrees_band(tmp_path, f"{name}.tif", *ends)[0] for name, ends in bands.items()}
    coarse = {"pixel": 0.02, "lat": (50, 54)}
    files["Globe"], _ = degrees_band(tmp_path, "globe.tif", -180.0, 180.0, **coarse)
    scene = Scene.from_files({"Reference": reference, **files})
    lon, lat = centres(scene.grid, "EPSG:4326")
    west, east, globe = np.moveaxis(scene.read(["West", "East", "Globe"]), -1, 0)
    inner = np.abs(np.abs(lon) - 180) > 0.004  # two pixels from the end
    np.testing.assert_array_equal(np.isnan(west)[inner], (lon < 0)[inner])
    np.testing.assert_array_equal(np.isnan(east)[inner], (lon > 0)[inner])
    np.testing.assert_allclose(np.where(lon > 0, west, east)[inner], field(lon, lat)[inner], atol=0.1)
    assert not np.isnan(globe).any()
    np.testing.assert_allclose(globe, field(lon, lat), atol=0.5)


@pytest.mark.parametrize("shift", [0.0, 0.0007], ids=["on the same pixels", "between them"])
def test_a_scene_in_degrees_beyond_180_takes_bands_of_either_writing(tmp_path, shift):
    west, _ = degrees_band(tmp_path, "west.tif", 179.0 + shift, 180.0 + shift)
    beyond, _ = degrees_band(tmp_path, "beyond.tif", -180.0 + shift, -179.0 + shift)
    utm = write(
        tmp_path / "utm.tif",
        field(*centres(grid_of("EPSG:32660", UTM60, AT_180), "EPSG:4326")),
        transform=UTM60,
        crs="EPSG:32660",
        nodata=np.nan,
    )
    grid = grid_of("EPSG:4326", Affine(0.002, 0, 179.95, 0, -0.002, 52.05), (40, 50))
    scene = Scene.from_files({"West": west, "Beyond": beyond, "Projected": utm}, grid=grid)
    values = scene.read()
    lon, lat = centres(grid)
    inner = np.abs(lon - 180) > 0.006
    expected = field(lon, lat)
    assert np.isnan(values[..., 0])[inner & (lon > 180)].all()
    assert np.isnan(values[..., 1])[inner & (lon < 180)].all()
    np.testing.assert_allclose(np.where(lon < 180, values[..., 0], values[..., 1])[inner], expected[inner], atol=0.1)
    np.testing.assert_allclose(values[..., 2], expected, atol=0.2)


AROUND_180 = {
    "UTM 60": ("EPSG:32660", Affine(100, 0, 700_900, 0, -100, 5_770_000)),
    "UTM 1": ("EPSG:32601", Affine(100, 0, 289_000, 0, -100, 5_770_000)),
    "PDC Mercator": ("EPSG:3832", Affine(150, 0, 3_331_000, 0, -150, 6_774_000)),
    "degrees beyond 180": ("EPSG:4326", Affine(0.0015, 0, 179.92, 0, -0.001, 52.05)),
    "degrees below -180": ("EPSG:4326", Affine(0.0015, 0, -180.08, 0, -0.001, 52.05)),
}
SQUARE = [(179.99, 52.01), (180.02, 52.01), (180.02, 51.99), (179.99, 51.99)]
OTHER = box(-179.965, 51.99, -179.945, 52.01)


def cut(corners):
    return MultiPolygon([box(179.99, 51.99, 180, 52.01), box(-180, 51.99, -179.98, 52.01)])


def jumping(corners):
    return Polygon([((lon + 180) % 360 - 180, lat) for lon, lat in corners])


@pytest.mark.parametrize("writing", [Polygon, cut, jumping], ids=["counting on", "cut at 180", "jumping"])
@pytest.mark.parametrize(("crs", "transform"), AROUND_180.values(), ids=AROUND_180.keys())
def test_polygons_in_degrees_on_either_side_of_180_give_the_same_samples(crs, transform, writing):
    scene = random_scene((100, 110), transform=transform, crs=crs)
    frame = geopandas.GeoDataFrame({"class": ["landslide", "forest"]}, geometry=[writing(SQUARE), OTHER], crs=4326)
    X, y, _ = sample_polygons(scene, frame, patch_size=3, stride=2, id_column=None)
    to_degrees = Transformer.from_crs(ProjCRS.from_wkt(scene.grid.crs.to_wkt()), 4326, always_xy=True)
    lattice = scene.grid.xy(np.arange(0, 100, 2)[:, None] + 0.5, np.arange(0, 110, 2) + 0.5).reshape(-1, 2)
    lon, lat = to_degrees.transform(*lattice.T)
    lon = np.mod(lon, 360)

    def lies(west, east, margin):
        return (lon > west - margin) & (lon < east + margin) & (lat > 51.99 - margin) & (lat < 52.01 + margin)

    for label, (west, east) in ((1, (179.99, 180.02)), (0, (180.035, 180.055))):
        found = set(map(tuple, X.xy[y == label]))
        # Straight edges in degrees are not straight in a projection: a ten-thousandth of a degree at the border.
        assert set(map(tuple, lattice[lies(west, east, -1e-4)])) <= found
        assert found <= set(map(tuple, lattice[lies(west, east, 1e-4)]))
        assert len(found) > 20


def test_a_map_beyond_180_is_scored_with_polygons_of_either_writing(tmp_path):
    transform = Affine(0.01, 0, 179.9, 0, -0.01, 52.1)
    values = np.zeros((20, 20), "float32")
    values[9:11, 9:12] = 1
    m = LandslideMap.open(write(tmp_path / "map.tif", values, transform=transform, crs="EPSG:4326", nodata=np.nan))
    for writing in (Polygon, cut, jumping):
        frame = geopandas.GeoDataFrame(geometry=[writing(SQUARE)], crs=4326)
        scores = m.score(frame, class_column=None)
        assert (scores["tp"], scores["fp"], scores["fn"]) == (6, 0, 0)
        np.testing.assert_allclose([scores["area_precision"], scores["area_recall"]], 1, rtol=1e-9)
        assert m.hit_rates(frame, class_column=None)["n_hit"].sum() == 1


# -- other zones, poles, axis order -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "other", "transform"),
    [
        ("EPSG:32653", "EPSG:32654", Affine(100, 0, 740_000, 0, -100, 4_740_000)),
        ("EPSG:32654", "EPSG:32653", Affine(100, 0, 255_000, 0, -100, 4_740_000)),
        ("EPSG:3413", "EPSG:32624", Affine(100, 0, 280_000, 0, -100, -2_200_000)),
        ("EPSG:32654", "EPSG:6691", Affine(100, 0, 500_000, 0, -100, 4_740_000)),
        ("EPSG:4326", "EPSG:32654", Affine(0.001, 0, 141, 0, -0.001, 43)),
        ("EPSG:2225", "EPSG:4326", Affine(300, 0, 6_500_000, 0, -300, 2_100_000)),
    ],
    ids=["54 on 53", "53 on 54", "polar", "another datum", "on degrees", "on feet"],
)
def test_a_band_of_another_system_lies_where_it_belongs(tmp_path, own, other, transform):
    """Against pyproj: the field is given by longitude and latitude, whatever the grids."""
    grid = grid_of(own, transform, (50, 50))
    lon, lat = centres(grid, "EPSG:4326")
    smooth = lambda lon, lat: 100 + 10 * np.cos(np.radians(lon)) + 5 * lat  # noqa: E731
    x, y = centres(grid, other)
    pixel = np.ptp(x) / 45
    transform = Affine(pixel, 0, x.min() - 5 * pixel, 0, -pixel, y.max() + 5 * pixel)
    band = grid_of(other, transform, (round(np.ptp(y) / pixel) + 10, round(np.ptp(x) / pixel) + 10))
    values = smooth(*centres(band, "EPSG:4326"))
    path = write(tmp_path / "band.tif", values, transform=band.transform, crs=other, nodata=np.nan)
    got = Scene.from_files({"Band": path}, grid=grid).read("Band")[..., 0]
    assert not np.isnan(got).any()
    np.testing.assert_allclose(got, smooth(lon, lat), atol=0.02 * np.ptp(values))


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:6668", "EPSG:2193", "EPSG:3035"])
def test_x_comes_first_whatever_order_the_authority_names(tmp_path, crs):
    """These systems name latitude or northing first; rasters, polygons, points and files here have x first."""
    lon, lat = {"EPSG:2193": (172.0, -43.0), "EPSG:3035": (15.0, 50.0)}.get(crs, (141.9, 42.7))
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    size = 10.0 if abs(x) > 1000 else 1e-4
    scene = random_scene((40, 40), transform=Affine(size, 0, x - 20 * size, 0, -size, y + 20 * size), crs=crs)
    polygon = box(*scene.grid.xy(25, 15), *scene.grid.xy(15, 25))
    frame = geopandas.GeoDataFrame(geometry=[polygon], crs=crs).to_crs(4326)
    X, _, _ = sample_polygons(scene, frame, patch_size=3, stride=5, background=0, edge=0)
    rows = scene.grid.rowcol(X.xy)
    np.testing.assert_allclose(np.sort(rows.ravel()), np.sort(np.repeat([15.5, 20.5], 4)), atol=1e-3)
    values = np.zeros((4, 4), "float32")
    values[1, 2] = 1
    m = LandslideMap.open(write(tmp_path / "m.tif", values, transform=scene.grid.transform, crs=crs, nodata=np.nan))
    layer = geopandas.read_file(m.to_gpkg(tmp_path / "m.gpkg"), layer="points").to_crs(4326)
    there = Transformer.from_crs(crs, 4326, always_xy=True).transform(*m.grid.xy(1.5, 2.5))
    np.testing.assert_allclose([layer.geometry.x[0], layer.geometry.y[0]], there, atol=1e-9)


# -- every kind of transform ------------------------------------------------------------------------------------------


@each_transform
def test_warping_onto_and_from_any_transform(tmp_path, transform):
    plane = lambda x, y: (x - 500_000) / 40 + (y - 4_700_000) / 70  # noqa: E731
    wide = grid_of(UTM, Affine(23, 0, 499_000, 0, -23, 4_701_200), (100, 100))
    turned = grid_of(UTM, transform, (40, 50))
    on = Scene.from_files(
        {"Band": write(tmp_path / "w.tif", plane(*centres(wide)), transform=wide.transform)}, grid=turned
    )
    np.testing.assert_allclose(on.read()[..., 0], plane(*centres(turned)), atol=0.1)  # GDAL: an eighth of a pixel
    path = write(tmp_path / "t.tif", plane(*centres(turned)), transform=transform)
    back = Scene.from_files({"Band": path}, grid=grid_of(UTM, Affine(23, 0, 500_150, 0, -23, 4_699_900), (8, 8)))
    got = back.read()[..., 0]
    inside = turned.rowcol(np.stack(centres(back.grid), axis=-1))
    inside = ((inside > 4) & (inside < np.array(turned.shape) - 4)).all(axis=-1)  # the kernel's reach
    assert inside.sum() > 10
    np.testing.assert_allclose(got[inside], plane(*centres(back.grid))[inside], atol=0.1)
    outside = turned.rowcol(np.stack(centres(back.grid), axis=-1))
    outside = ((outside < -4) | (outside > np.array(turned.shape) + 4)).any(axis=-1)
    assert np.isnan(got[outside]).all()


@each_transform
def test_samples_lie_in_their_polygons_under_any_transform(transform):
    scene = random_scene((40, 50), transform=transform, crs=UTM)
    blob = Polygon(scene.grid.xy([5, 8, 30, 22, 12], [6, 30, 25, 14, 20]))
    other = Polygon(scene.grid.xy([30, 30, 38, 38], [30, 45, 45, 30]))
    frame = geopandas.GeoDataFrame({"class": ["landslide", "rock"]}, geometry=[blob, other], crs=UTM)
    X, y, _ = sample_polygons(scene, frame, patch_size=5, stride=2, id_column=None)
    lattice = [(r, c) for r in range(0, 40, 2) for c in range(0, 50, 2)]
    for label, polygon in ((1, blob), (0, other)):
        expected = [
            (r, c)
            for r, c in lattice
            if polygon.contains(Point(*scene.grid.xy(r + 0.5, c + 0.5))) and 2 <= r <= 37 and 2 <= c <= 47
        ]
        found = np.floor(scene.grid.rowcol(X.xy[y == label])).astype(int)
        assert sorted(map(tuple, found.tolist())) == expected
    for xy, patch in zip(X.xy, read_patches(X, 5), strict=True):
        r, c = np.floor(scene.grid.rowcol(xy)).astype(int)
        assert same(patch, scene.read(window=((r - 2, r + 3), (c - 2, c + 3))))


@each_transform
def test_maps_are_scored_and_drawn_as_vectors_under_any_transform(tmp_path, transform):
    values = np.random.RandomState(3).uniform(size=(12, 15)).astype("float32")
    values[np.random.RandomState(4).uniform(size=values.shape) < 0.1] = np.nan
    m = LandslideMap.open(write(tmp_path / "map.tif", values, transform=transform, crs=UTM, nodata=np.nan))
    pixel = {(r, c): Polygon(m.grid.xy([r, r, r + 1, r + 1], [c, c + 1, c + 1, c])) for r, c in np.ndindex(12, 15)}
    red = {at for at in pixel if values[at] >= 0.5}
    points = m.points(0.5)
    assert len(points) == len(red)
    assert all(pixel[at].contains(p) for at, p in zip(sorted(red), points.geometry, strict=True))
    polygons = m.polygons(0.5)
    assert polygons.geometry.is_valid.all()
    np.testing.assert_allclose(polygons.area.sum(), sum(pixel[at].area for at in red), rtol=1e-9)
    assert all(polygons.geometry.union_all().buffer(1e-3).contains(pixel[at]) for at in red)
    slide = affinity.rotate(Polygon(m.grid.xy([2, 3, 9, 8], [2, 11, 12, 4])), 5)
    frame = geopandas.GeoDataFrame(geometry=[slide], crs=UTM)
    scores = m.score(frame, class_column=None)
    on = {at for at in pixel if slide.contains(pixel[at].centroid) and not np.isnan(values[at])}
    assert (scores["tp"], scores["fp"], scores["fn"]) == (len(on & red), len(red - on), len(on - red))
    unit = float(np.ravel(square_metres_per_unit(m.grid, Window(5, 5, 1, 1)))[0]) / 1e6
    shared = sum(pixel[at].intersection(slide).area for at in red)
    np.testing.assert_allclose(scores["hit_km2"], shared * unit, rtol=1e-5)


@each_transform
def test_no_training_patch_of_overlapping_scenes_shares_a_pixel_with_a_test_patch(transform):
    """Two scenes cut from one raster show the same ground: the folds keep it apart across scenes too."""
    whole = random_scene((60, 70), transform=transform, crs=UTM)
    first, second = whole.crop(((0, 45), (0, 50))), whole.crop(((10, 60), (15, 70)))
    random = np.random.RandomState(0)
    parts = []
    for scene in (first, second):
        rows, cols = (random.randint(3, n - 3, 120) for n in scene.grid.shape)
        parts.append(Locations(scene, scene.grid.xy(rows + 0.5, cols + 0.5)))
    X = Locations.concatenate(parts)
    assert len(X.scenes) == 2
    y = np.arange(len(X)) % 2
    size = 5
    block = 16 * max(whole.grid.pixel_extent)
    folds = SpatialBlockKFold(n_splits=3, block_size=block, buffer=X.patch_extent(size), random_state=0)
    first_pixels = whole.grid.window_origins(X.xy, size)
    naive = 0
    for train, test in folds.split(X, y):
        assert set(X.scene_index[train]) == {0, 1} == set(X.scene_index[test])
        gap = np.abs(first_pixels[train][:, None] - first_pixels[test]).max(axis=-1)
        assert gap.min() >= size
        rest = np.setdiff1d(np.arange(len(X)), test)
        naive += (np.abs(first_pixels[rest][:, None] - first_pixels[test]).max(axis=-1) < size).any()
    assert naive, "nothing had to be kept apart"


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_folds_of_places_that_are_nowhere_are_refused(bad):
    X = np.random.RandomState(0).uniform(0, 100, (30, 2))
    X[7, 1] = bad
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        list(SpatialBlockKFold(n_splits=2, block_size=10, buffer=5).split(X))


SITE = 'LOCAL_CS["site",UNIT["metre",1]]'


def test_a_local_system_is_used_alone_and_not_mixed_with_others(tmp_path):
    transform = Affine(2, 0, 100, 0, -2, 300)
    scene = random_scene((30, 30), transform=transform, crs=SITE)
    frame = geopandas.GeoDataFrame(
        {"class": ["landslide", "x"]}, geometry=[box(110, 270, 120, 280), box(130, 270, 140, 280)]
    )
    _, y, _ = sample_polygons(scene, frame, patch_size=3, stride=1, id_column=None)
    assert (y == 1).sum() == 25 == (y == 0).sum()
    site = write(tmp_path / "site.tif", np.ones((30, 30)), transform=transform, crs=SITE)
    utm = write(tmp_path / "utm.tif", np.ones((30, 30)), transform=transform, crs=UTM)
    with pytest.raises(SceneError, match=r"(?s)no way from the coordinate system.*one coordinate system"):
        Scene.from_files({"A": site, "B": utm})


def test_polygons_in_degrees_on_a_local_system_are_refused():
    scene = random_scene((30, 30), transform=Affine(2, 0, 100, 0, -2, 300), crs=SITE)
    frame = geopandas.GeoDataFrame({"class": ["landslide", "x"]}, geometry=[box(1, 1, 2, 2)] * 2, crs=4326)
    with pytest.raises(InventoryError, match=r"coordinate system"):
        sample_polygons(scene, frame, patch_size=3, id_column=None)


def test_a_location_far_away_is_outside_and_not_an_overflow():
    scene = random_scene((20, 20))
    with pytest.raises(SceneError, match="do not fit the scene"):
        read_patches(Locations(scene, [[1e300, -1e300], [500_100, 4_699_900]]), 3)


def test_the_system_of_a_grid_is_taken_in_any_form(tmp_path):
    path = write(tmp_path / "a.tif", np.ones((4, 4)))
    own = Scene.from_files({"A": path}).grid
    other = Scene.from_files({"A": path}, grid=Grid("EPSG:32654", own.transform, own.shape))
    assert other.grid == own
    with pytest.raises(SceneError, match="no coordinate reference system"):
        Scene.from_files({"A": path}, grid=Grid("nowhere", own.transform, own.shape))
