# mypy: disable-error-code="import-not-found"
"""What the posteriors that are known by their outputs share: predictions, draws and how both are asked for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._exceptions import OptionError, StateError
from ._base import BaseLaplace
from ._kinds import Count, Inputs
from .utils.enums import Likelihood, LinkApprox, PredType
from .utils.utils import normal_samples


class BaseFunctionalLaplace(BaseLaplace):
    """A posterior whose predictions are a Gaussian over outputs; pred_type is 'gp'."""

    _default_pred_type = PredType.GP
    _fitted = False

    def _check_fitted(self) -> None:
        if not self._fitted:
            raise StateError("The posterior has not been fitted yet: call fit first.", "NOT_FITTED")

    def predictive_moments(self, x: Inputs, *, joint: bool = False) -> tuple[Tensor, Tensor]:
        """Means (n, C) and covariances (n, C, C) of the outputs without noise; joint: (n C,) and (n C, n C)."""
        self._check_fitted()
        return self._glm_predictive_distribution(x, joint=joint)

    def __call__(
        self,
        x: Inputs,
        pred_type: PredType | str = PredType.GP,
        joint: bool = False,
        link_approx: LinkApprox | str = LinkApprox.PROBIT,
        n_samples: Count = 100,
        diagonal_output: bool = False,
        generator: torch.Generator | None = None,
        fitting: bool = False,
        **model_kwargs: Any,
    ) -> Any:
        """The predictive distribution for inputs, as that of `ParametricLaplace`; pred_type is 'gp'."""
        self._check_fitted()
        self._check_words(pred_type, link_approx, generator, (PredType.GP,))
        likelihood = self._seen_likelihood(fitting)
        return self._glm_forward_call(x, likelihood, joint, link_approx, n_samples, diagonal_output, generator)

    def sample(self, n_samples: Count = 100, generator: torch.Generator | None = None) -> Tensor:
        """There are no draws of the weights, as in laplace-torch.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("A posterior over the outputs has no draws of weights: take functional_samples.")

    def functional_samples(
        self,
        x: Inputs,
        pred_type: PredType | str = PredType.GLM,
        n_samples: Count = 100,
        diagonal_output: bool = False,
        generator: torch.Generator | None = None,
        joint: bool = False,
    ) -> Tensor:
        """Draws of the outputs, (n_samples, n, C).

        Args:
            diagonal_output: whether outputs are drawn as if they were independent of each other.
            joint: whether rows are drawn together, with the covariance between them.
        """
        self._check_fitted()
        self._check_words(pred_type, LinkApprox.MC, None, tuple(PredType))
        f_mu, f_var = self._glm_predictive_distribution(x, joint=joint)
        if not joint:
            return self._glm_functional_samples(f_mu, f_var, n_samples, diagonal_output, generator)
        if diagonal_output:
            output = torch.arange(len(f_mu), device=f_mu.device) % self._outputs_for(x)
            f_var = f_var * (output[:, None] == output)
        return normal_samples(f_mu[None], f_var[None], n_samples, generator).unflatten(2, (-1, self._outputs_for(x)))[
            :, 0
        ]

    def _outputs_for(self, x: Inputs) -> int:
        """Outputs of a row: one of a reward, whose pairs have two."""
        return 1 if self._single_rewards(x) else self.n_outputs

    def _single_rewards(self, x: Inputs) -> bool:
        if self.likelihood != Likelihood.REWARD_MODELING:
            return False
        with torch.no_grad():
            return bool(self.model(self._moved(x)).shape[-1] == 1)

    def predictive_samples(
        self,
        x: Inputs,
        pred_type: PredType | str = PredType.GLM,
        n_samples: Count = 100,
        diagonal_output: bool = False,
        generator: torch.Generator | None = None,
        fitting: bool = False,
        joint: bool = False,
    ) -> Tensor:
        """Draws of the predictions: probabilities, means or rewards, (n_samples, n, C)."""
        draws = self.functional_samples(x, pred_type, n_samples, diagonal_output, generator, joint)
        return draws.softmax(dim=-1) if self._seen_likelihood(fitting) == Likelihood.CLASSIFICATION else draws


class NotThereError(OptionError, NotImplementedError):
    """What a class has the name of, and nothing behind it."""
