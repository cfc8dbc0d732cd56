# mypy: disable-error-code="import-not-found"
"""Gaussians over the weights by the structure of their precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .._exceptions import OptionError
from ._errors import NotDefiniteError
from ._kinds import Count
from ._parametric import ParametricLaplace
from .curvature import CurvatureInterface
from .utils.enums import Likelihood
from .utils.matrix import Kron, KronDecomposed
from .utils.utils import _of_half, invsqrt_precision


class FullLaplace(ParametricLaplace):
    """A Gaussian whose precision is a whole matrix. Its arguments are those of `BaseLaplace`."""

    _key = ("all", "full")
    _structure = "full"

    def _init_H(self) -> None:
        width = self._width()
        self.H = torch.zeros(width, width, device=self._device, dtype=self._dtype)

    #: Eigenvalues of the curvature, with the curvature that they belong to and its version.
    _spectrum: tuple[Tensor, int, Tensor] | None = None
    #: The same of the covariance's root, which belongs to a prior and a noise too.
    _root: tuple[Tensor, int, Tensor] | None = None

    def _hyper_changed(self) -> None:
        self._root = None

    def _is_of_present(self, kept: tuple[Tensor, int, Tensor] | None) -> bool:
        """Whether what was worked out belongs to the present H, which users may set, or change in place."""
        return kept is not None and kept[0] is self.H and kept[1] == self.H._version

    @property
    def posterior_precision(self) -> Tensor:
        """The precision, (P, P)."""
        self._check_H_init()
        return self._H_factor * self.H + self.prior_precision_diag.diag()

    @property
    def posterior_scale(self) -> Tensor:
        """The lower triangular L with L L' the covariance, (P, P).

        Raises:
            NotDefiniteError: when the precision is not positive definite.
        """
        if self._root is None or not self._is_of_present(self._root):
            try:
                self._root = self.H, self.H._version, invsqrt_precision(self.posterior_precision)
            except torch.linalg.LinAlgError:
                raise _not_definite() from None
        return self._root[2]

    @property
    def posterior_covariance(self) -> Tensor:
        """The covariance, (P, P)."""
        return self.posterior_scale @ self.posterior_scale.T

    @property
    def log_det_posterior_precision(self) -> Tensor:
        """Log-determinant of the precision.

        Raises:
            NotDefiniteError: when the precision is not positive definite.
        """
        self._check_H_init()
        if len(self.prior_precision) == 1:
            # One decomposition serves every scalar prior and noise: each step of a tuning costs P then, and not P^3.
            if self._spectrum is None or not self._is_of_present(self._spectrum):
                self._spectrum = self.H, self.H._version, torch.linalg.eigvalsh(self.H.double())
            values = self._H_factor * self._spectrum[2] + self.prior_precision
            if not (values > 0).all():
                raise _not_definite()
            return values.log().sum().to(self._dtype)
        factor, failed = torch.linalg.cholesky_ex(_of_half(self.posterior_precision))
        if failed:
            raise _not_definite()
        return 2 * factor.diagonal().log().sum().to(self._dtype)

    def square_norm(self, value: Tensor) -> Tensor:
        """(value - mean)' P (value - mean)."""
        delta = value - self.mean
        return delta @ self.posterior_precision @ delta

    def functional_variance(self, Js: Tensor) -> Tensor:
        """Covariances (n, C, C) of the outputs with Jacobians (n, C, P)."""
        self._check_jacobians(Js)
        half = Js @ self.posterior_scale
        return half @ half.transpose(1, 2)

    def sample(self, n_samples: Count = 100, generator: torch.Generator | None = None) -> Tensor:
        """Draws of the parameters, (n_samples, P)."""
        root = self.posterior_scale.T
        return self._drawn(n_samples, generator, lambda noise: self.mean + noise @ root)


class KronLaplace(ParametricLaplace):
    """A Gaussian whose precision has a Kronecker product for each tensor of weights.

    Args:
        damping: whether the prior's square root is added to the eigenvalues of each factor, instead of the prior to
            their products.

    The other arguments are those of `BaseLaplace`; the prior is one number, or one for each tensor.
    """

    _key = ("all", "kron")
    _structure = "kron"

    def __init__(
        self,
        model: nn.Module,
        likelihood: Likelihood | str,
        sigma_noise: float | Tensor = 1.0,
        prior_precision: float | Tensor = 1.0,
        prior_mean: float | Tensor = 0.0,
        temperature: float = 1.0,
        enable_backprop: bool = False,
        dict_key_x: str = "input_ids",
        dict_key_y: str = "labels",
        backend: type[CurvatureInterface] | None = None,
        damping: bool = False,
        backend_kwargs: Mapping[str, Any] | None = None,
        asdl_fisher_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self._begin(damping)
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
            backend_kwargs,
            asdl_fisher_kwargs,
        )

    def _begin(self, damping: bool) -> None:
        self.damping = damping
        #: The factors as they were summed; `H` has their eigenvalues after a fit.
        self.H_facs: Kron | None = None

    def _init_H(self) -> None:
        self.H = Kron.init_from_model(self.params, self._device, self._dtype)

    def _check_H_init(self) -> None:
        if self.H_facs is None:
            raise AttributeError("The posterior has not been fitted yet: call fit first.")

    def _added(self, old: Any, new: Kron, n_old: int, n_new: int) -> Kron:
        """The factors of two sets of data: the first ones add, the second ones are means over the examples."""
        del old
        total = n_old + n_new
        return Kron(
            [
                [
                    a + b if axis == 0 else (n_old * a + n_new * b) / total
                    for axis, (a, b) in enumerate(zip(mine, others, strict=True))
                ]
                for mine, others in zip(self.H_facs.kfacs if self.H_facs else [], new.kfacs, strict=True)
            ]
        )

    def _sums(self) -> Any:
        # The core knows no damping.
        return None if self.damping else self.H_facs

    def _curvature_changed(self) -> None:
        if isinstance(self.H, Kron):
            self.H_facs = self.H
            self.H = self.H_facs.decompose(damping=self.damping)
        super()._curvature_changed()

    @property
    def prior_precision(self) -> Tensor:
        """Prior precision: (1,), or one for each tensor."""
        return self._prior_precision

    @prior_precision.setter
    def prior_precision(self, value: float | Tensor) -> None:
        # Not super(): a property's setter is no method of it.
        ParametricLaplace.prior_precision.fset(self, value)  # type: ignore[attr-defined]
        if self.n_layers is not None and len(self._prior_precision) not in (1, self.n_layers):
            raise OptionError(
                f"The prior precision of Kronecker factors is one number, or one for each of {self.n_layers} tensors; "
                f"got {len(self._prior_precision)}. hessian_structure 'full' or 'diag' takes one for each parameter.",
                "BAD_OPTION",
                {"option": "prior_precision"},
            )

    @property
    def posterior_precision(self) -> KronDecomposed:
        """The precision by its eigenvalues."""
        self._check_H_init()
        precision: KronDecomposed = self.H * self._H_factor + self.prior_precision
        return precision

    @property
    def log_det_posterior_precision(self) -> Tensor:
        """Log-determinant of the precision."""
        if self.H_facs is None:
            return self.log_det_prior_precision
        return self.posterior_precision.logdet()

    def square_norm(self, value: Tensor) -> Tensor:
        """(value - mean)' P (value - mean)."""
        delta = value - self.mean
        if self.H_facs is None:
            return (delta * self.prior_precision_diag) @ delta
        return delta @ self.posterior_precision.bmm(delta, exponent=1)

    def functional_variance(self, Js: Tensor) -> Tensor:
        """Covariances (n, C, C) of the outputs with Jacobians (n, C, P)."""
        self._check_jacobians(Js)
        return self.posterior_precision.inv_square_form(Js)

    def sample(self, n_samples: Count = 100, generator: torch.Generator | None = None) -> Tensor:
        """Draws of the parameters, (n_samples, P)."""
        root = self.posterior_precision._power(-0.5, n_samples)
        return self._drawn(n_samples, generator, lambda noise: self.mean + root(noise))

    def state_dict(self) -> dict[str, Any]:
        """The posterior as tensors and plain values; `H` has the factors."""
        state = super().state_dict()
        return {**state, "H": [list(factors) for factors in self.H_facs.kfacs]} if self.H_facs else state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over a posterior of `state_dict`."""
        super().load_state_dict({**state_dict, "H": Kron([list(factors) for factors in state_dict["H"]])})


class DiagLaplace(ParametricLaplace):
    """A Gaussian whose precision is a diagonal. Its arguments are those of `BaseLaplace`."""

    _key = ("all", "diag")
    _structure = "diag"

    def _init_H(self) -> None:
        self.H = torch.zeros(self._width(), device=self._device, dtype=self._dtype)

    @property
    def posterior_precision(self) -> Tensor:
        """The precision, (P,)."""
        self._check_H_init()
        return self._H_factor * self.H + self.prior_precision_diag

    @property
    def posterior_scale(self) -> Tensor:
        """The standard deviations, (P,)."""
        return self.posterior_precision.rsqrt()

    @property
    def posterior_variance(self) -> Tensor:
        """The variances, (P,)."""
        return 1 / self.posterior_precision

    @property
    def log_det_posterior_precision(self) -> Tensor:
        """Log-determinant of the precision."""
        return self.posterior_precision.log().sum()

    def square_norm(self, value: Tensor) -> Tensor:
        """(value - mean)' P (value - mean)."""
        return (value - self.mean).square() @ self.posterior_precision

    def functional_variance(self, Js: Tensor) -> Tensor:
        """Covariances (n, C, C) of the outputs with Jacobians (n, C, P)."""
        self._check_jacobians(Js)
        return (Js * self.posterior_variance) @ Js.transpose(1, 2)

    def sample(self, n_samples: Count = 100, generator: torch.Generator | None = None) -> Tensor:
        """Draws of the parameters, (n_samples, P)."""
        scale = self.posterior_scale
        return self._drawn(n_samples, generator, lambda noise: self.mean + noise * scale)


def _not_definite() -> NotDefiniteError:
    return NotDefiniteError(
        "The posterior precision is not positive definite. An exact Hessian may be indefinite away from a minimum: "
        "take a Gauss-Newton backend (CurvlinopsGGN), train the network further, or give a larger prior_precision.",
        "NOT_POSITIVE_DEFINITE",
    )
