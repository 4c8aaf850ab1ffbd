"""Rasters that lie, link, or are none: a clear error in little time and memory, or the right values."""

import contextlib
import os
import pickle
import socket
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hostile import envi, tiff, vrt, wms
from rasterio.enums import ColorInterp
from rasters import TRANSFORM, UTM, same, write

from sklandslide import LandslideMap, Scene
from sklandslide.exceptions import SceneError, SceneReadError, SklandslideError
from sklandslide.geodata.opening import FORMATS

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


def refused(path, match, error=SceneReadError, **options):
    with pytest.raises(error, match=match):
        scene_of(path, **options)


# Headers


def test_a_tiff_made_by_hand_reads_right(tmp_path):
    assert same(values(made(tmp_path)), PIXELS)


@pytest.mark.parametrize("n", [0, 1, 4, 8, 100, 300, 450, 600, -300, -50, -1])
def test_a_raster_cut_anywhere_is_refused_or_fails_on_reading(tmp_path, n):
    path = tmp_path / "a.tif"
    write(path, PIXELS, compress="deflate", tiled=True, blockxsize=16, blockysize=16)
    content = path.read_bytes()
    path.write_bytes(content[:n])
    with pytest.raises(SceneReadError, match=r"cannot be opened as a raster|truncated|cannot be read"):
        scene_of(path).read()


@pytest.mark.parametrize(
    ("name", "header", "match"),
    [
        ("two thousand million pixels a side", (2**31 - 1, 2**31 - 1, 1), "8192 MiB each"),
        ("four thousand million pixels a side", (2**32 - 1, 2**32 - 1, 1), "cannot be opened as a raster"),
        ("a strip of all rows", (1, 2**31 - 1, 2**31 - 1), "512 MiB each"),
        ("rows of two thousand million", (2**31 - 1, 3, 1), "TILED=YES"),
        ("no rows", (30, 0, 1), "cannot be opened as a raster"),
        ("no columns", (0, 20, 1), "cannot be opened as a raster"),
    ],
)
def test_a_size_that_no_machine_could_hold_is_refused_at_once(tmp_path, name, header, match):
    width, height, rows = header
    (tmp_path / "a.tif").write_bytes(tiff(width, height, rows_per_strip=rows))
    tracemalloc.start()
    begun = time.perf_counter()
    refused(tmp_path / "a.tif", match)
    assert time.perf_counter() - begun < 5
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize(
    "header",
    [
        {"offsets": (2**31,)},
        {"offsets": (2**32 - 1,), "counts": (2**32 - 1,)},
        {"bits": 0},
        {"bits": 77},
        {"compression": 9999},
        {"compression": 5},
        {"compression": 8},
        {"rows_per_strip": 0},
        {"samples": 65535},
        {"sample_format": 3, "bits": 16, "offsets": (10**6,)},
    ],
    ids=str,
)
def test_a_header_that_lies_is_refused_or_fails_on_reading(tmp_path, header):
    path = made(tmp_path, **header)
    with pytest.raises(SceneReadError, match=r"Give a file|damaged|truncated"):
        scene_of(path).read()


def test_lengths_that_lie_do_not_change_the_pixels(tmp_path):
    for number, header in enumerate([{"counts": (2**32 - 1,)}, {"rows_per_strip": 2**32 - 1}, {"offsets": (8, 8, 8)}]):
        assert same(values(made(tmp_path, f"{number}.tif", **header)), PIXELS)


def test_a_bomb_of_a_block_is_refused_before_it_is_opened_out(tmp_path):
    bomb = zlib.compress(b"\0" * 10**8, 9)
    content = tiff(40_000, 40_000, compression=8, offsets=(8,), counts=(len(bomb),), body=bomb + bomb[:1])
    (tmp_path / "a.tif").write_bytes(content)
    assert len(content) < 10**6
    refused(tmp_path / "a.tif", "blocks of 40000 x 40000 pixels, 6104 MiB each.*256 MiB are allowed")


def test_a_block_that_opens_out_to_more_than_its_size_gives_its_own_pixels(tmp_path):
    long = zlib.compress(PIXELS.tobytes() + b"\1" * 10**7, 9)
    (tmp_path / "a.tif").write_bytes(
        tiff(30, 20, compression=8, offsets=(8,), counts=(len(long),), body=long + long[:1])
    )
    try:
        assert same(values(tmp_path / "a.tif"), PIXELS)
    except SceneReadError as error:
        assert "damaged" in str(error)


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
    begun = time.perf_counter()
    scene = scene_of(path)
    assert time.perf_counter() - begun < 2
    assert same(scene.read(window=((512, 532), (1024, 1054)))[..., 0], PIXELS)
    assert np.isnan(scene.read(window=((10**5, 10**5 + 9), (0, 9)))).all()
    landslides = LandslideMap.open(path)
    assert landslides.grid.shape == (200_000, 200_000)
    for read_all in (scene.read, landslides.read, landslides.points):
        with pytest.raises(SceneReadError, match="memory"):
            read_all()


def test_a_map_of_more_blocks_than_can_be_looked_at_is_refused(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(16, 2**31 - 1, rows_per_strip=1, offsets=(0,), counts=(0,)))
    with pytest.raises(SklandslideError, match=r"has 2147483647 blocks of 1 x 16 pixels; a map has up to 2097152"):
        LandslideMap.open(tmp_path / "a.tif")


# Values


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
def test_complex_numbers_are_refused(tmp_path, dtype):
    profile = {"driver": "GTiff", "width": 30, "height": 20, "count": 1, "crs": UTM, "transform": TRANSFORM}
    with rasterio.open(tmp_path / "a.tif", "w", dtype=dtype, **profile):
        pass
    refused(tmp_path / "a.tif", rf"holds complex numbers \({dtype}\)", SceneError)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint64"])
def test_rare_whole_numbers_read_right(tmp_path, dtype):
    path = write(tmp_path / "a.tif", (PIXELS % 100).astype(dtype), nodata=7)
    expected = np.where(PIXELS % 100 == 7, np.nan, PIXELS % 100).astype(np.float32)
    assert same(values(path), expected)


def test_numbers_of_64_bits_are_rounded_to_float32_and_no_further(tmp_path):
    large = np.array([[2**62 + 1, -(2**62), 2**24 + 1, -9999]], np.int64)
    path = write(tmp_path / "a.tif", large, nodata=-9999)
    assert same(values(path), np.array([[2.0**62, -(2.0**62), 2.0**24, np.nan]], np.float32))


def test_half_precision_reads_right(tmp_path):
    half = np.linspace(0, 1, 600).astype("<f2").reshape(20, 30)
    path = made(tmp_path, bits=16, body=half.tobytes(), counts=(1200,))
    assert same(values(path), half.astype(np.float32))


def test_places_in_a_table_of_colours_are_no_values(tmp_path):
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=30, height=20, count=1, dtype="uint8", crs=UTM, transform=TRANSFORM
    ) as dataset:
        dataset.write((PIXELS % 200).astype(np.uint8), 1)
        dataset.write_colormap(1, {7: (255, 0, 0, 255)})
    refused(path, r"table of colours.*-expand rgb", SceneError)
    one_bit = made(tmp_path, "b.tif", bits=1, sample_format=1, counts=(80,), body=bytes(80))
    refused(one_bit, "table of colours", SceneError)


@pytest.mark.parametrize("index", [0, -1, 2, 10**6, 2**70, 1.0, 1.5, True, "1", None])
def test_a_band_that_does_not_exist_is_refused(tmp_path, index):
    refused((made(tmp_path), index), r"there is no band .*Count from 1", SceneError)


def test_a_band_number_of_numpy_will_do(tmp_path):
    assert pickle.loads(pickle.dumps(scene_of((made(tmp_path), np.int64(1))))).read().shape == (20, 30, 1)


def test_a_million_bands_are_refused_and_sixty_thousand_are_not(tmp_path):
    path = envi(tmp_path, "a", PIXELS)
    header = path.with_suffix(".hdr")
    header.write_text(header.read_text().replace("bands = 1\n", "bands = 1000000\n"))
    refused(path, "cannot be opened as a raster")
    profile = {"driver": "GTiff", "width": 1, "height": 1, "count": 60_000, "dtype": "uint8"}
    with rasterio.open(tmp_path / "b.tif", "w", crs=UTM, transform=TRANSFORM, **profile):
        pass
    begun = time.perf_counter()
    assert values((tmp_path / "b.tif", 60_000)).tolist() == [[0]]
    assert time.perf_counter() - begun < 10


def scaled(path, pixels, scale, offset=0.0, **options):
    write(path, pixels, **options)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (scale,), (offset,)
    return path


def test_scale_and_offset_are_applied(tmp_path):
    decibels = np.array([[-1234, -1, 0], [250, 32767, -32768]], np.int16)
    path = scaled(tmp_path / "a.tif", decibels, 0.01, -3.0, nodata=-32768)
    expected = np.where(decibels == -32768, np.nan, decibels * 0.01 - 3).astype(np.float32)
    assert same(values(path), expected)
    # What is declared, as the file's own tag, are values as they are stored.
    assert np.isnan(values(path, nodata={"Red": 250})).sum() == 2
    assert not np.isnan(values(path, nodata={"Red": -0.5})[0]).any()
    window = ((0, 1), (1, 3))
    assert same(scene_of(path).read(window=window)[..., 0], expected[:1, 1:])


def test_scaled_rasters_are_scaled_before_they_are_warped(tmp_path):
    write(tmp_path / "red.tif", np.zeros((30, 30), np.float32))
    place = Affine(30, 0, TRANSFORM.c, 0, -30, TRANSFORM.f)
    scaled(tmp_path / "dem.tif", np.full((10, 10), 1000, np.int16), 0.1, 5.0, transform=place)
    heights = Scene.from_files({"Red": tmp_path / "red.tif", "DEM": tmp_path / "dem.tif"}).read("DEM")
    assert heights == pytest.approx(105)


@pytest.mark.parametrize("tags", [(0.0, 0.0), (float("nan"), 0.0), (1.0, float("inf"))])
def test_a_scale_that_gives_no_value_is_refused(tmp_path, tags):
    path = made(tmp_path)
    scale, offset = tags
    (tmp_path / "a.tif.aux.xml").write_text(
        f'<PAMDataset><PAMRasterBand band="1"><Offset>{offset}</Offset><Scale>{scale}</Scale></PAMRasterBand>'
        "</PAMDataset>"
    )
    refused(path, r"gives no value.*gdal_edit", SceneError)


# What is no raster


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\0" * 5000, b"<html></html>", b"PK\x03\x04" + b"\0" * 99, b"{}", b"II*\0", b"\xff" * 99],
)
@pytest.mark.parametrize("name", ["a.tif", "a.vrt", "a.img", "a.json", "a"])
def test_what_is_no_raster_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, "cannot be opened as a raster")


def test_a_picture_without_place_is_refused(tmp_path):
    profile = {"driver": "PNG", "width": 3, "height": 2, "count": 1, "dtype": "uint8"}
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(tmp_path / "a.png", "w", **profile) as dataset,
    ):
        dataset.write(np.ones((1, 2, 3), np.uint8))
    refused(tmp_path / "a.png", "has no geotransform", SceneError)


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "/dev/zero", "/dev/random", "loop", "broken link"])
def test_pipes_devices_and_folders_are_not_waited_for(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    path = tmp_path / "a.tif"
    held = None
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        held = socket.socket(socket.AF_UNIX)
        held.bind("a.tif")
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.symlink_to(kind if kind.startswith("/") else tmp_path / "nothing")
    for open_it in (scene_of, LandslideMap.open):
        with pytest.raises(SceneReadError, match=r"is a folder|no ordinary file|cannot be opened"):
            open_it(path)
    if held is not None:
        held.close()


@pytest.mark.parametrize("suffix", [".tif.msk", ".tif.aux.xml", ".tif.ovr", ".tfw", ".hdr", ".IMD"])
def test_a_pipe_beside_a_raster_is_not_waited_for(tmp_path, suffix):
    path = made(tmp_path)
    os.mkfifo(tmp_path / f"a{suffix}")
    refused(path, "beside a.tif, is a device, a pipe")


def test_a_text_beside_a_raster_that_is_far_too_long_is_refused(tmp_path):
    path = made(tmp_path)
    with open(tmp_path / "a.tif.aux.xml", "wb") as file:
        file.truncate(2**40)
    refused(path, r"aux\.xml, which belongs to a\.tif, has 1099511627776 bytes")


# Beside the file


def test_a_nodata_value_beside_the_file_counts_and_its_change_is_noticed(tmp_path):
    path = made(tmp_path)
    beside = tmp_path / "a.tif.aux.xml"
    bare = scene_of(path)
    beside.write_text('<PAMDataset><PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>')
    tagged = scene_of(path)
    assert tagged != bare
    assert np.isnan(tagged.read()).sum() == 1
    with pytest.raises(SceneReadError, match="was changed"):
        bare.read()
    time.sleep(0.02)
    beside.write_text('<PAMDataset><PAMRasterBand band="1"><NoDataValue>8</NoDataValue></PAMRasterBand></PAMDataset>')
    with pytest.raises(SceneReadError, match="was changed"):
        tagged.read()


@pytest.mark.parametrize(
    "said",
    [
        "<GeoTransform>0,1,0,0,0,-1</GeoTransform>",
        "<SRS>EPSG:32653</SRS>",
        '<PAMRasterBand band="1"><Scale>2</Scale></PAMRasterBand>',
        '<Metadata domain="IMAGE_STRUCTURE"><MDI key="NBITS">4</MDI></Metadata>',
        "<!DOCTYPE a>",
        "not even closed <",
    ],
)
def test_what_is_said_beside_the_file_makes_another_scene(tmp_path, said):
    path = made(tmp_path)
    scene = scene_of(path)
    (tmp_path / "a.tif.aux.xml").write_text(f"<PAMDataset>{said}</PAMDataset>")
    with pytest.raises(SceneReadError, match="was changed"):
        scene.read()
    with contextlib.suppress(SklandslideError):
        assert scene_of(path) != scene


def test_statistics_beside_the_file_change_nothing(tmp_path):
    path = made(tmp_path)
    scene = scene_of(path)
    (tmp_path / "a.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><Histograms><HistItem><HistMin>1</HistMin></HistItem></Histograms>'
        '<Metadata><MDI key="STATISTICS_MEAN">1</MDI></Metadata></PAMRasterBand></PAMDataset>'
    )
    assert same(scene.read()[..., 0], PIXELS)
    assert scene_of(path) == scene


def test_entities_beside_the_file_are_not_opened_out(tmp_path):
    path = made(tmp_path)
    levels = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    (tmp_path / "a.tif.aux.xml").write_text(
        f'<!DOCTYPE P [<!ENTITY e0 "eeeeeeeeee">{levels}]><PAMDataset><SRS>&e11;</SRS></PAMDataset>'
    )
    assert same(values(path), PIXELS)


def test_a_world_file_that_changes_is_noticed(tmp_path):
    path = tmp_path / "a.tif"
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        write(path, PIXELS, transform=None, crs=None)
    world = tmp_path / "a.tfw"
    world.write_text("10\n0\n0\n-10\n600005\n4739995\n")
    scene = scene_of(path)
    assert scene.grid.transform == TRANSFORM
    time.sleep(0.02)
    world.write_text("20\n0\n0\n-20\n600005\n4739995\n")
    with pytest.raises(SceneReadError, match="was changed"):
        scene.read()


def test_a_header_of_another_file_that_changes_is_noticed(tmp_path):
    path = envi(tmp_path, "a", PIXELS)
    scene = scene_of(path)
    assert same(scene.read()[..., 0], PIXELS)
    time.sleep(0.02)
    header = path.with_suffix(".hdr")
    header.write_text(header.read_text().replace("byte order = 0", "byte order = 1"))
    with pytest.raises(SceneReadError, match="was changed"):
        scene.read()


@pytest.mark.parametrize("mask", [b"", b"hello", vrt("/dev/zero").encode(), wms("http://127.0.0.1:1").encode()])
def test_a_mask_that_is_none_does_not_make_all_pixels_valid(tmp_path, mask):
    path = made(tmp_path)
    (tmp_path / "a.tif.msk").write_bytes(mask)
    refused(path, r"a\.tif\.msk, the mask of .*is no GeoTIFF. Restore it")


def test_a_mask_of_another_size_does_not_make_all_pixels_valid(tmp_path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        path = write(tmp_path / "a.tif", PIXELS, mask=np.zeros((20, 30), np.uint8))
        write(tmp_path / "b.tif", PIXELS[:7], mask=np.zeros((7, 30), np.uint8))
    assert np.isnan(values(path)).all()
    os.replace(tmp_path / "b.tif.msk", tmp_path / "a.tif.msk")
    refused(path, r"has 7 x 30 pixels and the raster 20 x 30: it is not this raster's mask")


def test_a_damaged_mask_fails_on_reading(tmp_path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        path = write(tmp_path / "a.tif", PIXELS, mask=np.full((20, 30), 255, np.uint8))
    mask = tmp_path / "a.tif.msk"
    content = mask.read_bytes()
    mask.write_bytes(content[:-3])
    with pytest.raises(SceneReadError, match=r"a\.tif"):
        scene_of(path).read()


# Formats


@pytest.mark.parametrize("driver", ["GTiff", "COG", "ENVI", "JP2OpenJPEG", "PNG", "netCDF", "AAIGrid", "SAGA", "EHdr"])
def test_formats_that_hold_their_own_pixels_are_read(tmp_path, driver):
    whole = (PIXELS % 250).astype(np.float32 if driver not in ("PNG", "JP2OpenJPEG") else np.uint8)
    with rasterio.Env():
        write(tmp_path / "source.tif", whole)
        suffix = {"netCDF": "nc", "SAGA": "sdat", "AAIGrid": "asc", "EHdr": "flt", "JP2OpenJPEG": "jp2"}.get(
            driver, "img"
        )
        options = {"QUALITY": "100", "REVERSIBLE": "YES"} if driver == "JP2OpenJPEG" else {}
        rasterio.shutil.copy(tmp_path / "source.tif", tmp_path / f"a.{suffix}", driver=driver, **options)
    os.remove(tmp_path / "source.tif")
    path = tmp_path / f"a.{suffix}"
    assert np.array_equal(values(path, follow_links=driver == "netCDF"), whole)
    assert driver in (*FORMATS, "COG", "netCDF")


def test_formats_that_can_name_other_files_are_read_only_when_asked(tmp_path):
    write(tmp_path / "source.tif", PIXELS)
    with rasterio.Env():
        rasterio.shutil.copy(tmp_path / "source.tif", tmp_path / "a.img", driver="HFA")
    refused(tmp_path / "a.img", r"an Erdas Imagine file\. .*Pass follow_links=True")
    assert same(values(tmp_path / "a.img", follow_links=True), PIXELS)
    for start in (b"\x89HDF\r\n\x1a\n", b"CDF\1", b"CDF\5"):
        (tmp_path / "a.nc").write_bytes(start)
        refused(tmp_path / "a.nc", r"an HDF5 or netCDF file\. .*Pass follow_links=True")
        refused(tmp_path / "a.nc", "cannot be opened as a raster", follow_links=True)


def test_a_container_of_several_data_sets_names_them(tmp_path):
    netcdf = pytest.importorskip("scipy.io").netcdf_file
    with netcdf(str(tmp_path / "a.nc"), "w") as file:
        file.createDimension("y", 4)
        file.createDimension("x", 5)
        for name in ("vv", "vh"):
            file.createVariable(name, "f4", ("y", "x"))[:] = 1
    refused(tmp_path / "a.nc", r"an HDF5 or netCDF file")
    refused(tmp_path / "a.nc", follow_links=True, match=r"holds 2 data sets.*gdal_translate '(?i:netcdf):.*vv")


# Links


def test_a_vrt_is_followed_only_when_asked(tmp_path):
    made(tmp_path, "source.tif")
    path = tmp_path / "a.vrt"
    for source, relative in ((tmp_path / "source.tif", 0), ("source.tif", 1)):
        path.write_text(vrt(source, relative=relative))
        refused(path, "is a VRT. Such files may refer to other files.*Pass follow_links=True")
        with pytest.raises(SceneReadError, match="is a VRT"):
            LandslideMap.open(path)
        scene = scene_of(path, follow_links=True)
        assert scene.files == (str(path), str(tmp_path / "source.tif"))  # no map may be written there
        assert same(scene.read()[..., 0], PIXELS)
        assert same(pickle.loads(pickle.dumps(scene)).read()[..., 0], PIXELS)


def test_a_vrt_notices_that_its_source_changed(tmp_path):
    made(tmp_path, "source.tif")
    (tmp_path / "a.vrt").write_text(vrt("source.tif", relative=1))
    scene = scene_of(tmp_path / "a.vrt", follow_links=True)
    time.sleep(0.02)
    made(tmp_path, "source.tif", body=(PIXELS + 1).tobytes())
    with pytest.raises(SceneReadError, match="was changed"):
        scene.read()
    assert scene_of(tmp_path / "a.vrt", follow_links=True) != scene


def test_a_vrt_named_tif_is_a_vrt(tmp_path):
    made(tmp_path, "source.tif")
    (tmp_path / "a.tif").write_text("   \n" + vrt("source.tif", relative=1))
    refused(tmp_path / "a.tif", "is a VRT")


ADDRESSES = [
    "/vsicurl/{web}/x.tif", "{web}/x.tif", "/vsizip//vsicurl/{web}/x.zip/x.tif", "vrt://{web}/x.tif", "/vsis3/b/x.tif",
    "WMS:{web}", "WCS:{web}", "/vsigzip//vsicurl/{web}/x.gz", "NETCDF:/vsicurl/{web}/x.nc:v", "s3://b/x.tif",
    "/vsicurl_streaming/{web}/x.tif", "/vsimem/x.tif", "zip+https://{web}/x.zip!x.tif", "GTIFF_DIR:1:/vsicurl/{web}/x",
]  # fmt: skip


@pytest.mark.parametrize("follow_links", [False, True])
@pytest.mark.parametrize("source", ADDRESSES)
def test_no_network_is_asked_by_a_vrt(tmp_path, web, source, follow_links):
    address = web.address
    (tmp_path / "a.vrt").write_text(vrt(source.format(web=address)))
    refused(tmp_path / "a.vrt", "names no file on this machine|is a VRT", follow_links=follow_links)
    assert web.asked == []


@pytest.mark.parametrize("source", ADDRESSES)
def test_an_address_is_no_path(web, source):
    address = web.address
    for open_it in (scene_of, LandslideMap.open):
        with pytest.raises(SceneReadError, match=r"names no file on this machine|cannot be opened"):
            open_it(source.format(web=address))
    assert web.asked == []


@pytest.mark.parametrize("follow_links", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "{wms}",
        "<WCS_GDAL><ServiceURL>{web}/?</ServiceURL><CoverageName>x</CoverageName></WCS_GDAL>",
        "<WMTS><GetCapabilitiesUrl>{web}/c</GetCapabilitiesUrl></WMTS>",
        "<MRF_META><CachedSource><Source>{web}/x.tif</Source></CachedSource>"
        "<Raster><Size x='30' y='20' c='1'/></Raster></MRF_META>",
        "<GDALTileIndexDataset><IndexDataset>{web}/x.gpkg</IndexDataset></GDALTileIndexDataset>",
        '{{"stac_version":"1.0.0","stac_extensions":["tiled-assets"],"asset_templates":{{"a":{{"href":"{web}/x.tif"}}}}}}',
        '{{"type":"FeatureCollection","stac_version":"1.0.0","features":[{{"type":"Feature","stac_version":"1.0.0",'
        '"assets":{{"a":{{"href":"{web}/x.tif"}}}}}}]}}',
        '{{".zgroup":{{"zarr_format":2}},"x/0.0":["{web}/x",0,9]}}',
        "<OGCAPI>{web}</OGCAPI>",
        "#!/bin/sh\ncurl {web}",
    ],
)
def test_no_network_is_asked_by_what_names_a_service(tmp_path, web, text, follow_links):
    address = web.address
    for name in ("a.tif", "a.xml", "a.json"):
        (tmp_path / name).write_text(text.format(web=address, wms=wms(address)))
        refused(tmp_path / name, "cannot be opened as a raster", follow_links=follow_links)
    assert web.asked == []


@pytest.mark.parametrize("where", ["in the file", "aux.xml", "ovr", "msk"])
def test_no_network_is_asked_by_what_lies_beside_a_raster(tmp_path, web, where):
    address = web.address
    path = write(tmp_path / "a.tif", np.tile(PIXELS, (30, 30)))
    elsewhere = f"/vsicurl/{address}/x.tif"
    if where == "in the file":
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=elsewhere)
    elif where == "aux.xml":
        (tmp_path / "a.tif.aux.xml").write_text(
            f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{elsewhere}</MDI></Metadata>'
            "</PAMDataset>"
        )
    else:
        (tmp_path / f"a.tif.{where}").write_text(vrt(elsewhere, shape=(600, 900)))
    web.forget()
    if where == "msk":
        refused(path, "is no GeoTIFF")
    else:
        write(
            tmp_path / "grid.tif",
            np.zeros((9, 9), np.float32),
            transform=Affine(90, 0, TRANSFORM.c, 0, -90, TRANSFORM.f),
        )
        coarse = Scene.from_files({"Grid": tmp_path / "grid.tif", "Red": path})
        assert np.isfinite(coarse.read()).all()
        assert np.isfinite(scene_of(path).read()).all()
        LandslideMap.open(path).read(((0, 1), (0, 1)))
    assert web.asked == []


def test_without_the_guard_that_raster_would_ask(tmp_path, web):
    """The tests above can fail: GDAL does follow what they hold."""
    address = web.address
    path = write(tmp_path / "a.tif", np.tile(PIXELS, (30, 30)))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/{address}/guard.tif")
    with rasterio.open(path) as dataset:
        dataset.overviews(1)
    assert "/guard.tif" in web.asked


PYTHON = (
    '<VRTDataset rasterXSize="30" rasterYSize="20">'
    '<VRTRasterBand dataType="Float32" band="1" subClass="VRTDerivedRasterBand">'
    "<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage><PixelFunctionCode>"
    "<![CDATA[\ndef f(*a, **k):\n    open({path!r}, 'w').close()\n]]></PixelFunctionCode></VRTRasterBand></VRTDataset>"
)


def test_a_vrt_runs_no_program(tmp_path, monkeypatch):
    monkeypatch.setenv("GDAL_VRT_ENABLE_PYTHON", "YES")
    (tmp_path / "a.vrt").write_text(PYTHON.format(path=str(tmp_path / "ran")))
    refused(tmp_path / "a.vrt", "is a VRT")
    refused(
        tmp_path / "a.vrt", "not followed: its element <VRTRasterBand> has an attribute 'subClass'", follow_links=True
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (vrt("a.vrt", relative=1), "is no GeoTIFF and no JPEG 2000"),  # itself
        (vrt("b.vrt", relative=1), "is no GeoTIFF and no JPEG 2000"),
        (vrt("nothing.tif", relative=1), "cannot be opened: No such file"),
        (vrt("pipe", relative=1), "no ordinary file"),
        (vrt(""), "is a folder"),
        (vrt("/dev/zero"), "no ordinary file"),
        (vrt("source.tif", relative=1, dst=(60, 20)), "not followed: it resamples a source"),
        (vrt("source.tif", relative=1, extra="<OverviewFile>x</OverviewFile>"), "an element <OverviewFile>"),
        (vrt("source.tif", relative=1, kind="KernelFilteredSource"), "element <KernelFilteredSource>"),
        (vrt("source.tif", relative=1, band=' subClass="VRTRawRasterBand"'), "attribute 'subClass'"),
        (vrt("source.tif", relative=1, extra="<OpenOptions/>"), "element <OpenOptions>"),
        ("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/hostname'>]>" + vrt("&b;"), "it declares a document"),
        (vrt("source.tif", relative=1)[:-20], "is a damaged VRT"),
        (vrt("source.tif", relative=1, more="<MaskBand>" * 3000 + "</MaskBand>" * 3000), "not followed"),
        ("<a><VRTDataset/></a>", "not followed: its first element is <a>"),
        (vrt("source.tif", relative=1, shape=(2**31 - 1, 2**31 - 1)), None),
    ],
)  # fmt: skip
def test_a_vrt_is_followed_no_further_than_to_local_rasters(tmp_path, text, match):
    made(tmp_path, "source.tif")
    (tmp_path / "b.vrt").write_text(vrt("source.tif", relative=1))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.vrt").write_text(text)
    if match is None:  # a size that nothing holds: a window of it can be read
        window = ((5, 7), (25, 33))
        read = scene_of(tmp_path / "a.vrt", follow_links=True).read(window=window)[..., 0]
        assert same(read[:, :5], PIXELS[5:7, 25:30])
    else:
        refused(tmp_path / "a.vrt", match, follow_links=True)


def test_a_vrt_with_a_mask_beside_it_is_not_read_without_it(tmp_path):
    made(tmp_path, "source.tif")
    (tmp_path / "a.vrt").write_text(vrt("source.tif", relative=1))
    write(tmp_path / "a.vrt.msk", np.zeros((20, 30), np.uint8))
    refused(tmp_path / "a.vrt", "not followed: a mask lies beside it", follow_links=True)


def test_what_gdal_is_told_elsewhere_does_not_count(tmp_path, monkeypatch):
    """A mask is read though the process is told to look at nothing beside a raster, as is usual with remote ones."""
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        path = write(tmp_path / "a.tif", PIXELS, mask=np.zeros((20, 30), np.uint8))
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO"):
        assert np.isnan(values(path)).all()
        assert rasterio.env.getenv()["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"
    assert not rasterio.env.hasenv()


def test_an_alpha_band_and_a_missing_tag_do_not_matter_to_a_linking_format(tmp_path):
    stack = np.stack([PIXELS % 200, np.where(PIXELS < 300, 0, 255)]).astype(np.uint8)
    with rasterio.open(
        tmp_path / "a.tif",
        "w",
        driver="GTiff",
        width=30,
        height=20,
        count=2,
        dtype="uint8",
        crs=UTM,
        transform=TRANSFORM,
    ) as dataset:
        dataset.colorinterp = [ColorInterp.gray, ColorInterp.alpha]
        dataset.write(stack)
    assert np.isnan(values(tmp_path / "a.tif")).sum() == 300


def test_a_file_of_large_offsets_is_refused(tmp_path):
    """BigTIFF, with 64-bit places beyond any file."""
    path = tmp_path / "a.tif"
    write(path, PIXELS, bigtiff="YES", tiled=True, blockxsize=16, blockysize=16)
    content = path.read_bytes()
    with rasterio.open(path) as dataset:
        place = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
    assert struct.pack("<Q", place) in content
    path.write_bytes(content.replace(struct.pack("<Q", place), struct.pack("<Q", 2**62)))
    with pytest.raises(SceneReadError, match=r"damaged|truncated"):
        scene_of(path).read()
