"""What callbacks of scikit-learn hear of a fit: its epochs, and the classifier as it is after each."""

from __future__ import annotations

from typing import Any

import numpy as np

from .state import packed, unpacked


class Epochs:
    """A fit as a task with its epochs as subtasks. Made where callbacks are set, in scikit-learn 1.9 and later.

    Parameters
    ----------
    cnn : LandslideCNN
    fitted : dict
        Attributes of the fitted classifier that training does not change.
    shift : ndarray or None
        Added to the network's last biases, as after training.
    X, y, sample_weight
        As for `fit`.
    """

    def __init__(self, cnn: Any, fitted: dict[str, Any], shift: np.ndarray | None, X: Any, y: Any, sample_weight: Any):
        self.fitted, self.shift = fitted, shift
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.told = {"estimator": cnn, "X": X, "y": y, "metadata": metadata}
        self.task = cnn._init_callback_context("epochs", max_subtasks=cnn.epochs)
        self.task.call_on_fit_task_begin(**self.told)

    def begin(self) -> None:
        """Begin an epoch."""
        self.epoch = self.task.subcontext("epoch").call_on_fit_task_begin(**self.told)

    def end(self, network: Any) -> bool:
        """End an epoch; tell whether a callback wants no further one."""
        return self.epoch.call_on_fit_task_end(**self.told, reconstruction_attributes=lambda: self._state(network))

    def close(self) -> None:
        """End the fit."""
        self.task.call_on_fit_task_end(**self.told, reconstruction_attributes={})

    def _state(self, network: Any) -> dict[str, Any]:
        """What makes a copy of the classifier predict: with a network of its own, as training goes on with this one."""
        return {**self.fitted, "model_": shifted(unpacked(packed(network)), self.shift)}


def shifted(network: Any, shift: np.ndarray | None) -> Any:
    """A network with its last biases shifted, in place."""
    if shift is not None:
        network.get_layer("probabilities").bias.assign_add(shift)
    return network
