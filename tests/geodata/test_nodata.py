"""What marks nodata never becomes a value: not of a sample, not of a neighbour, not of the map. And 0 is a value.

The law used throughout: two rasters that differ only in what stands where there is nodata give the same, bit for bit.
"""

import geopandas
import numpy as np
import pytest
from affine import Affine
from rasters import UTM, grid_of, same, write
from scenes import WeightedSum
from shapely.geometry import box
from sklearn.pipeline import make_pipeline

from sklandslide import BandStacker, LandslideMap, PatchSampler, Scene, SlidingWindowPredictor, sample_polygons
from sklandslide.exceptions import NoValidDataError, SceneError

SHAPE = (40, 50)
T = Affine(10, 0, 600_000, 0, -10, 4_740_000)
# Half a pixel aside and 1.4 times as long: every pixel's kernel holds several of the other grid.
ASIDE = grid_of(UTM, Affine(14, 0, 600_013, 0, -14, 4_739_985), (26, 33))
METHODS = ["nearest", "bilinear", "cubic", "lanczos", "average", "med"]


def border_and_hole():
    """The slanted border of a Sentinel-1 scene, and a hole."""
    rows, cols = np.indices(SHAPE)
    missing = cols < 6 + rows // 5
    missing[20:23, 30:34] = True
    missing[0, 49] = True
    return missing


MISSING = border_and_hole()


def heights(dtype="float32", seed=0):
    rows, cols = np.indices(SHAPE)
    return (300 + 3 * rows + 2 * cols + np.random.RandomState(seed).randint(0, 20, SHAPE)).astype(dtype)


def marked(dtype, value):
    out = heights(dtype)
    out[MISSING] = value
    return out


# Every way in which software marks nodata: a function of a path and of what is written under the mark.
def by_tag(dtype):
    return lambda path, value: (write(path, marked(dtype, value), nodata=value), {})


def by_mask(internal):
    def make(path, value):
        import rasterio

        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
            return write(path, marked("float32", value), mask=(~MISSING * 255).astype("uint8")), {}

    return make


def by_alpha(path, value):
    pixels = marked("uint16", abs(value))
    alpha = np.where(MISSING, 0, 65535).astype("uint16")
    alpha[~MISSING] -= np.arange((~MISSING).sum(), dtype="uint16") % 3  # nearly opaque is there
    return write(path, np.stack([pixels, alpha]), photometric="MINISBLACK", alpha="YES"), {}


def by_declaration(dtype):
    def make(path, value):
        return write(path, marked(dtype, value)), {"nodata": {"DEM": [value, -1]}}

    return make


def by_nothing(path, value):
    return write(path, marked("float64", value)), {}


MARKS = {
    "int16 tag": (by_tag("int16"), (-32768, -9999)),
    "uint8-like tag 0": (by_tag("uint16"), (0, 65535)),
    "int32 tag": (by_tag("int32"), (-(2**31), 2**31 - 1)),
    "float32 tag": (by_tag("float32"), (-9999.9, -3.4028234663852886e38)),
    "float64 tag": (by_tag("float64"), (-1.7976931348623157e308, 0.1)),
    "internal mask": (by_mask(True), (7, 12345)),
    "msk beside it": (by_mask(False), (7, 12345)),
    "alpha band": (by_alpha, (7, 12345)),
    "declared, int16": (by_declaration("int16"), (-9999, -32768)),
    "declared, float32": (by_declaration("float32"), (-9999.9, 1e20)),
    "NaN and infinities": (by_nothing, (np.nan, np.inf, -np.inf)),
    "largest numbers": (by_nothing, (-3.4028234663852886e38, 3.4028235e38, -1.7976931348623157e308)),
}
each_mark = pytest.mark.parametrize(("make", "values"), MARKS.values(), ids=MARKS.keys())


def everything_read(path, options):
    """The band, its slope, and both on another grid by every method."""
    scene = Scene.from_files({"DEM": path}, **options)
    out = {"own grid": scene.read()}
    for method in METHODS:
        other = Scene.from_files({"DEM": path}, **options, grid=ASIDE, resampling=method)
        out[method] = other.read()
    return out


@each_mark
def test_what_stands_under_a_mark_has_no_influence_on_any_value(tmp_path, make, values):
    truth = heights()
    truth[MISSING] = np.nan
    expected = everything_read(write(tmp_path / "truth.tif", truth), {})
    np.testing.assert_array_equal(np.isnan(expected["own grid"][..., 0]), MISSING)
    for i, value in enumerate(values):
        got = everything_read(*make(tmp_path / f"{i}.tif", value))
        for name, array in expected.items():
            assert same(got[name], array), f"{value} under the mark, {name}"


@pytest.mark.parametrize("method", METHODS)
def test_a_resampled_value_is_one_of_the_valid_ones_around_or_between_them(tmp_path, method):
    """Independent of GDAL's own handling: the range of the valid pixels that a kernel can reach."""
    values = np.where(MISSING, np.nan, heights())
    path = write(tmp_path / "a.tif", values)
    got = Scene.from_files({"DEM": path}, grid=ASIDE, resampling=method).read("DEM")[..., 0]
    rows, cols = np.indices(ASIDE.shape) + 0.5
    at = grid_of(UTM, T, SHAPE).rowcol(ASIDE.xy(rows, cols))
    assert (~np.isnan(got)).any() and np.isnan(got).any()
    reach = 5
    # Cubic and Lanczos kernels have negative weights: they may leave the range by a part of it.
    beyond = {"cubic": 0.3, "lanczos": 0.3}.get(method, 0.0)
    for i, j in np.argwhere(~np.isnan(got)):
        r, c = np.floor(at[i, j]).astype(int)
        around = values[max(r - reach, 0) : r + reach + 1, max(c - reach, 0) : c + reach + 1]
        low, high = np.nanmin(around), np.nanmax(around)
        slack = beyond * (high - low) + 1e-3
        assert low - slack <= got[i, j] <= high + slack
    deep = [np.isnan(values[max(r - reach, 0) : r + reach + 1, max(c - reach, 0) : c + reach + 1]).all()
            for r, c in np.floor(at).astype(int).reshape(-1, 2)]  # fmt: skip
    assert np.isnan(got.ravel()[deep]).all()


def test_slope_next_to_nodata_is_nodata_and_nowhere_else(tmp_path):
    path = write(tmp_path / "a.tif", marked("int16", -9999), nodata=-9999)
    slope = Scene.from_files({"DEM": path}).read("Slope")[..., 0]
    padded = np.pad(MISSING, 1)
    near = np.zeros(SHAPE, bool)
    for r in range(3):
        for c in range(3):
            near |= padded[r : r + SHAPE[0], c : c + SHAPE[1]]
    np.testing.assert_array_equal(np.isnan(slope), near)


@pytest.mark.parametrize("text", ["-99", "nan"])
def test_a_tag_that_the_type_cannot_hold_marks_nothing(tmp_path, text):
    """GDAL writes no such tag any more, others do: -99 on bytes is not 157."""
    values = np.arange(256, dtype="uint8").reshape(16, 16)
    path = write(tmp_path / "a.tif", values, nodata=200)
    content = path.read_bytes()
    assert content.count(b"200\0") == 1
    path.write_bytes(content.replace(b"200\0", text.encode() + b"\0"))
    np.testing.assert_array_equal(Scene.from_files({"A": path}).read()[..., 0], values)


def test_each_band_of_a_file_has_its_own_nodata(tmp_path):
    stack = np.stack([np.where(MISSING, mark, heights()) for mark in (0, -1, -1)]).astype("float32")
    stack[1, 0, 40], stack[2, 0, 40] = 0, 0  # a value there
    path = write(tmp_path / "a.tif", stack)
    tags = "".join(
        f'<PAMRasterBand band="{i}"><NoDataValue>{v}</NoDataValue></PAMRasterBand>' for i, v in ((1, 0), (2, -1))
    )
    (tmp_path / "a.tif.aux.xml").write_text(f"<PAMDataset>{tags}</PAMDataset>")
    scene = Scene.from_files({"A": (path, 1), "B": (path, 2), "C": (path, 3)})
    a, b, c = np.moveaxis(scene.read(), -1, 0)
    np.testing.assert_array_equal(np.isnan(a), MISSING)
    np.testing.assert_array_equal(np.isnan(b), MISSING)
    assert b[0, 40] == 0 and (c[MISSING] == -1).all(), "a tag of another band counts"


# -- radar: borders of zeros ------------------------------------------------------------------------------------------

BORDERS = {
    "linear 0": ("linear", 0.0),
    "linear, below 0": ("linear", -1e-6),
    "dB 0": ("dB", 0.0),
    "dB -inf": ("dB", -np.inf),
}
each_border = pytest.mark.parametrize(("unit", "value"), BORDERS.values(), ids=BORDERS.keys())


def radar(unit, value, seed):
    power = np.random.RandomState(seed).gamma(0.5, 0.1, SHAPE) + 1e-6
    out = power if unit == "linear" else 10 * np.log10(power)
    out[MISSING] = value
    return out.astype("float32")


def radar_scene(tmp_path, unit, value, **options):
    files = {}
    for seed, name in enumerate(("VV_before", "VV_after", "VH_after")):
        path = tmp_path / f"{name} {unit} {value}.tif"
        files[name] = path if path.exists() else write(path, radar(unit, value, seed))
    return Scene.from_files(files, units=dict.fromkeys(files, unit), **options)


@each_border
@pytest.mark.parametrize("resampling", ["bilinear", "cubic"])
def test_the_border_of_a_radar_scene_has_no_influence_on_its_neighbours(tmp_path, unit, value, resampling):
    """Power of 0 that is mixed into a neighbour is some dB less there: as a landslide looks."""
    for options in ({}, {"grid": ASIDE, "resampling": resampling}):
        expected = radar_scene(tmp_path, unit, np.nan, **options).read()
        got = radar_scene(tmp_path, unit, value, **options).read()
        assert same(got, expected)
        assert np.isnan(got).any() and not np.isnan(got).all()
        if unit == "linear":
            assert np.nanmin(got) > 0  # what cubic takes below zero has no dB either


@each_border
def test_parts_of_a_scene_have_the_nodata_of_the_whole(tmp_path, unit, value):
    for options in ({}, {"grid": ASIDE, "resampling": "cubic"}):
        scene = radar_scene(tmp_path, unit, value, **options)
        window = ((3, 20), (2, 30))
        assert same(scene.crop(window).read(), scene.read(window=window))
        assert same(scene.crop(window).read(), scene.read()[3:20, 2:30])


@pytest.mark.parametrize(
    ("unit", "value", "aside"), [("linear", 0.0, False), ("linear", -1e-6, True), ("dB", 0.0, True)]
)
def test_no_sample_and_no_map_value_touches_the_border(tmp_path, unit, value, aside):
    options = {"grid": ASIDE} if aside else {}
    scene, reference = (radar_scene(tmp_path, unit, v, **options) for v in (value, np.nan))
    missing = np.isnan(reference.read()).any(axis=-1)
    rows, cols = scene.grid.shape
    left, bottom, right, top = scene.grid.bounds
    middle = (left + right) / 2 + 1  # on no pixel's centre
    frame = geopandas.GeoDataFrame(
        {"class": ["landslide", "forest"]}, geometry=[box(left, bottom, middle, top), box(middle, bottom, right, top)],
        crs=UTM,
    )  # fmt: skip
    size, step = 5, 2
    X, y, _, report = sample_polygons(
        scene, frame, patch_size=size, stride=1, id_column=None, bands="BAH", return_report=True
    )
    first = scene.grid.window_origins(X.xy, size)
    clean = [not missing[r : r + size, c : c + size].any() for r, c in first]
    assert all(clean) and len(X) > 50
    every = [(r, c) for r in range(rows - size + 1) for c in range(cols - size + 1)]
    valid = [at for at in every if not missing[at[0] : at[0] + size, at[1] : at[1] + size].any()]
    assert sorted(map(tuple, first.tolist())) == valid
    assert report.nodata == len(every) - len(valid)
    pipe = make_pipeline(BandStacker("BAH"), PatchSampler(patch_size=size), WeightedSum()).fit(X, y)
    m = SlidingWindowPredictor(pipe, step=step).predict_map(scene, tmp_path / "map.tif")
    values = m.probability
    for i, j in np.ndindex(values.shape):
        window = missing[i * step : i * step + size, j * step : j * step + size]
        assert np.isnan(values[i, j]) == window.any()
    again = SlidingWindowPredictor(pipe, step=step).predict_map(reference, tmp_path / "reference.tif")
    assert same(values, again.probability)


def test_zeros_of_bands_without_declared_units_are_values():
    """A difference in dB, a reflectance, a class: 0 is what was measured."""
    bands = {name: np.zeros((6, 6)) for name in ("Red", "VV_after", "DEM")}
    scene = Scene.from_arrays(bands, transform=T, crs=UTM)
    assert (scene.read() == 0).all()


def test_a_difference_of_equal_values_in_dB_is_zero_and_no_nodata():
    values = np.full((6, 6), -9.5)
    bands = {"VV_before": values, "VV_after": values}
    scene = Scene.from_arrays(bands, transform=T, crs=UTM, units=dict.fromkeys(bands, "dB"))
    X, _, _ = sample_polygons(
        scene, geopandas.GeoDataFrame(geometry=[box(*scene.grid.bounds)], crs=UTM), patch_size=1, background=0, edge=0
    )
    patches = PatchSampler(1).fit_transform(BandStacker(["VV_after - VV_before"]).fit_transform(X))
    assert len(patches) == 36 and (patches == 0).all()


def test_a_scene_of_nothing_but_border_gives_no_sample():
    zeros = {"VV_before": np.zeros((30, 30)), "VV_after": np.zeros((30, 30))}
    frame = geopandas.GeoDataFrame(geometry=[box(600_050, 4_739_750, 600_250, 4_739_950)], crs=UTM)
    for unit in ("linear", "dB"):
        scene = Scene.from_arrays(zeros, transform=T, crs=UTM, units=dict.fromkeys(zeros, unit))
        with pytest.raises(NoValidDataError):
            sample_polygons(scene, frame, patch_size=5)


# -- heights that nobody declared to be none --------------------------------------------------------------------------


@pytest.mark.parametrize("void", [-32768, -9999, 1e20])
@pytest.mark.parametrize("grid", [None, ASIDE], ids=["own grid", "other grid"])
def test_voids_of_a_dem_that_are_not_declared_are_refused(tmp_path, void, grid):
    path = write(tmp_path / "dem.tif", marked("float32", void))
    for band in ("DEM", "Slope"):
        scene = Scene.from_files({"DEM": path}, grid=grid)
        with pytest.raises(SceneError, match=rf"nodata=\{{'DEM': {void:g}".replace("+", r"\+")):
            scene.read(band)
    declared = Scene.from_files({"DEM": path}, grid=grid, nodata={"DEM": void})
    assert np.nanmin(declared.read("DEM")) >= 300 and np.nanmax(declared.read("DEM")) <= 600


@pytest.mark.parametrize("height", [-8_200.0, 21_200.0])
def test_heights_of_the_earth_and_of_mars_are_heights(height):
    scene = Scene.from_arrays({"DEM": np.full((5, 5), height)}, transform=T, crs=UTM)
    assert (scene.read("DEM") == np.float32(height)).all() and (scene.read("Slope") == 0).all()


# -- class 0 and probability 0 are values -----------------------------------------------------------------------------


def zeros_map(tmp_path, **options):
    values = np.zeros((8, 9), "float32")
    values[2:4, 3:6] = 1.0
    values[6, 7] = 0.5
    values[0, :2] = np.nan
    return LandslideMap.open(write(tmp_path / "map.tif", values, nodata=np.nan, **options)), values


def test_probability_zero_is_in_points_polygons_scores_and_geopackage(tmp_path):
    m, values = zeros_map(tmp_path)
    assert same(m.probability, values)
    assert len(m.points(0.0)) == 70 and (m.points(0.0)["probability"] == 0).sum() == 63
    whole = m.polygons(0.0)
    assert len(whole) == 1 and whole.area.sum() == 70 * 100
    np.testing.assert_allclose(whole["probability"], np.nanmean(values))
    slide = geopandas.GeoDataFrame(geometry=[box(600_060, 4_739_940, 600_090, 4_739_980)], crs=UTM)
    scores = m.score(slide, class_column=None)
    assert (scores["tp"], scores["fp"], scores["fn"], scores["tn"]) == (0, 7, 12, 51)
    assert scores["n_landslides"] == 1 and scores["n_outside"] == 0, "ground of probability 0 is valid ground"
    path = m.to_gpkg(tmp_path / "map.gpkg", threshold=0.0)
    layer = geopandas.read_file(path, layer="points")
    assert len(layer) == 70 and (layer["probability"] == 0).sum() == 63
    assert geopandas.read_file(path, layer="polygons").area.sum() == 70 * 100
