"""The card of a fitted model: what it is, for people."""

from __future__ import annotations

import html
import json
import os
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..features import BandStacker, PatchSampler, size_text
from ..mapping import bare, fitted_parts, threshold_of
from ..network import LandslideCNN
from .saving import found_by, read_file, versions

_LIMITS = (
    "This model gives each window of a scene a score between 0 and 1 for how much it looks like the landslides that it "
    "was trained on. It helps to find landslides in an area after an event; it does not replace an expert's look at "
    "the images or the ground.",
    "Nothing in this card says how well the model does. Before its map of new ground is trusted, label some polygons "
    "there and compare (LandslideMap.score).",
    "The model cannot tell a scene that is unlike its training data (other sensor, processing, season, terrain, forest "
    "or size of landslides) from one that is like it, beyond what is demanded above.",
)
_PRINTED = 200  # characters of one value


@dataclass(frozen=True)
class ModelCard:
    """A description of a fitted model, as `model_card` makes it.

    Attributes
    ----------
    title : str
    sections : tuple of (str, tuple)
        Headings; under each, rows of (name, value), or sentences.
    """

    title: str
    sections: tuple[tuple[str, tuple[Any, ...]], ...]

    def to_markdown(self) -> str:
        """The card as Markdown: headings, tables and sentences.

        Returns
        -------
        str
        """
        lines = [f"# {_markdown(self.title)}", ""]
        for heading, rows in self.sections:
            lines += [f"## {_markdown(heading)}", ""]
            if isinstance(rows[0], str):
                lines += [part for row in rows for part in (_markdown(row), "")]
            else:
                lines += ["| | |", "| --- | --- |"]
                lines += [f"| {_markdown(name)} | {_markdown(value)} |" for name, value in rows] + [""]
        return "\n".join(lines)

    def to_html(self) -> str:
        """The card as a piece of HTML, without scripts and without anything from elsewhere.

        Returns
        -------
        str
        """
        parts = ['<div class="sklandslide-model-card">', f"<h2>{_html(self.title)}</h2>"]
        for heading, rows in self.sections:
            parts.append(f"<h3>{_html(heading)}</h3>")
            if isinstance(rows[0], str):
                parts += [f"<p>{_html(row)}</p>" for row in rows]
            else:
                cells = (f'<tr><th scope="row">{_html(name)}</th><td>{_html(value)}</td></tr>' for name, value in rows)
                parts.append(f"<table>{''.join(cells)}</table>")
        return "\n".join([*parts, "</div>"])

    def _repr_html_(self) -> str:
        return self.to_html()

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __str__(self) -> str:
        return self.to_markdown()


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
        content = read_file(model)
        return _card(content["model"], content["search"], "Written with", content["versions"])
    check_is_fitted(model)
    if hasattr(model, "best_estimator_"):
        return _card(model.best_estimator_, found_by(model), "Described with", versions())
    return _card(model, None, "Described with", versions())


def _card(model: Any, search: dict[str, Any] | None, heading: str, made_with: dict[str, str]) -> ModelCard:
    contract = contract_of(model)
    sections = (
        ("What it is", _what(model, contract)),
        ("What it demands of a scene", _demands(contract)),
        ("Training", _training(model, contract["classes"], search)),
        ("Parameters", _parameters(model)),
        (heading, tuple((name, _printed(value)) for name, value in made_with.items())),
        ("Intended use and limits", _LIMITS),
    )
    return ModelCard("Landslide model", tuple((name, rows) for name, rows in sections if rows))


def contract_of(model: Any) -> dict[str, Any]:
    """What a fitted model demands of a scene, and what it gives, in JSON's own types.

    ``inputs`` is of each `BandStacker`, ``patches`` of each `PatchSampler`: its parameters and what it learnt.
    """
    samplers = fitted_parts(model, PatchSampler)
    sizes = {int(sampler.patch_size) for sampler in samplers}
    if not sizes:
        sizes = {int(cnn.patch_shape_[0]) for cnn in fitted_parts(model, LandslideCNN)}
    return {
        "inputs": [_known_of(stacker) for stacker in fitted_parts(model, BandStacker)],
        "patches": [_known_of(sampler) for sampler in samplers],
        "patch_sizes": sorted(sizes),
        "classes": _simple(np.asarray(model.classes_)),
    }


def _known_of(step: Any) -> dict[str, Any]:
    learnt = {k.removesuffix("_"): v for k, v in vars(step).items() if k.endswith("_") and k != "n_features_in_"}
    params = {k: v for k, v in step.get_params(deep=False).items() if k != "memory"}
    return {**_simple(params), **_simple(learnt)}


def _simple(value: Any) -> Any:
    """A value in JSON's own types; what has no such form by the name of its type."""
    return json.loads(json.dumps(value, default=lambda v: v.tolist() if hasattr(v, "tolist") else type(v).__name__))


def _what(model: Any, contract: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    steps = getattr(bare(model), "steps", None)
    parts = " → ".join(type(step).__name__ for _, step in steps) if steps else type(bare(model)).__name__
    rows = (
        ("estimator", parts),
        ("takes", "map coordinates (Locations) on a scene" if contract["inputs"] else "patches or tables"),
        ("gives", f"a probability for each of the classes {_printed(contract['classes'])}"),
    )
    chosen = [(label, threshold_of(model, label)) for label in contract["classes"]]
    return rows + tuple((f"threshold of {_printed(label)}", _printed(t)) for label, t in chosen if t is not None)


def _demands(contract: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    rows = []
    for stacker in contract["inputs"]:
        units = stacker.get("units") or [None] * len(stacker["bands"])
        named = [f"{band} [{unit or 'undeclared'}]" for band, unit in zip(stacker["bands"], units, strict=True)]
        rows.append(("bands, in this order", ", ".join(named)))
        rows.append(("composite", _printed(stacker["composite"])))
        if "pixel_size" in stacker:
            tolerance = stacker["pixel_size_tolerance"]
            allowed = "any is taken" if tolerance is None else f"at most {tolerance:.0%} smaller or larger"
            rows.append(("pixels", f"{size_text(stacker['pixel_size'])} on the ground; {allowed}"))
        others = {k: v for k, v in stacker.items() if k not in _TOLD}
        rows += [(k.replace("_", " "), _printed(v)) for k, v in others.items()]
    for sampler in contract["patches"]:
        known = sampler.get("value_quantiles") or []
        for band, unit, values in zip(sampler.get("bands", ()), sampler.get("units", ()), known, strict=False):
            low, middle, high = (f"{value:.4g}" for value in values)
            rows.append((f"values of {band}", f"{low} to {high} {unit or ''} (5 to 95 %), median {middle}"))
    if contract["patch_sizes"]:
        rows.append(("patch size", ", ".join(f"{n} x {n} pixels" for n in contract["patch_sizes"])))
    return tuple(rows)


def _training(model: Any, classes: list[Any], search: dict[str, Any] | None) -> tuple[tuple[str, str], ...]:
    rows = []
    for cnn in fitted_parts(model, LandslideCNN):
        counts = (f"{_printed(label)}: {n}" for label, n in zip(classes, cnn.class_count_, strict=False))
        rows += [("samples of each class", ", ".join(counts)), ("epochs", _printed(cnn.n_iter_))]
        rows += [(f"last {k.replace('_', ' ')}", _printed(values[-1])) for k, values in sorted(cnn.history_.items())]
    if search:
        tried = f"{search['search']}, {search['candidates']} candidates on {search['folds']} folds"
        rows += [("search", tried), ("best parameters", _printed(search["best_params"]))]
        rows += [("their mean score", _printed(search["best_score"]))]
    return tuple(rows)


def _parameters(model: Any) -> tuple[tuple[str, str], ...]:
    """The parameters, without the parts themselves."""
    params = bare(model).get_params()
    shown = (
        (k, v) for k, v in sorted(params.items()) if not hasattr(v, "get_params") and k.split("__")[-1] not in _PARTS
    )
    return tuple((name, _printed(value)) for name, value in shown)


_TOLD = ("bands", "units", "composite", "pixel_size", "pixel_size_tolerance")
_PARTS = ("steps", "estimators", "transformer_list", "memory", "verbose", "n_jobs", "transform_input")


def _printed(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, list | tuple):
        text = f"[{', '.join(map(_printed, value))}]"
    elif isinstance(value, dict):
        text = ", ".join(f"{_printed(k)}: {_printed(v)}" for k, v in value.items())
    elif value is None or isinstance(value, str | int):
        text = str(value)
    else:  # a function, a generator of random numbers, an array
        text = getattr(value, "__name__", type(value).__name__)
    return text if len(text) <= _PRINTED else f"{text[: _PRINTED - 3]}..."


def _visible(text: str) -> str:
    """Control characters, line ends and other marks that are not printed, as their escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _html(text: str) -> str:
    return html.escape(_visible(text), quote=True)


def _markdown(text: str) -> str:
    """Text that means nothing in Markdown, nor in the HTML that Markdown may hold, nor in a table's cell."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#|~&!@$])", r"\\\1", _visible(text))
    return escaped.replace("://", ":\\/\\/").replace("www.", "www\\.")
