"""A model file's bytes: the members of its archive from a model, and a model from them."""

from __future__ import annotations

import os
import re
from typing import Any

from .._version import __version__
from ..exceptions import ModelFileError
from .archive import FORMAT, MAX_BYTES, packed, unpacked
from .arrays import array_bytes, parsed_array, shown
from .card import card_of
from .facts import contract_of, training_of, versions
from .files import read_whole
from .tree import TreeDecoder, TreeEncoder, demand_fitted, search_summary
from .values import json_bytes, parsed_json

__all__ = ["decoded", "encoded", "read_document"]

_KEYS = ("format", "number", "versions", "contract", "training", "search", "model")
_NAME = "sklandslide model"
_VERSION = re.compile(r"[0-9A-Za-z.+!-]{1,40}")


def encoded(model: Any) -> bytes:
    """A fitted model as the bytes of a model file.

    Parameters
    ----------
    model : fitted estimator

    Returns
    -------
    bytes

    Raises
    ------
    ModelFileError
        If it has a part that a model file cannot hold.
    """
    encoder = TreeEncoder()
    name = type(model).__name__
    tree = encoder.encode(model, name)
    if not isinstance(tree, dict) or "estimator" not in tree:
        raise ModelFileError(f"A {name} is no estimator. Give a fitted pipeline, or a search.")
    search = encoder.encode(search_summary(model), f"{name}.search_")
    arrays = {f"arrays/{i}.npy": array_bytes(array) for i, array in enumerate(encoder.arrays)}
    # What is told of the model is told of the one that will be loaded.
    kept = _built(tree, search, arrays)
    made_with = versions()
    document = {
        "format": _NAME,
        "number": FORMAT,
        "versions": made_with,
        "contract": contract_of(kept),
        "training": training_of(kept),
        "search": search,
        "model": tree,
    }
    card = card_of(kept, made_with, "Written with").to_markdown()
    return packed({"model.json": json_bytes(document), **arrays, "README.md": card.encode()}, __version__)


def decoded(data: bytes) -> tuple[Any, dict[str, Any]]:
    """The model, and the document, in the bytes of a model file.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    model : fitted estimator
    document : dict

    Raises
    ------
    ModelFileError
        If they are damaged, or hold anything but a model of known parts.
    """
    members = unpacked(data)
    document = parsed_json(members.pop("model.json"))
    members.pop("README.md")
    try:
        return _checked(document, members), document
    except ModelFileError:
        raise
    except Exception as error:  # whatever a constructor says of parameters that do not fit
        raise ModelFileError(
            f"its parts do not fit together ({type(error).__name__}: {shown(str(error), 300)})"
        ) from error


def _checked(document: Any, members: dict[str, bytes]) -> Any:
    """The model of a document, whatever the document may be."""
    if not isinstance(document, dict) or tuple(document) != _KEYS:
        raise ModelFileError(f"model.json is to have {', '.join(_KEYS)} and nothing else")
    if document["format"] != _NAME or document["number"] != FORMAT or type(document["number"]) is not int:
        raise ModelFileError(f"model.json is of the format {shown(document['format'])} {shown(document['number'])}")
    _check_versions(document["versions"])
    model = _built(document["model"], document["search"], members)
    for name, found in (("contract", contract_of(model)), ("training", training_of(model))):
        if not _is_so(document[name], found):
            raise ModelFileError(f"what model.json says as {name} is not so of its model")
    return model


def _is_so(told: Any, found: Any) -> bool:
    """Whether all that is told is found; a later version may find more, such as a new parameter's default."""
    if isinstance(told, dict) and isinstance(found, dict):
        return all(key in found and _is_so(value, found[key]) for key, value in told.items())
    if isinstance(told, list) and isinstance(found, list):
        return len(told) == len(found) and all(map(_is_so, told, found))
    return type(told) is type(found) and told == found


def _built(tree: Any, search: Any, members: dict[str, bytes]) -> Any:
    """The model of a tree."""
    decoder = TreeDecoder([parsed_array(data, name) for name, data in members.items()])
    if not isinstance(tree, dict) or "estimator" not in tree:
        raise ModelFileError("its model is no estimator")
    name = shown(tree["estimator"])
    model = decoder.decode(tree, name)
    if not hasattr(model, "predict"):
        raise ModelFileError(f"its model is a {name}, which classifies nothing")
    demand_fitted(model, name)
    found = decoder.decode(search, "search")
    if found is not None:
        _check_search(found)
        model.search_ = found
    return model


def _check_versions(told: Any) -> None:
    right = isinstance(told, dict) and list(told) == list(versions())
    if not right or not all(v is None or (isinstance(v, str) and _VERSION.fullmatch(v)) for v in told.values()):
        raise ModelFileError("model.json does not tell the versions that wrote it")


def _check_search(search: Any) -> None:
    kinds = {"search": str, "best_params": dict, "best_score": float | None, "candidates": int, "folds": int}
    right = isinstance(search, dict) and tuple(search) == tuple(kinds)
    if not right or not all(isinstance(search[key], kind) for key, kind in kinds.items()):
        raise ModelFileError("what model.json says of a search is not as model files have it")


def read_document(path: Any) -> tuple[Any, dict[str, Any]]:
    """The model, and the document, in a model file.

    Parameters
    ----------
    path : path

    Returns
    -------
    model : fitted estimator
    document : dict

    Raises
    ------
    ModelFileError
        If it cannot be read, is no model file, is damaged, or holds anything but a model of known parts.
    """
    name = os.fspath(path)
    try:
        return decoded(read_whole(name, MAX_BYTES))
    except ModelFileError as error:
        raise ModelFileError(f"{name} cannot be loaded: {error}.") from error.__cause__
    except OSError as error:
        raise ModelFileError(f"{name} cannot be read: {error.strerror}. Check the path.") from error
