"""The embedded scene: the same by seed, in memory and on disk, and no easier than real data."""

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.features import rasterize
from scipy import ndimage

from sklandslide.datasets import make_scene
from sklandslide.exceptions import OutputExistsError, SceneError

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

    def difference(self, pol, date="after"):
        return self.band[f"{pol}_{date}"] - self.band[f"{pol}_before"]

    def per_polygon(self, image, statistic=ndimage.mean, least=1):
        """Statistic of the landslides and of the others that have at least so many pixels."""
        index = np.arange(1, len(self.polygons) + 1)
        enough = np.bincount(self.number.ravel(), minlength=len(index) + 1)[1:] >= least
        values = np.full(len(index), np.nan)
        values[enough] = statistic(image, self.number, index[enough])
        return values[self.landslide & enough], values[~self.landslide & enough]


@pytest.fixture(scope="module")
def default():
    return Facts(0)


def d_prime(a, b):
    return (a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2)


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
    def dem(random_state):
        return make_scene(shape=(64, 64), n_dates=2, random_state=random_state)[0].read("DEM")

    assert np.array_equal(dem(np.random.RandomState(5)), dem(5))
    assert np.array_equal(dem(np.random.default_rng(5)), dem(np.random.default_rng(5)))
    stream = np.random.RandomState(5)
    assert not np.array_equal(dem(stream), dem(stream))
    assert not np.array_equal(dem(None), dem(None))


@pytest.mark.parametrize("random_state", [None, 0])
def test_global_random_state_is_untouched(random_state):
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the state that must not move
    position = np.random.get_state()[2]  # noqa: NPY002
    make_scene(shape=(64, 64), random_state=random_state)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert np.random.get_state()[2] == position  # noqa: NPY002


def test_two_dates_are_the_first_two_of_three(small):
    scene, polygons = make_scene(**SMALL, n_dates=2)
    kept = [band for band in BANDS if not band.endswith("after2")]
    assert set(scene.bands) == {*kept, "Slope"}
    assert np.array_equal(scene.read(kept), small[0].read(kept))
    assert polygons.equals(small[1])


def test_linear_is_power_of_the_decibels(small):
    scene, _ = make_scene(**SMALL, units="linear")
    assert dict(scene.units) == dict.fromkeys(RADAR, "linear")
    power = 10 ** (small[0].read(RADAR).astype(float) / 10)
    np.testing.assert_allclose(scene.read(RADAR), power, rtol=1e-5)
    rest = ["DEM", "Red", "Green", "Blue"]
    assert np.array_equal(scene.read(rest), small[0].read(rest))


def test_other_pixel_size_and_crs():
    scene, polygons = make_scene(shape=(80, 64), pixel_size=20, crs=32611, random_state=1)
    assert scene.grid.pixel_extent == (20.0, 20.0)
    assert scene.grid.crs.to_epsg() == polygons.crs.to_epsg() == 32611


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


def test_existing_files_are_kept_unless_overwrite(tmp_path):
    (tmp_path / "Red.tif").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"Red\.tif.*overwrite=True"):
        make_scene(**SMALL, directory=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["Red.tif"]
    assert (tmp_path / "Red.tif").read_text() == "mine"
    make_scene(**SMALL, directory=tmp_path, overwrite=True)
    scene, _ = make_scene(shape=SMALL["shape"], random_state=4, directory=tmp_path, overwrite=True)
    memory, polygons = make_scene(shape=SMALL["shape"], random_state=4)
    assert np.array_equal(scene.read("Red"), memory.read("Red"))
    assert len(geopandas.read_file(tmp_path / "polygons.gpkg")) == len(polygons)


def test_directory_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputExistsError, match="is a file"):
        make_scene(**SMALL, directory=tmp_path / "file")


# --- polygons --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [(64, 64), (64, 200), (150, 90)])
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


def test_sizes_and_shapes_as_in_iburi(default):
    landslides = default.polygons[default.landslide]
    small, middle, large = np.percentile(landslides.area, [10, 50, 90])
    assert 700 <= small <= 1800
    assert 3000 <= middle <= 6000
    assert 18_000 <= large <= 45_000
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


def test_landslides_lie_on_slopes(default):
    slope = default.band["Slope"]
    assert 16.5 <= np.median(slope[default.inside]) <= 21  # Iburi: 18.7
    assert 12.5 <= np.median(slope[~default.inside]) <= 15  # Iburi: 13.7


# --- radar -----------------------------------------------------------------------------------------


def test_levels_of_backscatter(default):
    for date in ("before", "after", "after2"):
        assert np.median(default.band[f"VV_{date}"]) == pytest.approx(-7.3, abs=0.8)
        assert np.median(default.band[f"VH_{date}"]) == pytest.approx(-13.2, abs=0.8)


@pytest.mark.parametrize(("pol", "low", "high"), [("VV", 2.1, 2.8), ("VH", 2.5, 3.1)])
@pytest.mark.parametrize("date", ["after", "after2"])
def test_difference_of_dates_is_speckle_as_measured(default, pol, low, high, date):
    difference = default.difference(pol, date)
    assert low <= difference[~default.inside].std() <= high
    for axis in (0, 1):
        assert 0.4 <= lag_one(difference, axis) <= 0.5


def test_speckle_of_both_polarisations_and_of_dates_is_related(default):
    vv, vh = default.difference("VV"), default.difference("VH")
    assert 0.18 <= np.corrcoef(vv.ravel(), vh.ravel())[0, 1] <= 0.30
    # Relief and cover last over the dates, so levels go together far more than speckle alone would.
    assert np.corrcoef(default.band["VV_before"].ravel(), default.band["VV_after"].ravel())[0, 1] > 0.6


def test_slopes_facing_the_radar_are_brighter(default):
    east = np.gradient(ndimage.gaussian_filter(default.band["DEM"], 2), 10.0, axis=1)
    forest = default.band["Slope"] > 10
    vv = default.band["VV_before"]
    # the radar looks east: what rises to the east faces it
    assert vv[forest & (east > 0.2)].mean() - vv[forest & (east < -0.2)].mean() > 3


def test_landslides_are_not_plain_in_the_radar_mean(default):
    for pol in ("VV", "VH"):
        inside, other = default.per_polygon(default.difference(pol), least=20)
        assert abs(d_prime(inside, other)) < 0.6


@pytest.mark.parametrize(("pol", "widest"), [("VV", 3.8), ("VH", 4.0)])
def test_landslides_widen_the_spread_of_the_difference(default, pol, widest):
    difference = default.difference(pol)
    inside, other = default.per_polygon(difference, ndimage.standard_deviation, least=20)
    assert d_prime(inside, other) > 0.8
    assert difference[default.inside].std() < widest


def test_windows_with_landslides_are_as_wide_as_real_ones(default):
    """64 x 64 pixels: 2.44 dB with a landslide and 2.19 dB without in the challenge's VV."""
    difference, size = default.difference("VV"), 64
    starts = range(0, 600 - size, 16)
    spread, share = [], []
    for row in starts:
        for col in starts:
            window = np.s_[row : row + size, col : col + size]
            spread.append(difference[window].std())
            share.append(default.inside[window].mean())
    spread, share = np.array(spread), np.array(share)
    assert spread[share > 0.1].mean() == pytest.approx(2.44, abs=0.12)
    assert spread[share == 0].mean() == pytest.approx(2.19, abs=0.12)


def test_change_stays_on_the_second_date(default):
    smooth = [ndimage.uniform_filter(default.difference("VV", d), 3) for d in ("after", "after2")]
    later = default.band["VV_after2"] - default.band["VV_after"]
    assert np.corrcoef(smooth[0][default.inside], smooth[1][default.inside])[0, 1] > 0.7
    assert later[default.inside].std() < 0.85 * default.difference("VV")[default.inside].std()


def test_thresholds_on_radar_pixels_find_little(default):
    """Literature on Hokkaido reaches F1 0.56 to 0.59 with whole networks."""
    vv, vh = default.difference("VV"), default.difference("VH")
    scores = [vv, -vv, np.abs(vv), np.abs(ndimage.uniform_filter(vv, 5)), vv**2 + vh**2]
    for score in [*scores, ndimage.uniform_filter(vv**2 + vh**2, 7)]:
        assert best_f1(score, default.inside) < 0.6


def test_landslides_show_in_the_texture_of_the_difference(default):
    """Hard, yet not hopeless: otherwise nothing could be learnt."""
    power = ndimage.uniform_filter(default.difference("VV") ** 2, 9)
    rng = np.random.default_rng(0)
    inside = rng.choice(power[default.inside], 1000)
    assert auc(inside, rng.choice(power[~default.inside], 1000)) > 0.8


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
        ({"shape": 100}, "shape is 100"),
        ({"shape": (100, 100.5)}, "whole numbers"),
        ({"shape": (100, 100, 3)}, "two whole numbers"),
        ({"shape": ("a", "b")}, "two whole numbers"),
        ({"pixel_size": 0}, "pixel_size is 0.*5 to 30 m"),
        ({"pixel_size": np.nan}, "pixel_size is nan"),
        ({"pixel_size": "10"}, "pixel_size is '10'"),
        ({"density": 0}, "density is 0.*above 0"),
        ({"density": np.inf}, "density is inf"),
        ({"n_dates": 1}, "n_dates is 1.*2 .*or 3"),
        ({"n_dates": 2.5}, "n_dates is 2.5"),
        ({"units": "db"}, "units is 'db'.*'dB' or 'linear'"),
        ({"units": None}, "units is None"),
        ({"crs": "EPSG:4326"}, "projected system in metres"),
        ({"crs": "EPSG:2227"}, "projected system in metres"),  # US survey feet
        ({"crs": "nowhere"}, "no coordinate system"),
        ({"crs": None}, "crs is None"),
    ],
)
def test_bad_values(bad, message):
    with pytest.raises(SceneError, match=message):
        make_scene(**{"shape": (64, 64), "random_state": 0, **bad})


def test_too_full_a_scene_says_so(tmp_path):
    with pytest.raises(SceneError, match=r"80 m away.*larger shape.*lower density"):
        make_scene(shape=(64, 64), density=50, pixel_size=5, random_state=7, directory=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_arguments_are_keyword_only():
    with pytest.raises(TypeError):
        make_scene((64, 64))
