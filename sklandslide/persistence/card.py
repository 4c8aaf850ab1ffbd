"""The card of a fitted model: what it is, for people."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..features import size_text
from .facts import contract_of, training_of

__all__ = ["ModelCard", "card_of"]

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


def card_of(model: Any, made_with: dict[str, Any], heading: str, training: dict[str, Any] | None = None) -> ModelCard:
    """The card of a model that is fitted, not a search.

    Parameters
    ----------
    model : fitted estimator
    made_with : dict of str to str
        Versions.
    heading : str
        Over the versions.
    training : dict, default=None
        As `sklandslide.persistence.facts.training_of` gives it; of the model by default.

    Returns
    -------
    ModelCard
    """
    contract = contract_of(model)
    training = training_of(model) if training is None else training
    sections: list[tuple[str, tuple[Any, ...]]] = [("What it is", _what(model, contract))]
    sections.append(("What it demands of a scene", _demands(contract)))
    trained = _training(contract["classes"], training)
    if trained:
        sections.append(("Training", trained))
    sections.append(("Parameters", _parameters(model)))
    sections.append((heading, tuple((name, _printed(value)) for name, value in made_with.items())))
    sections.append(("Intended use and limits", _LIMITS))
    return ModelCard("Landslide model", tuple((name, rows) for name, rows in sections if rows))


def _what(model: Any, contract: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    steps = getattr(model, "steps", None)
    parts = " → ".join(type(step).__name__ for _, step in steps) if steps else type(model).__name__
    return (
        ("estimator", parts),
        ("takes", "map coordinates (Locations) on a scene" if contract["inputs"] else "patches or tables"),
        ("gives", f"a probability for each of the classes {_printed(contract['classes'])}"),
    )


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


def _training(classes: list[Any], training: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    rows = []
    for network in training["networks"]:
        if network["samples"]:
            counts = (f"{_printed(label)}: {n}" for label, n in zip(classes, network["samples"], strict=False))
            rows.append(("samples of each class", ", ".join(counts)))
        rows.append(("epochs", str(network["epochs"])))
        rows += [(f"last {name.replace('_', ' ')}", _printed(value)) for name, value in network["last"].items()]
    if training["search"]:
        search = training["search"]
        tried = f"{search['search']}, {search['candidates']} candidates on {search['folds']} folds"
        rows += [("search", tried), ("best parameters", _printed(search["best_params"]))]
        rows += [("their mean score", _printed(search["best_score"]))]
    return tuple(rows)


def _parameters(model: Any) -> tuple[tuple[str, str], ...]:
    """The parameters, without the parts themselves."""
    params = model.get_params()
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
    elif isinstance(value, str):
        text = str(value)
    elif isinstance(value, list | tuple):
        text = f"[{', '.join(map(_printed, value))}]"
    elif isinstance(value, dict):
        text = ", ".join(f"{_printed(k)}: {_printed(v)}" for k, v in value.items())
    elif value is None or isinstance(value, bool | int):
        text = repr(value)
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
