"""Callbacks of scikit-learn 1.9 and later, such as its progress bar; an older one has none."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to set."""

    def with_callbacks(method: Callable) -> Callable:
        """Leave a method as it is."""
        return method


def one_task(fit: Callable) -> Callable:
    """Make a step's `fit` a task that callbacks hear of, as bars without their steps would not fill."""

    @with_callbacks
    @wraps(fit)
    def told(self: Any, X: Any, y: Any = None) -> Any:
        if not hasattr(self, "_skl_callbacks"):
            return fit(self, X, y)
        data = {"estimator": self, "X": X, "y": y}
        task = self._init_callback_context().call_on_fit_task_begin(**data)
        made = fit(self, X, y)
        task.call_on_fit_task_end(**data, reconstruction_attributes={})
        return made

    return told
