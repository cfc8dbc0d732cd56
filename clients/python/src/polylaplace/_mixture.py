"""Several posteriors that predict as one: a mixture of Laplace approximations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from ._arguments import CheckedArguments
from ._data import Array, fresh_seed, to_array
from ._exceptions import OptionError
from ._laplace import Laplace
from ._likelihoods import has_numbers
from ._options import as_share
from ._prediction import Prediction


class Mixture(CheckedArguments):
    """Posteriors of several networks, or of snapshots of one, that predict as one (Eschenhagen et al. 2021).

    The predictive distribution is sum_k w_k p_k. Of classes and labels its probabilities are the weighted means; its
    aleatoric part is the mean of the members', and the epistemic part what the entropy of the mixture has beyond that.
    Of numbers mean and variance are those of the mixture: the members' disagreement is part of the epistemic variance.

    Args:
        members: fitted posteriors of one likelihood and as many outputs.
        weights: one for each, not negative; they are scaled to sum to 1. None: equal ones.

    >>> import numpy as np
    >>> from polylaplace import Laplace
    >>> X = np.random.default_rng(0).normal(size=(30, 2))
    >>> networks = [{"0.weight": scale * np.eye(2), "0.bias": np.zeros(2)} for scale in (1.0, 2.0)]
    >>> members = [Laplace(network, "classification").fit(X, X.argmax(axis=1)) for network in networks]
    >>> Mixture(members)(X).shape
    (30, 2)
    """

    def __init__(self, members: Sequence[Laplace], weights: Any = None) -> None:
        self.members = tuple(members)
        if not self.members:
            raise OptionError("A mixture needs at least one posterior.", "BAD_OPTION", {"option": "members"})
        kinds = {(member.likelihood, member.n_outputs) for member in self.members}
        if len(kinds) > 1:
            found = ", ".join(f"{likelihood} of {outputs} outputs" for likelihood, outputs in sorted(kinds))
            raise OptionError(
                f"The posteriors of a mixture have one likelihood and as many outputs; got {found}.",
                "BAD_COMBINATION",
                {"option": "members"},
            )
        self.likelihood = self.members[0].likelihood
        self.weights = _shares(weights, len(self.members))

    def __call__(self, X: Any) -> Any:
        """Probabilities (n, C); of numbers mean and variance of new observations, (n, K) each."""
        answer = self.predict(X, uncertainty=False)
        if not has_numbers(self.likelihood):
            return answer.probabilities
        return answer.mean if answer.predictive_mean is None else answer.predictive_mean, answer.predictive_variance

    def predict(self, X: Any, *, uncertainty: bool = True, seed: Any = None) -> Prediction:
        """Everything that is known for rows X (n, ...); `mean` and `variance` are moments of the mixed outputs."""
        own = [member.predict(X, uncertainty=uncertainty, seed=seed) for member in self.members]
        mean, variance = self._moments([each.mean for each in own], [each.variance for each in own])
        notes = tuple(dict.fromkeys(note for each in own for note in each.notes))
        if not has_numbers(self.likelihood):
            return self._of_classes(own, mean, variance, notes)
        centres = [each.mean if each.predictive_mean is None else each.predictive_mean for each in own]
        centre, total = self._moments(centres, [np.asarray(each.predictive_variance) for each in own])
        parts: dict[str, Any] = {}
        if uncertainty:
            aleatoric = self._mean([np.asarray(each.aleatoric) for each in own])
            parts = {"aleatoric": aleatoric, "epistemic": total - aleatoric}
        given: dict[str, Any] = {} if own[0].predictive_mean is None else {"predictive_mean": centre}
        return Prediction(mean=mean, variance=variance, predictive_variance=total, notes=notes, **parts, **given)

    def predict_interval(self, X: Any, alpha: float = 0.1, *, noise: bool = True) -> Array:
        """Central intervals of probability 1 - alpha of a regression's mixture, (n, 2), or (n, 2, C).

        Args:
            noise: False: of the function itself, without the noise of observations.
        """
        share = as_share(alpha, "alpha")
        ends = np.moveaxis(self._quantiles(X, [share / 2, 1 - share / 2], noise), -1, 1)
        return ends[:, :, 0] if ends.shape[2] == 1 else ends

    def predict_quantiles(self, X: Any, quantiles: float | Sequence[float] = (0.05, 0.5, 0.95)) -> Array:
        """Quantiles of new observations of a regression, (n, Q), or (n, C, Q) with several outputs."""
        wanted = [as_share(value, "quantiles") for value in np.atleast_1d(to_array(quantiles, "quantiles"))]
        values = self._quantiles(X, wanted, True)
        return values[:, 0] if values.shape[1] == 1 else values

    def functional_samples(self, X: Any, n_samples: int = 100, *, pred_type: str = "glm", seed: Any = None) -> Array:
        """Draws of network outputs, (n_samples, n, C), each of a member drawn by its weight."""
        return self._drawn("functional_samples", X, n_samples, pred_type, seed)

    def predictive_samples(self, X: Any, n_samples: int = 100, *, pred_type: str = "glm", seed: Any = None) -> Array:
        """Draws of predictions (probabilities or means), (n_samples, n, C), each of a member drawn by its weight."""
        return self._drawn("predictive_samples", X, n_samples, pred_type, seed)

    def _drawn(self, method: str, X: Any, n_samples: int, pred_type: str, seed: Any) -> Array:
        own = fresh_seed(seed)
        chosen = np.random.default_rng(own).choice(len(self.members), size=int(n_samples), p=self.weights)
        parts = {
            k: getattr(self.members[k], method)(X, int((chosen == k).sum()), pred_type=pred_type, seed=own)
            for k in np.unique(chosen)
        }
        draws: Array = np.empty((len(chosen), *next(iter(parts.values())).shape[1:]))
        for k, part in parts.items():
            draws[chosen == k] = part
        return draws

    def _quantiles(self, X: Any, probabilities: list[float], noise: bool) -> Array:
        """The q with sum_k w_k Phi((q - m_k) / s_k) = p, between the members' own quantiles: (n, C, Q)."""
        if self.likelihood != "regression":
            raise OptionError(
                "Intervals and quantiles of a mixture are of regressions, whose members are Gaussian; take draws "
                "(predictive_samples), or ask one of the members.",
                "BAD_COMBINATION",
                {"likelihood": self.likelihood},
            )
        own = [member.predict(X, uncertainty=False) for member in self.members]
        means = np.stack([each.mean for each in own])[..., None]
        variances = [each.predictive_variance if noise else each.variance for each in own]
        deviations = np.sqrt(np.maximum(np.stack([np.asarray(v) for v in variances]), 1e-300))[..., None]
        ends = means + deviations * np.array([NormalDist().inv_cdf(p) for p in probabilities])
        low, high = ends.min(axis=0), ends.max(axis=0)
        for _ in range(60):
            middle = (low + high) / 2
            below = np.tensordot(self.weights, _normal((middle - means) / deviations), axes=1) < probabilities
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        result: Array = high
        return result

    def _of_classes(self, own: list[Prediction], mean: Array, variance: Array, notes: tuple[str, ...]) -> Prediction:
        probabilities = self._mean([np.asarray(each.probabilities) for each in own])
        parts: dict[str, Any] = {}
        if all(each.aleatoric is not None for each in own):
            aleatoric = self._mean([np.asarray(each.aleatoric) for each in own])
            total = (
                _entropies(probabilities).sum(axis=-1)
                if self.likelihood == "classification"
                else _entropies(probabilities) + _entropies(1 - probabilities)
            )
            parts = {"aleatoric": aleatoric, "epistemic": np.maximum(0, total - aleatoric)}
        return Prediction(mean=mean, variance=variance, probabilities=probabilities, notes=notes, **parts)

    def _mean(self, values: list[Array]) -> Array:
        mean: Array = np.tensordot(self.weights, np.stack(values), axes=1)
        return mean

    def _moments(self, means: list[Array], variances: list[Array]) -> tuple[Array, Array]:
        """Mean and variance of a mixture: E[v] + Var[m]."""
        mean = self._mean(means)
        return mean, self._mean([v + (m - mean) ** 2 for m, v in zip(means, variances, strict=True)])


_erf = np.vectorize(math.erf, otypes=[np.float64])


def _normal(z: Array) -> Array:
    """Phi(z)."""
    values: Array = (1 + _erf(z / math.sqrt(2))) / 2
    return values


def _entropies(p: Array) -> Array:
    """-p log p, 0 at 0."""
    terms: Array = -p * np.log(np.where(p > 0, p, 1))
    return terms


def _shares(weights: Any, count: int) -> Array:
    values = np.ones(count) if weights is None else np.asarray(to_array(weights, "weights"), np.float64)
    if values.shape != (count,) or not np.isfinite(values).all() or (values < 0).any() or values.sum() == 0:
        raise OptionError(
            f"The weights of a mixture are one number for each of its {count} posteriors, not negative and not all 0.",
            "BAD_OPTION",
            {"option": "weights"},
        )
    shares: Array = values / values.sum()
    return shares
