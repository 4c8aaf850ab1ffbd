"""The contract that a model carries: a scene that breaks it is refused, by name and with the remedy, or allowed."""

import os
import pickle

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasters import rotated, write
from scenes import UTM, WeightedSum
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklandslide import BandStacker, Locations, PatchSampler, Scene, SlidingWindowPredictor, sample_polygons
from sklandslide.exceptions import BandError, NoValidDataError, SceneError, SklandslideError
from sklandslide.features import contract
from sklandslide.geodata import Grid
from sklandslide.mapping import tiles


class Gauge(WeightedSum):
    """As `WeightedSum`, for values of any size."""

    def predict_proba(self, X):
        score = np.einsum("nijk,ijk->n", np.asarray(X, np.float64), self.weights_)
        landslide = 0.5 + 0.5 * score / (100 + np.abs(score))
        return np.stack([1 - landslide, landslide], axis=1)


LEVELS = {"VV_before": -11.0, "VV_after": -12.0, "VV_after2": -12.5, "VH_before": -18.0, "VH_after": -19.0}
SHAPE = (64, 70)


def values_of(name, seed=0, shape=SHAPE):
    """Like those of a Sentinel-1 scene in dB, of heights, slopes, and reflectance times 10,000."""
    random = np.random.RandomState([seed, sum(map(ord, name))])
    if name in LEVELS:
        return random.normal(LEVELS[name], 3.5, shape)
    low, high = {"DEM": (150, 700), "Slope": (2, 40)}.get(name, (300, 2500))
    return random.uniform(low, high, shape)


def scene_of(*names, seed=0, units="dB", transform=UTM, crs="EPSG:32654", declared=None, **other):
    """Bands like those of training, but for `other`; radar in `units`, which it says are `declared`."""
    arrays = {name: other.get(name, values_of(name, seed)) for name in names}
    radar = [name for name in names if name in LEVELS]
    if units == "linear":
        arrays.update({name: 10 ** (arrays[name] / 10) for name in radar})
    return Scene.from_arrays(arrays, transform=transform, crs=crs, units=dict.fromkeys(radar, declared or units))


def some(scene, n=24, seed=0, margin=6):
    random = np.random.RandomState(seed)
    rows, cols = (random.uniform(margin, length - margin, n) for length in scene.grid.shape)
    return Locations(scene, scene.grid.xy(rows, cols))


def fitted(composite, scene, size=5, X=None):
    X = some(scene) if X is None else X
    return make_pipeline(BandStacker(composite), PatchSampler(size), Gauge()).fit(X, np.arange(len(X)) % 2)


def refusals(pipe, scene, folder, match, kind=BandError):
    """Both ways to use a scene are refused, and leave no file behind; the texts."""
    before = set(os.listdir(folder))
    with pytest.raises(kind, match=match) as by_map:
        SlidingWindowPredictor(pipe).predict_map(scene, folder / "map.tif")
    with pytest.raises(kind, match=match) as by_rows:
        pipe.predict_proba(some(scene, seed=1))
    assert set(os.listdir(folder)) == before
    return str(by_map.value), str(by_rows.value)


def maps(pipe, scene, folder):
    m = SlidingWindowPredictor(pipe).predict_map(scene, folder / "map.tif", overwrite=True)
    pipe.predict_proba(some(scene, seed=1))
    return np.isfinite(m.probability).all()


# ------------------------------------------------------------------------------------------------- the size of pixels


@pytest.mark.parametrize(
    "transform, crs, size",
    [
        (Affine(12.5, 0, 5e5, 0, -12.5, 4.7e6), "EPSG:32654", "12.51 x 12.51 m"),
        (Affine(10, 0, 5e5, 0, -20, 4.7e6), "EPSG:32654", "10 x 20.01 m"),
        (Affine(10, 0, 1.6e7, 0, -10, 5.3e6), "EPSG:3857", r"7\.\d+ x 7\.\d+ m"),  # Web Mercator at 43 degrees north
        (Affine(0.0003, 0, 142, 0, -0.0003, 43), "EPSG:4326", r"24\.\d+ x 33\.\d+ m"),
        (Affine(30, 0, 0, 0, -30, 900), None, "30 x 30 m .it has no CRS, so that a map unit counts as a metre"),
    ],
)
def test_pixels_of_another_size_are_refused_or_allowed(tmp_path, transform, crs, size):
    names = "Red", "Green", "Blue"
    pipe = fitted("RGB", scene_of(*names))
    np.testing.assert_allclose(pipe[0].pixel_size_, (10, 10), rtol=1e-3)  # UTM's scale is 0.9996 in the middle
    other = scene_of(*names, seed=1, transform=transform, crs=crs)
    match = rf"fitted on pixels of 10 x 10 m .*scene has pixels of {size}.*bandstacker__pixel_size_tolerance=None"
    refusals(pipe, other, tmp_path, match, SceneError)
    # the text says what to do: it is done, without fitting again
    assert maps(pipe.set_params(bandstacker__pixel_size_tolerance=None), other, tmp_path)


@pytest.mark.parametrize(
    "transform, crs",
    [
        (Affine(10, 0, 3e5, 0, -10, 2.1e6), "EPSG:32618"),  # another zone, in the tropics
        (rotated(5e5, 4.7e6, 30, 10), "EPSG:32654"),
        (Affine(10, 0, 0, 0, -10, 900), None),
        (Affine(14, 0, 1.6e7, 0, -14, 5.3e6), "EPSG:3857"),  # 14 m of Web Mercator are 10 m there
        (Affine(1 / 9260, 0, 142, 0, -1 / 11100, 25), "EPSG:4326"),
    ],
)
def test_pixels_of_the_same_size_are_taken_wherever_they_lie(tmp_path, transform, crs):
    pipe = fitted("RGB", scene_of("Red", "Green", "Blue"))
    assert maps(pipe, scene_of("Red", "Green", "Blue", seed=1, transform=transform, crs=crs), tmp_path)


def test_degrees_of_one_product_fit_at_other_latitudes_but_not_everywhere():
    def at(latitude):
        return scene_of("Red", transform=Affine(1e-4, 0, 10, 0, -1e-4, latitude), crs="EPSG:4326")

    stacker = BandStacker(["Red"]).fit(some(at(42.7)))  # Hokkaido
    for latitude in (18.4, 28.0, 36.0, 50.0):  # Haiti, Nepal, Japan's south, Germany
        stacker.view(at(latitude))
    with pytest.raises(SceneError, match=r"8\.\d+ x 11\.\d+ m.*3\.\d+ x 11\.\d+ m"):
        stacker.view(at(70.0))


def test_scenes_of_one_fit_have_pixels_of_one_size():
    fine, coarse = (scene_of("Red", transform=Affine(size, 0, 5e5, 0, -size, 4.7e6)) for size in (10, 30))
    X = Locations.concatenate([some(fine), some(coarse)])
    with pytest.raises(SceneError, match=r"scenes of X have pixels of 10 x 10 m and of 30\.01 x 30\.01 m"):
        BandStacker(["Red"]).fit(X)
    allowed = BandStacker(["Red"], pixel_size_tolerance=None).fit(X)
    np.testing.assert_allclose(allowed.pixel_size_, 10 * 3**0.5, rtol=1e-3)
    # a scene without rows, such as one that a fold leaves out, has no say
    np.testing.assert_allclose(BandStacker(["Red"]).fit(X[:24]).pixel_size_, 10, rtol=1e-3)


def test_a_wrong_tolerance_is_refused():
    X = some(scene_of("Red"))
    with pytest.raises(ValueError, match="pixel_size_tolerance"):
        BandStacker(["Red"], pixel_size_tolerance=-0.1).fit(X)
    later = BandStacker(["Red"]).fit(X).set_params(pixel_size_tolerance="0.1")
    with pytest.raises(ValueError, match="pixel_size_tolerance"):
        later.transform(X)


# ---------------------------------------------------------------------------------------------------------- the values


RADAR = ("VV_before", "VV_after", "VV_after2")
BAND = r"Band 'VV_before' is not like what the model was fitted on: nine tenths of the values there lie between -1\d\."


def test_power_declared_as_decibels_is_refused(tmp_path):
    pipe = fitted("BAA", scene_of(*RADAR))
    wrong = scene_of(*RADAR, seed=1, units="linear", declared="dB")
    match = BAND + r".* and here between 0\.\d+ and 0\.\d+ dB \(declared here: VV_before: dB\).*may be linear power.*"
    for text in refusals(pipe, wrong, tmp_path, match + r"pipe\.set_params\(patchsampler__check_values=False\)"):
        assert "units= of the scene" in text
    assert maps(pipe.set_params(patchsampler__check_values=False), wrong, tmp_path)


def test_a_model_trained_on_power_declared_as_decibels_refuses_decibels(tmp_path):
    pipe = fitted("BAA", scene_of(*RADAR, units="linear", declared="dB"))
    refusals(pipe, scene_of(*RADAR, seed=1), tmp_path, "one may be linear power that is declared as dB")


def test_decibels_declared_as_power_are_refused_by_what_power_is(tmp_path):
    pipe = fitted("BAA", scene_of(*RADAR))
    wrong = scene_of(*RADAR, seed=1, declared="linear")
    match = r"'VV_\w+' is declared as linear power, and \d+ of \d+ of its values are below zero.*units={'VV_\w+': 'dB'}"
    refusals(pipe, wrong, tmp_path, match)
    with pytest.raises(BandError, match=match):  # and when fitted
        fitted("BAA", wrong)


def test_decibels_declared_as_power_give_no_samples_and_the_reason():
    scene = scene_of(*RADAR, declared="linear")
    left, bottom, right, top = scene.grid.bounds
    middle = (left + right) / 2
    halves = [shapely.box(left, bottom, middle, top), shapely.box(middle, bottom, right, top)]
    ground = gpd.GeoDataFrame({"class": ["landslide", "forest"], "id": [0, 1]}, geometry=halves, crs="EPSG:32654")
    with pytest.raises(BandError, match=r"is declared as linear power, and 6[0-4] of 64 of its values are below zero"):
        sample_polygons(scene, ground, patch_size=5, bands="BAA")
    holes = scene_of(*RADAR, units="linear", **{name: np.full(SHAPE, -np.inf) for name in RADAR})
    with pytest.raises(NoValidDataError, match="hold nodata in a patch"):  # power of zero, and not below
        sample_polygons(holes, ground, patch_size=5, bands="BAA")


@pytest.mark.parametrize(
    "band, function, refused",
    [
        ("Red", lambda v: v / 10_000, True),
        ("VV_before", lambda v: values_of("DEM"), True),  # another raster in its place
        ("VV_before", lambda v: v - 40, True),
        ("VV_before", lambda v: v + 40, True),
        ("VV_before", lambda v: v - 8, False),  # another ground, or another product
        ("VV_before", lambda v: v + 8, False),
        ("Red", lambda v: v * 1.5 + 300, False),  # another season
        ("Red", lambda v: np.full_like(v, 900.0), False),  # one colour
        ("DEM", lambda v: v + 3000, True),
        ("DEM", lambda v: v + 300, False),
        ("DEM", lambda v: v / 20 - 5, False),  # a plain by the sea
        ("Slope", lambda v: v / 10, False),  # gentle hills
    ],
)
def test_what_is_beyond_doubt_is_refused_and_no_more(tmp_path, band, function, refused):
    names = band, "VH_before"
    pipe = fitted(list(names), scene_of(*names))
    other = scene_of(*names, seed=1, **{band: function(values_of(band, 1))})
    if refused:
        match = f"Band '{band}' is not like what the model was fitted on.*declared here: {band}"
        refusals(pipe, other, tmp_path, match)
        pipe.set_params(patchsampler__check_values=False)
    assert maps(pipe, other, tmp_path)


def test_an_image_compared_with_itself_is_refused(tmp_path):
    pipe = fitted(["VV_after - VV_before"], scene_of("VV_before", "VV_after"))
    same = scene_of("VV_before", "VV_after", VV_before=values_of("VV_after"))
    refusals(pipe, same, tmp_path, "differ not at all from pixel to pixel.*that from an image to itself")


def test_a_band_that_was_constant_in_training_sets_no_narrow_bounds(tmp_path):
    zero, level = np.zeros(SHAPE), np.full(SHAPE, 500.0)
    assert maps(fitted(["DEM"], scene_of("DEM", DEM=zero)), scene_of("DEM"), tmp_path)  # says nothing of a scale
    pipe = fitted(["DEM"], scene_of("DEM", DEM=level))
    assert maps(pipe, scene_of("DEM"), tmp_path)
    for made in tmp_path.glob("map.*"):
        made.unlink()
    refusals(pipe, scene_of("DEM", DEM=level * 5), tmp_path, "Band 'DEM'")


def test_linear_power_and_decibels_stay_interchangeable(tmp_path):
    pipe = fitted("BAA", scene_of(*RADAR, units="linear"))
    assert maps(pipe, scene_of(*RADAR, seed=1), tmp_path)
    assert maps(fitted("BAA", scene_of(*RADAR)), scene_of(*RADAR, seed=1, units="linear"), tmp_path)


def test_scenes_of_one_fit_whose_decibels_contradict_each_other_are_refused():
    one, other = scene_of(*RADAR), scene_of(*RADAR, seed=1, units="linear", declared="dB")
    X = Locations.concatenate([some(one), some(other)])
    with pytest.raises(BandError, match="is not like that of another scene of X"):
        fitted("BAA", one, X=X)
    # heights may differ: a model of two mountain ranges is one of both
    low, high = scene_of("DEM"), scene_of("DEM", DEM=values_of("DEM") + 3000)
    fitted(["DEM"], low, X=Locations.concatenate([some(low), some(high)]))


def test_a_part_of_a_scene_that_is_unlike_the_rest_is_mapped(tmp_path, monkeypatch):
    """The scene is judged as a whole: a flat lake in it is no wrong scene, nor is it one in the tiles of the map."""
    monkeypatch.setattr(tiles, "_LARGEST", 8)
    names = "DEM", "Slope", "VV_before"
    pipe = fitted(list(names), scene_of(*names))
    lake = {"DEM": values_of("DEM", 1), "Slope": values_of("Slope", 1), "VV_before": values_of("VV_before", 1)}
    lake["DEM"][:40, :40], lake["Slope"][:40, :40], lake["VV_before"][:40, :40] = 5000, 0, -60
    scene = scene_of(*names, **lake)
    assert np.isfinite(SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif").probability).all()
    # the same estimator alone, asked about the lake only
    rows, cols = np.random.RandomState(0).uniform(5, 35, (2, 30))
    with pytest.raises(BandError, match="Band 'DEM'"):
        pipe.predict_proba(Locations(scene, scene.grid.xy(rows, cols)))


def test_a_scene_that_is_mostly_nodata_is_judged_by_what_there_is(tmp_path):
    pipe = fitted("BAA", scene_of(*RADAR))
    linear = scene_of(*RADAR, seed=1, units="linear", declared="dB")
    arrays = {name: linear.read(name)[..., 0].copy() for name in RADAR}
    for array in arrays.values():
        array[:, 15:] = np.nan  # of the first places looked at 16 remain; of those further ones more
        array[40:] = np.nan
    wrong = Scene.from_arrays(arrays, transform=UTM, crs="EPSG:32654", units=dict.fromkeys(RADAR, "dB"))
    with pytest.raises(BandError, match=BAND):
        SlidingWindowPredictor(pipe).predict_map(wrong, tmp_path / "map.tif")


@pytest.mark.parametrize(
    "shape, block, blocks",
    [((800, 640), 32, 16), ((70, 90), 100, 1), ((800, 70), (1, 70), 8), ((3, 30), 3, 4)],
)
def test_few_values_of_few_blocks_are_read_all_over_the_scene(shape, block, blocks):
    class View:
        grid, block_shape, places = Grid(None, UTM, shape), np.broadcast_to(block, 2), []

        def read(self, bands, window):
            self.places.append((window.row_off, window.col_off))
            return np.zeros((1, 1, 1))

    assert len(contract._spread_values(View())) == len(set(View.places))
    places = np.array(View.places)
    assert len(np.unique(places // View.block_shape, axis=0)) == blocks
    assert contract.ENOUGH <= len(places) <= 64 or np.prod(shape) < 64
    quarters = np.unique(places * 2 // shape, axis=0)
    assert len(quarters) == np.prod(np.minimum(shape, 2))


def test_few_samples_are_not_judged_by():
    scene, far = scene_of("DEM"), scene_of("DEM", DEM=values_of("DEM") + 3000)
    few = fitted(["DEM"], scene, X=some(scene, 8))
    assert few[1].value_quantiles_ is None
    few.predict_proba(some(far))
    fitted(["DEM"], scene).predict_proba(some(far, 8))


def test_what_is_learnt_of_the_values_is_right_cheap_and_the_same_again(monkeypatch):
    scene = scene_of("Red", "DEM")
    X = some(scene, 500)
    stacked = BandStacker(["DEM", "Red - DEM"]).fit_transform(X)
    reads, read = [], Scene.read
    monkeypatch.setattr(Scene, "read", lambda *args: reads.append(args) or read(*args))
    sampler = PatchSampler(5)
    patches = sampler.fit_transform(stacked)
    assert len(reads) == 1  # fitting reads nothing but the patches
    for band, (low, middle, high) in enumerate(sampler.value_quantiles_):
        for value, share in ((low, 0.05), (middle, 0.5), (high, 0.95)):
            assert abs((patches[..., band] <= value).mean() - share) < 0.03
    assert sampler.bands_ == ("DEM", "Red - DEM") and sampler.units_ == (None, None) and sampler.patch_size_ == 5
    alone = PatchSampler(5).fit(stacked)
    assert sampler.value_quantiles_ == alone.value_quantiles_
    assert all(type(v) is float for quantiles in alone.value_quantiles_ for v in quantiles)
    assert pickle.dumps(alone) == pickle.dumps(PatchSampler(5).fit(stacked))


def test_fitting_passes_over_locations_with_nodata_or_at_the_edge():
    arrays = {"Red": values_of("Red")}
    arrays["Red"][::9, ::9] = np.nan
    scene = Scene.from_arrays(arrays, transform=UTM, crs="EPSG:32654")
    X = some(scene, 100, margin=0.1)
    sampler = PatchSampler(5).fit(X)
    assert 300 <= sampler.value_quantiles_[0][0] < sampler.value_quantiles_[0][2] <= 2500


# ----------------------------------------------------------------------------------- bands, patch size, and other steps


def test_a_missing_second_date_names_both_sides(tmp_path):
    pipe = fitted("BAA", scene_of(*RADAR))
    match = (
        r"The model was fitted on the bands VV_before, VV_after, VV_after2 and needs the band\(s\) VV_after2, which "
        r"the scene does not have; it has VV_before, VV_after\."
    )
    refusals(pipe, scene_of(*RADAR[:2], seed=1), tmp_path, match)


def test_a_model_of_two_dates_takes_no_third(tmp_path):
    pipe = fitted("BAA", scene_of(*RADAR[:2]))
    assert pipe[0].bands_ == ("VV_before", "VV_after", "VV_after")
    three, two = scene_of(*RADAR, seed=1), scene_of(*RADAR[:2], seed=1)
    both = [SlidingWindowPredictor(pipe).predict_map(s, tmp_path / f"{len(s.bands)}.tif") for s in (three, two)]
    np.testing.assert_array_equal(both[0].probability, both[1].probability)


@pytest.mark.parametrize(
    "names, units, listed",
    [
        (("Green", "Red", "VV_before"), "dB", r"Green, Red, VV_before \[dB\]"),
        (("Red", "Green", "VV_before"), "linear", r"Red, Green, VV_before \[linear\]"),
    ],
)
def test_a_pipeline_without_a_stacker_knows_its_bands_by_order_and_units(tmp_path, names, units, listed):
    scene = scene_of("Red", "Green", "VV_before")
    X = some(scene)
    pipe = make_pipeline(PatchSampler(5), Gauge()).fit(X, np.arange(len(X)) % 2)
    assert maps(pipe, scene_of("Red", "Green", "VV_before", seed=1), tmp_path)
    match = rf"had the bands Red, Green, VV_before \[dB\]; those of this scene have {listed}\. Put a BandStacker before"
    (tmp_path / "other").mkdir()
    refusals(pipe, scene_of(*names, seed=1, units=units), tmp_path / "other", match)


def test_a_patch_size_that_was_changed_after_fitting_is_refused(tmp_path):
    scene = scene_of("Red")
    X = some(scene)
    flat = make_pipeline(BandStacker(["Red"]), PatchSampler(5), Gauge()).fit(X, np.arange(len(X)) % 2)
    refusals(
        flat.set_params(patchsampler__patch_size=7), scene, tmp_path, "patch_size=5, and patch_size=7", SklandslideError
    )
    assert flat.fit(X, np.arange(len(X)) % 2)[1].patch_size_ == 7
    assert maps(flat, scene, tmp_path)


def test_windows_smaller_than_the_patches_are_refused_and_larger_ones_right(tmp_path):
    scene = scene_of("Red")
    pipe = fitted(["Red"], scene, 6)
    with pytest.raises(SklandslideError, match=r"patch_size=5 of the windows is smaller than the patches of 6 pixels"):
        SlidingWindowPredictor(pipe, patch_size=5).predict_map(scene, tmp_path / "map.tif")
    assert os.listdir(tmp_path) == []
    m = SlidingWindowPredictor(pipe, patch_size=9, step=3).predict_map(scene, tmp_path / "map.tif")
    rows, cols = np.indices(m.probability.shape).reshape(2, -1)
    X = Locations(scene, m.grid.xy(rows + 0.5, cols + 0.5))
    np.testing.assert_allclose(m.probability.ravel(), pipe.predict_proba(X)[:, 1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["search", "calibrated"])
def test_every_stacker_inside_a_meta_estimator_is_asked(tmp_path, kind):
    scene = scene_of(*RADAR)
    X = some(scene, 60)
    pipe = make_pipeline(BandStacker("BAA"), PatchSampler(5), Gauge())
    if kind == "search":
        model = GridSearchCV(pipe, {"patchsampler__patch_size": [3, 5]}, cv=2)
    else:
        model = CalibratedClassifierCV(pipe, cv=2)
    model.fit(X, np.arange(len(X)) % 2)
    for wrong, match in [
        (scene_of(*RADAR, transform=Affine(30, 0, 5e5, 0, -30, 4.7e6)), "pixels of 10 x 10 m"),
        (scene_of(*RADAR[:2]), "needs the band"),
        (scene_of(*RADAR, units="linear", declared="dB"), "may be linear power"),
    ]:
        with pytest.raises((SceneError, BandError), match=match):
            SlidingWindowPredictor(model).predict_map(wrong, tmp_path / "map.tif")
    assert os.listdir(tmp_path) == []
    assert np.isfinite(SlidingWindowPredictor(model).predict_map(scene, tmp_path / "map.tif").probability).all()


def test_equal_fits_are_equal_bytes_whatever_was_seen_since():
    def fit():
        return fitted("BAA", scene_of(*RADAR), X=some(scene_of(*RADAR)))

    one, other = fit(), fit()
    before = pickle.dumps(one[:2])
    assert before == pickle.dumps(other[:2])
    one.predict_proba(some(scene_of(*RADAR, seed=1)))
    assert pickle.dumps(one[:2]) == before
    assert b"EPSG" not in before and len(before) < 3000


# ------------------------------------------------------------------------------------------- what a file says of itself


def described(path, texts, tags=None):
    write(path, np.stack([values_of("VV_before"), values_of("VH_before")])[: len(texts)].astype("float32"))
    with rasterio.open(path, "r+") as dataset:
        for i, text in enumerate(texts, 1):
            if text:
                dataset.set_band_description(i, text)
            dataset.update_tags(i, **(tags or {}))
    return path


@pytest.mark.parametrize(
    "band, text, tags, says",
    [
        ("VH_after", "Gamma0 vv", {}, "VV"),
        ("VV_after2", "", {"POLARISATION": "VH"}, "VH"),
        ("HH_before", "", {"POLARIMETRIC_INTERP": "HV"}, "HV"),
    ],
)
def test_a_file_of_another_polarisation_is_refused_or_allowed(tmp_path, band, text, tags, says):
    path = described(tmp_path / "band.tif", [text], tags)
    match = rf"Band '{band}' is to be {band[:2]}, but band 1 of .*band\.tif says of itself that it is {says}.*"
    with pytest.raises(BandError, match=match + "check_polarisation=False"):
        Scene.from_files({band: path})
    assert Scene.from_files({band: path}, check_polarisation=False).read().shape == (*SHAPE, 1)


@pytest.mark.parametrize(
    "band, text",
    [
        ("VV_before", "VV/VH"),  # of both
        ("VV_before", "SLAVE_VHX"),  # no word of its own
        ("DEM", "VH"),
    ],
)
def test_a_file_that_does_not_contradict_its_band_is_taken(tmp_path, band, text):
    path = described(tmp_path / "VH.tif", [text])  # names of files are not looked at
    assert Scene.from_files({band: path}).bands[0] == band


def test_numbers_of_bands_that_are_swapped_are_refused(tmp_path):
    path = described(tmp_path / "both.tif", ["VV", "VH"])
    Scene.from_files({"VV_before": (path, 1), "VH_before": (path, 2)})
    with pytest.raises(BandError, match=r"'VV_before' is to be VV, but band 2 of .*says of itself that it is VH"):
        Scene.from_files({"VV_before": (path, 2), "VH_before": (path, 1)})


def test_what_a_file_says_of_itself_is_no_part_of_what_it_is(tmp_path):
    path = described(tmp_path / "band.tif", ["VV"])
    scene = Scene.from_files({"VV_before": path})
    again = pickle.loads(pickle.dumps(scene))
    assert again == scene and again.fingerprint == scene.fingerprint
    np.testing.assert_array_equal(again.read(), scene.read())
