"""model_card: describe a fitted model, or a model file."""

from __future__ import annotations

import os
from typing import Any

from sklearn.utils.validation import check_is_fitted

from .card import ModelCard, card_of
from .document import read_document
from .facts import training_of, versions

__all__ = ["model_card"]


def model_card(model: Any) -> ModelCard:
    """Describe a fitted model: what it demands of a scene, what it gives, how it was made, and its limits.

    Parameters
    ----------
    model : estimator or path
        A fitted pipeline, a search, a meta-estimator over pipelines, or a file that `save_model` wrote.

    Returns
    -------
    ModelCard
        With ``to_markdown()`` and ``to_html()``; shown as such in a notebook. Everything that comes from the model,
        such as names of classes and bands, is escaped.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    ModelFileError
        If the file is none, or damaged.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> import numpy as np
    >>> from sklandslide import BandStacker, PatchSampler, make_scene, model_card, sample_polygons
    >>> scene, polygons = make_scene(shape=(150, 150), random_state=0)
    >>> X, y, groups = sample_polygons(scene, polygons[:12], patch_size=9, random_state=0)
    >>> spread = FunctionTransformer(np.std, kw_args={"axis": (1, 2)})
    >>> model = make_pipeline(BandStacker("BAC"), PatchSampler(9), spread, LogisticRegression()).fit(X, y)
    >>> print(model_card(model).to_markdown())
    # Landslide model
    <BLANKLINE>
    ## What it is
    <BLANKLINE>
    | | |
    | --- | --- |
    | estimator | BandStacker → PatchSampler → FunctionTransformer → LogisticRegression |
    ...
    """
    if isinstance(model, str | os.PathLike):
        loaded, document = read_document(model)
        return card_of(loaded, document["versions"], "Written with")
    check_is_fitted(model)
    return card_of(getattr(model, "best_estimator_", model), versions(), "Described with", training_of(model))
