"""Scenes of xarray's datasets: the same as of GeoTIFFs, whoever made them; what is refused."""

import pickle
import subprocess
import sys
from collections import Counter

import dask.array
import numpy as np
import pytest
import rasterio
import rioxarray
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from rasterio.crs import CRS

from sklandslide import Scene
from sklandslide.exceptions import BandError, MissingPackageError, SceneError, SceneReadError
from sklandslide.geodata import DaskBand, keeping_open

NAMES = ["VV_before", "VV_after", "DEM"]
SHAPE = (90, 70)
TRANSFORM = Affine(10, 0, 500_000, 0, -10, 4_700_000)


def pixels(dtype="float32", names=NAMES, shape=SHAPE):
    random = np.random.RandomState(0)
    return {name: random.randint(0, 100, shape).astype(dtype) for name in names}


@pytest.fixture
def tif(tmp_path):
    """The bands in one GeoTIFF, as descriptions tell."""
    path = tmp_path / "event.tif"
    profile = {"driver": "GTiff", "dtype": "float32", "width": SHAPE[1], "height": SHAPE[0], "count": len(NAMES)}
    profile |= {"tiled": True, "blockxsize": 32, "blockysize": 16, "nodata": 7, "crs": "EPSG:32654"}
    with rasterio.open(path, "w", **profile, transform=TRANSFORM) as file:
        file.write(np.stack(list(pixels().values())))
        file.descriptions = NAMES
    return path


def of_files(tif):
    return Scene.from_files({name: (tif, i) for i, name in enumerate(NAMES, 1)})


def dataset(arrays=None, transform=TRANSFORM, crs="EPSG:32654", dims=("y", "x"), attrs=None, **more):
    """As odc.stac.load gives it, in memory."""
    arrays = pixels() if arrays is None else arrays
    shape = next(iter(arrays.values())).shape[-2:]
    coords = xr_coords(GeoBox(shape, transform, crs), dims=dims)
    return xr.Dataset({n: ((*more, *dims), a, attrs or {}) for n, a in arrays.items()}, {**coords, **more})


def bare(data):
    """Without a CRS."""
    data = data.drop_vars("spatial_ref")
    for array in (*data.data_vars.values(), *data.coords.values()):
        for place in (array.attrs, array.encoding):
            place.pop("grid_mapping", None), place.pop("crs", None)
    return data


def as_xee(data, x, y):
    """Earth Engine's reader: time, then x before y or after it, the CRS in each variable's attributes."""
    data = bare(data).rename(x=x, y=y).expand_dims(time=[np.datetime64("2018-09-01", "ns")])
    for array in data.data_vars.values():
        array.attrs = {"id": "VV", "crs": "EPSG:32654"}
        array.encoding["scale_factor"] = 10.0
    return data.transpose("time", x, y)


def zarr(tif, folder, **options):
    data = rioxarray.open_rasterio(tif, band_as_variable=True, masked=True)
    data = data.rename(dict(zip(data, NAMES, strict=True))).chunk(y=16, x=32)
    data.to_zarr(folder / "event.zarr", zarr_format=2, consolidated=True)
    return xr.open_zarr(str(folder / "event.zarr"), consolidated=True, **options)


GIVEN = {
    "rioxarray in memory": lambda tif, _: rioxarray.open_rasterio(tif),
    "rioxarray masked": lambda tif, _: rioxarray.open_rasterio(tif, masked=True),
    "rioxarray in chunks": lambda tif, _: rioxarray.open_rasterio(tif, chunks={"x": 32, "y": 16}),
    "rioxarray in chunks of all bands": lambda tif, _: rioxarray.open_rasterio(tif, chunks={"band": 3, "x": 20}),
    "zarr": zarr,
    "zarr, coordinates decoded": lambda tif, folder: zarr(tif, folder, decode_coords="all"),
    "zarr, without dask": lambda tif, folder: zarr(tif, folder, chunks=None),
    "zarr, not masked": lambda tif, folder: zarr(tif, folder, mask_and_scale=False),
    "south up": lambda tif, folder: zarr(tif, folder).isel(y=slice(None, None, -1)),
    "west to the right": lambda tif, folder: zarr(tif, folder).isel(x=slice(None, None, -1)),
    "xee": lambda tif, folder: as_xee(zarr(tif, folder), "X", "Y"),
    "xee in degrees' names": lambda tif, folder: as_xee(zarr(tif, folder), "lon", "lat"),
    "a time of one": lambda tif, folder: zarr(tif, folder, decode_coords="all").expand_dims("time"),
    "bands along a dimension": lambda tif, folder: zarr(tif, folder, decode_coords="all").to_dataarray("when")[::-1],
}


@pytest.mark.parametrize("how", GIVEN)
def test_a_scene_is_that_of_the_same_data_in_geotiffs(tif, tmp_path, how):
    wanted, scene = of_files(tif), Scene.from_xarray(GIVEN[how](tif, tmp_path))
    assert sorted(scene.bands) == sorted(wanted.bands)
    assert scene.grid == wanted.grid
    assert scene.grid.crs.to_wkt() == wanted.grid.crs.to_wkt()
    for window in (None, ((3, 40), (30, 70)), ((16, 32), (32, 64)), ((89, 90), (0, 1))):
        np.testing.assert_array_equal(scene.read(wanted.bands, window), wanted.read(window=window))
    again = pickle.loads(pickle.dumps(scene))
    assert again == scene
    np.testing.assert_array_equal(again.read(), scene.read())


def counted(shape=SHAPE, chunks=(16, 32), names=NAMES):
    """A dataset of dask arrays, and how often each of their chunks was computed."""
    counts = Counter()

    def value(name, block_info=None):
        counts[name, *block_info[None]["chunk-location"]] += 1
        return np.random.RandomState(len(counts)).rand(*block_info[None]["chunk-shape"])

    whole = dask.array.core.normalize_chunks(chunks, shape)
    arrays = {name: dask.array.map_blocks(value, name, chunks=whole, dtype=float) for name in names}
    return dataset(arrays), counts


def test_chunks_are_computed_when_they_are_read_and_no_others():
    data, counts = counted()
    scene = Scene.from_xarray(data)
    assert not counts
    assert scene.block_shape == (16, 32)
    scene.read("VV_after", ((16, 32), (0, 33)))
    assert counts == {("VV_after", 1, 0): 1, ("VV_after", 1, 1): 1}


@pytest.mark.parametrize("height", [16, 7, 30])
def test_a_chunk_is_computed_once_while_rows_are_read_on(height):
    data, counts = counted()
    scene = Scene.from_xarray(data)
    with keeping_open():
        for row in range(0, SHAPE[0], height):
            scene.read(window=((row, min(row + height, SHAPE[0])), (0, SHAPE[1])))  # slope needs the rows beside
    assert set(counts.values()) == {1}
    assert len(counts) == 3 * 6 * 3


def test_what_bands_share_is_computed_once():
    counts = Counter()

    def both(block):
        counts["chunks"] += 1
        return block

    stack = dask.array.zeros((3, *SHAPE), chunks=(3, 45, 70)).map_blocks(both, dtype=float)
    data = dataset(dict(zip(NAMES, stack, strict=True)))
    counts.clear()
    Scene.from_xarray(data).read(NAMES)
    assert counts["chunks"] == 2


def test_nothing_is_kept_after_reading():
    data, counts = counted()
    scene = Scene.from_xarray(data)
    for _ in range(2):
        scene.read("VV_after", ((0, 1), (0, 1)))
    assert counts["VV_after", 0, 0] == 2


def test_the_fingerprint_is_that_of_dasks_names_or_of_the_content():
    lazy, other = (dataset().chunk(y=16) for _ in range(2))
    assert Scene.from_xarray(lazy) == Scene.from_xarray(other)
    assert Scene.from_xarray(lazy) != Scene.from_xarray(lazy + 1)
    assert Scene.from_xarray(dataset()) == Scene.from_xarray(dataset())
    assert Scene.from_xarray(dataset()) != Scene.from_xarray(dataset() + 1)
    assert Scene.from_xarray(lazy) != Scene.from_xarray(lazy, nodata={"DEM": 1})


def test_the_fingerprint_is_the_same_in_another_process(tif, tmp_path):
    """So that a map goes on where a program is started again."""
    zarr(tif, tmp_path)
    code = (
        "import sys, xarray; from sklandslide import Scene\n"
        "data = xarray.open_zarr(sys.argv[1], decode_coords='all')[sys.argv[2:]]\n"
        "print(Scene.from_xarray(data).fingerprint)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "event.zarr"), *NAMES]
    there = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    data = xr.open_zarr(str(tmp_path / "event.zarr"), decode_coords="all")
    assert there == Scene.from_xarray(data[NAMES]).fingerprint


def test_units_are_those_given_or_said():
    data = dataset()
    data["VV_before"].attrs["units"] = "dB"
    data["VV_after"].attrs["units"] = "dB"
    data["DEM"].attrs["units"] = "m"
    scene = Scene.from_xarray(data, units={"VV_after": "linear"})
    assert dict(scene.units) == {"VV_before": "dB", "VV_after": "linear"}


@pytest.mark.parametrize("chunks", [None, {"y": 16}])
def test_nodata_besides_the_fill_value(chunks):
    data = dataset(pixels("int16"), attrs={"_FillValue": 3, "nodata": np.nan})
    scene = Scene.from_xarray(data.chunk(chunks) if chunks else data, nodata={"VV_after": [4, 5]})
    for name, wanted in (("VV_before", [3]), ("VV_after", [3, 4, 5])):
        stored, values = pixels()[name], scene.read(name)[..., 0]
        np.testing.assert_array_equal(np.isnan(values), np.isin(stored, wanted))
        np.testing.assert_array_equal(values[~np.isnan(values)], stored[~np.isin(stored, wanted)])


# Names


def test_names_are_given_where_there_are_none(tif):
    array = dataset().to_dataarray("band").drop_vars("band")
    with pytest.raises(BandError, match=r"3 of 3 values along 'band' have no name.*names=\[\.\.\.\]"):
        Scene.from_xarray(array)
    assert Scene.from_xarray(array, names=NAMES).bands[:3] == tuple(NAMES)
    for names in (NAMES[:2], ["Red", "Red", "Green"]):
        with pytest.raises(BandError, match=r"one name for each of the 3 values along 'band', in order, and none"):
            Scene.from_xarray(array, names=names)
    assert Scene.from_xarray(rioxarray.open_rasterio(tif, band_as_variable=True), names=NAMES).bands[:3] == tuple(NAMES)
    assert Scene.from_xarray(dataset()["VV_after"]).bands == ("VV_after",)
    with pytest.raises(BandError, match=r"'10m' cannot name a band"):
        Scene.from_xarray(dataset()["VV_after"].rename("10m"))


def test_dates_along_a_dimension_are_bands_by_name():
    stack = np.stack(list(pixels().values()))
    data = dataset({"vv": stack}, time=np.array(["2018-09-01", "2018-09-13", "2018-09-25"], "datetime64[ns]"))
    names = ["VV_before", "VV_after", "VV_after2"]
    scene = Scene.from_xarray(data.vv, names=names)
    np.testing.assert_array_equal(scene.read(names), np.moveaxis(stack, 0, -1))


# Bad input


def test_a_time_dimension_left_in_is_refused():
    stack = np.stack(list(pixels().values()))
    data = dataset({"vv": stack}, time=np.array(["2018-09-01", "2018-09-13", "2018-09-25"], "datetime64[ns]"))
    with pytest.raises(SceneError, match=r"Band 'vv' has 3 values along 'time'; .*isel\(time=0\)"):
        Scene.from_xarray(data)
    with pytest.raises(BandError, match=r"3 of 3 values along 'time' have no name"):
        Scene.from_xarray(data.vv)
    assert Scene.from_xarray(data.isel(time=1)).bands == ("vv",)


def test_no_coordinate_system_is_refused():
    with pytest.raises(SceneError, match=r"no coordinate reference system\. .*odc\.assign_crs\('EPSG:32654'\)"):
        Scene.from_xarray(bare(dataset()))
    assert Scene.from_xarray(bare(dataset()).odc.assign_crs("EPSG:32654")).grid.crs == CRS.from_epsg(32654)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_coordinates_that_are_not_evenly_spaced_are_refused(axis):
    data = dataset()
    values = data[axis].values.copy()
    values[5] += 1
    with pytest.raises(SceneError, match=rf"along {axis} are not evenly spaced: .* at 5, where .*odc\.reproject"):
        Scene.from_xarray(data.assign_coords({axis: values}))
    for part in ([0, 1, 2, 4], [3, 3, 3]):
        with pytest.raises(SceneError, match="not evenly spaced"):
            Scene.from_xarray(data.isel({axis: part}))


def test_coordinates_in_float32_are_even_but_for_their_rounding():
    data = dataset(transform=Affine(1e-4, 0, 141, 0, -1e-4, 43), crs="EPSG:4326")
    rounded = data.assign_coords({axis: data[axis].astype("float32") for axis in "xy"})
    grid = Scene.from_xarray(rounded).grid
    corners = grid.rowcol(Scene.from_xarray(data).grid.xy([0, 90], [0, 70]))
    np.testing.assert_allclose(corners, [[0, 0], [90, 70]], atol=0.2)


def test_a_part_of_a_dataset_lies_where_it_lies():
    """Its spatial_ref still has the GeoTransform of the whole."""
    data = dataset()
    scene, part = Scene.from_xarray(data), Scene.from_xarray(data.isel(y=slice(10, 50), x=slice(5, 65)))
    assert part.grid == scene.crop(((10, 50), (5, 65))).grid
    coarse = Scene.from_xarray(data.isel(y=slice(None, None, 2)))
    assert coarse.grid.transform.e == -20


def test_a_turned_grid_is_taken_as_it_is():
    turned = Affine(9.4, 3.4, 500_000, 3.4, -9.4, 4_700_000)
    scene = Scene.from_xarray(dataset(transform=turned))
    np.testing.assert_allclose(tuple(scene.grid.transform), tuple(turned))
    np.testing.assert_array_equal(scene.read("DEM")[..., 0], pixels()["DEM"])


def test_what_has_no_place_is_refused():
    data = dataset()
    with pytest.raises(SceneError, match=r"no coordinates along y\. Give each pixel's centre"):
        Scene.from_xarray(data.drop_vars("y"))
    with pytest.raises(SceneError, match=r"dimensions rows, x, and it is unclear which one is y"):
        Scene.from_xarray(data.rename(y="rows").DEM)
    with pytest.raises(SceneError, match="no place on the map: a single row"):
        Scene.from_xarray(bare(data).odc.assign_crs("EPSG:32654").isel(y=[3]))


def test_longitudes_that_jump_at_180_degrees_count_on():
    data = dataset(transform=Affine(0.01, 0, 179.6, 0, -0.01, -16), crs="EPSG:4326")
    jump = data.assign_coords(x=(data.x + 180) % 360 - 180)
    assert jump.x.min() < -179 and jump.x.max() > 179
    scene, wanted = Scene.from_xarray(jump), Scene.from_xarray(data)
    np.testing.assert_allclose(tuple(scene.grid.transform), tuple(wanted.grid.transform), atol=1e-9)
    np.testing.assert_array_equal(scene.read(), wanted.read())


SCALED = {"scale_factor": 0.1, "add_offset": -20.0, "_FillValue": np.int16(7)}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("chunks", [None, {}])
def test_scale_and_fill_value_are_applied_once(tmp_path, masked, chunks):
    """Raw as attributes say, or by xarray, which keeps them as an encoding."""
    data = dataset(pixels("int16", ["VV_before"]), attrs=SCALED)
    data.to_zarr(tmp_path / "raw.zarr", zarr_format=2, consolidated=True)
    read = xr.open_zarr(tmp_path / "raw.zarr", consolidated=True, mask_and_scale=masked, chunks=chunks)
    assert ("scale_factor" in read.VV_before.attrs) != masked
    stored = pixels("int16", ["VV_before"])["VV_before"]
    wanted = np.where(stored == 7, np.nan, stored * 0.1 - 20)
    np.testing.assert_allclose(Scene.from_xarray(read).read()[..., 0], wanted, rtol=1e-6)


def test_scales_of_a_geotiff_are_those_of_the_file(tif):
    with rasterio.open(tif, "r+") as file:
        file.scales, file.offsets = (0.5, 0.25, 2), (1, 2, 3)
    for chunks in (None, True):
        with pytest.warns(match="differ across bands"):
            data = rioxarray.open_rasterio(tif, chunks={"band": 1} if chunks else None)
        np.testing.assert_array_equal(Scene.from_xarray(data).read(NAMES), of_files(tif).read(NAMES))


def test_a_graph_that_raises_names_the_band():
    def gone(block):
        raise OSError("HTTP 404: https://example.com/vv.tif")

    data = dataset().chunk(y=45)
    scene = Scene.from_xarray(
        data.assign(VV_after=data.VV_after.copy(data=data.VV_after.data.map_blocks(gone, dtype=float)))
    )
    for bands in (["VV_after"], None):
        with pytest.raises(SceneReadError, match=r"Band 'VV_after' cannot be computed by dask at .*OSError: HTTP 404"):
            scene.read(bands)
    scene.read(["VV_before"])


@pytest.mark.parametrize("dtype", ["complex64", "bool", "datetime64[ns]"])
def test_what_is_no_real_number_is_refused(dtype):
    with pytest.raises(SceneError, match=rf"Band 'Red' has dtype {dtype.split('[')[0]}"):
        Scene.from_xarray(dataset({"Red": np.zeros(SHAPE, dtype)}))


def test_what_is_no_dataset_is_refused():
    with pytest.raises(SceneError, match=r"ndarray is no xarray\.Dataset or DataArray\. Use Scene\.from_arrays"):
        Scene.from_xarray(np.zeros(SHAPE))
    with pytest.raises(BandError, match="a scene needs at least one band"):
        Scene.from_xarray(dataset().drop_vars(NAMES))


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "odc.geo.xr", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'sklandslide\[xarray\]'"):
        Scene.from_xarray(dataset())


def test_a_dask_band_is_shown_without_its_graph():
    band = Scene.from_xarray(dataset().chunk())._source("DEM")
    assert isinstance(band, DaskBand)
    assert "dask.array" not in repr(band)


# Out


@pytest.mark.parametrize("crs", ["EPSG:32654", None])
@pytest.mark.parametrize("turned", [False, True])
def test_a_scene_as_a_dataset_is_the_scene(crs, turned):
    transform = Affine(9.4, 3.4, 500_000, 3.4, -9.4, 4_700_000) if turned else TRANSFORM
    arrays = pixels()
    arrays["VV_before"][3, 4] = np.nan
    scene = Scene.from_arrays(arrays, transform=transform, crs=crs, units={"VV_before": "dB"})
    data = scene.to_xarray()
    assert all(array.chunks is not None and array.dtype == "float32" for array in data.values())
    assert list(data) == [*NAMES, "Slope"]
    np.testing.assert_array_equal(np.stack(list(data.values()), axis=-1), scene.read())
    again = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(again.DEM, data.DEM)
    if crs:
        back = Scene.from_xarray(data)
        assert (back.grid, dict(back.units)) == (scene.grid, {"VV_before": "dB"})
        assert back.grid.crs.to_wkt() == scene.grid.crs.to_wkt()
        np.testing.assert_array_equal(back.read(), scene.read())
        assert data.rio.crs == scene.grid.crs
        assert data.rio.transform() == transform


def test_a_dataset_of_a_scene_is_read_when_it_is_computed(tif, tmp_path):
    scene = of_files(tif)
    data = scene.to_xarray("VV_after")
    assert data.VV_after.chunksizes["y"][:2] == (16, 16)
    window = data.VV_after[20:30, 40:50].values
    np.testing.assert_array_equal(window, scene.read("VV_after", ((20, 30), (40, 50)))[..., 0])
    tif.write_bytes(b"")
    with pytest.raises(SceneReadError, match="changed or removed"):
        data.compute()
    with pytest.raises(BandError, match="no band 'Red'"):
        scene.to_xarray(["Red"])


def test_datasets_of_equal_scenes_have_equal_names():
    one, same = (Scene.from_arrays(pixels(), transform=TRANSFORM, crs=32654).to_xarray() for _ in range(2))
    other = Scene.from_arrays(pixels("int16"), transform=TRANSFORM, crs=32654).to_xarray()
    assert one.DEM.data.name == same.DEM.data.name != other.DEM.data.name


def test_a_dataset_goes_to_a_file_and_comes_back(tmp_path):
    scene = Scene.from_arrays(pixels(), transform=TRANSFORM, crs=32654)
    scene.to_xarray().to_zarr(tmp_path / "event.zarr", zarr_format=2, consolidated=True)
    back = Scene.from_xarray(xr.open_zarr(tmp_path / "event.zarr"))
    assert back.grid == scene.grid
    np.testing.assert_array_equal(back.read(scene.bands), scene.read())
