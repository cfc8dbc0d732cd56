# mypy: disable-error-code="import-not-found,misc,untyped-decorator"
"""Small functions on tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Sampler

from ..._arguments import CheckedArguments, checked
from ..._exceptions import OptionError, ShapeError
from .._kinds import Count, as_batch, demand_finite
from .enums import LinkApprox, PredType, PriorStructure
from .metrics import demand_loss, is_metric

__all__ = [
    "SoDSampler",
    "block_diag",
    "diagonal_add_scalar",
    "expand_prior_precision",
    "fix_prior_prec_structure",
    "get_nll",
    "invsqrt_precision",
    "kron",
    "normal_samples",
    "parameters_per_layer",
    "symeig",
    "validate",
]


@checked
def get_nll(out_dist: Tensor, targets: Tensor) -> Tensor:
    """The mean negative log likelihood of classes (n,) under probabilities (n, C)."""
    if out_dist.ndim != 2 or targets.shape != out_dist.shape[:1] or targets.dtype != torch.int64:
        raise ShapeError(
            f"Probabilities (n, C) and classes (n,) of int64 are needed; got {tuple(out_dist.shape)} and "
            f"{targets.dtype} {tuple(targets.shape)}."
        )
    return F.nll_loss(out_dist.log(), targets)


@checked
@torch.no_grad()
def validate(
    laplace: Any,
    val_loader: DataLoader,
    loss: Any,
    pred_type: PredType | str = PredType.GLM,
    link_approx: LinkApprox | str = LinkApprox.PROBIT,
    n_samples: Count = 100,
    dict_key_y: str = "labels",
) -> float:
    """The loss of a posterior's predictions for the batches of a loader.

    Args:
        loss: a metric (`update` and `compute`), which takes a batch after the other and is not reset; or a function of
            all predictions and targets (regression: means, variances and targets, for a function of three).
    """
    if not hasattr(laplace, "model") or not callable(laplace):
        raise OptionError(f"laplace must be a posterior of this package; got {type(laplace).__name__}.")
    demand_loss(loss)
    laplace.model.eval()
    running = is_metric(loss)
    predictions: list[tuple[Tensor, ...]] = []
    for batch in val_loader:
        X, y = as_batch(batch, dict_key_y)
        X = X.to(laplace._device) if isinstance(X, Tensor) else X
        out = laplace(X, pred_type=pred_type, link_approx=link_approx, n_samples=n_samples, fitting=True)
        parts = (*(out if isinstance(out, tuple) else (out,)), y.to(laplace._device))
        if not running:
            predictions.append(parts)
        else:
            _update(loss, parts)
    if running:
        return float(loss.compute().sum())
    return float(loss(*(torch.cat(each) for each in zip(*predictions, strict=True))))


def _update(metric: Any, parts: tuple[Tensor, ...]) -> None:
    """Gives a metric a batch of means, variances and targets, or of predictions and targets."""
    try:
        metric.update(*parts)
    except TypeError:
        # Most metrics take no variances.
        metric.update(parts[0], parts[-1])


@checked
def parameters_per_layer(model: nn.Module) -> list[int]:
    """The number of entries of each tensor of parameters."""
    return [parameter.numel() for parameter in model.parameters()]


@checked
def invsqrt_precision(M: Tensor) -> Tensor:
    """The lower triangular L with L L' = M^-1, of a positive definite matrix.

    Raises:
        torch.linalg.LinAlgError: when it is not positive definite.
    """
    # The Cholesky factor of M with its axes turned around is an upper triangular one of M.
    upper = torch.linalg.cholesky(_of_half(M).flip((-2, -1))).flip((-2, -1))
    identity = torch.eye(M.shape[-1], dtype=upper.dtype, device=M.device)
    return torch.linalg.solve_triangular(upper, identity, upper=True).transpose(-2, -1).to(M.dtype)


def _is_batchnorm(module: nn.Module) -> bool:
    return isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d))


def _is_valid_scalar(scalar: object) -> bool:
    if isinstance(scalar, Tensor):
        return bool(scalar.ndim <= 1 and scalar.numel() == 1)
    return isinstance(scalar, (Real, np.number))


@checked
def kron(t1: Tensor, t2: Tensor) -> Tensor:
    """The Kronecker product of two matrices."""
    return torch.kron(t1.contiguous(), t2.contiguous())


@checked
def diagonal_add_scalar(X: Tensor, value: float | Tensor) -> Tensor:
    """A square matrix with a number added to its diagonal."""
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ShapeError(f"value must be one number; got shape {tuple(value.shape)}.")
    return X + demand_finite(value, "value") * torch.eye(len(X), dtype=X.dtype, device=X.device)


@checked
def symeig(M: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (raised to 0 where rounding made them negative) and eigenvectors of a symmetric matrix."""
    values, vectors = torch.linalg.eigh(_of_half(M), UPLO="U")
    return values.clamp(min=0.0).to(M.dtype), vectors.to(M.dtype)


def _of_half(M: Tensor) -> Tensor:
    """A matrix in a precision that torch has decompositions for."""
    return M.float() if M.dtype in (torch.float16, torch.bfloat16) else M


@checked
def block_diag(blocks: Sequence[Tensor]) -> Tensor:
    """The block-diagonal matrix of square blocks."""
    return torch.block_diag(*blocks)


class SoDSampler(CheckedArguments, Sampler):
    """Draws M of N rows without putting them back: by one seed the same ones at every pass."""

    def __init__(self, N: Count, M: Count, seed: int = 0) -> None:
        if M > N or seed < 0:
            raise OptionError(f"M of N rows are drawn by a seed from 0; got N={N}, M={M} and seed={seed}.")
        self.indices = torch.from_numpy(np.random.default_rng(seed).choice(N, M, replace=False))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)


@checked
def expand_prior_precision(prior_prec: Tensor, model: nn.Module) -> Tensor:
    """The prior precision of each trained parameter, (P,), from one number, one a tensor, or one a parameter.

    Raises:
        OptionError: for any other number of them.
    """
    return _expanded(prior_prec, [p.numel() for p in model.parameters() if p.requires_grad])


def _expanded(prior: Tensor, sizes: Sequence[int]) -> Tensor:
    """A prior precision (1,), (tensors,) or (P,) as one for each parameter."""
    total = sum(sizes)
    if prior.ndim != 1 or len(prior) not in (1, len(sizes), total):
        raise OptionError(
            f"A prior precision is one number, {len(sizes)} for the tensors or {total} for the parameters; got shape "
            f"{tuple(prior.shape)}."
        )
    if len(prior) == 1:
        return prior.expand(total)
    if len(prior) == total:
        return prior
    return prior.repeat_interleave(torch.tensor(sizes, device=prior.device))


@checked
def fix_prior_prec_structure(
    prior_prec_init: float,
    prior_structure: PriorStructure | str,
    n_layers: int,
    n_params: int,
    device: torch.device | str,
    dtype: torch.dtype,
) -> Tensor:
    """One prior precision for each part of a structure, all of the same value.

    Raises:
        OptionError: for a structure that does not exist.
    """
    counts = {PriorStructure.SCALAR: 1, PriorStructure.LAYERWISE: n_layers, PriorStructure.DIAG: n_params}
    return torch.full((counts[PriorStructure(prior_structure)],), prior_prec_init, device=device, dtype=dtype)


#: Negative eigenvalues of a covariance, over the largest one, that are taken for rounding.
_ROUNDING = 1e-5


@checked
def normal_samples(mean: Tensor, var: Tensor, n_samples: Count, generator: torch.Generator | None = None) -> Tensor:
    """Draws (S, n, C) of Gaussians with means (n, C) and variances (n, C), or covariances (n, C, C).

    All rows share their standard normal numbers.

    Raises:
        OptionError: when the shapes do not belong together.
    """
    if mean.ndim != 2 or var.shape not in (mean.shape, (*mean.shape, mean.shape[-1])):
        raise OptionError(
            f"The mean must be (n, C) and the (co)variance (n, C) or (n, C, C); got {tuple(mean.shape)} and "
            f"{tuple(var.shape)}."
        )
    noise = torch.randn((mean.shape[1], n_samples), device=mean.device, dtype=mean.dtype, generator=generator)
    spread = var.sqrt()[..., None] * noise if var.ndim == 2 else _root(var) @ noise
    return (mean[..., None] + spread).permute(2, 0, 1)


def _root(covariances: Tensor) -> Tensor:
    """L with L L' the covariances: Cholesky's factor, or one by eigenvalues where outputs do not vary apart.

    Those of a subnetwork that does not reach every output are singular.
    """
    factors, failed = torch.linalg.cholesky_ex(covariances)
    if not bool(failed.any()):
        return factors
    values, vectors = torch.linalg.eigh(covariances)
    least = -_ROUNDING * values.abs().amax(dim=-1, keepdim=True)
    if not bool((values >= least).all()):
        # Not by rounding: what torch says of it is what laplace-torch's users know.
        return torch.linalg.cholesky(covariances)
    by_values = vectors * values.clamp(min=0).sqrt()[..., None, :]
    return torch.where((failed > 0)[..., None, None], by_values, factors)
