"""Fitted estimators as a tree of plain values, and back."""

from __future__ import annotations

import inspect
import logging
from typing import Any

from ..exceptions import ModelFileError
from .arrays import shown
from .functions import FUNCTIONS, name_of
from .kinds import KINDS, Kind, class_of, is_kind, why_not
from .network import built_network, described_network
from .rules import plain
from .values import Decoder, Encoder

__all__ = ["TreeDecoder", "TreeEncoder", "demand_fitted", "search_summary"]

_log = logging.getLogger("sklandslide")

_SEARCHES = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")
# Attributes that play no part in predicting: what fitting asks its caller for, and what a search found.
_NOT_KEPT = ("_metadata_request", "search_")
# Parameters whose defaults mark that they are going away: other versions need not know them.
_PASSING = ("deprecated", "warn")


def search_summary(model: Any) -> dict[str, Any] | None:
    """What a search found: of the search itself, or of a model that was loaded from the file of one."""
    if type(model).__name__ not in _SEARCHES:
        found = vars(model).get("search_")
        return found if isinstance(found, dict) else None
    best = {
        name: value if plain(value, {}) is None else type(value).__name__ for name, value in model.best_params_.items()
    }
    score = getattr(model, "best_score_", None)
    candidates = len(model.cv_results_["params"])
    return {
        "search": type(model).__name__,
        "best_params": best,
        "best_score": None if score is None else float(score),
        "candidates": candidates,
        "folds": int(model.n_splits_),
    }


class TreeEncoder(Encoder):
    """Estimators as objects of class, parameters and fitted attributes; each once."""

    def passes(self, value: Any) -> bool:
        """Functions have names; in the place of a search stands what it found."""
        return callable(value) or type(value).__name__ in _SEARCHES

    def other(self, value: Any, where: str) -> Any:
        """An estimator, or one of numpy's functions."""
        name = name_of(value) if callable(value) and not hasattr(value, "get_params") else None
        if name:
            return {"function": name}
        kind = type(value)
        if kind.__name__ in _SEARCHES and kind.__module__.startswith("sklearn."):
            if not hasattr(value, "best_estimator_"):
                raise ModelFileError(
                    f"{where} is a {kind.__name__} without a best_estimator_. Fit it with refit=True; inside another "
                    "estimator, put its best_estimator_ there."
                )
            return self.encode(value.best_estimator_, where)
        if kind.__name__ == "TunedThresholdClassifierCV" and kind.__module__.startswith("sklearn."):
            return self._estimator(_fixed(value, where), where)
        if is_kind(value):
            return self._estimator(value, where)
        if inspect.isroutine(value) or inspect.isfunction(value):
            raise ModelFileError(
                f"{where} is the function {getattr(value, '__qualname__', value)!r}: a function is code, which a model "
                f"file does not hold. Use one of numpy's ({', '.join(n.removeprefix('numpy.') for n in FUNCTIONS)}), "
                "given by itself with kw_args, or a pickle."
            )
        raise ModelFileError(f"{where} cannot be kept in a model file: {why_not(value)}")

    def _estimator(self, estimator: Any, where: str) -> dict[str, Any]:
        kind = KINDS[type(estimator).__name__]
        names = _params_of(type(estimator), kind)
        params = {}
        for name, default in names.items():
            value = getattr(estimator, name)
            if not (isinstance(value, str) and value in _PASSING and value == default):
                params[name] = self._param(name, value, f"{where}.{name}")
        fitted = {}
        for name, value in vars(estimator).items():
            if name in names or name in _NOT_KEPT or name in kind.derived:
                continue
            if kind.rule_of(name, type(estimator)) is None:
                raise ModelFileError(
                    f"{where} has the attribute {name!r}, which a model file does not hold of a "
                    f"{type(estimator).__name__}. Use a pickle."
                )
            fitted[name] = self._network(value) if name == "model_" else self.encode(value, f"{where}.{name}")
        return {"estimator": type(estimator).__name__, "params": params, "fitted": fitted}

    def _param(self, name: str, value: Any, where: str) -> Any:
        if name == "memory" and value is not None:
            _log.info("%s is a place on this machine: it is saved as None.", where)
            return None
        if name == "cv" and not isinstance(value, int | str | None) and not is_kind(value):
            _log.warning("%s cannot be kept in a model file: it is saved as None. It is only for fitting again.", where)
            return None
        return self.encode(value, where)

    def _network(self, network: Any) -> dict[str, Any]:
        description, weights = described_network(network)
        return {"network": {**description, "weights": [self.array(w, "weights")["array"] for w in weights]}}


def _fixed(tuned: Any, where: str) -> Any:
    """The classifier with the threshold that another one found: what predicts, without the scorer that judged."""
    from sklearn.model_selection import FixedThresholdClassifier

    options = {"response_method": tuned.response_method}
    if hasattr(tuned, "best_threshold_"):
        options["threshold"] = float(tuned.best_threshold_)
        options["pos_label"] = tuned._curve_scorer._get_pos_label()
        _log.info("%s is saved as a FixedThresholdClassifier with the threshold %s.", where, options["threshold"])
    fixed = FixedThresholdClassifier(tuned.estimator, **options)
    for name in ("estimator_", "n_features_in_"):
        if name in vars(tuned):
            setattr(fixed, name, getattr(tuned, name))
    return fixed


def _params_of(owner: type, kind: Kind) -> dict[str, Any]:
    """Names of a class's parameters, with their defaults."""
    signature = inspect.signature(owner).parameters
    names = owner._get_param_names() if kind.params is None else kind.params  # type: ignore[attr-defined]
    order = [name for name in signature if name in names]
    return {name: signature[name].default for name in order}


class TreeDecoder(Decoder):
    """Estimators from their tree: of the closed list of kinds, built by their constructors, with checked attributes."""

    def other(self, node: dict, where: str) -> Any:
        """An estimator."""
        if tuple(node) == ("estimator", "params", "fitted"):
            return self._estimator(**node, where=where)
        if tuple(node) == ("function",):
            raise ModelFileError(f"{where} is the function {shown(node['function'])}, which has no place there")
        return super().other(node, where)

    def _estimator(self, estimator: Any, params: Any, fitted: Any, where: str) -> Any:
        name = estimator
        if not isinstance(name, str) or name not in KINDS:
            raise ModelFileError(f"{where} is a {shown(name)}, which is none of the estimators that model files hold")
        if not isinstance(params, dict) or not isinstance(fitted, dict):
            raise ModelFileError(f"{where} has no parameters or no attributes")
        kind, owner = KINDS[name], class_of(name)
        known = _params_of(owner, kind)
        unknown = sorted(set(params) - set(known))
        if unknown:
            raise ModelFileError(
                f"{where} ({name}) has the parameter {shown(unknown[0])}, which it does not have in the versions "
                "installed here. Install those that wrote the file"
            )
        values = {key: self._param(kind, key, node, f"{where}.{key}") for key, node in params.items()}
        made = owner(**values)
        if hasattr(owner, "_parameter_constraints"):
            made._validate_params()
        self._set_fitted(made, kind, fitted, where)
        return made

    def _param(self, kind: Kind, name: str, node: Any, where: str) -> Any:
        if isinstance(node, dict) and tuple(node) == ("function",) and name in kind.functions:
            function = node["function"]
            if not isinstance(function, str) or function not in FUNCTIONS:
                raise ModelFileError(f"{where} is the function {shown(function)}; only some of numpy's are read")
            return FUNCTIONS[function]
        value = self.decode(node, where)
        if name == "memory" and value is not None:
            raise ModelFileError(f"{where} is a place on some machine; a model file has none")
        wrong = kind.parts[name](value, {}) if name in kind.parts else plain(value, {})
        if wrong:
            raise ModelFileError(f"{where} {shown(wrong, 300)}")
        return value

    def _set_fitted(self, made: Any, kind: Kind, fitted: dict, where: str) -> None:
        sizes: dict[str, int] = {}
        for name, node in fitted.items():
            rule = kind.rule_of(name, type(made))
            if rule is None:
                raise ModelFileError(f"{where} has the attribute {shown(name)}, which is not read")
            value = self._network(node, where) if name == "model_" else self.decode(node, f"{where}.{name}")
            wrong = rule(value, sizes)
            if wrong:
                raise ModelFileError(f"{where}.{shown(name)} {shown(wrong, 300)}")
            setattr(made, name, value)
        if fitted:
            demand_fitted(made, where)
            if kind.finish:
                kind.finish(made)
        checks = (kind.options, kind.check if fitted else None)
        wrong_whole = next((found for check in checks if check and (found := check(made))), None)
        if wrong_whole:
            raise ModelFileError(f"{where} {shown(wrong_whole, 300)}")

    def _network(self, node: Any, where: str) -> Any:
        description = dict(node["network"]) if isinstance(node, dict) and isinstance(node.get("network"), dict) else {}
        numbers = description.pop("weights", None)
        if not isinstance(numbers, list) or len(node) != 1:
            raise ModelFileError(f"{where}.model_ is no network")
        return built_network(description, [self._array(n, where) for n in numbers])


def demand_fitted(estimator: Any, where: str) -> None:
    """Refuse an estimator that lacks what fitting sets, in itself or in its parts.

    Raises
    ------
    ModelFileError
    """
    if isinstance(estimator, str | None):  # "passthrough", "drop"
        return
    kind = KINDS[type(estimator).__name__]
    missing = [n for n in kind.fitted if n not in kind.optional and n not in vars(estimator)]
    if missing:
        raise ModelFileError(
            f"{where} ({type(estimator).__name__}) is not fitted: it has no {', '.join(missing)}. Fit it first"
        )
    carried = [getattr(estimator, name) for name in kind.carries]
    carried += [v for name, v in vars(estimator).items() if name in kind.fitted and name != "model_"]
    for value in carried:
        for part in value if isinstance(value, list) else [value]:
            one = part[1] if isinstance(part, tuple) and len(part) == 2 else part
            if type(one).__name__ in KINDS:
                demand_fitted(one, f"{where}.{type(one).__name__}")
