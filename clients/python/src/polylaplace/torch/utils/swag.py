# mypy: disable-error-code="import-not-found"
"""The variances of weights along a run of stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..._arguments import checked
from ..._exceptions import OptionError
from .._descent import Momentum
from .._kinds import Count, as_vector, demand_positive

__all__ = ["fit_diagonal_swag_var"]


@checked
def fit_diagonal_swag_var(
    model: nn.Module,
    train_loader: DataLoader,
    criterion: Callable[..., Any],
    n_snapshots_total: Count = 40,
    snapshot_freq: Count = 1,
    lr: float = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 3e-4,
    min_var: float = 1e-30,
) -> Tensor:
    """The variance of each weight over snapshots of a run of SGD that starts at the network's weights (Maddox et al.
    2019), (P,). The network itself stays as it is.

    Args:
        criterion: the loss of outputs and targets.
        snapshot_freq: passes over the data between two snapshots.
        min_var: what no variance is below.

    Raises:
        OptionError: for a learning rate, momentum or weight decay that is none.
    """
    demand_positive(lr, "lr")
    for name, value in (("momentum", momentum), ("weight_decay", weight_decay)):
        if not value >= 0:
            raise OptionError(f"{name} must not be negative; got {value:g}.", "BAD_OPTION", {"option": name})
    copied = deepcopy(model).train()
    device = next(copied.parameters()).device
    descent = Momentum(copied.parameters(), lr, momentum, weight_decay)
    spread = _Spread(_weights(copied))
    for epoch in range(n_snapshots_total * snapshot_freq):
        for inputs, targets in train_loader:
            descent.step(criterion(copied(inputs.to(device)), targets.to(device)))
        if epoch % snapshot_freq == 0:
            spread.add(_weights(copied))
    return spread.variance().clamp(min=min_var)


def _weights(model: nn.Module) -> Tensor:
    return as_vector(model.parameters()).detach()


class _Spread:
    """Mean and variance of vectors that come one after the other (Welford 1962)."""

    def __init__(self, like: Tensor) -> None:
        self._count = 0
        self._mean, self._squares = torch.zeros_like(like), torch.zeros_like(like)

    def add(self, vector: Tensor) -> None:
        self._count += 1
        step = vector - self._mean
        self._mean = self._mean + step / self._count
        self._squares = self._squares + step * (vector - self._mean)

    def variance(self) -> Tensor:
        return self._squares / self._count
