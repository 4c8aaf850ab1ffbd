"""Whatever fails or changes while a map is made: a clear error, no wrong map, and the same map from the next call."""

import errno
import gc
import multiprocessing
import os
import shutil
import sys
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import filelock
import numpy as np
import pytest
import rasterio
from fitting import fitted
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioIOError
from rasters import write
from scenes import UTM, random_scene

from sklandslide import Scene, SlidingWindowPredictor
from sklandslide.exceptions import OutputExistsError, SceneReadError, SklandslideError
from sklandslide.geodata import output
from sklandslide.mapping import tiles, unfinished, writer

OLD = b"a file that had the name before"


@pytest.fixture(scope="module", autouse=True)
def _small():
    """Maps of four tiles and four blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "_LARGEST", 32)
        patch.setattr(writer, "BLOCK", 32)
        patch.setattr(unfinished, "BLOCK", 32)
        patch.setattr(output, "os", Proxy(os, {"fsync": unsynced}))
        yield


def unsynced(file):
    """In place of `os.fsync`: hundreds of maps would wait for the disk."""


@pytest.fixture(scope="module")
def given(_small, tmp_path_factory):
    """What a map is made of, its bytes, and a folder with half of its tiles."""
    folder = tmp_path_factory.mktemp("given")
    scene, pipe = random_scene((70, 80), holes=3), fitted(random_scene(), 5)
    SlidingWindowPredictor(pipe).predict_map(scene, folder / "map.tif")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(unfinished.UnfinishedMap, "publish", lambda *_: raising(KeyboardInterrupt))
        SlidingWindowPredictor(pipe).predict_map(scene, folder / "half.tif")
    half = folder / ".half.tif.tiles"
    for number in (1, 2):
        os.remove(half / f"{number:06d}.tile")
    return SimpleNamespace(scene=scene, pipe=pipe, whole=(folder / "map.tif").read_bytes(), half=half)


# -------------------------------------------------------------------------------------- a fault at each call of a map


class Faults:
    """Counts what Python opens, moves, lists, makes and removes among the tiles, and lets one of these calls fail."""

    events = ("open", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir")
    count, wanted, make = 0, None, None

    @classmethod
    def hook(cls, event, args):
        if cls.make is None or event not in cls.events:
            return
        path = str(args[0])
        if ".map.tif.tiles" in path and not path.endswith("lock"):  # the lock is filelock's business
            cls.count += 1
            if cls.count == cls.wanted:
                raise cls.make()

    @classmethod
    @contextmanager
    def at(cls, number, make):
        cls.count, cls.wanted, cls.make = 0, number, make
        try:
            yield
        finally:
            cls.make = None


sys.addaudithook(Faults.hook)


class Proxy:
    """An object of which some attributes are replaced."""

    def __init__(self, original, replaced):
        self.__dict__.update(replaced)
        self._original = original

    def __getattr__(self, name):
        return getattr(self._original, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def raising(make):
    raise make()


def full():
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def begun(given, folder, start):
    """The folder as it is before a map: empty, with an old file of that name, or with half of the tiles."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if start == "old":
        (folder / "map.tif").write_bytes(OLD)
        (folder / "map.tif.msk").write_bytes(OLD)
    if start == "half":
        shutil.copytree(given.half, folder / ".map.tif.tiles")
        (folder / ".map.tif.tiles" / "left.part").write_bytes(OLD)


def made(given, folder, start="empty", overwrite=False):
    overwrite = overwrite or start == "old"
    return SlidingWindowPredictor(given.pipe).predict_map(given.scene, folder / "map.tif", overwrite=overwrite)


def resources():
    ours = [thread.name for thread in threading.enumerate() if thread.name.startswith("sklandslide")]
    return ours, len(os.listdir("/proc/self/fd"))


def tried(given, folder, start, make, faults):
    """Make a map with a fault, look at what is left, and make it again."""
    begun(given, folder, start)
    before, raised = resources(), None
    try:
        with faults:
            made(given, folder, start)
    except BaseException as caught:
        raised = caught.with_traceback(None)
        raised.__context__ = raised.__cause__ = None
    if resources() != before:
        gc.collect()
    ours, n_open = resources()
    assert ours == before[0]
    assert n_open <= before[1]  # fewer, where what an earlier test left is collected
    if make in (KeyboardInterrupt, MemoryError):
        assert type(raised) is make
    elif raised is not None:
        assert isinstance(raised, SklandslideError), repr(raised)
        assert str(folder / "map.tif") in str(raised) and "Check " in str(raised), str(raised)
    left = set(os.listdir(folder))
    assert left <= {"map.qml", "map.tif", "map.tif.msk", ".map.tif.tiles"}
    found = (folder / "map.tif").read_bytes() if "map.tif" in left else None
    assert found in (given.whole, OLD if start == "old" else None)
    assert raised is not None or found == given.whole
    made(given, folder, start, overwrite=found is not None)
    assert sorted(os.listdir(folder)) == ["map.qml", "map.tif"]
    assert (folder / "map.tif").read_bytes() == given.whole


@pytest.mark.parametrize("start", ["empty", "old", "half"])
@pytest.mark.parametrize("make", [full, KeyboardInterrupt])
def test_a_fault_at_any_call_gives_a_clear_error_and_no_wrong_map(given, tmp_path, start, make):
    begun(given, tmp_path, start)
    with Faults.at(None, make):
        made(given, tmp_path, start)
    calls = Faults.count
    assert calls > 15
    for number in range(1, calls + 1):
        tried(given, tmp_path, start, make, Faults.at(number, make))


GDAL = [lambda: RasterioIOError("Write failed."), lambda: CPLE_BaseError(3, 3, "Write error"), full, MemoryError]


@pytest.mark.parametrize(
    "name, make",
    [*(("write", make) for make in GDAL), *((name, GDAL[0]) for name in ("open", "read", "close", "copy"))],
)
def test_a_fault_of_gdal_gives_a_clear_error_and_no_wrong_map(given, tmp_path, name, make):
    def opened(*args, **kwargs):
        if name == "open":
            raise make()
        dataset = rasterio.open(*args, **kwargs)
        return Proxy(dataset, {name: lambda *_, **__: (name == "close" and dataset.close(), raising(make))})

    @contextmanager
    def faults():
        with pytest.MonkeyPatch.context() as patch:
            replaced = {"open": opened}
            if name == "copy":
                replaced = {"shutil": Proxy(rasterio.shutil, {"copy": lambda *_, **__: raising(make)})}
            patch.setattr(writer, "rasterio", Proxy(rasterio, replaced))
            yield

    tried(given, tmp_path, "empty", make, faults())


def test_a_file_that_is_not_what_was_written_gets_no_name(given, tmp_path, monkeypatch):
    """Whatever happened to it before it was read again: one value that differs is enough."""
    original = rasterio.open

    def damaged(path, *args, **kwargs):
        if not args:
            with original(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
                values = dataset.read(1)
                values[3, 4] += 1e-3
                dataset.write(values, 1)
        return original(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(writer, "rasterio", Proxy(rasterio, {"open": damaged}))
        with pytest.raises(SklandslideError, match="is not what was written to it"):
            made(given, tmp_path)
    assert os.listdir(tmp_path) == [".map.tif.tiles"]
    made(given, tmp_path)
    assert (tmp_path / "map.tif").read_bytes() == given.whole


# ------------------------------------------------------------------------------------ an input that changes under way


def band(path, seed=0):
    pixels = np.random.RandomState(seed).normal(size=(200, 60)).astype("float32")
    return write(path, pixels, transform=UTM, crs="EPSG:32654")


INPUT_CHANGES = {
    "deleted": os.remove,
    "replaced": lambda path: os.replace(band(path.with_name("new.tif"), 1), path),
    "rewritten in place": lambda path: band(path, 1),
    "truncated": lambda path: os.truncate(path, os.path.getsize(path) // 2),
}


@pytest.fixture
def raster(tmp_path):
    """A scene's file, in a folder of its own."""
    (tmp_path / "in").mkdir()
    return band(tmp_path / "in" / "Red.tif")


@pytest.mark.parametrize("change", INPUT_CHANGES)
def test_an_input_that_changes_under_way_is_noticed(tmp_path, monkeypatch, raster, change):
    scene, pipe = Scene.from_files({"Red": raster}), fitted(random_scene(), 5, bands=["Red"])
    original, reads = Scene.read, []

    def reading(*args):
        values = original(*args)
        reads.append(True)
        if len(reads) == 2:
            INPUT_CHANGES[change](raster)
        return values

    before = resources()
    monkeypatch.setattr(Scene, "read", reading)
    with pytest.raises(SceneReadError, match=r"Red\.tif"):
        SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif")
    assert resources() == before
    assert "map.tif" not in os.listdir(tmp_path)


# ---------------------------------------------------------------------- what is written, changed by someone else


def flipped(path):
    data = bytearray(path.read_bytes())
    data[1] ^= 16
    path.write_bytes(data)


OUTPUT_CHANGES = {
    "the folder deleted": (shutil.rmtree, SklandslideError),
    "a tile edited": (lambda folder: flipped(folder / ".map.tif.tiles" / "000003.tile"), SklandslideError),
    "the tiles deleted": (lambda folder: shutil.rmtree(folder / ".map.tif.tiles"), SklandslideError),
    "the map made a folder": (lambda folder: (folder / "map.tif").mkdir(), OutputExistsError),
    "the map made by someone else": (lambda folder: (folder / "map.tif").write_bytes(OLD), OutputExistsError),
    "a mask for the map": (lambda folder: (folder / "map.tif.msk").write_bytes(OLD), OutputExistsError),
}


@pytest.mark.parametrize("change", OUTPUT_CHANGES)
def test_what_is_written_and_changed_by_someone_else_is_no_wrong_map(given, tmp_path, monkeypatch, change):
    folder, (work, expected) = tmp_path / "out", OUTPUT_CHANGES[change]
    folder.mkdir()

    def writing(path, grid, tags, rows):  # all tiles are there, no rows yet in the map
        work(folder)
        return original(path, grid, tags, rows)

    before, original = resources(), unfinished.write_geotiff
    with monkeypatch.context() as patch:
        patch.setattr(unfinished, "write_geotiff", writing)
        with pytest.raises(expected, match=r"map\.tif"):
            made(given, folder)
    assert resources() == before
    assert not (folder / "map.tif").is_file() or (folder / "map.tif").read_bytes() == OLD
    # and when they are done the same call makes the map
    folder.mkdir(exist_ok=True)
    for path in folder.glob("map.tif*"):
        path.rmdir() if path.is_dir() else path.unlink()
    made(given, folder)
    assert sorted(os.listdir(folder)) == ["map.qml", "map.tif"]
    assert (folder / "map.tif").read_bytes() == given.whole


# ------------------------------------------------------------------------------------------------- places for a map


def test_a_link_is_replaced_and_not_what_it_leads_to(given, tmp_path):
    (tmp_path / "target.tif").write_bytes(OLD)
    for target in ("target.tif", "nothing.tif"):
        (tmp_path / "map.tif").symlink_to(tmp_path / target)
        with pytest.raises(OutputExistsError):
            made(given, tmp_path)
        assert (tmp_path / "map.tif").is_symlink()
        made(given, tmp_path, overwrite=True)
        assert not (tmp_path / "map.tif").is_symlink()
        assert (tmp_path / "map.tif").read_bytes() == given.whole
        os.remove(tmp_path / "map.tif")
        os.remove(tmp_path / "map.qml")
    assert (tmp_path / "target.tif").read_bytes() == OLD
    assert os.listdir(tmp_path) == ["target.tif"]


@pytest.mark.parametrize("name", ["map.tif.msk", "map.tif.ovr", "map.tif.aux.xml", "map.qml"])
def test_what_would_be_read_with_the_new_map_does_not_stay(given, tmp_path, name):
    beside = tmp_path / name
    beside.write_bytes(OLD)
    with pytest.raises(OutputExistsError, match="with all that belongs to the file"):
        made(given, tmp_path)
    assert beside.read_bytes() == OLD
    made(given, tmp_path, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["map.qml", "map.tif"]
    assert (tmp_path / "map.qml").read_bytes() != OLD


def test_a_file_in_the_place_of_the_tiles_is_not_written_to(given, tmp_path):
    (tmp_path / ".map.tif.tiles").write_bytes(OLD)
    with pytest.raises(SklandslideError, match=r"map\.tif could not be written: .*File exists"):
        made(given, tmp_path)
    assert (tmp_path / ".map.tif.tiles").read_bytes() == OLD


def test_names_too_long_for_the_folder(given, tmp_path):
    for name in ("m" * 251 + ".tif", "m" * 300):
        with pytest.raises(SklandslideError, match=r"File name too long.* the name is not too long"):
            SlidingWindowPredictor(given.pipe).predict_map(given.scene, tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_a_device_or_a_pipe_is_not_replaced(given, tmp_path):
    os.mkfifo(tmp_path / "map.tif")
    for path in (tmp_path / "map.tif", "/dev/null"):
        with pytest.raises(OutputExistsError, match="is a folder or a device"):
            SlidingWindowPredictor(given.pipe).predict_map(given.scene, path, overwrite=True)
    assert os.listdir(tmp_path) == ["map.tif"]


# -------------------------------------------------------------------------------------------- several at the same time


def map_in_process(given, path):
    SlidingWindowPredictor(given.pipe).predict_map(given.scene, path, overwrite=True)


@pytest.mark.parametrize("locks", [True, False])
def test_processes_that_make_the_same_map_do_not_mix(given, tmp_path, monkeypatch, locks):
    made(given, tmp_path)  # the parent has used GDAL and threads
    if not locks:  # a file system without them
        monkeypatch.setattr(filelock.FileLock, "acquire", lambda _: raising(full))
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=map_in_process, args=(given, tmp_path / "same.tif")) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert not locks or 0 in [process.exitcode for process in processes]  # the first wins, the others are told
    assert not (tmp_path / "same.tif").exists() or (tmp_path / "same.tif").read_bytes() == given.whole
    map_in_process(given, tmp_path / "same.tif")
    assert (tmp_path / "same.tif").read_bytes() == given.whole
    assert sorted(os.listdir(tmp_path)) == ["map.qml", "map.tif", "same.qml", "same.tif"]
