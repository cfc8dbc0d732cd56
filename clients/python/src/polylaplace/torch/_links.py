# mypy: disable-error-code="import-not-found"
"""From a Gaussian over logits to probabilities, differentiable in both; draws aside."""

from __future__ import annotations

from math import pi, sqrt

import torch
from torch import Tensor

from .._exceptions import NumericalError
from .utils.enums import LinkApprox


def probit_logits(f_mu: Tensor, f_var: Tensor) -> Tensor:
    """Logits (n, C) whose softmax the probit link takes for the mean of that of means (n, C), covariances (n, C, C)."""
    return f_mu / torch.sqrt(1 + pi / 8 * f_var.diagonal(dim1=1, dim2=2))


def probabilities(f_mu: Tensor, f_var: Tensor, link: LinkApprox) -> Tensor:
    """Probabilities (n, C) for means (n, C) and covariances (n, C, C) of the logits."""
    if link is LinkApprox.PROBIT:
        return probit_logits(f_mu, f_var).softmax(dim=-1)
    return _laplace_bridge(f_mu, f_var, normalised=link is LinkApprox.BRIDGE_NORM)


def _laplace_bridge(f_mu: Tensor, f_var: Tensor, normalised: bool) -> Tensor:
    """The mean of the Dirichlet distribution next to the softmax of a Gaussian (Hobbhahn et al. 2022).

    Raises:
        NumericalError: where an output does not vary, given that their sum is 0.
    """
    C = f_mu.shape[-1]
    # The Gaussian given that the logits sum to 0, which the bridge needs.
    shared = f_var.sum(dim=-1)
    total = shared.sum(dim=-1)[:, None]
    mean = f_mu - shared * f_mu.sum(dim=-1, keepdim=True) / total
    variance = f_var.diagonal(dim1=1, dim2=2) - shared.square() / total
    if not (variance > 0).all():
        raise NumericalError(
            "The Laplace bridge needs outputs that all vary, and one does not, where they sum to zero (a subnetwork "
            "that does not reach it, say): take link_approx='probit' or 'mc'.",
            "NOT_POSITIVE_DEFINITE",
        )
    if normalised:
        scale = variance.mean(dim=1, keepdim=True) / sqrt(C / 2)
        mean, variance = mean / scale.sqrt(), variance / scale
    # The exponentials share a shift, so that none overflows; it is gone from alpha over its sum.
    low, high = mean.amin(dim=1, keepdim=True).detach(), mean.amax(dim=1, keepdim=True).detach()
    inverses = (low - mean).exp().sum(dim=1, keepdim=True)
    alpha = ((1 - 2 / C) * (low - high).exp() + (mean - high).exp() / C**2 * inverses) / variance
    return alpha / alpha.sum(dim=1, keepdim=True)
