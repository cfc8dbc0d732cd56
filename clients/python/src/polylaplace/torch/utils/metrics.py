# mypy: disable-error-code="import-not-found"
"""Losses that take a batch after the other."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ..._arguments import CheckedArguments
from ..._exceptions import OptionError, ShapeError

__all__ = ["RunningNLLMetric"]


def is_metric(loss: object) -> bool:
    """Whether a loss takes batches (torchmetrics' way) instead of being a function of all predictions."""
    return callable(getattr(loss, "update", None)) and callable(getattr(loss, "compute", None))


def demand_loss(loss: object) -> None:
    """Raises an OptionError for what is neither a metric nor a function."""
    if not is_metric(loss) and not callable(loss):
        raise OptionError(
            f"loss must be a function or a metric (update and compute); got {type(loss).__name__}.",
            data={"option": "loss"},
        )


class _Running(CheckedArguments):
    """A mean over all batches since the last reset. No torchmetrics is needed for it."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets all batches."""
        self.sum: Any = torch.tensor(0.0)
        self.count: Any = torch.tensor(0.0)

    def to(self, device: torch.device | str) -> Self:
        """The same on a device."""
        self.sum, self.count = self.sum.to(device), self.count.to(device)
        return self

    def _add(self, total: Tensor, count: Any) -> None:
        self.sum, self.count = self.sum + total, self.count + count

    def compute(self) -> Tensor:
        """The mean."""
        return self.sum / self.count


class RunningNLLMetric(_Running):
    """The mean negative log likelihood of classes.

    Args:
        ignore_index: the label of what does not count.
    """

    def __init__(self, ignore_index: int = -100) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def update(self, probs: Tensor, targets: Tensor) -> None:
        """Adds probabilities (..., C) and classes (...)."""
        if probs.ndim == 0 or probs.shape[:-1].numel() != targets.numel():
            raise ShapeError(f"Probabilities are {tuple(probs.shape)}, classes {tuple(targets.shape)}.")
        rows, labels = probs.reshape(-1, probs.shape[-1]), targets.reshape(-1)
        total = F.nll_loss(rows.log(), labels, ignore_index=self.ignore_index, reduction="sum")
        self._add(total, (labels != self.ignore_index).sum())


class RunningSquaredError(_Running):
    """The mean squared error of each output."""

    def update(self, means: Tensor, targets: Tensor) -> None:
        """Adds means and targets (n, C)."""
        if means.shape != targets.shape or means.ndim == 0:
            raise ShapeError(f"Means are {tuple(means.shape)}, targets {tuple(targets.shape)}.")
        self._add((means - targets).square().sum(dim=0), len(targets))
