# mypy: disable-error-code="import-not-found"
"""Steps along gradients: Adam for one tensor, and stochastic gradient descent with momentum.

The first step of torch.optim in a process takes a second to load, and each takes longer than what there is to compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import sqrt

import torch
from torch import Tensor

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


def maximised(value: Callable[[Tensor], Tensor], start: Tensor, lr: float, steps: Iterable[object]) -> Tensor:
    """Where Adam gets to from `start`, with one step for each of `steps` (Kingma and Ba 2015, "Adam: a method for
    stochastic optimization", algorithm 1).

    Args:
        value: a number that torch can differentiate, of a tensor of the shape of `start`.
    """
    at = start.detach().clone().requires_grad_(True)
    mean, square = torch.zeros_like(start), torch.zeros_like(start)
    for done, _ in enumerate(steps, 1):
        (slope,) = torch.autograd.grad(-value(at), at)
        mean.lerp_(slope, 1 - _BETA_1)
        square.mul_(_BETA_2).addcmul_(slope, slope, value=1 - _BETA_2)
        scale = square.sqrt().div_(sqrt(1 - _BETA_2**done)).add_(_EPSILON)
        with torch.no_grad():
            at.addcdiv_(mean, scale, value=-lr / (1 - _BETA_1**done))
    return at.detach()


class Momentum:
    """Gradient descent with momentum, and a decay of the weights that is a part of the gradient.

    Args:
        parameters: what is moved, where it is trained.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float, weight_decay: float) -> None:
        self._parameters = [each for each in parameters if each.requires_grad]
        self._lr, self._momentum, self._weight_decay = lr, momentum, weight_decay
        self._velocities: list[Tensor | None] = [None for _ in self._parameters]

    def step(self, loss: Tensor) -> None:
        """Moves the parameters that a loss depends on."""
        slopes = torch.autograd.grad(loss, self._parameters, allow_unused=True)
        with torch.no_grad():
            for i, (parameter, slope) in enumerate(zip(self._parameters, slopes, strict=True)):
                if slope is None:
                    continue
                slope = slope.add(parameter, alpha=self._weight_decay)
                before = self._velocities[i]
                velocity = slope if before is None else before.mul_(self._momentum).add_(slope)
                self._velocities[i] = velocity
                parameter.sub_(velocity, alpha=self._lr)
