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

import numpy as np
import pytest
import rasterio
from fitting import fitted
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioIOError
from rasters import write
from scenes import UTM, random_scene

from sklandslide import LandslideMap, Scene, SlidingWindowPredictor
from sklandslide.exceptions import OutputExistsError, SceneError, SceneReadError, SklandslideError
from sklandslide.geodata import raster as rasters
from sklandslide.geodata import scene as sources
from sklandslide.geodata.grid import Window
from sklandslide.mapping import assembly, journal, predictor, tiles, workers, writer

OLD = b"a file that had the name before"


@pytest.fixture(scope="module", autouse=True)
def _small():
    """Maps of four tiles and four blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "_LARGEST", 32)
        patch.setattr(writer, "BLOCK", 32)
        patch.setattr(assembly, "BLOCK", 32)
        patch.setattr(writer, "os", Proxy(os, {"fsync": unsynced}))
        yield


def unsynced(file):
    """In place of `os.fsync`: a thousand maps would wait for the disk."""


@pytest.fixture(scope="module")
def given(_small, tmp_path_factory):
    """What a map is made of, its bytes, and a journal with half of its tiles."""
    folder = tmp_path_factory.mktemp("given")
    scene, pipe = random_scene((70, 80), holes=3), fitted(random_scene(), 5)
    SlidingWindowPredictor(pipe).predict_map(scene, folder / "map.tif")
    added, original = [], journal.Journal.add

    def add(self, number, values):
        if len(added) == 2:
            raise KeyboardInterrupt
        added.append(number)
        original(self, number, values)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(journal.Journal, "add", add)
        SlidingWindowPredictor(pipe).predict_map(scene, folder / "half.tif")
    return SimpleNamespace(
        scene=scene,
        pipe=pipe,
        whole=(folder / "map.tif").read_bytes(),
        half=(folder / ".half.tif.journal").read_bytes(),
    )


# -------------------------------------------------------------------------------------- a fault at each call of a map


class Faults:
    """Stands between the package and the system: counts the calls of each kind, and lets one of them fail."""

    def __init__(self, name=None, number=None, fault=None):
        self.calls, self.wanted, self.fault = {}, (name, number), fault
        self._lock = threading.Lock()

    def wrapped(self, name, function):
        def call(*args, **kwargs):
            with self._lock:
                number = self.calls[name] = self.calls.get(name, 0) + 1
            if (name, number) == self.wanted:
                return self.fault(function, *args, **kwargs)
            return function(*args, **kwargs)

        return call

    def patch(self, monkeypatch):
        names = ["open", "pwrite", "pread", "ftruncate", "fstat", "stat", "replace", "remove", "close"]
        calls = {**{name: getattr(os, name) for name in names}, "fsync": unsynced}
        for module in (journal, writer):
            short = module.__name__.rsplit(".", 1)[1]
            wrapped = {name: self.wrapped(f"{short} os.{name}", call) for name, call in calls.items()}
            monkeypatch.setattr(module, "os", Proxy(os, wrapped))
        flock = {"flock": self.wrapped("journal flock", journal.fcntl.flock)}
        monkeypatch.setattr(journal, "fcntl", Proxy(journal.fcntl, flock))
        monkeypatch.setattr(
            writer, "rasterio", Proxy(rasterio, {"open": self.wrapped("writer rasterio.open", self.opened)})
        )
        for module in (journal, writer, predictor, workers):
            log = {n: self.wrapped("log", getattr(module._log, n)) for n in ("info", "warning", "debug")}
            monkeypatch.setattr(module, "_log", Proxy(module._log, log))

    def opened(self, *args, **kwargs):
        dataset = rasterio.open(*args, **kwargs)
        names = ["close", *(["read"] if dataset.mode == "r" else ["set_band_description", "update_tags", "write"])]
        return Proxy(dataset, {n: self.wrapped(f"dataset.{n}", getattr(dataset, n)) for n in names})


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


def fault(when, make):
    """A call that fails before or after it really happened, or half way."""

    def call(function, *args, **kwargs):
        if when == "after":
            with suppress(FileNotFoundError):
                function(*args, **kwargs)
        if when == "half":
            file, data, place = args
            count = function(file, data[: len(data) // 2], place)
            return count if make is None else raising(make)
        return 0 if make is None else raising(make)

    return call


def raising(make):
    raise make()


def system(number):
    return lambda: OSError(number, os.strerror(number))


ENDS = [("before", KeyboardInterrupt), ("after", KeyboardInterrupt), ("before", SystemExit), ("after", SystemExit)]
SYSTEM = [("before", system(n)) for n in (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EDQUOT)]
SYSTEM += [("after", system(errno.EIO)), ("before", MemoryError)]
GDAL = [
    (when, make)
    for when in ("before", "after")
    for make in (lambda: RasterioIOError("Write failed."), lambda: CPLE_BaseError(3, 3, "Write error at scanline 0"))
]
GDAL += [("before", system(errno.ENOSPC)), ("before", MemoryError)]
PARTLY = [("half", None), ("nothing", None), ("half", system(errno.ENOSPC)), ("half", KeyboardInterrupt)]


def kinds_of(name):
    """The faults that a call is tried with."""
    if name == "log":  # what a handler of the user's raises
        kinds = [("before", system(errno.ENOSPC))]
    else:
        kinds = GDAL if "dataset" in name or "rasterio" in name else SYSTEM
    kinds = kinds + ENDS + (PARTLY if name == "journal os.pwrite" else [])
    return [kind for kind in kinds if possible(name, kind[0])]


def possible(name, when):
    """A file is closed whatever the answer, and is open only where there is one."""
    return when != "before" if name.endswith("close") else when != "after" or not name.endswith("os.open")


def begun(given, folder, start):
    """The folder as it is before a map: empty, with an old file of that name, or with a journal with half the tiles."""
    for name in os.listdir(folder):
        os.remove(folder / name)
    if start == "old":
        (folder / "map.tif").write_bytes(OLD)
    if start == "half":
        (folder / ".map.tif.journal").write_bytes(given.half)


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
    expected = type(None if make is None else make())
    if error is None:
        assert expected not in (KeyboardInterrupt, SystemExit, MemoryError)
    elif expected in (KeyboardInterrupt, SystemExit, MemoryError):
        assert type(error) is expected
    elif name == "log":
        assert isinstance(error, (OSError, SklandslideError))
    else:
        assert isinstance(error, SklandslideError), repr(error)
        assert str(folder / "map.tif") in str(error) and ("Check " in str(error) or "Choose " in str(error)), str(error)
    left = set(os.listdir(folder))
    assert left <= {"map.tif", ".map.tif.journal", ".map.tif.part"}
    for unfinished in left - {"map.tif"}:
        with pytest.raises(SceneReadError):
            LandslideMap.open(folder / unfinished)
    found = (folder / "map.tif").read_bytes() if "map.tif" in left else None
    assert found in (given.whole, OLD if start == "old" else None)
    assert error is not None or found == given.whole
    if start != "old" and found is not None:
        with pytest.raises(OutputExistsError):
            made(given, folder, start)
    made(given, folder, start, overwrite=found is not None)
    assert os.listdir(folder) == ["map.tif"]
    assert (folder / "map.tif").read_bytes() == given.whole
    return error


# Every call of a map that makes, writes, cuts, locks, syncs, moves or removes something, or looks at a file for it.
CALLS = [
    "journal os.open", "journal flock", "journal os.stat", "journal os.fstat", "journal os.ftruncate",
    "journal os.pwrite", "journal os.pread", "journal os.remove", "journal os.close",
    "writer os.remove", "writer rasterio.open", "writer os.stat", "writer os.open", "writer os.fsync",
    "writer os.close", "writer os.replace",
    "dataset.set_band_description", "dataset.update_tags", "dataset.write", "dataset.read", "dataset.close", "log",
]  # fmt: skip


@pytest.fixture(scope="module")
def counts(given, tmp_path_factory):
    """How often a map makes each call, by how the folder is at the start."""
    folder = tmp_path_factory.mktemp("recorded")
    return {start: recorded(given, folder, start) for start in ("empty", "old", "half")}


def cases(counts, name):
    """How the folder is at the start, which of the calls of one name fails, and how."""
    for start in counts:
        for number in range(1, counts[start].get(name, 0) + 1):
            # once for each fault; from another start only where that makes a difference
            few = [("before", system(errno.EIO)), ("after", KeyboardInterrupt)]
            few = [kind for kind in few if possible(name, kind[0])]
            for when, make in kinds_of(name) if start == "empty" else few:
                yield start, name, number, when, make


@pytest.mark.parametrize("name", CALLS)
def test_a_fault_at_any_call_gives_a_clear_error_and_no_wrong_map(given, counts, tmp_path, name):
    for case in cases(counts, name):
        tried(given, tmp_path, *case)


def test_the_calls_are_all_that_there_are_and_more_than_five_hundred_faults_are_tried(counts):
    assert set(counts["empty"]) == set(CALLS)
    assert min(len(list(cases(counts, name))) for name in CALLS) > 0
    assert sum(len(list(cases(counts, name))) for name in CALLS) >= 500


# ------------------------------------------------------------------------------------ an input that changes under way


def band(path, seed=0, size=(200, 60)):
    pixels = np.random.RandomState(seed).normal(size=size).astype("float32")
    return write(path, pixels, transform=UTM, crs="EPSG:32654", nodata=-1.0, mask=np.full(size, 255, np.uint8))


def another(path, seed=1):
    """Another raster of the same size, modified at the same time."""
    status = os.stat(path)
    new = band(path.with_name("new.tif"), seed)
    (path.parent / "new.tif.msk").unlink()
    assert new.stat().st_size == status.st_size
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    return new


def cut(path):
    os.truncate(path, os.path.getsize(path) // 2)


def rewritten(path):
    path.write_bytes(another(path).read_bytes())


def later(path):
    os.utime(path, ns=(0, os.stat(path).st_mtime_ns + 1))


def into_folder(path):
    path.unlink()
    path.mkdir()


def mask_of(path):
    return path.with_name(path.name + ".msk")


INPUT_CHANGES = {
    "deleted": os.remove,
    "moved away": lambda path: path.rename(path.with_name("elsewhere.tif")),
    "replaced by one of another size": lambda path: os.replace(band(path.with_name("new.tif"), 1, (200, 61)), path),
    "replaced by one of the same size": lambda path: (
        later(another(path)),
        os.replace(path.with_name("new.tif"), path),
    ),
    "replaced by one of the same size and age": lambda path: os.replace(another(path), path),
    "rewritten in place": rewritten,
    "truncated": cut,
    "longer": lambda path: os.truncate(path, os.path.getsize(path) + 1),
    "touched": later,
    "a folder": into_folder,
    "its mask deleted": lambda path: mask_of(path).unlink(),
    "its mask touched": lambda path: later(mask_of(path)),
    "its mask truncated": lambda path: cut(mask_of(path)),
    "its mask replaced by one of the same size and age": lambda path: swapped(mask_of(path)),
}


def swapped(path):
    shutil.copy2(path, path.with_name("new"))
    os.replace(path.with_name("new"), path)


@pytest.fixture
def raster(tmp_path):
    """A scene's file with its mask beside it, in a folder of its own."""
    (tmp_path / "in").mkdir()
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        path = band(tmp_path / "in" / "Red.tif")
        assert mask_of(path).exists()
        yield path


@pytest.mark.parametrize("moment", ["between two reads", "during a read", "during the last read"])
@pytest.mark.parametrize("change", INPUT_CHANGES)
def test_an_input_that_changes_under_way_is_noticed(tmp_path, monkeypatch, raster, change, moment):
    scene, pipe = Scene.from_files({"Red": raster}), fitted(random_scene(), 5, bands=["Red"])
    where, name = (sources.Scene, "read") if moment == "between two reads" else (rasters, "_differ")
    original, reads = getattr(where, name), []

    def reading(*args):
        values = original(*args)
        reads.append(True)
        if len(reads) == at:
            INPUT_CHANGES[change](raster)
        return values

    at = 0
    with monkeypatch.context() as patch:
        patch.setattr(where, name, reading)
        SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "before.tif")
        at, count = {"between two reads": 2, "during a read": 2}.get(moment, len(reads)), len(reads)
        assert count > 2
        reads.clear()
        before = resources()
        with pytest.raises(SceneReadError, match=r"Red\.tif"):
            SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif")
    assert resources() == before
    assert not {"map.tif", ".map.tif.part"} & set(os.listdir(tmp_path))


def test_a_map_is_not_continued_with_another_file_of_the_same_size_and_age(tmp_path, raster, caplog):
    pipe = fitted(random_scene(), 5, bands=["Red"])
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(writer.MapWriter, "_publish", lambda self: raising(KeyboardInterrupt))
        SlidingWindowPredictor(pipe).predict_map(Scene.from_files({"Red": raster}), tmp_path / "map.tif")
    old = Scene.from_files({"Red": raster}).fingerprint
    os.replace(another(raster), raster)
    scene = Scene.from_files({"Red": raster})
    assert scene.fingerprint == old  # the fingerprint alone would not tell
    SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif")
    assert "with another scene" in caplog.text
    SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "whole.tif")
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_a_map_that_replaces_the_input_of_a_running_one_stops_that(tmp_path, monkeypatch, raster):
    scene, pipe = Scene.from_files({"Red": raster}), fitted(random_scene(), 5, bands=["Red"])
    original, reads = sources.Scene.read, []

    def reading(*args):
        reads.append(True)
        if len(reads) == 2:
            monkeypatch.undo()
            SlidingWindowPredictor(pipe).predict_map(copy, raster, overwrite=True)
        return original(*args)

    copy = Scene.from_files({"Red": shutil.copy(raster, tmp_path / "copy.tif")})
    with monkeypatch.context() as patch:
        patch.setattr(sources.Scene, "read", reading)
        with pytest.raises(SceneReadError, match=r"Red\.tif was changed"):
            SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif")
    assert not (tmp_path / "map.tif").exists()


# ---------------------------------------------------------------------- what is written, changed by someone else


def flipped(path):
    """One bit is another, every twenty bytes."""
    data = bytearray(path.read_bytes())
    for place in range(600, len(data), 20):
        data[place] ^= 16
    with open(path, "r+b") as file:
        file.write(data)


def replaced(path, content=b"not ours"):
    path.with_name("new").write_bytes(content)
    os.replace(path.with_name("new"), path)


OUTPUT_CHANGES = {
    "the folder deleted": (shutil.rmtree, SklandslideError),
    "the folder moved away": (lambda folder: folder.rename(folder.with_name("moved")), SklandslideError),
    "the journal deleted": (lambda folder: os.remove(folder / ".map.tif.journal"), None),
    "the journal replaced": (lambda folder: replaced(folder / ".map.tif.journal"), None),
    "the journal edited": (lambda folder: flipped(folder / ".map.tif.journal"), SklandslideError),
    "the journal truncated": (lambda folder: os.truncate(folder / ".map.tif.journal", 400), SklandslideError),
    "the unfinished map deleted": (lambda folder: os.remove(folder / ".map.tif.part"), SklandslideError),
    "the unfinished map replaced": (lambda folder: replaced(folder / ".map.tif.part"), SklandslideError),
    "the unfinished map replaced by a map": (
        lambda folder: replaced(folder / ".map.tif.part", (folder.parent / "other.tif").read_bytes()),
        SklandslideError,
    ),
    "the map made a folder": (lambda folder: (folder / "map.tif").mkdir(), SklandslideError),
    "the map made by someone else": (lambda folder: replaced(folder / "map.tif"), OutputExistsError),
    "the map made a link": (lambda folder: (folder / "map.tif").symlink_to(folder.parent / "x.tif"), OutputExistsError),
    "a mask for the map": (lambda folder: replaced(folder / "map.tif.msk"), OutputExistsError),
}


@pytest.mark.parametrize("change", OUTPUT_CHANGES)
def test_what_is_written_and_changed_by_someone_else_is_no_wrong_map(given, tmp_path, monkeypatch, change):
    folder, (work, expected) = tmp_path / "out", OUTPUT_CHANGES[change]
    folder.mkdir()
    other = fitted(random_scene(seed=4), 5, y=np.arange(20) % 3 == 1)
    SlidingWindowPredictor(other).predict_map(random_scene((70, 80), seed=4), tmp_path / "other.tif")
    original, added = journal.Journal.rows, []

    def rows(self, first, last):  # all tiles are in the journal, no rows yet in the map
        if first > 0 and not added:
            added.append(True)
            work(folder)
        return original(self, first, last)

    before = resources()
    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "rows", rows)
        if expected is None:
            made(given, folder)
        else:
            with pytest.raises(expected, match=r"map\.tif") as error:
                made(given, folder)
            assert isinstance(error.value, SklandslideError)
            assert not (folder / "map.tif").is_file() or (folder / "map.tif").read_bytes() == b"not ours"
    assert added
    assert resources() == before
    theirs = [path.name for path in folder.glob(".*") if path.read_bytes() == b"not ours"] if folder.exists() else []
    assert theirs == {
        "the journal replaced": [".map.tif.journal"],
        "the unfinished map replaced": [".map.tif.part"],
    }.get(change, [])
    # and when they are done the same call makes the map
    folder.mkdir(exist_ok=True)
    for path in folder.glob("map.tif*"):
        path.rmdir() if path.is_dir() else path.unlink()
    made(given, folder)
    assert os.listdir(folder) == ["map.tif"]
    assert (folder / "map.tif").read_bytes() == given.whole


def test_an_unfinished_map_edited_after_it_was_closed_is_noticed(given, tmp_path, monkeypatch):
    original = writer.MapWriter._check
    for place in range(400, len(given.whole), 997):

        def check(self, place=place):
            with open(self._part, "r+b") as file:
                file.seek(place)
                byte = file.read(1)[0]
                file.seek(place)
                file.write(bytes([byte ^ 64]))
            original(self)

        with monkeypatch.context() as patch:
            patch.setattr(writer.MapWriter, "_check", check)
            try:
                made(given, tmp_path, "old")
            except SklandslideError:
                assert set(os.listdir(tmp_path)) <= {".map.tif.journal"}
            else:  # a bit that no value depends on
                values = rasterio.open(tmp_path / "map.tif").read(1)
                assert np.array_equal(values, values_of(given, tmp_path), equal_nan=True)
                os.remove(tmp_path / "map.tif")


def values_of(given, folder):
    (folder / "whole.tif").write_bytes(given.whole)
    try:
        with rasterio.open(folder / "whole.tif") as dataset:
            return dataset.read(1)
    finally:
        os.remove(folder / "whole.tif")


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


def test_an_input_that_has_a_second_name_keeps_its_pixels(tmp_path, raster):
    scene, pipe = Scene.from_files({"Red": raster}), fitted(random_scene(), 5, bands=["Red"])
    pixels = raster.read_bytes()
    os.link(raster, tmp_path / "map.tif")
    SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif", overwrite=True)
    assert raster.read_bytes() == pixels != (tmp_path / "map.tif").read_bytes()
    (tmp_path / "link.tif").symlink_to(raster)
    for name in (tmp_path / "link.tif", raster, mask_of(raster)):
        with pytest.raises(SceneError, match="one of the scene's own rasters"):
            SlidingWindowPredictor(pipe).predict_map(scene, name, overwrite=True)
    assert raster.read_bytes() == pixels


@pytest.mark.parametrize("end", [".msk", ".ovr", ".aux.xml"])
def test_what_gdal_would_read_with_the_new_map_does_not_stay(given, tmp_path, end):
    beside = tmp_path / f"map.tif{end}"
    beside.write_bytes(OLD)
    with pytest.raises(OutputExistsError, match="would be taken for a part of the new file"):
        made(given, tmp_path)
    assert beside.read_bytes() == OLD
    made(given, tmp_path, overwrite=True)
    assert os.listdir(tmp_path) == ["map.tif"]


def test_files_of_the_users_in_the_place_of_unfinished_ones_are_not_written_to(given, tmp_path):
    (tmp_path / "diary").write_bytes(OLD)
    (tmp_path / ".map.tif.journal").symlink_to(tmp_path / "diary")
    with pytest.raises(SklandslideError, match="cannot be written"):
        made(given, tmp_path)
    os.replace(tmp_path / ".map.tif.journal", tmp_path / ".map.tif.part")
    made(given, tmp_path)
    assert (tmp_path / "diary").read_bytes() == OLD
    os.remove(tmp_path / "map.tif")
    for name in (".map.tif.journal", ".map.tif.part"):
        (tmp_path / name).mkdir()
        with pytest.raises(SklandslideError, match=r"map\.tif c.* be written: Is a directory|Is a directory"):
            made(given, tmp_path)
        (tmp_path / name).rmdir()
    assert set(os.listdir(tmp_path)) <= {"diary", ".map.tif.journal"}


def test_names_up_to_what_the_folder_takes(given, tmp_path):
    longest = "m" * (255 - len("..journal") - 4) + ".tif"
    for name in (longest, "\N{SNOWMAN}" * 80 + ".tif"):
        m = SlidingWindowPredictor(given.pipe).predict_map(given.scene, tmp_path / name)
        assert os.listdir(tmp_path) == [name]
        os.remove(m.path)
    for name in ("m" + longest, "m" * 251 + ".tif", "m" * 300):
        with pytest.raises(SklandslideError, match=r"File name too long .* the name is not too long"):
            SlidingWindowPredictor(given.pipe).predict_map(given.scene, tmp_path / name)
    for name in (".map.tif.part", ".map.tif.journal"):
        with pytest.raises(SceneError, match="the name of an unfinished map"):
            SlidingWindowPredictor(given.pipe).predict_map(given.scene, tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_what_is_left_of_an_unfinished_map_is_not_opened_as_one(given, tmp_path):
    (tmp_path / ".map.tif.part").write_bytes(given.whole)
    with pytest.raises(SceneReadError, match="left of a map that was not finished"):
        LandslideMap.open(tmp_path / ".map.tif.part")
    with pytest.raises(SceneReadError, match=r"map\.tif cannot be opened"):
        LandslideMap.open(tmp_path / "map.tif")


def test_a_device_or_a_pipe_is_not_replaced(given, tmp_path):
    os.mkfifo(tmp_path / "map.tif")
    for path in (tmp_path / "map.tif", "/dev/null"):
        with pytest.raises(OutputExistsError, match="no file but a device or a pipe"):
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
        monkeypatch.setattr(journal.fcntl, "flock", lambda *_: raising(system(errno.ENOLCK)))
    for _ in range(8):
        done = at_once(*[lambda: made(given, tmp_path, "old")] * 3)
        for result in done:
            if isinstance(result, SklandslideError):
                assert "is being made by another process" in str(result) or not locks
                assert "Check " in str(result) or "Choose " in str(result) or "choose " in str(result), result
        if (tmp_path / "map.tif").exists():
            assert (tmp_path / "map.tif").read_bytes() == given.whole
        assert not locks or not all(isinstance(result, SklandslideError) for result in done)
        made(given, tmp_path, "old")
        assert os.listdir(tmp_path) == ["map.tif"]
        assert (tmp_path / "map.tif").read_bytes() == given.whole


def from_files(folder, seed):
    paths = {name: band(folder / f"{name}{seed}.tif", seed + i) for i, name in enumerate(("Red", "Green", "Blue"))}
    return Scene.from_files(paths)


def test_one_predictor_in_several_threads_maps_each_scene_as_alone(tmp_path):
    pipe = fitted(random_scene(), 5)
    predictor_, scenes = SlidingWindowPredictor(pipe), [from_files(tmp_path, 10 * i) for i in range(3)]
    alone = [predictor_.predict_map(scene, tmp_path / f"alone{i}.tif") for i, scene in enumerate(scenes)]
    both = at_once(*[lambda i=i: predictor_.predict_map(scenes[i % 3], tmp_path / f"m{i}.tif") for i in range(6)])
    for i, m in enumerate(both):
        with open(m.path, "rb") as ours, open(alone[i % 3].path, "rb") as theirs:
            assert ours.read() == theirs.read()


def test_threads_that_read_one_scene_read_what_one_would(tmp_path):
    scene = from_files(tmp_path, 0)
    whole = scene.read()
    windows = [Window(row, 0, 50, 60) for row in range(0, 150, 7)]
    for window, part in zip(windows * 4, at_once(*[lambda w=w: scene.read(None, w) for w in windows * 4]), strict=True):
        assert np.array_equal(part, whole[window.slices])


def map_in_process(pipe, scene, path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "_LARGEST", 32)
        patch.setattr(writer, "BLOCK", 32)
        patch.setattr(assembly, "BLOCK", 32)
        SlidingWindowPredictor(pipe).predict_map(scene, path)


def in_processes(method, works):
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=map_in_process, args=work) for work in works]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


def test_many_forked_processes_map_the_same_scene(given, tmp_path):
    made(given, tmp_path)  # the parent has used GDAL and threads
    works = [(given.pipe, given.scene, tmp_path / f"{i}.tif") for i in range(8)]
    assert in_processes("fork", works) == [0] * 8
    assert {path.read_bytes() for path in tmp_path.glob("*.tif")} == {given.whole}
    assert len(os.listdir(tmp_path)) == 9
    one = [(given.pipe, given.scene, tmp_path / "same.tif")] * 4  # and one map: the first wins, the others are told
    assert 0 in in_processes("fork", one)
    assert (tmp_path / "same.tif").read_bytes() == given.whole
    assert len(os.listdir(tmp_path)) == 10


@pytest.mark.slow
def test_a_spawned_process_maps_the_same(given, tmp_path):
    assert in_processes("spawn", [(given.pipe, given.scene, tmp_path / "map.tif")]) == [0]
    assert (tmp_path / "map.tif").read_bytes() == given.whole
