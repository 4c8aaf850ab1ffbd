"""The plan of the house: which room may import which, what importing costs, what every public name has."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import sklandslide

ROOT = Path(sklandslide.__file__).parent

# The rooms, from the ground up; those of one line are on one floor. A room imports from the lines above its own.
FLOORS = [
    "_version exceptions",
    "composites metrics",
    "geodata",
    "archives sampling",
    "features model_selection",
    "network plots",
    "mapping",
    "datasets persistence",
    "sklandslide",
]
FLOOR = {room: number for number, line in enumerate(FLOORS) for room in line.split()}
# What reaches up, inside a method: it is the scene, or the samples, that a user asks for a picture, and pictures are
# drawn above. These methods alone, in files of their own.
LIFTS = {
    ("geodata/pictures.py", "plots", "plot_scene"),
    ("geodata/pictures.py", "plots", "scene_html"),
    ("sampling/pictures.py", "plots", "plot_locations"),
    ("sampling/pictures.py", "plots", "locations_html"),
}
# Third-party packages that may be imported at the top of a file, by room; all others only inside functions.
LIGHT = {"numpy", "scipy", "sklearn"}
AT_TOP = {
    "geodata": LIGHT | {"rasterio"},
    "sampling": LIGHT,
    "mapping": LIGHT | {"rasterio", "joblib", "cloudpickle"},
}
# Keras and TensorFlow code, which a room imports inside functions only.
KERAS_CODE = ("network/programs.py", "network/training.py", "mapping/shared_graph.py")

FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def room_of(file):
    return "sklandslide" if file == "__init__.py" else file.split("/")[0].removesuffix(".py")


def imports_of(file, source=None):
    """What a file imports of this package, anywhere in it: pairs of module, as a path of names, and name."""
    folder = file.split("/")[:-1]
    for node in ast.walk(ast.parse(source or (ROOT / file).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == "sklandslide"):
            module = node.module.split(".") if node.module else []
            base = folder[: len(folder) - node.level + 1] if node.level else []
            yield from ((base + module[not node.level :], alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            yield from ((name[1:], "") for name in names if name[0] == "sklandslide")


def faults_of(file, source=None):
    """Imports that the plan of the house forbids, in words."""
    own = room_of(file)
    for module, name in imports_of(file, source):
        room = module[0] if module else name
        if room == own or (file, ".".join(module), name) in LIFTS:
            continue
        if room not in FLOOR or FLOOR[room] >= FLOOR[own]:
            yield f"{file} imports {name} from {room}, which is not below {own}"
        elif len(module) > 1:
            yield f"{file} imports {name} from the inner file {'.'.join(module)}"
        elif name.startswith("_") and room != "_version":
            yield f"{file} imports the private {name} from {room}"


def test_what_reaches_up_is_there():
    assert {(file, ".".join(module), name) for file in FILES for module, name in imports_of(file)} >= LIFTS


def test_every_entry_has_a_floor():
    assert {room_of(file) for file in FILES} == set(FLOOR)
    entries = [path.name for path in ROOT.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 16


@pytest.mark.parametrize("file", FILES)
def test_rooms_import_only_what_rooms_below_hand_on(file):
    assert list(faults_of(file)) == []


def test_only_archives_asks_catalogues():
    """What can fetch anything is imported in one room."""
    fetching = {"pystac", "pystac_client", "odc.stac", "odc.loader"}
    found = set()
    for file in FILES:
        for node in ast.walk(ast.parse((ROOT / file).read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name == one or name.startswith(f"{one}.") for name in names for one in fetching):
                found.add(room_of(file))
    assert found == {"archives"}


@pytest.mark.parametrize(
    "file, source",
    [
        ("geodata/scene.py", "from ..sampling import Locations"),
        ("geodata/scene.py", "def f():\n    from ..plots import plot_map"),
        ("geodata/pictures.py", "def f():\n    from ..plots import plot_map"),
        ("features/bands.py", "from ..model_selection import SpatialBlockKFold"),
        ("sampling/locations.py", "from ..geodata.raster import keeping_open"),
        ("sampling/locations.py", "from ..geodata import _private"),
        ("mapping/tiles.py", "import sklandslide.features.bands"),
        ("datasets/_paper.py", "from sklandslide.persistence import save_model"),
        ("composites.py", "from . import LandslideCNN"),
    ],
)
def test_what_the_plan_forbids_is_found(file, source):
    assert len(list(faults_of(file, source))) == 1


@pytest.mark.parametrize("room", sorted({room_of(file) for file in FILES if "/" in file}))
def test_the_files_of_a_room_form_no_circle(room):
    inside = {
        file: {"/".join([*module, name][:2]) + ".py" for module, name in imports_of(file) if module[:1] == [room]}
        for file in FILES
        if file.startswith(f"{room}/")
    }
    while free := [file for file, wanted in inside.items() if not wanted & set(inside)]:
        for file in free:
            del inside[file]
    assert not inside


@pytest.mark.parametrize("file", FILES)
def test_heavy_packages_are_imported_inside_functions(file):
    if file in KERAS_CODE:
        return
    tops = set()
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.Import):
            tops |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            tops.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            assert f"{room_of(file)}/{node.module}.py" not in KERAS_CODE
    assert tops - set(sys.stdlib_module_names) <= AT_TOP.get(room_of(file), LIGHT)


def test_import_is_light():
    code = "import sys, sklandslide; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"tensorflow", "keras", "scikeras", "matplotlib", "geopandas", "shapely", "tqdm", "onnx", "skops"}
    assert not heavy & set(loaded)


def test_import_takes_little_beyond_scikit_learn():
    """About a quarter of scikit-learn's own import: a ratio in one run, the best of three, as the machine is shared."""

    def ratio():
        code = "import sklearn.base, sklearn.model_selection; import sklandslide"
        command = [sys.executable, "-X", "importtime", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        times = {}
        for line in done.stderr.splitlines():
            _, cumulative, name = line.removeprefix("import time:").split("|")
            if not name.startswith("  "):  # not imported by another
                times[name.strip()] = cumulative
        ours = int(times["sklandslide"])
        return ours / sum(int(times[name]) for name in ("sklearn.base", "sklearn.model_selection"))

    assert min(ratio() for _ in range(3)) < 0.6


PUBLIC = [name for name in sklandslide.__all__ if not name.startswith("_") and name != "COMPOSITES"]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_documented(name):
    thing = getattr(sklandslide, name)
    document = inspect.getdoc(thing)
    assert ">>>" in document, "no example"
    needed = ["Parameters"] if not inspect.isclass(thing) or inspect.signature(thing).parameters else []
    for section in needed if name not in ("Scene", "LandslideMap") else ["Attributes"]:
        assert f"{section}\n----" in document
    if not inspect.isclass(thing):
        assert "Returns\n----" in document
        return
    for method, function in inspect.getmembers(thing, inspect.isroutine):
        own = method in vars(thing) or (getattr(function, "__module__", "") or "").startswith("sklandslide.")
        own = own and not method.startswith("_") and callable(function)
        if own:
            text = inspect.getdoc(function) or ""
            assert text, f"{name}.{method} has no docstring"
            takes = [p for p in inspect.signature(function).parameters if p not in ("self", "cls")]
            assert not takes or "Parameters" in text, f"{name}.{method} documents no parameters"
            assert "Returns" in text or "Yields" in text or not takes, f"{name}.{method} documents no result"


def test_parameters_are_documented_by_their_names():
    for name in PUBLIC:
        thing = getattr(sklandslide, name)
        document = inspect.getdoc(thing)
        if name in ("Scene", "LandslideMap"):
            continue
        for parameter in inspect.signature(thing).parameters:
            assert parameter in document, f"{name}: {parameter}"


def test_no_name_is_public_without_being_listed():
    extra = [n for n in vars(sklandslide) if not n.startswith("_") and n not in sklandslide.__all__]
    assert [n for n in extra if not inspect.ismodule(getattr(sklandslide, n))] == []


def test_pickles_name_what_is_public_by_its_public_path():
    for name in PUBLIC:
        assert getattr(sklandslide, name).__module__ == "sklandslide"
    for name in ("ArrayBand", "FileBand", "Grid", "SlopeBand"):
        assert getattr(sklandslide.geodata, name).__module__ == "sklandslide.geodata"
