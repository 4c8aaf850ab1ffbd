"""Rasters that lie, link, or are none: a clear error in little time and memory, or the right values."""

import contextlib
import os
import pickle
import subprocess
import sys
import time
import tracemalloc
import zlib

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hostile import GEOTRANSFORM, envi, tiff, vrt, wms
from rasters import TRANSFORM, UTM, same, write

from sklandslide import LandslideMap, Scene
from sklandslide.exceptions import SceneError, SceneReadError, SklandslideError

PIXELS = np.arange(600, dtype=np.float32).reshape(20, 30)
WHOLE = {"offsets": (8,), "counts": (2400,), "body": PIXELS.tobytes()}

pytestmark = pytest.mark.usefixtures("in_time")


def scene_of(path, **options):
    return Scene.from_files({"Red": path}, **options)


def values(path, **options):
    return scene_of(path, **options).read()[..., 0]


def made(folder, name="a.tif", **header):
    (folder / name).write_bytes(tiff(30, 20, **{**WHOLE, **header}))
    return folder / name


def copied(folder, name, driver, pixels=PIXELS, **options):
    """PIXELS in another format; without the GeoTIFF that they come from."""
    source = write(folder / "source.tif", pixels)
    with rasterio.Env():
        rasterio.shutil.copy(source, folder / name, driver=driver, **options)
    source.unlink()
    return folder / name


def refused(path, match, error=SceneReadError):
    with pytest.raises(error, match=match):
        scene_of(path)


# Headers and values


@pytest.mark.parametrize("n", [0, 1, 8, 300, 450, -300, -1])
def test_a_raster_cut_anywhere_is_refused_or_fails_on_reading(tmp_path, n):
    path = tmp_path / "a.tif"
    write(path, PIXELS, compress="deflate", tiled=True, blockxsize=16, blockysize=16)
    path.write_bytes(path.read_bytes()[:n])
    with pytest.raises(SceneReadError, match=r"cannot be opened as a raster|truncated|cannot be read"):
        scene_of(path).read()


def test_an_envi_raster_that_is_cut_is_refused(tmp_path):
    """GDAL reads zeros in place of what is cut off."""
    path = envi(tmp_path, "a", PIXELS)
    path.write_bytes(path.read_bytes()[:-4])
    refused(path, r"a\.img is truncated: it has 2396 bytes, and its pixels end at byte 2400\. Copy")


@pytest.mark.parametrize(
    ("width", "height", "rows", "match"),
    [
        (2**31 - 1, 2**31 - 1, 1, "8192 MiB each"),
        (2**32 - 1, 2**32 - 1, 1, "cannot be opened as a raster"),
        (1, 2**31 - 1, 2**31 - 1, "512 MiB each.*256 MiB are allowed"),
        (30, 0, 1, "cannot be opened as a raster"),
    ],
)
def test_a_size_that_no_machine_could_hold_is_refused_at_once(tmp_path, width, height, rows, match):
    (tmp_path / "a.tif").write_bytes(tiff(width, height, rows_per_strip=rows))
    tracemalloc.start()
    refused(tmp_path / "a.tif", match)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize(
    "header",
    [{"offsets": (2**31,)}, {"bits": 77}, {"compression": 9999}, {"compression": 8}, {"rows_per_strip": 0}],
    ids=str,
)
def test_a_header_that_lies_is_refused_or_fails_on_reading(tmp_path, header):
    with pytest.raises(SceneReadError, match=r"Give a file|damaged|truncated"):
        scene_of(made(tmp_path, **header)).read()


def test_a_bomb_of_a_block_is_refused_before_it_is_opened_out(tmp_path):
    bomb = zlib.compress(b"\0" * 10**7, 9)
    content = tiff(40_000, 40_000, compression=8, counts=(len(bomb),), body=bomb + bomb[:1])
    (tmp_path / "a.tif").write_bytes(content)
    refused(tmp_path / "a.tif", "blocks of 40000 x 40000 pixels, 6104 MiB each.*256 MiB are allowed")


@pytest.mark.parametrize(
    ("scale", "tie"), [((float("nan"), 10, 0), 6e5), ((10, 10, 0), float("inf")), ((1e-320, 0.0, 0), 6e5)]
)
def test_a_geotransform_that_is_no_place_is_refused(tmp_path, scale, tie):
    refused(made(tmp_path, scale=scale, tie=(0, 0, 0, tie, 4e6, 0)), "cannot be inverted|no geotransform", SceneError)


def test_a_sparse_raster_of_more_than_a_hundred_gigabytes_is_read_by_windows(tmp_path):
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 200_000, "height": 200_000, "count": 1, "dtype": "float32", "nodata": -1}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "sparse_ok": True, "bigtiff": "yes"}
    with rasterio.open(path, "w", crs=UTM, transform=TRANSFORM, **profile, **tiles) as dataset:
        dataset.write(PIXELS, 1, window=rasterio.windows.Window(1024, 512, 30, 20))
    scene = scene_of(path)
    assert same(scene.read(window=((512, 532), (1024, 1054)))[..., 0], PIXELS)
    assert np.isnan(scene.read(window=((10**5, 10**5 + 9), (0, 9)))).all()


@pytest.mark.parametrize("dtype", ["complex64", "complex_int16"])
def test_complex_numbers_are_refused(tmp_path, dtype):
    profile = {"driver": "GTiff", "width": 30, "height": 20, "count": 1, "crs": UTM, "transform": TRANSFORM}
    with rasterio.open(tmp_path / "a.tif", "w", dtype=dtype, **profile):
        pass
    refused(tmp_path / "a.tif", rf"holds complex numbers \({dtype}\)", SceneError)


def test_numbers_of_64_bits_are_rounded_to_float32_and_no_further(tmp_path):
    large = np.array([[2**62 + 1, -(2**62), 2**24 + 1, -9999]], np.int64)
    path = write(tmp_path / "a.tif", large, nodata=-9999)
    assert same(values(path), np.array([[2.0**62, -(2.0**62), 2.0**24, np.nan]], np.float32))


def test_half_precision_reads_right(tmp_path):
    half = np.linspace(0, 1, 600).astype("<f2").reshape(20, 30)
    path = made(tmp_path, bits=16, body=half.tobytes(), counts=(1200,))
    assert same(values(path), half.astype(np.float32))


def test_places_in_a_table_of_colours_are_no_values(tmp_path):
    path = write(tmp_path / "a.tif", (PIXELS % 200).astype(np.uint8))
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {7: (255, 0, 0, 255)})
    refused(path, r"table of colours.*-expand rgb", SceneError)


@pytest.mark.parametrize("index", [0, -1, 2, 2**70, 1.0, True, "1", None])
def test_a_band_that_does_not_exist_is_refused(tmp_path, index):
    refused((made(tmp_path), index), r"there is no band .*Count from 1", SceneError)


def test_scale_and_offset_are_applied_before_a_band_is_warped(tmp_path):
    stored = np.array([[-1234, -1, 0], [250, 32767, -32768]], np.int16)
    path = write(tmp_path / "a.tif", stored, nodata=-32768)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.01,), (-3.0,)
    expected = np.where(stored == -32768, np.nan, stored * 0.01 - 3).astype(np.float32)
    assert same(values(path), expected)
    assert np.isnan(values(path, nodata={"Red": 250})).sum() == 2  # what is declared are values as they are stored
    fine = write(tmp_path / "b.tif", np.ones((6, 6), np.float32), transform=TRANSFORM @ Affine.scale(0.3))
    warped = Scene.from_files({"Blue": fine, "Red": path}, resampling="nearest").read("Red")[..., 0]
    assert warped[0, 0] == expected[0, 0]


# Formats


@pytest.mark.parametrize(
    ("name", "driver"),
    [("a.img", "HFA"), ("b.img", "ENVI"), ("a.nc", "netCDF"), ("a.asc", "AAIGrid"), ("a.sdat", "SAGA"), ("a", "COG")],
)
def test_formats_of_files_that_hold_their_own_pixels_are_read(tmp_path, name, driver):
    if driver == "netCDF" and driver not in rasterio.drivers.raster_driver_extensions().values():
        pytest.skip("this GDAL has no netCDF")
    scene = scene_of(copied(tmp_path, name, driver))
    assert same(scene.read()[..., 0], PIXELS)
    assert scene.grid.transform.almost_equals(TRANSFORM)
    assert same(pickle.loads(pickle.dumps(scene)).read()[..., 0], PIXELS)


def test_one_of_several_data_sets_of_a_netcdf_file_is_named_as_gdal_does(tmp_path, monkeypatch):
    netcdf = pytest.importorskip("scipy.io").netcdf_file
    with netcdf(str(tmp_path / "a.nc"), "w") as file:
        for axis, size, first, step in (("y", 4, 35.0, -0.1), ("x", 5, 20.0, 0.1)):
            file.createDimension(axis, size)
            variable = file.createVariable(axis, "f8", (axis,))
            variable[:] = first + step * np.arange(size)
            variable.standard_name = {"x": "longitude", "y": "latitude"}[axis]
            variable.units = {"x": "degrees_east", "y": "degrees_north"}[axis]
        for number, name in enumerate(("vv", "vh")):
            file.createVariable(name, "f4", ("y", "x"))[:] = number
    refused(tmp_path / "a.nc", r"holds 2 data sets.*Give one of them as the path: '(?i:netcdf):.*vv', '.*vh'")
    monkeypatch.chdir(tmp_path)
    for inside in (f'NETCDF:"{tmp_path}/a.nc":vh', "netcdf:a.nc:vh", f"NETCDF:{tmp_path}/a.nc:vh"):
        scene = scene_of(inside)
        assert scene.files == (str(tmp_path / "a.nc"),)
        assert (scene.read() == 1).all()
    refused('NETCDF:"b.nc":vv', r"b\.nc cannot be opened: no such file")


@pytest.mark.parametrize("content", [b"", b"hello", b"<html></html>", b"PK\x03\x04" + b"\0" * 99, b"{}", b"II*\0"])
def test_what_is_no_raster_is_refused(tmp_path, content):
    for name in ("a.tif", "a.vrt", "a.img"):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, "cannot be opened as a raster.*GeoTIFF; unpack archives, download")


def test_a_folder_or_device_is_no_raster(tmp_path):
    for path, why in (
        (tmp_path, "is a folder"),
        ("/dev/zero", "no such file"),
        (None, "is no path"),
        (5, "is no path"),
    ):
        for open_it in (scene_of, LandslideMap.open):
            with pytest.raises(SceneReadError, match=why):
                open_it(path)


@pytest.mark.parametrize("name", ["it's", 'a "b"', "a%20b", "ü🙂", "-p", "a:b,c", "NETCDF:x:y", "a!b", "a;b", "b.zip"])
def test_rasters_and_folders_of_any_name_are_read(tmp_path, name, monkeypatch):
    (tmp_path / name).mkdir()
    path = write(tmp_path / name / "plain.tif", PIXELS).rename(tmp_path / name / name)
    assert same(values(path), PIXELS)
    monkeypatch.chdir(path.parent)
    assert scene_of(name).files == (str(path),)


# Beside the file


def test_what_changes_beside_a_file_is_noticed(tmp_path):
    path = made(tmp_path)
    beside = tmp_path / "a.tif.aux.xml"
    bare = scene_of(path)
    beside.write_text('<PAMDataset><PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>')
    tagged = scene_of(path)
    assert tagged != bare
    assert np.isnan(tagged.read()).sum() == 1
    time.sleep(0.02)
    beside.write_text("<PAMDataset><SRS>EPSG:32653</SRS></PAMDataset>")
    for scene in (bare, tagged):
        with pytest.raises(SceneReadError, match="was changed"):
            scene.read()


def test_statistics_beside_the_file_change_nothing(tmp_path):
    path = made(tmp_path)
    scene = scene_of(path)
    (tmp_path / "a.tif.aux.xml").write_text(
        '<PAMDataset>\n<PAMRasterBand band="1"><Histograms><HistItem><HistMin>1</HistMin></HistItem></Histograms>'
        '<Metadata>\n<MDI key="STATISTICS_MEAN">1</MDI>\n</Metadata></PAMRasterBand></PAMDataset>'
    )
    assert same(scene.read()[..., 0], PIXELS)
    assert scene_of(path) == scene


def test_a_header_or_world_file_that_changes_is_noticed(tmp_path):
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        write(tmp_path / "b.tif", PIXELS, transform=None, crs=None)
    (tmp_path / "b.tfw").write_text("10\n0\n0\n-10\n600005\n4739995\n")
    for path, beside in ((envi(tmp_path, "a", PIXELS), "a.hdr"), (tmp_path / "b.tif", "b.tfw")):
        scene = scene_of(path)
        assert same(scene.read()[..., 0], PIXELS)
        time.sleep(0.02)
        (tmp_path / beside).write_text((tmp_path / beside).read_text() + "\n")
        with pytest.raises(SceneReadError, match="was changed"):
            scene.read()


@pytest.mark.parametrize("mask", [b"", b"hello", vrt("a.tif").encode(), wms("http://127.0.0.1:1").encode()])
def test_a_mask_that_is_none_does_not_make_all_pixels_valid(tmp_path, mask):
    (tmp_path / "a.tif.msk").write_bytes(mask)
    refused(made(tmp_path), r"a\.tif\.msk cannot be opened as a raster")


def test_a_mask_of_another_size_does_not_make_all_pixels_valid(tmp_path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        path = write(tmp_path / "a.tif", PIXELS, mask=np.zeros((20, 30), np.uint8))
        write(tmp_path / "b.tif", PIXELS[:7], mask=np.zeros((7, 30), np.uint8))
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO"):  # does not count
        assert np.isnan(values(path)).all()
    os.replace(tmp_path / "b.tif.msk", tmp_path / "a.tif.msk")
    refused(path, r"has \(7, 30\) pixels, and the raster \(20, 30\): it is not this raster's mask")


# VRTs


def test_a_mosaic_of_neighbouring_rasters_is_read(tmp_path):
    """As gdalbuildvrt writes it."""
    write(tmp_path / "west.tif", PIXELS[:, :20])
    write(tmp_path / "east.tif", PIXELS[:, 20:], transform=TRANSFORM @ Affine.translation(20, 0))
    sources = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="{relative}">{file}</SourceFilename><SourceBand>1</SourceBand>'
        f'<SourceProperties RasterXSize="{cols}" RasterYSize="20" DataType="Float32" BlockXSize="{cols}" '
        f'BlockYSize="20"/><SrcRect xOff="0" yOff="0" xSize="{cols}" ySize="20"/>'
        f'<DstRect xOff="{first}" yOff="0" xSize="{cols}" ySize="20"/></SimpleSource>'
        for relative, file, first, cols in ((1, "west.tif", 0, 20), (0, tmp_path / "east.tif", 20, 10))
    )
    path = tmp_path / "mosaic.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="30" rasterYSize="20"><SRS>EPSG:32654</SRS>{GEOTRANSFORM}'
        f'<VRTRasterBand dataType="Float32" band="1"><ColorInterp>Gray</ColorInterp>{sources}</VRTRasterBand>'
        "</VRTDataset>"
    )
    scene = scene_of(path)
    assert scene.files == tuple(str(tmp_path / name) for name in ("mosaic.vrt", "west.tif", "east.tif"))
    assert same(scene.read()[..., 0], PIXELS)
    (tmp_path / "outer.vrt").write_text(vrt("mosaic.vrt", relative=1))
    outer = scene_of(tmp_path / "outer.vrt")
    assert same(outer.read()[..., 0], PIXELS)
    time.sleep(0.02)
    write(tmp_path / "east.tif", PIXELS[:, 20:] + 1, transform=TRANSFORM @ Affine.translation(20, 0))
    for changed in (scene, outer):
        with pytest.raises(SceneReadError, match="was changed"):
            changed.read()


def test_warped_and_raw_vrts_and_those_of_netcdf_are_read(tmp_path):
    made(tmp_path)
    with rasterio.open(tmp_path / "a.tif") as dataset, rasterio.vrt.WarpedVRT(dataset, crs=UTM) as warped:
        rasterio.shutil.copy(warped, tmp_path / "warped.vrt", driver="VRT")
    (tmp_path / "pixels.raw").write_bytes(PIXELS.tobytes())
    raw = vrt("pixels.raw", relative=1, band=' subClass="VRTRawRasterBand"', kind="Other")
    (tmp_path / "raw.vrt").write_text(raw.replace("<Other>", "").replace("</Other>", "<ByteOrder>LSB</ByteOrder>"))
    copied(tmp_path, "a.nc", "netCDF")
    (tmp_path / "inside.vrt").write_text(vrt("NETCDF:a.nc:Band1", relative=1))
    for name, source in (("warped.vrt", "a.tif"), ("raw.vrt", "pixels.raw"), ("inside.vrt", "a.nc")):
        scene = scene_of(tmp_path / name)
        assert str(tmp_path / source) in scene.files
        assert same(scene.read()[..., 0], PIXELS)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (vrt("a.vrt", relative=1), None),  # itself
        (vrt("nothing.tif", relative=1), r"nothing\.tif cannot be opened: no such file"),
        (vrt("../", relative=1), "is a folder"),
        (vrt("wms.xml", relative=1), r"wms\.xml cannot be opened as a raster"),
        (vrt("source.tif", relative=1)[:-20], "A damaged VRT is to be made again"),
    ],
)
def test_a_vrt_of_what_is_no_raster_is_refused(tmp_path, text, match):
    (tmp_path / "wms.xml").write_text(wms("http://127.0.0.1:1"))
    made(tmp_path, "source.tif")
    (tmp_path / "a.vrt").write_text(text)
    with pytest.raises(SceneReadError, match=match):
        scene_of(tmp_path / "a.vrt").read()


PYTHON = (
    f'<VRTDataset rasterXSize="30" rasterYSize="20"><SRS>EPSG:32654</SRS>{GEOTRANSFORM}'
    '<VRTRasterBand dataType="Float32" band="1" subClass="VRTDerivedRasterBand">'
    "<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage><PixelFunctionCode>"
    "<![CDATA[\ndef f(*a, **k):\n    open({path!r}, 'w').close()\n]]></PixelFunctionCode></VRTRasterBand></VRTDataset>"
)


def test_a_vrt_runs_no_program(tmp_path):
    """GDAL looks at its environment when it is loaded, so this takes another process."""
    (tmp_path / "a.vrt").write_text(PYTHON.format(path=str(tmp_path / "ran")))
    code = f"import sklandslide as s; s.Scene.from_files({{'Red': {str(tmp_path / 'a.vrt')!r}}}).read()"
    environment = {**os.environ, "GDAL_VRT_ENABLE_PYTHON": "YES"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "SceneReadError" in done.stderr
    assert not (tmp_path / "ran").exists()


# Networks

ADDRESSES = [
    "/vsicurl/{web}/x.tif", "{web}/x.tif", "/vsizip//vsicurl/{web}/x.zip/x.tif", "vrt://{web}/x.tif", "/vsis3/b/x.tif",
    "WMS:{web}", "/vsigs/b/x.tif", "NETCDF:/vsicurl/{web}/x.nc:v", "s3://b/x.tif", "zip+https://{web}/x.zip!x.tif",
]  # fmt: skip


@pytest.mark.parametrize("source", ADDRESSES)
def test_an_address_is_no_path_and_no_source_of_a_vrt(tmp_path, web, source, monkeypatch):
    source = source.format(web=web.address)
    (tmp_path / "a.vrt").write_text(vrt(source))
    as_attribute = vrt("a.tif").replace("<SourceBand>", f'<SourceBand SOURCEFILENAME="{source}">')
    (tmp_path / "b.vrt").write_text(as_attribute)
    (tmp_path / "outer.vrt").write_text(vrt("outer2.vrt", relative=1))
    (tmp_path / "outer2.vrt").write_text(vrt("a.vrt", relative=1))
    made(tmp_path)
    monkeypatch.chdir(tmp_path)
    for path in (source, "a.vrt", "b.vrt", "outer.vrt"):
        for open_it in (scene_of, LandslideMap.open):
            with pytest.raises(SceneReadError, match=r"names no file on this machine.*Download"):
                open_it(path)
    assert web.asked == []


@pytest.mark.parametrize(
    "text",
    [
        "{wms}",
        "<WCS_GDAL><ServiceURL>{web}/?</ServiceURL><CoverageName>x</CoverageName></WCS_GDAL>",
        "<WMTS><GetCapabilitiesUrl>{web}/c</GetCapabilitiesUrl></WMTS>",
        "<MRF_META><CachedSource><Source>{web}/x.tif</Source></CachedSource></MRF_META>",
        "<GDALTileIndexDataset><IndexDataset>{web}/x.gpkg</IndexDataset></GDALTileIndexDataset>",
        '{{"type":"FeatureCollection","stac_version":"1.0.0","features":[{{"type":"Feature","stac_version":"1.0.0",'
        '"assets":{{"a":{{"href":"{web}/x.tif"}}}}}}]}}',
        '{{".zgroup":{{"zarr_format":2}},"x/0.0":["{web}/x",0,9]}}',
    ],
)
def test_no_network_is_asked_by_what_names_a_service(tmp_path, web, text):
    for name in ("a.tif", "a.xml", "a.json"):
        (tmp_path / name).write_text(text.format(web=web.address, wms=wms(web.address)))
        (tmp_path / "a.vrt").write_text(vrt(name, relative=1))
        for path in (name, "a.vrt"):
            refused(tmp_path / path, "cannot be opened as a raster")
    assert web.asked == []


@pytest.mark.parametrize("where", ["in the file", "aux.xml", "ovr", "in a VRT"])
def test_no_network_is_asked_by_overviews(tmp_path, web, where):
    """Nor where a VRT reads at another resolution, so that GDAL looks for them. Without our options it would ask."""
    path = write(tmp_path / "a.tif", np.tile(PIXELS, (30, 30)))
    name = f"/{where.replace(' ', '-')}.tif"
    elsewhere = f"/vsicurl/{web.address}{name}"
    if where == "in the file":
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=elsewhere)
    said = f'<Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{elsewhere}</MDI></Metadata>'
    if where == "aux.xml":
        (tmp_path / "a.tif.aux.xml").write_text(f"<PAMDataset>{said}</PAMDataset>")
    if where == "ovr":
        (tmp_path / "a.tif.ovr").write_text(vrt(elsewhere, shape=(600, 900)))
    (tmp_path / "a.vrt").write_text(
        vrt("a.tif", relative=1, shape=(600, 900), dst=(90, 60), more=said if where == "in a VRT" else "")
    )
    web.forget()
    for file in ("a.tif", "a.vrt"):
        with contextlib.suppress(SklandslideError):
            assert np.isfinite(scene_of(tmp_path / file).read()[:60, :90]).all()
    assert web.asked == []
    with rasterio.open(path) as dataset, contextlib.suppress(rasterio.errors.RasterioError):
        dataset.overviews(1)
    assert where in ("ovr", "in a VRT") or name in web.asked
