"""export_onnx: the network of a fitted model for other programs."""

from __future__ import annotations

import json
from typing import Any

from sklearn.utils.validation import check_is_fitted

from .._version import __version__
from ..exceptions import ModelFileError
from ..geodata import check_output
from ..mapping import bare
from ..network import LandslideCNN, state_of, to_onnx
from .card import contract_of
from .saving import write_whole

_BEFORE = {"BandStacker", "PatchSampler", "Augmenter"}


def export_onnx(model: Any, path: Any, *, overwrite: bool = False) -> str:
    """Write the network of a fitted model in ONNX, for programs other than this one.

    The graph takes ``patches``, float32 of shape (n, rows, cols, bands), as `LandslideCNN` does, and gives
    ``probabilities``, float32 of shape (n, n_classes). Normalisation and resampling are inside. What the pipeline does
    before (choosing bands, converting radar power to dB, cutting patches) is not: the file's metadata tell it, as JSON
    under ``bands``, ``units``, ``composite`` and whatever else the `BandStacker` demands, ``patch_shape``, ``classes``.

    Parameters
    ----------
    model : estimator
        A fitted `LandslideCNN`, a pipeline of this package's steps that ends with one, or a search over such pipelines;
        with a threshold or without.
    path : path
        Of the file, such as ``"model.onnx"``. It appears when it is complete.
    overwrite : bool, default=False
        Whether an existing file may be replaced.

    Returns
    -------
    str
        The absolute path.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    ModelFileError
        If the model is another one, or its network has layers without a counterpart.
    OutputExistsError
        If the file exists and `overwrite` is false.
    OutputFolderError
        If the folder of the file does not exist.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklandslide import LandslideCNN, export_onnx
    >>> random = np.random.RandomState(0)
    >>> y = np.repeat(["forest", "landslide"], 40)
    >>> X = random.normal(size=(80, 8, 8, 1)).astype(np.float32) + (y == "landslide")[:, None, None, None]
    >>> cnn = LandslideCNN(filters=(4,), dense_units=8, input_size=None, epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = export_onnx(cnn, pathlib.Path(folder) / "model.onnx")
    ...     pathlib.Path(path).stat().st_size > 1000
    True
    """
    check_is_fitted(model)
    model = bare(model)
    cnn = _network_of(model)
    name = check_output(path, overwrite)
    contract = contract_of(model)
    told = {
        key: value for step in ("patches", "inputs") for demands in contract[step] for key, value in demands.items()
    }
    told["patch_shape"] = [int(n) for n in cnn.patch_shape_]
    told |= {"classes": contract["classes"], "sklandslide_version": __version__}
    try:
        data = to_onnx(state_of(cnn), bands_last=True, metadata={key: json.dumps(value) for key, value in told.items()})
    except ValueError as error:
        raise ModelFileError(f"The network is not exported. {error}") from error
    write_whole(name, data, overwrite)
    return name


def _network_of(model: Any) -> LandslideCNN:
    *before, network = [step for _, step in getattr(model, "steps", [("", model)])]
    names = [type(step).__name__ for step in before]
    if isinstance(network, LandslideCNN) and set(names) <= _BEFORE:
        return network
    raise ModelFileError(
        f"A model of {', '.join([*names, type(network).__name__])} is not exported. Give a fitted LandslideCNN, or a "
        "pipeline of BandStacker, PatchSampler, Augmenter and LandslideCNN."
    )
