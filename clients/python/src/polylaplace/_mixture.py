"""Several posteriors that predict as one: a mixture of Laplace approximations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._arguments import CheckedArguments
from ._data import Array, to_array
from ._exceptions import OptionError
from ._laplace import Laplace
from ._likelihoods import has_numbers
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
