"""Model files taken apart and put together again, with a checksum that is right."""

import hashlib
import io
import json
import zipfile

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklandslide import BandStacker, Locations, PatchSampler
from sklandslide._version import __version__
from sklandslide.persistence.archive import packed
from sklandslide.persistence.arrays import parsed_array
from sklandslide.persistence.values import json_bytes


def spread():
    """From patches to a table that a model file can hold."""
    return FunctionTransformer(np.std, kw_args={"axis": (1, 2)})


def table_pipeline(*steps, patch_size=9):
    return make_pipeline(
        BandStacker("RGB"), PatchSampler(patch_size), *(steps or (spread(), StandardScaler(), LogisticRegression()))
    )


def calibrated_vote():
    """Several kinds of estimators in one."""
    voters = [("linear", table_pipeline()), ("small", table_pipeline(patch_size=5))]
    return CalibratedClassifierCV(VotingClassifier(voters, voting="soft"), method="isotonic", cv=2)


def samples(scene, n=80, seed=0):
    random = np.random.RandomState(seed)
    rows, cols = scene.grid.shape
    xy = scene.grid.xy(random.uniform(12, rows - 12, n), random.uniform(12, cols - 12, n))
    return Locations(scene, xy), random.randint(0, 2, n)


def members_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def document_of(data):
    return json.loads(members_of(data)["model.json"])


def arrays_of(data):
    return [parsed_array(content, name) for name, content in members_of(data).items() if name.endswith(".npy")]


def sealed(members):
    """The bytes of a model file with these members, whatever they hold."""
    return packed(members, __version__)


def with_document(data, document):
    members = members_of(data)
    members["model.json"] = document if isinstance(document, bytes) else json_bytes(document)
    return sealed(members)


def resealed(archive_bytes, comment=None):
    """Any zip archive without a comment of its own, with the comment and the checksum of a model file."""
    comment = comment or f"sklandslide model, format 1, written by {__version__}\nsha256:".encode()
    body = archive_bytes[:-2] + (len(comment) + 64).to_bytes(2, "little") + comment
    return body + hashlib.sha256(body).hexdigest().encode()


def nodes(tree, path=()):
    """Every place in a JSON document."""
    yield path
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield from nodes(value, (*path, key))


def put(tree, path, value):
    """Another document: the value in a place replaced."""
    copy = json.loads(json.dumps(tree))
    at = copy
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return copy


def place_of(tree, key, value=None):
    """The first place in the model whose last part is a key (and that holds a value)."""

    def holds(path):
        at = tree
        for part in path:
            at = at[part]
        return at

    return next(
        p for p in nodes(tree) if p and p[0] == "model" and p[-1] == key and (value is None or holds(p) == value)
    )
