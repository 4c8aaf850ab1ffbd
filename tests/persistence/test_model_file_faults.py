"""Damaged and crafted model files: refused with the reason, whatever they hold, and nothing in them is run."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from model_bytes import (
    arrays_of,
    calibrated_vote,
    document_of,
    members_of,
    place_of,
    put,
    resealed,
    samples,
    sealed,
    table_pipeline,
    with_document,
)
from scenes import random_scene
from sklearn.linear_model import LogisticRegression

from sklandslide import load_model, save_model
from sklandslide.exceptions import ModelFileError
from sklandslide.persistence.archive import MAX_BYTES
from sklandslide.persistence.document import decoded, encoded
from sklandslide.persistence.tree import TreeDecoder

STORED = Path(__file__).parents[1] / "models" / "format-1.zip"


class Canary:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture(scope="module")
def table():
    X, y = samples(random_scene())
    return encoded(table_pipeline().fit(X, y))


@pytest.fixture(scope="module")
def network():
    return STORED.read_bytes()


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Load bytes that have to be refused for a reason; nothing may run, nothing may be written."""
    canary = tmp_path / "canary"
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def check(data, reason):
        file = tmp_path / "model.zip"
        file.write_bytes(data)
        with pytest.raises(ModelFileError, match=reason) as caught:
            load_model(file)
        assert str(file) in str(caught.value)
        assert not canary.exists()
        assert list(folder.iterdir()) == []
        assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "model.zip"]

    check.canary = canary
    return check


def changed(data, key, value, old=None):
    document = document_of(data)
    return with_document(data, put(document, place_of(document, key, old), value))


# ---------------------------------------------------------------- what is no model file at all


def test_pickles_are_not_loaded(refused, table):
    bomb = pickle.dumps(Canary(refused.canary))
    refused(bomb, "looks like a pickle")
    members = members_of(table)
    refused(sealed({**members, "model.json": bomb}), "model.json cannot be read")
    refused(sealed({**members, "model.pkl": bomb}), r"not so with 'README.md'|'model.pkl'")
    refused(sealed({**members, "arrays/0.npy": bomb}), "arrays/0.npy is no array")


def test_arrays_of_objects_are_not_loaded(refused, table):
    array = np.empty(1, object)
    array[0] = Canary(refused.canary)
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0))
    refused(sealed({**members_of(table), "arrays/0.npy": stream.getvalue()}), "arrays/0.npy is no array of numbers")
    assert not refused.canary.exists()
    with pytest.raises(FileExistsError):  # the canary is one: numpy asked to unpickle it makes the folder
        np.load(io.BytesIO(stream.getvalue()), allow_pickle=True)
        np.load(io.BytesIO(stream.getvalue()), allow_pickle=True)


@pytest.mark.parametrize("dtype", ["M8[s]", "c16", "V8", [("a", "f8")], "f8,i4"])
def test_arrays_of_other_kinds_are_not_loaded(refused, table, dtype):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.zeros(3, dtype), version=(1, 0))
    refused(sealed({**members_of(table), "arrays/0.npy": stream.getvalue()}), "arrays/0.npy is no array of numbers")


def npy(shape, data=b"", descr="<f8", version=b"\x01\x00"):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    room = -(-(len(header) + 11) // 64) * 64 - 11
    return b"\x93NUMPY" + version + (room + 1).to_bytes(2, "little") + header.ljust(room) + b"\n" + data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (npy((10**11,)), "declares the shape"),
        (npy((10**30,)), "no array"),
        (npy((2**33, 0)), "declares the shape"),
        (npy((2**32, 2**32)), "declares the shape"),
        (npy((-1,), bytes(8)), "no array"),
        (npy((2,), bytes(8)), "declares the shape"),
        (npy((1,), bytes(16)), "declares the shape"),
        (npy((1,) * 20, bytes(8)), "declares the shape"),
        (npy((3,), b"", "<U0"), "no array"),
        (npy((1,), b"\x02", "|b1"), "truth values"),
        (npy((1,), b"\xff\xff\xff\xff", "<U1"), "no text"),
        (npy((1,), bytes(8), ">f8"), "no array"),
        (npy((1,), bytes(8), version=b"\x02\x00"), "no array"),
        (npy("__import__('os').mkdir('canary')"), "no array"),
        (npy((1,), bytes(16), "<f16"), "no array"),
        (b"", "no array"),
    ],
)
def test_declared_arrays_have_to_be_there(refused, table, data, reason):
    refused(sealed({**members_of(table), "arrays/0.npy": data}), f"arrays/0.npy.*({reason})")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"hello", "no model file"),
        (b"PK\x05\x06" + bytes(18), "no model file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(300), "no model file"),
        (b"<html>404 Not found</html>" * 20, "no model file"),
    ],
)
def test_other_files_are_refused(refused, data, reason):
    refused(data, reason)


def test_places_that_are_no_files_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large.zip").open("wb") as file:
        file.truncate(MAX_BYTES + 2**21)
    for path, reason in [
        (tmp_path, "folder"), (tmp_path / "pipe", "pipe"), ("/dev/zero", "device"), (tmp_path / "large.zip", "at most"),
        (tmp_path / "none.zip", "No such file"),
    ]:  # fmt: skip
        with pytest.raises(ModelFileError, match=reason):
            load_model(path)


# ---------------------------------------------------------------- archives that are not as they should be


def zipped(members, **options):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as archive:
        for name, data in members:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = info.external_attr or 0o100644 << 16
            archive.writestr(info, data, compress_type=options.get("compression"))
    return resealed(stream.getvalue())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_hold_the_members_they_should_and_no_others(refused, table):
    members = list(members_of(table).items())
    *kept, last = members
    assert decoded(zipped(members)[:0] or table)  # the unchanged file is one
    for extra in ("../x", "/tmp/x", "arrays/../../x", "C:\\x", "model.json/", "arrays/00.npy", "x\x00y", "é"):
        refused(zipped([*kept, (extra, b"x"), last]), "its archive is to hold|not written as")
    refused(zipped([*members, ("more", b"")]), "its archive is to hold")
    refused(zipped([*kept, kept[0], last]), "same name")
    refused(zipped(kept), "its archive is to hold")
    refused(zipped(members[::-1]), "its archive is to hold")
    link = zipfile.ZipInfo("arrays/0.npy", (1980, 1, 1, 0, 0, 0))
    link.external_attr = 0o120777 << 16
    refused(zipped([(link if name == "arrays/0.npy" else name, data) for name, data in members]), "link")


def test_compressed_members_are_not_unpacked(refused, table):
    bomb = [(name, bytes(2**28) if name == "arrays/0.npy" else data) for name, data in members_of(table).items()]
    refused(zipped(bomb, compression=zipfile.ZIP_DEFLATED), "is compressed")
    small = list(members_of(table).items())
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        refused(zipped(small, compression=method), "is compressed")


def test_nothing_hides_in_an_archive(refused, table):
    end = table.rindex(b"PK\x05\x06")
    body, tail = table[:end], table[end : end + 22]
    first = table.index(b"PK\x01\x02")
    assert resealed(body + tail) == table
    refused(resealed(b"before" + body + tail), "cannot be read|not written as")
    refused(resealed(body + b"between" + tail), "cannot be read|not written as")
    refused(resealed(body[:first] + b"between" + body[first:] + tail), "cannot be read|not written as")
    for place, value in [(4, 63), (6, 1), (8, 8), (10, 77), (30, 65)]:  # of the first member's header
        other = bytearray(body)
        other[place] = value
        refused(resealed(bytes(other) + tail), "cannot be read|not written as|its archive")
    for place in range(first, first + 46):
        other = bytearray(body)
        other[place] ^= 1
        refused(resealed(bytes(other) + tail), "model.zip cannot be loaded")


def test_a_newer_format_says_what_to_install(refused, table):
    end = table.rindex(b"PK\x05\x06")
    newer = resealed(table[: end + 22], b"sklandslide model, format 2, written by 9.1\nsha256:")
    refused(newer, r"format 2.*up to 1\. Install sklandslide 9\.1")


# ---------------------------------------------------------------- documents


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[" * 100_000, "nested deeper"),
        (b"[" * 900 + b"]" * 900, "nested deeper"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "nested deeper"),
        (b"NaN", "NaN"),
        (b'{"a": 1e999}', "cannot be read|not written as"),
        (b'{"a": 1, "a": 2}\n', "not written as"),
        (b"9" * 5000, "cannot be read"),
        (b'"\xff"', "cannot be read"),
        (b"", "cannot be read"),
        (b"{}\n", "is to have format"),
        (b"null\n", "is to have format"),
        (b"[]\n", "is to have format"),
    ],
)
def test_other_documents_are_refused(refused, table, text, reason):
    refused(with_document(table, text), reason)


def test_a_document_with_more_or_less_is_refused(refused, table):
    document = document_of(table)
    refused(with_document(table, {**document, "code": "import os"}), "is to have format")
    refused(with_document(table, {k: v for k, v in document.items() if k != "training"}), "is to have format")
    refused(with_document(table, {**document, "number": 1.0}), "of the format")
    refused(with_document(table, {**document, "format": "pickle"}), "of the format")
    refused(with_document(table, {**document, "contract": {**document["contract"], "classes": [0, 5]}}), "as contract")
    refused(with_document(table, {**document, "versions": {"sklandslide": "<script>"}}), "versions")
    refused(with_document(table, json.dumps(document).encode()), "not written as")  # other white space


# ---------------------------------------------------------------- estimators


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "system", "eval", "Canary", "object", "__class__", "DummyClassifier"]
)
def test_only_known_estimators_are_built(refused, table, name):
    refused(changed(table, "estimator", name, "LogisticRegression"), "none of the estimators")
    refused(changed(table, "estimator", name, "Pipeline"), "none of the estimators")


@pytest.mark.parametrize(
    "function", ["os.system", "numpy.load", "numpy.fromfile", "numpy.save", "builtins.eval", ["numpy.std"], None, 3]
)
def test_only_functions_of_the_list_are_given(refused, table, function):
    refused(changed(table, "func", {"function": function}), "is the function")


def test_functions_have_no_other_place(refused, table):
    refused(changed(table, "random_state", {"function": "numpy.std"}), "has no place there")
    refused(changed(table, "n_features_in_", {"function": "numpy.std"}), "has no place there")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"dict": [["out", {"array": 0}]]}, "'out'"),
        ({"dict": [["axis", "x"]]}, "axis"),
        ({"dict": [["dtype", "O"]]}, "'dtype'"),
        ({"dict": [["axis", {"tuple": [1, 1e3]}]]}, "axis"),
        ([1], "fit together|kw_args|is no"),
    ],
)
def test_functions_get_no_other_options(refused, table, options, reason):
    refused(changed(table, "kw_args", options), reason)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("coef_", None, "coef_ is no array"),
        ("coef_", {"array": 999}, "does not have"),
        ("coef_", {"array": True}, "does not have"),
        ("coef_", {"array": -1}, "does not have"),
        ("coef_", {"same": 0}, "coef_"),
        ("coef_", {"same": 10**6}, "not met before"),
        ("coef_", {"strings": [[1], ["a"]]}, "coef_ is no array"),
        ("classes_", {"strings": [[2], ["b", "a"]]}, "not sorted"),
        ("classes_", {"strings": [[3], ["a", "b"]]}, "declares the shape"),
        ("n_features_in_", 0, "n_features_in_"),
        ("n_features_in_", 10**9, "is none of 2"),
        ("n_features_in_", 2**70, "out of range"),
        ("n_features_in_", {"number": ["int8", 300]}, "out of range"),
        ("n_features_in_", {"number": ["object", 3]}, "no number"),
        ("C", "x", "fit together"),
        ("C", {"float": "nan"}, "fit together"),
        ("C", {"float": "1e5"}, "do not have"),
        ("C", {}, "empty"),
        ("C", {"estimator": "LogisticRegression"}, "do not have"),
        ("C", {"bytes": "gA=="}, "do not have"),
        ("solver", "os.system", "fit together"),
        ("random_state", {"random": [{"array": 0}, 700, 0, 0.0]}, "no state"),
        ("steps", [], "steps"),
        ("steps", {"tuple": []}, "steps"),
        ("steps", None, "steps"),
        ("memory", "/tmp/cache", "place on some machine"),
        ("bands_", {"tuple": ["a; import os"]}, "bands_"),
        ("bands_", ["Red"], "bands_"),
        ("units_", {"tuple": ["dB"]}, "units_"),
        ("patch_size", -3, "fit together"),
        pytest.param("patch_size", 10**400, "cannot be read|out of range", id="10**400"),
    ],
)
def test_values_of_other_types_and_sizes_are_refused(refused, table, key, value, reason):
    refused(changed(table, key, value), reason)


def test_sizes_have_to_agree(refused, table):
    refused(changed(table, "n_features_in_", 10**9, 3), "does not fit the other attributes")


def test_attributes_and_parameters_of_other_names_are_refused(refused, table):
    document = document_of(table)
    for key in ("__class__", "__dict__", "__reduce__", "predict", "predict_proba", "_sklearn_version", "x_"):
        place = place_of(document, "fitted", document["model"]["params"]["steps"][-1]["tuple"][1]["fitted"])
        fitted = {**document["model"]["params"]["steps"][-1]["tuple"][1]["fitted"], key: 1}
        refused(with_document(table, put(document, place, fitted)), "which is not read")
    first = ("model", "params", "steps", 0, "tuple", 1)
    stacker = document["model"]["params"]["steps"][0]["tuple"][1]
    for key in ("__class__", "__getattr__", "transform", "view", "bands__", "_x_", "X_"):
        refused(
            with_document(table, put(document, (*first, "fitted"), {**stacker["fitted"], key: 1})), "which is not read"
        )
    refused(
        with_document(table, put(document, (*first, "params"), {**stacker["params"], "code": 1})), "versions installed"
    )
    grown = {**stacker["fitted"], "learnt_later_": {"tuple": [1.5, None]}}  # by a later version: kept
    changed_contract = put(document, (*first, "fitted"), grown)
    changed_contract["contract"]["inputs"][0]["learnt_later"] = [1.5, None]
    assert decoded(with_document(table, changed_contract))[0][0].learnt_later_ == (1.5, None)


def test_files_of_before_a_parameter_or_an_attribute_are_read(table):
    model, _ = decoded(table)
    del model[0].pixel_size_
    document = document_of(encoded(model))
    del document["model"]["params"]["steps"][0]["tuple"][1]["params"]["pixel_size_tolerance"]
    del document["contract"]["inputs"][0]["pixel_size_tolerance"]
    model, _ = decoded(with_document(encoded(model), document))
    assert model[0].pixel_size_tolerance == 0.15
    assert not hasattr(model[0], "pixel_size_")


@pytest.mark.parametrize("width", [1, 2, 10])
def test_references_do_not_unfold_without_end(refused, table, width):
    """As entities in XML do: a list of one list, which is in the next one several times, and so on."""
    document = document_of(table)
    stacker = document["model"]["params"]["steps"][0]["tuple"][1]
    decoder = TreeDecoder(arrays_of(table))
    decoder.decode(stacker, "stacker")
    first = len(decoder._kept) - 1  # the next value that is finished: the stacker itself comes later
    chain = [[1.5]] + [[{"same": first + i}] * width for i in range(200)]
    stacker["fitted"]["later_"] = chain
    refused(with_document(table, document), "refers to values within values")


def test_a_model_that_is_not_fitted_is_refused(refused, table):
    document = document_of(table)
    last = ("model", "params", "steps", 3 + 1, "tuple", 1)
    refused(with_document(table, put(document, (*last, "fitted"), {})), "not fitted")
    fitted = document["model"]["params"]["steps"][-1]["tuple"][1]["fitted"]
    del fitted["coef_"]
    refused(with_document(table, document), "not fitted.*coef_")


def test_nan_in_what_was_learnt_is_refused(refused, table):
    members = members_of(table)
    names = [n for n in members if n.endswith(".npy") and b"'<f8'" in members[n][:80]]
    for name in names:
        refused(sealed({**members, name: members[name][:-8] + np.float64(np.nan).tobytes()}), "NaN")


# ---------------------------------------------------------------- networks


def layer_of(document, kind):
    place = place_of(document, "layer", kind)[:-1]
    at = document
    for key in place:
        at = at[key]
    return place, at


@pytest.mark.parametrize(
    "kind",
    [
        "Lambda",
        "TFSMLayer",
        "TorchModuleWrapper",
        "Conv3D",
        "Functional",
        "keras.src.layers.Lambda",
        None,
        ["Dense"],
        {},
    ],
)
def test_only_layers_of_the_network_are_built(refused, network, kind):
    place, layer = layer_of(document_of(network), "Dense")
    refused(with_document(network, put(document_of(network), place, {**layer, "layer": kind})), "has the layer")


def test_the_way_keras_writes_layers_is_not_read(refused, network):
    """As in archives of Keras: a module, a registered name, code in a Lambda."""
    document = document_of(network)
    place, layer = layer_of(document, "Dropout")
    code = {"class_name": "__lambda__", "config": {"code": "4wE=", "defaults": None, "closure": None}}
    for other in (
        {"module": "os", "class_name": "system", "config": {}, "registered_name": "evil>Layer"},
        {"module": "keras.layers", "class_name": "Lambda", "config": {"function": code}, "registered_name": None},
        {**layer, "registered_name": "evil>Layer"},
        {**layer, "module": "os"},
        {**layer, "activation": code},
    ):
        refused(with_document(network, put(document, place, other)), "has the layer|is to have|registered_name")
    _, dense = layer_of(document, "Dense")
    for activation in (code, "os.system", "gelu", None):
        changed_layer = {**dense, "activation": activation}
        refused(with_document(network, put(document, layer_of(document, "Dense")[0], changed_layer)), "activation")


@pytest.mark.parametrize(
    ("kind", "key", "value", "reason"),
    [
        ("Dense", "units", 10**9, "units"),
        ("Dense", "units", 2**24, "weights of the shapes"),
        ("Dense", "units", 9, "weights of the shapes"),
        ("Dense", "units", "8", "units"),
        ("Dense", "units", True, "units"),
        ("Conv2D", "filters", 2**24, "features|weights"),
        ("Conv2D", "filters", 0, "filters"),
        ("Conv2D", "padding", "causal", "padding"),
        ("Conv2D", "seed", -1, "seed"),
        ("Conv2D", "name", "../x", "names"),
        ("Conv2D", "name", "dense", "names"),
        ("Dropout", "rate", 1.0, "rate"),
        ("Dropout", "seed", None, "seed"),
        ("Normalization", "mean", [0.0], "mean"),
        ("Normalization", "mean", 0.0, "mean"),
        ("Normalization", "variance", [-1.0, 1.0, 1.0], "variance"),
    ],
)
def test_numbers_of_the_network_are_checked_before_it_is_built(refused, network, kind, key, value, reason):
    place, layer = layer_of(document_of(network), kind)
    refused(with_document(network, put(document_of(network), place, {**layer, key: value})), reason)


def test_the_network_fits_what_is_about_it(refused, network):
    document = document_of(network)
    resizing = {"layer": "Resizing", "name": "resample", "height": 10**6, "width": 16}
    place = layer_of(document, "Conv2D")[0]
    refused(with_document(network, put(document, place, resizing)), "height")
    place = place_of(document, "patch_shape")
    for shape in ([9, 9], [10**6, 9, 3], [9, 9, 4], [0, 9, 3], "9"):
        refused(with_document(network, put(document, place, shape)), "patches of the shape|weights|mean")
    refused(changed(network, "patch_shape_", {"tuple": [7, 9, 3]}), "patch_shape_")
    refused(changed(network, "patch_size", 7), "cuts patches")
    members = members_of(network)
    document = document_of(network)
    weights = document["model"]["params"]["steps"][-1]["tuple"][1]["fitted"]["model_"]["network"]["weights"]
    name = f"arrays/{weights[0]}.npy"
    spoilt = members[name][:-4] + np.float32(np.inf).tobytes()
    refused(sealed({**members, name: spoilt}), "NaN or infinity")
    refused(changed(network, "weights", weights[::-1]), "weights of the shapes")
    refused(changed(network, "weights", [*weights, 0]), "weights of the shapes")
    refused(changed(network, "weights", None), "no network")


# ---------------------------------------------------------------- chance


def corruptions(data, count, seed):
    random = np.random.RandomState(seed)
    size = len(data)
    for number in range(count):
        kind = number % 8
        a, b = sorted(random.randint(0, size, 2).tolist())
        b = min(max(b, a + 1), a + 200)
        if kind == 0:  # bits
            out = bytearray(data)
            out[a] ^= 1 << random.randint(8)
        elif kind == 1:
            out = data[:a]
        elif kind == 2:
            out = data[:a] + random.bytes(random.randint(1, 9)) + data[a:]
        elif kind == 3:  # two stretches change places
            out = data[:a] + data[b : 2 * b - a] + data[a:b] + data[2 * b - a :]
        elif kind == 4:
            out = data[:a] + bytes(b - a) + data[b:]
        elif kind == 5:
            out = data + random.bytes(random.randint(1, 400))
        elif kind == 6:
            out = data[a:]
        else:  # the end: comment and checksum
            out = bytearray(data)
            out[-1 - random.randint(200)] = random.randint(256)
        yield bytes(out)


def test_ten_thousand_corruptions_are_refused(table):
    changed_count = 0
    for data in corruptions(table, 10_000, 0):
        try:
            model, _ = decoded(data)
        except ModelFileError:
            assert data != table
            changed_count += 1
        else:
            assert data == table
            assert encoded(model) == table
    assert changed_count > 9_000


MUTATIONS = """
import sys
from test_model_file_faults import mutate_and_load
print(*mutate_and_load(sys.argv[1], int(sys.argv[2])))
"""
ODD = [
    None, True, False, 0, 1, -1, 2, 7, 10**9, 2**62, -(2**62), 0.0, -0.5, 1.5, 1e300, "", "x", "RGB", "os.system",
    "drop", "passthrough", [], {}, [None], [[1, 2]], {"tuple": [1]}, {"float": "nan"}, {"float": "inf"}, {"array": 0},
    {"array": 1}, {"same": 0}, {"same": 3}, {"dict": []}, {"strings": [[1], ["a"]]}, {"number": ["float64", 1.5]},
    {"function": "numpy.std"},
]  # fmt: skip


def mutation(data, random):
    """A file with one or two things changed, and a right checksum."""
    members = members_of(data)
    document = json.loads(members["model.json"])
    for _ in range(random.randint(1, 3)):
        kind = random.randint(6)
        if kind == 0:
            name = random.choice([n for n in members if n.endswith(".npy")])
            array = bytearray(members[name])
            place = random.randint(len(array))
            array[place] = random.randint(256)
            members[name] = bytes(array)
            continue
        places = [p for p in nodes_below(document) if p[0] in ("model", "search")]
        path = places[random.randint(len(places))]
        at = document
        for key in path[:-1]:
            at = at[key]
        if kind == 1 and isinstance(at, dict):
            del at[path[-1]]
        elif kind == 2 and isinstance(at, list):
            at.append(at[path[-1]])
        elif kind == 3:
            other = document
            for key in places[random.randint(len(places))]:
                other = other[key]
            at[path[-1]] = json.loads(json.dumps(other))
        else:
            at[path[-1]] = ODD[random.randint(len(ODD))]
    from sklandslide.persistence.values import json_bytes

    return sealed({**members, "model.json": json_bytes(document)})


def nodes_below(document):
    from model_bytes import nodes

    return [path for path in nodes(document) if len(path) > 1]


def mutate_and_load(path, count):
    """How many mutations were refused, loaded, and loaded but predicted nothing."""
    data = Path(path).read_bytes()
    random = np.random.RandomState(1)
    scene = random_scene((40, 40), bands=("Red", "Green", "Blue", "VV_before", "VV_after", "VV_after2"))
    X, _ = samples(scene, 6)
    refused_count = loaded = silent = 0
    for _ in range(count):
        mutant = mutation(data, random)
        try:
            document_told(mutant)
        except ModelFileError:
            refused_count += 1
            continue
        model = document_told(mutant)
        again = encoded(model)
        assert encoded(decoded(again)[0]) == again
        loaded += 1
        try:
            found = model.predict_proba(X)
        except Exception:
            silent += 1
        else:
            assert found.shape == (6, len(model.classes_))
    return refused_count, loaded, silent


def document_told(mutant):
    """Load a mutant as it stands or, if all that is wrong is what it says of its model, without that."""
    try:
        return decoded(mutant)[0]
    except ModelFileError as error:
        if "is not so of its model" not in str(error):
            raise
    from sklandslide.persistence.document import _built

    members = members_of(mutant)
    document = json.loads(members.pop("model.json"))
    del members["README.md"]
    return _built(document["model"], document["search"], members)  # it was built before, so it can be


def run_mutations(path, count):
    """In another process: a crash of the interpreter is a failure like any other."""
    done = subprocess.run(
        [sys.executable, "-c", MUTATIONS, path, str(count)],
        cwd=Path(__file__).parent, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [int(n) for n in done.stdout.split()]


def test_mutations_of_ensembles(tmp_path):
    X, y = samples(random_scene())
    save_model(calibrated_vote().fit(X, y), tmp_path / "vote.zip")
    refused_count, loaded, _ = run_mutations(tmp_path / "vote.zip", 200)
    assert refused_count > 100
    assert loaded > 5


@pytest.mark.slow
def test_mutations_of_networks():
    refused_count, loaded, _ = run_mutations(STORED, 150)
    assert refused_count > 100
    assert loaded > 5


def test_saving_refuses_what_cannot_be_loaded(tmp_path):
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    model.coef_ = np.array([[np.nan]])
    with pytest.raises(ModelFileError, match=r"not saved.*coef_ holds NaN"):
        save_model(model, tmp_path / "model.zip")
    assert list(tmp_path.iterdir()) == []
