# mypy: disable-error-code="import-not-found"
"""A Gaussian over all weights by the leading eigenvectors of the curvature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .._exceptions import OptionError
from ._kinds import Count
from ._parametric import ParametricLaplace
from .curvature import CurvatureInterface
from .utils.enums import Likelihood

#: Eigenvalues below this are left out, as in laplace-torch.
_SMALLEST = 1e-6


class LowRankLaplace(ParametricLaplace):
    """A Gaussian with precision U diag(l) U' / (sigma^2 T) + prior, U the eigenvectors of the curvature.

    laplace-torch keeps ten eigenvectors of the exact Hessian. Here they are those of the Gauss-Newton matrix, unless
    `backend` says otherwise, and all of which the eigenvalue is above 1e-6, unless backend_kwargs has `low_rank`.

    Its arguments are those of `BaseLaplace`, with `backend` in the third place.
    """

    _key = ("all", "lowrank")
    _structure = "full"

    def __init__(
        self,
        model: nn.Module,
        likelihood: Likelihood | str,
        backend: type[CurvatureInterface] | None = None,
        sigma_noise: float | Tensor = 1,
        prior_precision: float | Tensor = 1,
        prior_mean: float | Tensor = 0,
        temperature: float = 1,
        enable_backprop: bool = False,
        dict_key_x: str = "input_ids",
        dict_key_y: str = "labels",
        backend_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        kwargs = dict(backend_kwargs or {})
        self.low_rank: int | None = kwargs.pop("low_rank", None)
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
            kwargs,
        )

    def _init_H(self) -> None:
        self.H = None

    def fit(self, train_loader: DataLoader, override: bool = True, progress_bar: bool = False) -> None:
        """Fits the posterior to the batches of a loader.

        Raises:
            OptionError: for override=False, as in laplace-torch.
        """
        if not override:
            raise OptionError(
                "Low rank takes no override=False: fit it to all data.", "BAD_OPTION", {"option": "override"}
            )
        super().fit(train_loader, override=override, progress_bar=progress_bar)

    def _curvature_changed(self) -> None:
        if isinstance(self.H, Tensor):
            values, vectors = torch.linalg.eigh(self.H)
            kept = (values > _SMALLEST).nonzero()[:, 0]
            kept = kept if self.low_rank is None else kept[-self.low_rank :]
            self.H = (vectors[:, kept], values[kept])
        super()._curvature_changed()

    def _sums(self) -> Any:
        # The core has the whole matrix.
        return None

    @property
    def posterior_precision(self) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Eigenvectors (P, K) and eigenvalues (K,) of the curvature, scaled, and the prior's diagonal (P,)."""
        self._check_H_init()
        return (self.H[0], self._H_factor * self.H[1]), self.prior_precision_diag

    @property
    def V(self) -> Tensor:
        """Eigenvectors over the prior precision, (P, K)."""
        (U, _), prior = self.posterior_precision
        return U / prior[:, None]

    @property
    def Kinv(self) -> Tensor:
        """The inverse of 1 / l + U' P0^-1 U, (K, K)."""
        return torch.linalg.inv(self._inner())

    def _inner(self) -> Tensor:
        (U, values), _ = self.posterior_precision
        return (1 / values).diag() + U.T @ self.V

    @property
    def log_det_posterior_precision(self) -> Tensor:
        """Log-determinant of the precision."""
        (_, values), prior = self.posterior_precision
        return values.log().sum() + prior.log().sum() + torch.logdet(self._inner())

    def square_norm(self, value: Tensor) -> Tensor:
        """(value - mean)' P (value - mean)."""
        (U, values), prior = self.posterior_precision
        delta = value - self.mean
        return delta.square() @ prior + (delta @ U).square() @ values

    def functional_variance(self, Js: Tensor) -> Tensor:
        """Covariances (n, C, C) of the outputs with Jacobians (n, C, P)."""
        self._check_jacobians(Js)
        half = Js @ self.V
        prior = (Js / self.prior_precision_diag) @ Js.transpose(1, 2)
        return prior - half @ self.Kinv @ half.transpose(1, 2)

    def sample(self, n_samples: Count = 100, generator: torch.Generator | None = None) -> Tensor:
        """Draws of the parameters, (n_samples, P).

        With Q s Q' the part of P0^-1/2 H P0^-1/2 that is not zero, P^-1 is P0^-1/2 (I - Q (1 - 1/(1+s)) Q') P0^-1/2.
        """
        (U, values), prior = self.posterior_precision
        Q, singular, _ = torch.linalg.svd(U / prior.sqrt()[:, None] * values.sqrt(), full_matrices=False)
        share = 1 - (1 + singular.square()).rsqrt()

        def draws(noise: Tensor) -> Tensor:
            return self.mean + (noise - (noise @ Q) * share @ Q.T) / prior.sqrt()

        return self._drawn(n_samples, generator, draws)
