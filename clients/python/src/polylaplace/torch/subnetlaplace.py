# mypy: disable-error-code="import-not-found"
"""Posteriors over some of the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .._exceptions import OptionError
from ._kinds import Count
from ._parametric import ParametricLaplace
from ._structures import DiagLaplace, FullLaplace
from .curvature import CurvatureInterface, EFInterface, GGNInterface
from .lllaplace import _refuse_fisher_kwargs
from .utils.enums import Likelihood

__all__ = ["DiagSubnetLaplace", "FullSubnetLaplace", "SubnetLaplace"]


class SubnetLaplace(ParametricLaplace):
    """A posterior over some of the parameters; the others keep their values.

    Args:
        subnetwork_indices: their flat indices among the parameters that are trained (a mask of
            `polylaplace.torch.utils` has them as `indices`).

    The other arguments are those of `BaseLaplace`. The prior is one number, or one a parameter of the subnetwork.

    Raises:
        OptionError: for indices that are no indices, and for a backend that is neither GGN nor EF.
    """

    def __init__(
        self,
        model: nn.Module,
        likelihood: Likelihood | str,
        subnetwork_indices: Tensor,
        sigma_noise: float | Tensor = 1.0,
        prior_precision: float | Tensor = 1.0,
        prior_mean: float | Tensor = 0.0,
        temperature: float = 1.0,
        backend: type[CurvatureInterface] | None = None,
        backend_kwargs: Mapping[str, Any] | None = None,
        asdl_fisher_kwargs: Mapping[str, Any] | None = None,
        enable_backprop: bool = False,
        dict_key_x: str = "input_ids",
        dict_key_y: str = "labels",
    ) -> None:
        _refuse_fisher_kwargs(asdl_fisher_kwargs, "a subnetwork")
        if backend is not None and not issubclass(backend, (GGNInterface, EFInterface)):
            raise OptionError(
                f"A subnetwork's curvature is GGN or EF; got {backend.__name__}.", "BAD_OPTION", {"option": "backend"}
            )
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        self._indices = _checked_indices(subnetwork_indices, trained)
        self.n_params_subnet = len(self._indices)
        super().__init__(
            model,
            likelihood,
            sigma_noise,
            prior_precision,
            prior_mean,
            temperature,
            enable_backprop,
            dict_key_x,
            dict_key_y,
            backend,
            {**(backend_kwargs or {}), "subnetwork_indices": self._indices},
        )

    def _width(self) -> int | None:
        return self.n_params_subnet

    def _prior_lengths(self) -> tuple[int | None, ...]:
        return 1, self.n_params_subnet

    @property
    def prior_precision_diag(self) -> Tensor:
        """Prior precision of each parameter of the subnetwork."""
        return self.prior_precision.expand(self.n_params_subnet)

    @property
    def mean_subnet(self) -> Tensor:
        """The mean of the subnetwork's parameters."""
        return self.mean[self._indices] if self.mean.numel() > 1 else self.mean

    @property
    def scatter(self) -> Tensor:
        """How far the mean is from that of the prior: (theta - mu0)' P0 (theta - mu0)."""
        delta = self.mean_subnet - self._prior_mean_subnet()
        return (delta * self.prior_precision_diag) @ delta

    def _prior_mean_subnet(self) -> Tensor:
        whole = self.prior_mean.numel() == self.n_params and self.n_params != self.n_params_subnet
        return self.prior_mean[self._indices] if whole else self.prior_mean

    def square_norm(self, value: Tensor) -> Tensor:
        """(value - mean)' P (value - mean), for values of the subnetwork's parameters."""
        delta = value - self.mean_subnet
        precision = self.posterior_precision
        return (delta * precision if precision.ndim == 1 else precision @ delta) @ delta

    def assemble_full_samples(self, subnet_samples: Tensor) -> Tensor:
        """Draws of the subnetwork's parameters as those of all parameters, (n_samples, P)."""
        whole = self.mean.repeat(len(subnet_samples), 1)
        whole[:, self._indices] = subnet_samples
        return whole

    def sample(self, n_samples: Count = 100, generator: torch.Generator | None = None) -> Tensor:
        """Draws of all parameters, (n_samples, P), of which the subnetwork's vary."""
        scale: Tensor = self.posterior_scale  # type: ignore[attr-defined]

        def draws(noise: Tensor) -> Tensor:
            return self.mean_subnet + (noise * scale if scale.ndim == 1 else noise @ scale.T)

        return self.assemble_full_samples(self._drawn(n_samples, generator, draws))


class FullSubnetLaplace(SubnetLaplace, FullLaplace):
    """A subnetwork with a whole matrix as precision. Its arguments are those of `SubnetLaplace`."""

    _key = ("subnetwork", "full")


class DiagSubnetLaplace(SubnetLaplace, DiagLaplace):
    """A subnetwork with a diagonal precision. Its arguments are those of `SubnetLaplace`."""

    _key = ("subnetwork", "diag")


def _checked_indices(indices: Any, n_params: int) -> Tensor:
    """Flat indices of parameters.

    Raises:
        OptionError: when they are anything else.
    """
    good = isinstance(indices, Tensor) and indices.dtype == torch.int64 and indices.ndim == 1 and len(indices) > 0
    if not good:
        found = f"{indices.dtype} {tuple(indices.shape)}" if isinstance(indices, Tensor) else type(indices).__name__
        raise OptionError(
            f"subnetwork_indices must be a vector of whole numbers, a torch.LongTensor with one at least; got {found}.",
            "BAD_OPTION",
            {"option": "subnetwork_indices"},
        )
    if indices.min() < 0 or indices.max() >= n_params or len(indices.unique()) < len(indices):
        raise OptionError(
            f"subnetwork_indices must be numbers from 0 to {n_params - 1}, each once.",
            "BAD_OPTION",
            {"option": "subnetwork_indices"},
        )
    return indices
