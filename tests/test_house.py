"""The plan of the house: who may import whom, what importing costs, what every public name has."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import sklandslide

ROOT = Path(sklandslide.__file__).parent

# A file imports only from files before it: from the floors below, or from its own floor further left.
FLOORS = [
    "_version _tensorflow exceptions grid antimeridian composites metrics terrain contract",
    "paths links opening raster warping nodata scene polygon_files inventory",
    "regions locations sampling model_selection imagery map_furniture plotting",
    "bands patches _programs _training augmentation network cnn",
    "mapping.writer mapping.ground mapping.vectors mapping.probability mapping.landslide_map mapping.tiles "
    "mapping.source mapping.journal mapping.assembly mapping.states mapping.onnx_network mapping.windows "
    "mapping.shared_graph mapping.shared mapping.workers mapping.predictor mapping",
    "model_files.rules model_files.functions model_files.checks model_files.arrays model_files.values "
    "model_files.network model_files.kinds model_files.tree model_files.facts model_files.files model_files.archive "
    "model_files.card model_files.document model_files.describing model_files.export model_files persistence "
    "datasets._noise datasets._terrain datasets._real_ground datasets._outlines datasets._viewing datasets._speckle "
    "datasets._radar datasets._optical datasets._site datasets._make_scene datasets._paper datasets searches display "
    "sklandslide",
]
ORDER = " ".join(FLOORS).split()
# Third-party packages that may be imported at the top of a file, by floor; the rest only inside functions.
LIGHT = {"numpy", "scipy"}
AT_TOP = [
    LIGHT,
    LIGHT | {"rasterio"},
    LIGHT | {"sklearn"},
    LIGHT | {"sklearn"},
    LIGHT | {"sklearn", "rasterio", "joblib", "cloudpickle"},
    LIGHT | {"sklearn"},
]


# Keras and TensorFlow code, itself imported inside functions only.
KERAS_CODE = ("mapping.onnx_network", "_programs", "_training", "mapping.shared_graph")


def module_name(path):
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) or "sklandslide"


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def inner_imports(name):
    """Modules of this package that a file imports, anywhere in it."""
    package = name.split(".")[:-1] if FILES[name].name != "__init__.py" else [p for p in [name] if p != "sklandslide"]
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            if node.module:
                yield ".".join([*base, node.module])
            else:  # from . import module
                yield from (".".join([*base, alias.name]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            yield from (n.removeprefix("sklandslide.") for n in names if n.split(".")[0] == "sklandslide")


def test_every_file_has_a_room():
    assert sorted(FILES) == sorted(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_files_import_only_from_below(name):
    later = [target for target in inner_imports(name) if ORDER.index(target) >= ORDER.index(name)]
    assert later == []


@pytest.mark.parametrize("name", ORDER)
def test_heavy_packages_are_imported_inside_functions(name):
    if name in KERAS_CODE:
        return
    floor = next(i for i, names in enumerate(FLOORS) if name in names.split())
    tree = ast.parse(FILES[name].read_text())
    tops = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            tops |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            tops.add(node.module.split(".")[0])
    assert tops - set(sys.stdlib_module_names) - {"sklandslide"} <= AT_TOP[floor]


def test_keras_code_is_imported_inside_functions_only():
    keras_code = [name.split(".")[-1] for name in KERAS_CODE]
    for name in ORDER:
        for node in ast.parse(FILES[name].read_text()).body if name not in KERAS_CODE else ():
            assert not (isinstance(node, ast.ImportFrom) and node.module in keras_code), name


def test_import_is_light():
    code = "import sys, sklandslide; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"tensorflow", "keras", "scikeras", "matplotlib", "geopandas", "shapely", "tqdm"} & set(loaded)


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
        own = method in vars(thing) and not method.startswith("_") and callable(function)
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
