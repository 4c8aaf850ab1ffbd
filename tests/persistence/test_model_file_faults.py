"""Damaged and crafted model files: refused with the reason, whatever they hold, and nothing in them is run."""

import io
import json
import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
import skops.io
from kept_models import STORED, samples, spread, table_pipeline
from scenes import random_scene
from scipy.sparse import csr_array, save_npz
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklandslide import LandslideCNN, load_model, save_model
from sklandslide.exceptions import ModelFileError
from sklandslide.mapping.workers import digest_of
from sklandslide.persistence import saving


class Canary:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture(scope="module")
def data():
    return samples(random_scene())


@pytest.fixture(scope="module")
def table(data, tmp_path_factory):
    path = save_model(table_pipeline().fit(*data), tmp_path_factory.mktemp("table") / "model.skops")
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Load bytes that have to be refused for a reason; nothing may run, nothing may be written."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def check(data, reason):
        file = tmp_path / "model.skops"
        file.write_bytes(data)
        with pytest.raises(ModelFileError, match=reason) as caught:
            load_model(file)
        assert str(file) in str(caught.value)
        assert sorted(p.name for p in tmp_path.rglob("*")) == ["folder", "model.skops"]

    check.canary = tmp_path / "canary"
    return check


def members_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def nodes_of(node):
    """Every object in the JSON of a model file."""
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes_of(value)


def with_nodes(data, changes, where):
    """The file with its first node that has certain values changed."""
    members = members_of(data)
    schema = json.loads(members["schema.json"])
    next(n for n in nodes_of(schema) if where.items() <= n.items()).update(changes)
    return zipped({**members, "schema.json": json.dumps(schema)})


def written(model):
    """The file of a model that `save_model` may refuse."""
    return skops.io.dumps({"model": model, "search": None, "versions": {}})


# ---------------------------------------------------------------- other files


def test_other_files_are_refused(refused, table):
    refused(pickle.dumps(Canary(refused.canary)), "is not a zip file")
    for content in (b"", b"a text", b"\x89HDF\r\n\x1a\n" + bytes(99)):
        refused(content, "is not a zip file")
    refused(zipped({"a.txt": b"text"}), "is no array")
    refused(zipped({}), "schema.json")
    line = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    for content in (line, {"model": line, "versions": {}}):
        refused(skops.io.dumps(content), "save_model did not write")
    refused(written(spread()), "not fitted|classifies nothing")
    refused(written(LogisticRegression()), "not fitted")
    refused(zipped({"schema.json": b"[" * 100_000}), "recursion")


def test_places_without_a_file(tmp_path, monkeypatch):
    for path in (tmp_path, tmp_path / "none.skops"):
        with pytest.raises(ModelFileError, match=r"cannot be read: .*Check the path"):
            load_model(path)
    monkeypatch.setattr(saving, "_MOST_BYTES", 2**20)
    (tmp_path / "large.skops").write_bytes(bytes(2**20 + 1))
    with pytest.raises(ModelFileError, match="larger than 1 MiB"):
        load_model(tmp_path / "large.skops")


# ---------------------------------------------------------------- code


@pytest.mark.parametrize(
    "name",
    ["os.system", "builtins.eval", "subprocess.Popen", "numpy.load", "numpy.fromfile", "keras.models.load_model"],
)
@pytest.mark.parametrize("loader", ["FunctionNode", "TypeNode", "ObjectNode", "ConstructorFromReduceNode"])
def test_only_functions_of_the_list_are_given(refused, table, name, loader):
    module, function = name.rsplit(".", 1)
    argument = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": []}
    changes = {"__class__": function, "__module__": module, "__loader__": loader, "content": argument}
    refused(with_nodes(table, changes, {"__class__": "std", "__module__": "numpy"}), rf"Untrusted types.*{name}")


def test_only_estimators_of_the_list_are_built(refused, table, data):
    where = {"__class__": "LogisticRegression"}
    for module, name in (("scenes", "WeightedSum"), ("keras", "Sequential"), ("sklandslide", "Scene")):
        refused(with_nodes(table, {"__class__": name, "__module__": module}, where), rf"Untrusted types.*{module}")
    refused(with_nodes(table, {"__class__": "SVC", "__module__": "sklearn.svm._classes"}, where), "compiled code")
    model = table_pipeline().fit(*data)
    refused(written(Pipeline(model.steps, memory="/tmp/a/place")), "a place on somebody's disk")


def test_pickles_and_archives_in_the_place_of_arrays_are_not_read(refused, table):
    members = members_of(table)
    name = next(name for name in members if name.endswith(".npy"))
    objects, sparse = io.BytesIO(), io.BytesIO()
    np.save(objects, np.array([Canary(refused.canary)], object), allow_pickle=True)
    save_npz(sparse, csr_array((3, 3)))
    refused(zipped({**members, name: pickle.dumps(Canary(refused.canary))}), "is no array")
    refused(zipped({**members, name: objects.getvalue()}), "allow_pickle=False")
    refused(zipped({**members, name: sparse.getvalue()}), "is no array")
    header = np.lib.format.magic(1, 0) + b"\x76\x00{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }"
    for count in (10**15, -1):
        refused(zipped({**members, name: (header % count).ljust(127) + b"\n" + bytes(64)}), "not loaded")


# ---------------------------------------------------------------- the network


def network_node(schema):
    return next(n for n in nodes_of(schema) if "dense_units" in n and "weights" in n)


def text(value):
    return {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(value)}


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("dense_units", 10**9, "its numbers ask for"),
        ("filters", "Lambda", "TypeError|not loaded"),
        ("padding", "none", "its numbers ask for|padding"),
        ("n_classes", 3, "its numbers ask for"),
        ("patch_shape", [9, 9, 3], "patch_shape"),
        ("mean", "code", "not loaded"),
        ("config", {"class_name": "Lambda"}, "not kept as numbers and arrays"),
    ],
)
def test_the_network_is_of_the_numbers_that_build_cnn_takes(refused, monkeypatch, key, value, reason):
    import keras

    monkeypatch.setattr(keras, "Sequential", None)  # refused before anything is built
    members = members_of(STORED.read_bytes())
    schema = json.loads(members["schema.json"])
    node = network_node(schema)
    if key not in node:
        parent = next(n for n in nodes_of(schema) if n.get("content") is node)
        parent["key_types"]["content"].append(parent["key_types"]["content"][0])
    node[key] = text(value)
    refused(zipped({**members, "schema.json": json.dumps(schema)}), reason)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_are_finite_float32(refused, value):
    cnn = load_model(STORED)[-1]
    weights = cnn.model_.get_weights()
    state = cnn.__getstate__()
    with pytest.raises(ValueError, match="not float32"):
        LandslideCNN().__setstate__(
            {**state, "model_": {**state["model_"], "weights": [w.astype(np.float64) for w in weights]}}
        )
    weights[-1][0] = value
    cnn.model_.set_weights(weights)
    refused(written(cnn), "hold NaN or infinity")


def test_keras_is_not_asked_to_read_anything(monkeypatch, tmp_path, data):
    import keras

    model = load_model(STORED)
    configuration = model[-1].model_.to_json()

    def asked(*_, **__):
        raise AssertionError("Keras reads a configuration")

    readers = ((keras.models, "model_from_json"), (keras.models, "load_model"), (keras.Sequential, "from_config"),
               (keras.layers.Layer, "from_config"), (keras.saving, "deserialize_keras_object"))  # fmt: skip
    with monkeypatch.context() as patch:
        for owner, name in readers:
            patch.setattr(owner, name, asked)
        again = pickle.loads(pickle.dumps(load_model(STORED)))
    np.testing.assert_array_equal(again.predict_proba(data[0]), model.predict_proba(data[0]))
    assert b"class_name" not in STORED.read_bytes() + pickle.dumps(model)
    for smuggled in (configuration, (configuration, model[-1].model_.get_weights()), {"config": configuration}):
        with pytest.raises(ValueError, match="not kept as numbers and arrays"):
            LandslideCNN().__setstate__({**model[-1].__getstate__(), "model_": smuggled})


# ---------------------------------------------------------------- memory


def test_a_gigabyte_of_zeros_is_not_unfolded(tmp_path, table):
    path = tmp_path / "zeros.skops"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members_of(table).items():
            archive.writestr(name, content)
        with archive.open("zeros.npy", "w") as member:
            for _ in range(64):
                member.write(bytes(2**24))
    tracemalloc.start()
    with pytest.raises(ModelFileError, match="it is compressed"):
        load_model(path)
    assert tracemalloc.get_traced_memory()[1] < 5 * path.stat().st_size + 2**20
    tracemalloc.stop()


def test_members_do_not_share_their_bytes(refused, table):
    """Many entries for one member would be read many times."""
    once = zipped({"a.npy": b"\x93NUMPY" + bytes(100_000)})
    start = once.index(b"PK\x01\x02")
    entry, end = once[start : once.index(b"PK\x05\x06")], once[once.index(b"PK\x05\x06") :]
    many = (9).to_bytes(2, "little") * 2 + (9 * len(entry)).to_bytes(4, "little")
    refused(once[:start] + 9 * entry + end[:8] + many + end[16:], "declared larger than the file")


# ---------------------------------------------------------------- trees


def test_arrays_are_not_named_again_and_again(refused):
    """A small file could fill the memory: each time its array is named it is read anew."""
    members = members_of(written([np.zeros((100, 1000))]))
    schema = json.loads(members["schema.json"])
    held = next(node for node in nodes_of(schema) if node.get("__class__") == "list")
    held["content"] = [{**held["content"][0], "__id__": number} for number in range(1000)]
    refused(zipped({**members, "schema.json": json.dumps(schema)}), "names its arrays again and again")


def with_tree(model, **changes):
    """Change the nodes of the first tree of a forest."""
    tree = model[-1].estimators_[0].tree_
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    for name, value in changes.items():
        nodes[name][0] = value
    tree.__setstate__({**state, "nodes": nodes})
    return model


@pytest.mark.parametrize(
    "changes", [{"left_child": 10**6}, {"right_child": -7}, {"left_child": 0}, {"feature": 3}, {"feature": -1}]
)
def test_the_nodes_of_a_forest_lead_somewhere(refused, data, changes):
    model = table_pipeline(spread(), RandomForestClassifier(3, random_state=0)).fit(*data)
    refused(written(with_tree(model, **changes)), "nodes of a tree")


def test_trees_belong_to_their_forest(refused, data):
    def forest():
        return table_pipeline(spread(), RandomForestClassifier(3, random_state=0)).fit(*data)

    model = forest()
    other = RandomForestClassifier(3, random_state=0).fit(np.random.RandomState(0).normal(size=(80, 9)), data[1])
    model[-1].estimators_[1] = other.estimators_[1]
    refused(written(model), "trees for other features")
    model = forest()
    model[-1].n_features_in_ = 9
    refused(written(model), "trees for other features")
    alone = forest()[-1].estimators_[0]
    refused(written(make_pipeline(FunctionTransformer(np.rint), alone.tree_)), "not that of its classifier")
    alone.n_features_in_ = 9
    refused(written(alone), "not that of its classifier")


@pytest.mark.parametrize(
    ("name", "value"),
    [("left", 10**6), ("right", 0), ("feature_idx", 3), ("is_categorical", 1), ("preprocessor", None)],
)
def test_the_nodes_of_boosting_lead_somewhere(refused, data, name, value):
    boosting = HistGradientBoostingClassifier(max_iter=3, random_state=0, min_samples_leaf=5)
    model = table_pipeline(spread(), boosting).fit(*data)
    if name == "preprocessor":
        boosting._preprocessor = FunctionTransformer()
    else:
        boosting._predictors[1][0].nodes[name][0] = value
    refused(written(model), "of a tree|a tree asks|categories")


# ---------------------------------------------------------------- chance


def corruptions(data, count, seed):
    random = np.random.RandomState(seed)
    for number in range(count):
        a, b = sorted(random.randint(0, len(data), 2).tolist())
        b = min(max(b, a + 1), a + 200)
        out = bytearray(data)
        if number % 5 == 0:  # bits
            out[a] ^= 1 << random.randint(8)
        elif number % 5 == 1:
            del out[a:]
        elif number % 5 == 2:
            out[a:a] = random.bytes(random.randint(1, 9))
        elif number % 5 == 3:
            out[a:b] = bytes(b - a)
        else:  # the directory at the end, which no checksum covers
            out[-1 - random.randint(1000)] = random.randint(256)
        yield bytes(out)


def test_a_thousand_corruptions_are_refused_or_change_nothing(tmp_path, table, data):
    path = tmp_path / "model.skops"
    path.write_bytes(table)
    digest, refusals = digest_of(load_model(path)), 0
    for damaged in corruptions(table, 1000, 0):
        path.write_bytes(damaged)
        try:
            model = load_model(path)
        except ModelFileError as error:
            assert "Give a file that save_model wrote" in str(error)
            refusals += 1
        else:
            assert digest_of(model) == digest
    assert refusals > 700
