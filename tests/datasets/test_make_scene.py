"""The embedded scene: the same by seed, in memory and on disk, and no easier than real data."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import geometry_mask, rasterize
from scipy import ndimage

from sklandslide import Scene
from sklandslide.datasets import make_scene, simulated, terrain
from sklandslide.datasets.noise import Noise, Seeds, grow, white
from sklandslide.datasets.site import Look, Site
from sklandslide.datasets.viewing import View
from sklandslide.exceptions import InventoryError, OutputExistsError, SceneError
from sklandslide.geodata.grid import Window

CALIBRATE = Path(__file__).parents[2] / "benchmarks" / "calibrate_scene.py"
RADAR = ["VV_before", "VH_before", "VV_after", "VH_after", "VV_after2", "VH_after2"]
BANDS = [*RADAR, "DEM", "Red", "Green", "Blue"]
SMALL = {"shape": (96, 130), "random_state": 3}


@pytest.fixture(scope="module")
def small():
    return make_scene(**SMALL)


class Facts:
    """Pixels and polygons of the default scene, read once."""

    def __init__(self, seed):
        self.scene, self.polygons = make_scene(random_state=seed)
        read = [*BANDS, "Slope"]
        self.band = dict(zip(read, np.moveaxis(self.scene.read(read), -1, 0), strict=True))
        self.landslide = (self.polygons["class"] == "landslide").to_numpy()
        numbered = zip(self.polygons.geometry, range(1, len(self.polygons) + 1), strict=True)
        self.number = rasterize(numbered, self.scene.grid.shape, transform=self.scene.grid.transform, dtype="int32")
        self.inside = np.isin(self.number, np.flatnonzero(self.landslide) + 1)

    def change(self, date="after"):
        return self.band[f"VV_{date}"] - self.band["VV_before"]

    def per_polygon(self, image):
        """Means of the landslides and of the others."""
        means = ndimage.mean(image, self.number, np.arange(1, len(self.polygons) + 1))
        return means[self.landslide], means[~self.landslide]


@pytest.fixture(scope="module")
def default():
    return Facts(0)


def auc(positive, negative):
    return np.mean(positive[:, None] > negative[None, :])


def lag_one(image, axis):
    image = np.moveaxis(image - image.mean(), axis, 0)
    return np.mean(image[1:] * image[:-1]) / image.var()


def best_f1(score, truth):
    """F1 of the best threshold, of a hundred and more."""
    best = 0.0
    for threshold in np.quantile(score, np.linspace(0.02, 0.998, 150)):
        found = score > threshold
        best = max(best, 2 * np.sum(found & truth) / (found.sum() + truth.sum()))
    return best


# --- the contract --------------------------------------------------------------------------------


def test_bands_units_dtype_and_shape(small):
    scene, polygons = small
    assert set(scene.bands) == {*BANDS, "Slope"}
    assert dict(scene.units) == dict.fromkeys(RADAR, "dB")
    assert scene.grid.shape == SMALL["shape"]
    assert scene.grid.transform == Affine(10, 0, scene.grid.transform.c, 0, -10, scene.grid.transform.f)
    assert scene.grid.crs.to_epsg() == 32654
    pixels = scene.read(BANDS)
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()
    assert isinstance(polygons, geopandas.GeoDataFrame)
    assert polygons.crs == scene.grid.crs


def test_same_seed_same_scene_and_another_seed_another(small):
    scene, polygons = small
    again, polygons_again = make_scene(**SMALL)
    assert np.array_equal(scene.read(BANDS), again.read(BANDS))
    assert polygons.equals(polygons_again)
    other, other_polygons = make_scene(shape=SMALL["shape"], random_state=4)
    for band in BANDS:
        assert not np.array_equal(scene.read(band), other.read(band)), band
    assert not polygons.equals(other_polygons)


def test_random_state_in_the_sense_of_scikit_learn():
    seed = simulated._seed
    assert seed(np.random.RandomState(5)) == seed(5) == seed(5)
    assert seed(np.random.default_rng(5)) == seed(np.random.default_rng(5))
    stream = np.random.RandomState(5)
    assert seed(stream) != seed(stream)
    state = np.random.get_state()  # noqa: NPY002 - the state that must not move
    make_scene(shape=(64, 64), n_dates=2)
    assert seed(None) != seed(None)
    assert all(np.array_equal(a, b) for a, b in zip(state, np.random.get_state(), strict=True))  # noqa: NPY002


def test_two_dates_are_the_first_two_of_three(small):
    scene, polygons = make_scene(**SMALL, n_dates=2)
    kept = [band for band in BANDS if not band.endswith("after2")]
    assert set(scene.bands) == {*kept, "Slope"}
    assert np.array_equal(scene.read(kept), small[0].read(kept))
    assert polygons.equals(small[1])


def test_further_dates_before_the_event_change_nothing_else(small):
    scene, polygons = make_scene(**SMALL, n_before=3)
    assert set(scene.bands) - set(small[0].bands) == {"VV_before2", "VV_before3", "VH_before2", "VH_before3"}
    assert np.array_equal(scene.read(BANDS), small[0].read(BANDS))
    dates = [scene.read(f"VV_{date}")[..., 0] for date in ("before", "before2", "before3", "after")]
    inside = np.abs(np.array([dates[0] - date for date in dates[1:]]))
    landslides = polygons[polygons["class"] == "landslide"]
    slid = geometry_mask(landslides.geometry, scene.grid.shape, scene.grid.transform, invert=True)
    quiet, _, event = inside[:, slid].mean(axis=1) / inside[:, ~slid].mean(axis=1)
    assert quiet < 1.1 < 1.2 < event


def test_linear_is_power_of_the_decibels(small):
    scene, _ = make_scene(**SMALL, units="linear")
    assert dict(scene.units) == dict.fromkeys(RADAR, "linear")
    power = 10 ** (small[0].read(RADAR).astype(float) / 10)
    np.testing.assert_allclose(scene.read(RADAR), power, rtol=1e-5)
    rest = ["DEM", "Red", "Green", "Blue"]
    assert np.array_equal(scene.read(rest), small[0].read(rest))


# --- files -----------------------------------------------------------------------------------------


def test_files_hold_the_pixels_in_memory(small, tmp_path):
    folder = tmp_path / "new" / "scene"
    scene, polygons = make_scene(**SMALL, directory=folder)
    assert {path.name for path in folder.iterdir()} == {f"{b}.tif" for b in BANDS} | {"polygons.gpkg"}
    assert scene.grid == small[0].grid
    assert dict(scene.units) == dict(small[0].units)
    every = [*BANDS, "Slope"]
    assert np.array_equal(scene.read(every), small[0].read(every))
    stored = geopandas.read_file(folder / "polygons.gpkg")
    assert stored.crs == polygons.crs == small[1].crs
    for frame in (polygons, stored):
        assert list(frame["class"]) == list(small[1]["class"])
        assert list(frame["id"]) == list(small[1]["id"])
        assert frame.geometry.geom_equals_exact(small[1].geometry, 1e-6).all()


def test_files_are_tiled_deflate_with_nodata(tmp_path):
    make_scene(shape=(300, 270), n_dates=2, random_state=0, directory=tmp_path)
    for name, dtype in (("VV_after", "float32"), ("DEM", "float32"), ("Red", "uint16")):
        with rasterio.open(tmp_path / f"{name}.tif") as file:
            assert file.dtypes == (dtype,)
            assert file.profile["tiled"]
            assert file.block_shapes == [(256, 256)]
            assert file.compression.name == "deflate"
            assert file.nodata == 0 if dtype == "uint16" else np.isnan(file.nodata)


def test_existing_files_are_kept_unless_overwrite(tmp_path, small):
    (tmp_path / "Red.tif").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"Red\.tif.*overwrite=True"):
        make_scene(**SMALL, directory=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["Red.tif"]
    assert (tmp_path / "Red.tif").read_text() == "mine"
    with pytest.raises(OutputExistsError, match="is a file"):
        make_scene(**SMALL, directory=tmp_path / "Red.tif")
    make_scene(shape=(64, 64), n_dates=2, random_state=4, directory=tmp_path, overwrite=True)
    scene, polygons = make_scene(**SMALL, directory=tmp_path, overwrite=True)
    assert np.array_equal(scene.read("Red"), small[0].read("Red"))
    assert len(geopandas.read_file(tmp_path / "polygons.gpkg")) == len(polygons)


# --- polygons --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape, seed", [((64, 64), 0), ((64, 64), 1), ((64, 200), 2), ((150, 90), 3)])
def test_polygons_of_any_scene(shape, seed):
    scene, polygons = make_scene(shape=shape, n_dates=2, random_state=seed)
    assert set(polygons.columns) == {"class", "id", "geometry"}
    assert set(polygons["class"]) == {"landslide", "non-landslide"}
    check_polygons(scene, polygons)


def check_polygons(scene, polygons):
    assert polygons["id"].is_unique
    assert polygons.geometry.is_valid.all()
    assert (polygons.geom_type == "Polygon").all()
    left, bottom, right, top = scene.grid.bounds
    bounds = polygons.total_bounds
    assert (bounds[:2] >= [left, bottom]).all()
    assert (bounds[2:] <= [right, top]).all()
    landslides = polygons[polygons["class"] == "landslide"]
    others = polygons[polygons["class"] == "non-landslide"].reset_index()
    assert others.distance(landslides.union_all()).min() >= 80
    pairs = geopandas.sjoin(others, others[["geometry"]], predicate="intersects")
    assert (pairs.index == pairs["index_right"]).all()


def test_enough_polygons_for_spatial_folds(default):
    polygons = default.polygons
    check_polygons(default.scene, polygons)
    assert 90 <= default.landslide.sum() <= 150
    assert 40 <= (~default.landslide).sum() <= 60
    boxes = polygons[~default.landslide].area
    assert boxes.between(19_000, 151_000).all()
    # both classes in each quarter of the scene
    left, bottom, right, top = default.scene.grid.bounds
    centre = polygons.representative_point()
    quarter = (centre.x > (left + right) / 2) * 2 + (centre.y > (bottom + top) / 2)
    assert polygons.groupby([quarter, "class"]).size().shape == (8,)


def test_density_is_per_area():
    few = make_scene(shape=(300, 300), density=2, n_dates=2, random_state=0)[1]
    many = make_scene(shape=(300, 300), density=8, n_dates=2, random_state=0)[1]
    assert 14 <= (few["class"] == "landslide").sum() <= 18
    assert 40 <= (many["class"] == "landslide").sum() <= 72


def test_landslides_have_shapes_as_in_iburi_and_all_bearings(default):
    landslides = default.polygons[default.landslide]
    corners = np.array([np.array(b.exterior.coords) for b in landslides.minimum_rotated_rectangle()])
    sides = np.hypot(*np.moveaxis(np.diff(corners[:, :3], axis=1), -1, 0))
    assert 1.5 <= np.median(sides.max(1) / sides.min(1)) <= 2.5
    longest = sides.argmax(1)
    rows = np.arange(len(corners))
    along = corners[rows, longest + 1] - corners[rows, longest]
    bearing = np.degrees(np.arctan2(along[:, 1], along[:, 0])) % 180
    assert (np.histogram(bearing, 4, (0, 180))[0] > 10).all()


def test_landslides_run_down_the_slope(default):
    """The long side of a landslide lies along the slope more often than across it."""
    south, east = np.gradient(ndimage.gaussian_filter(default.band["DEM"], 3), 10.0)
    landslides = default.polygons[default.landslide]
    cosines = []
    for polygon in landslides.geometry[landslides.area < 8000]:  # one lobe, mostly
        corners = np.array(polygon.minimum_rotated_rectangle.exterior.coords)
        sides = np.diff(corners[:3], axis=0)
        side = sides[np.hypot(*sides.T).argmax()]
        row, col = default.scene.grid.rowcol(np.array(polygon.centroid.coords[0])).astype(int)
        slope = np.array([east[row, col], -south[row, col]])
        cosines.append(abs(side @ slope) / np.linalg.norm(side) / np.linalg.norm(slope))
    assert np.median(cosines) > 0.85  # 0.71 for any bearing


# --- radar -----------------------------------------------------------------------------------------


def test_landslides_widen_the_spread_of_the_difference(default):
    """As much as real ones: 1.4 times in VV, from both moments of labelled patches."""
    change = default.change()
    assert 1.35 <= change[default.inside].std() / change[~default.inside].std() <= 1.65


@pytest.mark.slow
def test_calibration_against_the_real_data(tmp_path):
    """Levels, looks, correlations, moments by class, classifiers, sizes and slopes: within tolerance, or explained."""
    table = tmp_path / "calibration.md"
    done = subprocess.run(
        [sys.executable, CALIBRATE, "--scenes", "6", "--table", table], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    within, explained = (table.read_text().count(f"| {verdict} |") for verdict in ("within", "outside, explained"))
    assert within + explained == 91
    assert explained <= 12  # skewness, and the calmest patches of VH


def test_share_and_contrast_are_found_again_from_both_moments():
    """A fifth of the pixels of a patch at 1.5 times the spread of the rest, on ground that has kurtosis itself."""
    spec = importlib.util.spec_from_file_location("calibrate_scene", CALIBRATE)
    calibrate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(calibrate)
    rng = np.random.default_rng(0)
    ground = 2.2 * rng.normal(size=(2, 60, 64, 64)) * np.where(rng.random((2, 60, 64, 64)) < 0.2, 1.3, 1.0)
    changed = np.where(rng.random((60, 64, 64)) < 0.2, 1.5, 1.0)
    slides, others = (calibrate.patch_statistics(patches) for patches in (ground[0] * changed, ground[1]))
    share, ratio = calibrate.mixture(slides, others)
    assert share == pytest.approx(0.2, abs=0.06)
    assert ratio == pytest.approx(1.5, abs=0.1)


def test_change_stays_on_the_second_date(default):
    smooth = [ndimage.uniform_filter(default.change(d), 3) for d in ("after", "after2")]
    later = default.band["VV_after2"] - default.band["VV_after"]
    assert np.corrcoef(smooth[0][default.inside], smooth[1][default.inside])[0, 1] > 0.7
    assert later[default.inside].std() < 0.85 * default.change()[default.inside].std()


def test_landslides_show_in_the_texture_of_the_difference(default):
    """Hard, yet not hopeless: otherwise nothing could be learnt."""
    power = ndimage.uniform_filter(default.change() ** 2, 9)
    rng = np.random.default_rng(0)
    inside = rng.choice(power[default.inside], 1000)
    assert auc(inside, rng.choice(power[~default.inside], 1000)) > 0.8


# --- the radar's side-looking view -----------------------------------------------------------------


def test_both_orbits_are_the_two_orbits(small):
    both, polygons = make_scene(**SMALL, orbit="both")
    descending, _ = make_scene(**SMALL, orbit="descending")
    assert polygons.equals(small[1])
    assert set(both.bands) == {*small[0].bands, *(f"{band}_descending" for band in RADAR)}
    assert np.array_equal(both.read(RADAR), small[0].read(RADAR))
    assert np.array_equal(both.read([f"{band}_descending" for band in RADAR]), descending.read(RADAR))
    assert dict(both.units)["VV_before_descending"] == "dB"
    assert np.array_equal(descending.read(["DEM", "Red"]), small[0].read(["DEM", "Red"]))
    for band in RADAR:
        assert not np.array_equal(descending.read(band), small[0].read(band))


def test_slopes_that_face_the_radar_are_bright_unless_that_is_corrected():
    bands = {}
    for look in ({"orbit": "ascending"}, {"orbit": "descending"}, {"backscatter": "gamma0"}):
        scene, _ = make_scene(shape=(250, 250), random_state=0, n_dates=2, **look)
        bands.update(dict.fromkeys(look.values(), scene.read("VV_before")[..., 0]))
    east = np.gradient(ndimage.gaussian_filter(scene.read("DEM")[..., 0], 2), 10.0, axis=1)
    hills = scene.read("Slope")[..., 0] > 10
    faces_west, faces_east = hills & (east > 0.2), hills & (east < -0.2)
    # ascending passes look east: what rises to the east faces them
    assert bands["ascending"][faces_west].mean() - bands["ascending"][faces_east].mean() > 3
    assert bands["descending"][faces_east].mean() - bands["descending"][faces_west].mean() > 3
    assert abs(np.corrcoef(bands["ascending"][hills], east[hills])[0, 1]) > 0.6
    assert abs(np.corrcoef(bands["gamma0"][hills], east[hills])[0, 1]) < 0.15


def view_of(slope, incidence):
    """The view of an even slope that rises away from the radar."""
    rise = np.full((9, 9), np.tan(np.radians(slope)))
    view = View.of(rise, np.zeros((9, 9)), np.full((9, 9), np.radians(incidence)), (0.7, 0.7))
    return view.cosine[4, 4], view.area[4, 4], view.shadow[4, 4]


@pytest.mark.parametrize("slope", [-30, -10, 0, 10, 25])
def test_view_of_a_slope_in_the_plane_of_incidence(slope):
    """In that plane the local incidence angle is the incidence less the slope, and so is the angle of the area."""
    cosine, area, shadow = view_of(slope, 37.5)
    theta, local = np.radians(37.5), np.radians(37.5 - slope)
    assert cosine == pytest.approx(10 * np.log10(np.cos(local) / np.cos(theta)), abs=1e-4)
    assert area == pytest.approx(10 * np.log10(np.sin(theta) / np.sin(local)), abs=1e-4)
    assert not shadow


def test_layover_is_bright_and_shadow_is_shadow():
    assert view_of(45, 37.5)[1] == pytest.approx(10 * np.log10(8))  # steeper than the incidence angle
    assert view_of(-60, 37.5)[2]


def test_another_incidence_changes_the_radar_alone(small):
    scene, polygons = make_scene(**SMALL, incidence=30)
    assert polygons.equals(small[1])
    assert np.array_equal(scene.read(["DEM", "Red"]), small[0].read(["DEM", "Red"]))
    assert not np.array_equal(scene.read("VV_before"), small[0].read("VV_before"))


def test_another_event_on_the_same_ground(small):
    scene, polygons = make_scene(**SMALL, event=1)
    assert np.array_equal(scene.read("DEM"), small[0].read("DEM"))
    landslides = [frame[frame["class"] == "landslide"].union_all() for frame in (polygons, small[1])]
    assert not landslides[0].equals(landslides[1])
    before = [s.read("VV_before")[..., 0] for s in (scene, small[0])]
    assert not np.array_equal(*before)
    assert np.corrcoef(before[0].ravel(), before[1].ravel())[0, 1] > 0.5  # cover and relief last


# --- any window, any size --------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.integers(-200, 200), st.integers(-200, 200), st.integers(1, 90), st.integers(1, 90),
    st.floats(2, 400), st.floats(2, 6),
)  # fmt: skip
def test_noise_of_a_window_is_that_of_the_whole(row, col, height, width, scale, beta):
    noise = Noise(Seeds(3) / "test", (scale, 1.3 * scale), beta)
    window = Window(row, col, height, width)
    wide = grow(window, 37)
    np.testing.assert_allclose(noise(window), noise(wide)[37:-37, 37:-37], atol=2e-5)
    assert np.array_equal(white(Seeds(3).key, window), white(Seeds(3).key, wide)[37:-37, 37:-37])


@pytest.mark.parametrize("beta", [2.2, 3.6, 6.0])
def test_noise_is_standard_normal_and_smoother_with_beta(beta):
    fields = [Noise(Seeds(s) / "x", (30, 30), beta)(Window(0, 0, 400, 400)) for s in range(4)]
    assert np.std(fields) == pytest.approx(1, abs=0.12)
    assert np.mean(fields) == pytest.approx(0, abs=0.15)
    assert lag_one(fields[0], 0) > {2.2: 0.5, 3.6: 0.95, 6.0: 0.99}[beta]


def test_bands_of_a_window_are_those_of_the_whole():
    grid = simulated._grid((110, 120), 10.0, "EPSG:32654")
    site = Site(11, grid, Look("both", 37.5, "sigma0", 3, 0), None)
    site.polygons(3.5, None, None)
    whole = site.bands(Window(0, 0, 110, 120))
    for window in (Window(40, 50, 30, 41), Window(0, 0, 20, 120), Window(109, 119, 1, 1)):
        part = site.bands(window)
        assert sorted(part) == sorted(whole) == sorted(site.names)
        for name, band in part.items():
            tolerance = 1.0 if name in ("Red", "Green", "Blue") else 1e-3  # whole numbers may round either way
            np.testing.assert_allclose(band, whole[name][window.slices], atol=tolerance, err_msg=name)


def test_a_scene_made_in_several_squares(monkeypatch, tmp_path):
    """Landslides and boxes lie in all of them, the ground goes on across the seams, and files hold the same pixels."""
    options = {"shape": (160, 100), "pixel_size": 20, "crs": 32611, "random_state": 5, "n_dates": 2}
    whole, _ = make_scene(**options)
    monkeypatch.setattr(terrain, "CELL", 64)
    scene, polygons = make_scene(**options)
    check_polygons(scene, polygons)
    assert scene.grid.crs.to_epsg() == polygons.crs.to_epsg() == 32611
    assert 0.5 * 3.5 * 6.4 < (polygons["class"] == "landslide").sum() < 1.7 * 3.5 * 6.4
    before = ["DEM", "VV_before", "VH_before"]  # without landslides, which are others
    np.testing.assert_allclose(scene.read(before), whole.read(before), rtol=0, atol=1e-3)
    stored, frame = make_scene(**options, directory=tmp_path)
    assert np.array_equal(stored.read(), scene.read(list(stored.bands)))
    assert frame.equals(polygons)
    rows = scene.grid.rowcol(np.array([g.representative_point().coords[0] for g in polygons.geometry]))[:, 0]
    assert set((rows // 64).astype(int)) == {0, 1, 2}


def test_nothing_half_written_keeps_its_name(tmp_path, monkeypatch):
    real, calls = Site.bands, []

    def fail(self, window):
        calls.append(window)
        if len(calls) > 1:
            raise OSError("disk full")
        return real(self, window)

    monkeypatch.setattr(terrain, "CELL", 64)
    monkeypatch.setattr(Site, "bands", fail)
    with pytest.raises(OSError, match="disk full"):
        make_scene(shape=(100, 64), random_state=0, directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- real ground -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    """A DEM and landslides of a place, on a geographic grid with pixels of about 7 x 10 m, with no data in a corner."""
    rows, cols = 110, 140
    dem = make_scene(shape=(rows, cols), random_state=9)[0].read("DEM")[..., 0].astype(float)
    dem[:20, :30] = np.nan
    transform = Affine(9e-5, 0, 141.9, 0, -9e-5, 42.7)
    scene = Scene.from_arrays({"DEM": dem, "Red": dem * 0 + 5}, transform=transform, crs="EPSG:4326")
    places = [(60, 40), (80, 100), (40, 90)]
    shapes = [shapely.Point(*scene.grid.xy(r, c)).buffer(9e-5 * 8) for r, c in places]
    frame = geopandas.GeoDataFrame({"class": ["landslide"] * 3}, geometry=shapes, crs="EPSG:4326")
    return scene, frame.to_crs("EPSG:32654")  # an inventory in another CRS


def test_radar_on_real_ground(real):
    ground, inventory = real
    scene, polygons = make_scene(dem=ground, polygons=inventory, random_state=1)
    assert scene.grid == ground.grid
    assert set(scene.bands) == {*RADAR, "DEM", "Red", "Slope"}
    assert np.array_equal(scene.read(["DEM", "Red"]), ground.read(["DEM", "Red"]), equal_nan=True)
    known = np.isfinite(ground.read("DEM")[..., 0])
    for band in RADAR:
        assert np.array_equal(np.isfinite(scene.read(band)[..., 0]), known), band
    assert polygons.crs.to_epsg() == 4326
    landslides = polygons[polygons["class"] == "landslide"]
    assert landslides.geometry.geom_equals_exact(inventory.to_crs(4326).geometry, 1e-9).all()
    others = polygons[polygons["class"] == "non-landslide"]
    assert len(others) > 0
    assert others.to_crs("EPSG:32654").distance(inventory.union_all()).min() > 75
    # debris lies where the real landslides are, and stays
    inside = rasterize(landslides.geometry, ground.grid.shape, transform=ground.grid.transform) == 1
    change = scene.read("VV_after")[..., 0] - scene.read("VV_before")[..., 0]
    stays = scene.read("VV_after2")[..., 0] - scene.read("VV_after")[..., 0]
    assert change[inside].std() > 1.3 * change[known & ~inside].std()
    assert stays[inside].std() < 0.85 * change[inside].std()


def test_landslides_are_drawn_on_real_ground_without_an_inventory(real):
    scene, polygons = make_scene(dem=real[0], random_state=1)
    landslides = polygons[polygons["class"] == "landslide"].to_crs("EPSG:32654")
    assert len(landslides) > 0
    assert landslides.area.max() < 80_000
    missing = np.isnan(scene.read("DEM")[..., 0])
    inside = rasterize(polygons.geometry, scene.grid.shape, transform=scene.grid.transform) == 1
    assert (inside & missing).mean() < 0.02


def test_other_ground_of_the_inventory_is_kept(real):
    ground, inventory = real
    other = geopandas.GeoDataFrame(
        {"kind": ["slide"] * 3 + ["farm"]},
        geometry=[*inventory.geometry, inventory.geometry.iloc[0].buffer(100).difference(inventory.union_all())],
        crs=inventory.crs,
    )
    _, polygons = make_scene(dem=ground, polygons=other, class_column="kind", positive="slide", random_state=1)
    assert list(polygons["class"]) == ["landslide"] * 3 + ["non-landslide"]


def test_dem_as_a_path(tmp_path, small):
    make_scene(**SMALL, directory=tmp_path)
    scene, _ = make_scene(dem=tmp_path / "DEM.tif", random_state=1, directory=tmp_path / "radar")
    assert scene.grid == small[0].grid
    with rasterio.open(tmp_path / "radar" / "DEM.tif") as file:
        assert np.array_equal(file.read(1), small[0].read("DEM")[..., 0])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"shape": (100, 100)}, SceneError, "shape cannot be given with dem="),
        ({"class_column": "kind"}, InventoryError, "no column 'kind'"),
    ],
)
def test_bad_values_with_real_ground(real, change, error, message):
    with pytest.raises(error, match=message):
        make_scene(dem=real[0], polygons=real[1], random_state=0, **change)


def test_real_ground_that_will_not_do(real, small):
    ground, inventory = real
    with pytest.raises(SceneError, match=r"None of the 3 landslides.*same place"):
        make_scene(dem=small[0], polygons=inventory)
    with pytest.raises(SceneError, match="without a band 'DEM'"):
        make_scene(dem=ground.crop(None, ["Red"]))
    array = ground.read("DEM")[..., 0]
    with pytest.raises(SceneError, match="no coordinate system"):
        make_scene(dem=Scene.from_arrays({"DEM": array}, transform=Affine(10, 0, 0, 0, -10, 0)))
    coarse = Scene.from_arrays({"DEM": array}, transform=Affine(90, 0, 0, 0, -90, 0), crs=32654)
    with pytest.raises(SceneError, match=r"pixels of .* x .* m.*4 to 35 m"):
        make_scene(dem=coarse)
    with pytest.raises(SceneError, match="at least 64"):
        make_scene(dem=ground.crop(Window(0, 0, 63, 80)))


# --- optical ---------------------------------------------------------------------------------------


def test_landslides_are_plain_in_the_optical_bands(default):
    redness = default.band["Red"] - default.band["Green"]
    assert auc(*default.per_polygon(redness)) > 0.95
    for band in ("Red", "Green", "Blue"):
        assert auc(*default.per_polygon(default.band[band])) > 0.85


def test_a_threshold_on_optical_pixels_is_no_cutout(default):
    redness = default.band["Red"] - default.band["Green"]
    assert 0.4 < best_f1(redness, default.inside) < 0.85


def test_reflectance_of_landslides_as_in_iburi(default):
    for band, value in (("Red", 1430), ("Green", 1170), ("Blue", 1230)):
        values = default.band[band]
        assert np.median(values[default.inside]) == pytest.approx(value, rel=0.15)
        assert values.min() >= 1
        assert np.array_equal(values, np.rint(values))


# --- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"shape": (63, 64)}, r"shape is \(63, 64\).*at least 64"),
        ({"shape": (100, 100.5)}, "whole numbers"),
        ({"pixel_size": "10"}, "pixel_size is '10'.*from 5 to 30 m"),
        ({"density": 0}, "density is 0.*from 0.01 to 50"),
        ({"n_dates": 1}, "n_dates is 1.*2 .*or 3"),
        ({"n_before": 0}, "n_before is 0.*1 to 30"),
        ({"units": "db"}, "units is 'db'.*'dB'.*'linear'"),
        ({"crs": "EPSG:2227"}, "projected system in metres"),  # US survey feet
        ({"crs": "nowhere"}, "no coordinate system"),
        ({"orbit": "polar"}, "orbit is 'polar'.*'ascending'.*'descending'.*'both'"),
        ({"incidence": 60}, "incidence is 60.*20 to 50"),
        ({"event": -1}, "event is -1.*0, 1, 2"),
        ({"polygons": "polygons.gpkg"}, "without dem="),
    ],
)
def test_bad_values(bad, message):
    with pytest.raises(SceneError, match=message):
        make_scene(**{"shape": (64, 64), "random_state": 0, **bad})


def test_too_full_a_scene_says_so(tmp_path):
    with pytest.raises(SceneError, match=r"80 m away.*larger shape.*lower density"):
        make_scene(shape=(64, 64), density=50, pixel_size=5, random_state=3, directory=tmp_path / "new")
    assert not (tmp_path / "new").exists()
