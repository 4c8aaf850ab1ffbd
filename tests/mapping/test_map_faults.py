"""Whatever fails or changes while a map is made: a clear error, no wrong map, and the same map from the next call."""

import errno
import gc
import multiprocessing
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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

from sklandslide import LandslideMap, Scene, SlidingWindowPredictor
from sklandslide.exceptions import OutputExistsError, SceneReadError, SklandslideError
from sklandslide.geodata import scene as sources
from sklandslide.mapping import tiles, unfinished, writer

OLD = b"a file that had the name before"


@pytest.fixture(scope="module", autouse=True)
def _small():
    """Maps of four tiles and four blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "_LARGEST", 32)
        patch.setattr(writer, "BLOCK", 32)
        patch.setattr(unfinished, "BLOCK", 32)
        patch.setattr(writer, "os", Proxy(os, {"fsync": unsynced}))
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


class Faults:
    """Stands between the package and the system: counts the calls of each kind, and lets one of them fail."""

    def __init__(self, name=None, number=None, fault=None):
        self.calls, self.wanted, self.fault = {}, (name, number), fault

    def wrapped(self, name, function):
        def call(*args, **kwargs):
            number = self.calls[name] = self.calls.get(name, 0) + 1
            if (name, number) == self.wanted:
                return self.fault(function, *args, **kwargs)
            return function(*args, **kwargs)

        return call

    def patch(self, monkeypatch):
        calls = {name: getattr(os, name) for name in ("makedirs", "listdir", "remove", "replace", "rmdir")}
        wrapped = {name: self.wrapped(name, call) for name, call in {**calls, "fsync": unsynced}.items()}
        rmtree = {"rmtree": self.wrapped("rmtree", shutil.rmtree)}
        for module in (unfinished, writer):
            monkeypatch.setattr(module, "os", Proxy(os, wrapped))
            monkeypatch.setattr(module, "open", self.wrapped("open", self.opened), raising=False)
        monkeypatch.setattr(unfinished, "shutil", Proxy(shutil, rmtree))
        monkeypatch.setattr(filelock.FileLock, "acquire", self.wrapped("lock", filelock.FileLock.acquire))
        monkeypatch.setattr(writer, "rasterio", Proxy(rasterio, {"open": self.wrapped("raster open", self.raster)}))

    def opened(self, path, mode):
        file = open(path, mode)  # noqa: SIM115
        return Proxy(file, {name: self.wrapped(name, getattr(file, name)) for name in ("read", "write", "close")})

    def raster(self, *args, **kwargs):
        dataset = rasterio.open(*args, **kwargs)
        names = ["close", *(["read"] if dataset.mode == "r" else ["set_band_description", "update_tags", "write"])]
        return Proxy(dataset, {name: self.wrapped(f"raster {name}", getattr(dataset, name)) for name in names})


def fault(when, make):
    """A call that fails before or after it really happened, or half way."""

    def call(function, *args, **kwargs):
        if when == "after":
            with suppress(FileNotFoundError):
                function(*args, **kwargs)
        if when == "half":
            function(args[0][: len(args[0]) // 2])
        return raising(make)

    return call


def raising(make):
    raise make()


def system(number):
    return lambda: OSError(number, os.strerror(number))


INTERRUPTS = [("before", KeyboardInterrupt), ("after", KeyboardInterrupt)]
SYSTEM = [("before", system(errno.ENOSPC)), ("after", system(errno.EIO))]
GDAL = [("before", lambda: RasterioIOError("Write failed.")), ("after", lambda: CPLE_BaseError(3, 3, "Write error"))]
PARTLY = [("half", system(errno.ENOSPC)), ("half", KeyboardInterrupt)]

# Every call of a map that makes, reads, writes, locks, syncs, moves or removes something.
CALLS = {
    **dict.fromkeys(
        ("makedirs", "lock", "listdir", "read", "replace", "remove", "fsync", "rmdir"), SYSTEM + INTERRUPTS
    ),
    "open": SYSTEM[:1] + INTERRUPTS[:1],
    "write": SYSTEM + INTERRUPTS + PARTLY,
    "close": [("after", system(errno.ENOSPC)), ("after", KeyboardInterrupt)],  # a file is closed whatever the answer
    "rmtree": INTERRUPTS,
    **{f"raster {name}": GDAL + INTERRUPTS for name in ("open", "set_band_description", "update_tags")},
    **{f"raster {name}": [*GDAL, ("before", MemoryError), *INTERRUPTS] for name in ("write", "read")},
    "raster close": [("after", make) for _, make in [*GDAL, *INTERRUPTS[:1]]],
}


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


def recorded(given, folder, start):
    """How often a map makes each call."""
    begun(given, folder, start)
    faults = Faults()
    with pytest.MonkeyPatch.context() as patch:
        faults.patch(patch)
        made(given, folder, start)
    return faults.calls


def resources():
    ours = [thread.name for thread in threading.enumerate() if thread.name.startswith("sklandslide")]
    return ours, len(os.listdir("/proc/self/fd"))


def tried(given, folder, start, name, number, when, make):
    """Make a map with a fault, look at what is left, and make it again."""
    begun(given, folder, start)
    before, error = resources(), None
    with pytest.MonkeyPatch.context() as patch:
        Faults(name, number, fault(when, make)).patch(patch)
        try:
            made(given, folder, start)
        except BaseException as raised:
            error = raised.with_traceback(None)
            error.__context__ = error.__cause__ = None
    if resources() != before:
        gc.collect()
    assert resources() == before
    expected = type(make())
    if expected in (KeyboardInterrupt, MemoryError):
        assert type(error) is expected
    elif error is not None:
        assert isinstance(error, SklandslideError), repr(error)
        assert str(folder / "map.tif") in str(error) and "Check " in str(error), str(error)
    left = set(os.listdir(folder))
    assert left <= {"map.tif", "map.tif.msk", ".map.tif.tiles"}
    for path in folder.glob(".map.tif.tiles/*"):
        with pytest.raises(SceneReadError):
            LandslideMap.open(path)
    found = (folder / "map.tif").read_bytes() if "map.tif" in left else None
    assert found in (given.whole, OLD if start == "old" else None)
    assert error is not None or found == given.whole
    if start != "old" and found is not None:
        with pytest.raises(OutputExistsError):
            made(given, folder, start)
    made(given, folder, start, overwrite=found is not None)
    assert os.listdir(folder) == ["map.tif"]
    assert (folder / "map.tif").read_bytes() == given.whole


@pytest.fixture(scope="module")
def counts(given, tmp_path_factory):
    """How often a map makes each call, by how the folder is at the start."""
    folder = tmp_path_factory.mktemp("recorded")
    return {start: recorded(given, folder, start) for start in ("empty", "old", "half")}


@pytest.mark.parametrize("name", CALLS)
def test_a_fault_at_any_call_gives_a_clear_error_and_no_wrong_map(given, counts, tmp_path, name):
    kinds, tries = CALLS[name], 0
    for start, count in counts.items():
        for number in {1, count[name]} if name in count else ():
            # from another start only what makes a difference
            for when, make in kinds if start == "empty" or name == "remove" else {kinds[0], kinds[-1]}:
                tried(given, tmp_path, start, name, number, when, make)
                tries += 1
    assert tries >= 2


def test_the_calls_are_all_that_there_are(counts):
    assert {name for count in counts.values() for name in count} == set(CALLS)


def test_a_file_that_is_not_what_was_written_gets_no_name(given, tmp_path, monkeypatch):
    """Whatever happened to it before it was read again: one value that differs is enough."""
    original = rasterio.open

    def damaged(path, *args, **kwargs):
        if not args:
            with original(path, "r+") as dataset:
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


def band(path, seed=0, size=(200, 60)):
    pixels = np.random.RandomState(seed).normal(size=size).astype("float32")
    return write(path, pixels, transform=UTM, crs="EPSG:32654", nodata=-1.0, mask=np.full(size, 255, np.uint8))


def mask_of(path):
    return path.with_name(path.name + ".msk")


def another(path, seed=1):
    """Another raster of the same size, modified at the same time."""
    status = os.stat(path)
    new = band(path.with_name("new.tif"), seed)
    mask_of(new).unlink()
    assert new.stat().st_size == status.st_size
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    return new


def later(path):
    os.utime(path, ns=(0, os.stat(path).st_mtime_ns + 1))


INPUT_CHANGES = {
    "deleted": os.remove,
    "replaced": lambda path: (later(another(path)), os.replace(path.with_name("new.tif"), path)),
    "rewritten in place": lambda path: path.write_bytes(another(path).read_bytes()),
    "truncated": lambda path: os.truncate(path, os.path.getsize(path) // 2),
    "touched": later,
    "its mask deleted": lambda path: mask_of(path).unlink(),
    "its mask touched": lambda path: later(mask_of(path)),
}


@pytest.fixture
def raster(tmp_path):
    """A scene's file with its mask beside it, in a folder of its own."""
    (tmp_path / "in").mkdir()
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        path = band(tmp_path / "in" / "Red.tif")
        assert mask_of(path).exists()
        yield path


@pytest.mark.parametrize("change", INPUT_CHANGES)
def test_an_input_that_changes_under_way_is_noticed(tmp_path, monkeypatch, raster, change):
    scene, pipe = Scene.from_files({"Red": raster}), fitted(random_scene(), 5, bands=["Red"])
    original, reads = sources.Scene.read, []

    def reading(*args):
        values = original(*args)
        reads.append(True)
        if len(reads) == 2:
            INPUT_CHANGES[change](raster)
        return values

    before = resources()
    with monkeypatch.context() as patch:
        patch.setattr(sources.Scene, "read", reading)
        with pytest.raises(SceneReadError, match=r"Red\.tif"):
            SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif")
    assert resources() == before
    assert "map.tif" not in os.listdir(tmp_path)


def test_a_map_is_not_continued_with_another_file_of_the_same_size_and_age(tmp_path, raster, caplog):
    pipe = fitted(random_scene(), 5, bands=["Red"])
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(unfinished, "publish", lambda *_: raising(KeyboardInterrupt))
        SlidingWindowPredictor(pipe).predict_map(Scene.from_files({"Red": raster}), tmp_path / "map.tif")
    old = Scene.from_files({"Red": raster}).fingerprint
    os.replace(another(raster), raster)
    scene = Scene.from_files({"Red": raster})
    assert scene.fingerprint == old  # the fingerprint alone would not tell
    SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif")
    assert "with another scene" in caplog.text
    SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "whole.tif")
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


# ---------------------------------------------------------------------- what is written, changed by someone else


def flipped(path):
    data = bytearray(path.read_bytes())
    data[1] ^= 16
    path.write_bytes(data)


OUTPUT_CHANGES = {
    "the folder deleted": (shutil.rmtree, SklandslideError),
    "a tile deleted": (lambda folder: os.remove(folder / ".map.tif.tiles" / "000003.tile"), SklandslideError),
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
    assert os.listdir(folder) == ["map.tif"]
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
    assert (tmp_path / "target.tif").read_bytes() == OLD
    assert os.listdir(tmp_path) == ["target.tif"]


@pytest.mark.parametrize("end", [".msk", ".ovr", ".aux.xml"])
def test_what_gdal_would_read_with_the_new_map_does_not_stay(given, tmp_path, end):
    beside = tmp_path / f"map.tif{end}"
    beside.write_bytes(OLD)
    with pytest.raises(OutputExistsError, match="with all that belongs to the file"):
        made(given, tmp_path)
    assert beside.read_bytes() == OLD
    made(given, tmp_path, overwrite=True)
    assert os.listdir(tmp_path) == ["map.tif"]


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


def test_what_is_left_of_an_unfinished_map_is_not_opened_as_one(given, tmp_path):
    (tmp_path / "map.part").write_bytes(given.whole)
    with pytest.raises(SceneReadError, match="left of a map that was not finished"):
        LandslideMap.open(tmp_path / "map.part")


def test_a_device_or_a_pipe_is_not_replaced(given, tmp_path):
    os.mkfifo(tmp_path / "map.tif")
    for path in (tmp_path / "map.tif", "/dev/null"):
        with pytest.raises(OutputExistsError, match="is a folder or a device"):
            SlidingWindowPredictor(given.pipe).predict_map(given.scene, path, overwrite=True)
    assert os.listdir(tmp_path) == ["map.tif"]


# -------------------------------------------------------------------------------------------- several at the same time


def at_once(*works):
    """Results, or errors, of functions that start together in threads."""
    start = threading.Barrier(len(works))

    def run(work):
        start.wait()
        try:
            return work()
        except SklandslideError as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@pytest.mark.parametrize("locks", [True, False])
def test_the_same_map_several_times_at_once(given, tmp_path, monkeypatch, locks):
    if not locks:  # a file system without them
        monkeypatch.setattr(filelock.FileLock, "acquire", lambda _: raising(system(errno.ENOLCK)))
    for _ in range(5):
        for result in at_once(*[lambda: made(given, tmp_path, "old")] * 3):
            if isinstance(result, SklandslideError):
                assert any(word in str(result) for word in ("Check ", "choose ", "check ")), result
        if (tmp_path / "map.tif").exists():
            assert (tmp_path / "map.tif").read_bytes() == given.whole
        made(given, tmp_path, "old")
        assert os.listdir(tmp_path) == ["map.tif"]
        assert (tmp_path / "map.tif").read_bytes() == given.whole


def test_one_predictor_in_several_threads_maps_each_scene_as_alone(given, tmp_path):
    paths = [{n: band(tmp_path / f"{n}{seed}.tif", seed) for n in ("Red", "Green", "Blue")} for seed in range(3)]
    predictor, scenes = SlidingWindowPredictor(given.pipe), [Scene.from_files(path) for path in paths]
    alone = [predictor.predict_map(scene, tmp_path / f"alone{i}.tif") for i, scene in enumerate(scenes)]
    both = at_once(*[lambda i=i: predictor.predict_map(scenes[i % 3], tmp_path / f"m{i}.tif") for i in range(6)])
    for i, m in enumerate(both):
        with open(m.path, "rb") as ours, open(alone[i % 3].path, "rb") as theirs:
            assert ours.read() == theirs.read()


def map_in_process(pipe, scene, path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "_LARGEST", 32)
        patch.setattr(writer, "BLOCK", 32)
        patch.setattr(unfinished, "BLOCK", 32)
        SlidingWindowPredictor(pipe).predict_map(scene, path)


def test_forked_processes_that_make_the_same_map(given, tmp_path):
    made(given, tmp_path)  # the parent has used GDAL and threads
    context = multiprocessing.get_context("fork")
    work = given.pipe, given.scene, tmp_path / "same.tif"
    processes = [context.Process(target=map_in_process, args=work) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert 0 in [process.exitcode for process in processes]  # the first wins, the others are told
    assert (tmp_path / "same.tif").read_bytes() == given.whole
    assert sorted(os.listdir(tmp_path)) == ["map.tif", "same.tif"]
