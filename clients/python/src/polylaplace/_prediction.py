"""Predictions with their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ._batching import row_batches, together
from ._data import Array, fresh_seed
from ._exceptions import OptionError
from ._likelihoods import has_numbers
from ._sampling import Sampling
from ._words import snake_case

#: The arrays of a Prediction.
_PARTS = [
    "mean",
    "variance",
    "probabilities",
    "aleatoric",
    "epistemic",
    "covariance",
    "predictiveCovariance",
    "predictiveMean",
    "predictiveVariance",
    "novelty",
    "noveltyScore",
]


@dataclass(frozen=True, slots=True)
class Prediction:
    """Everything that is known about the outputs for some inputs.

    Attributes:
        mean: network outputs, (n, C): logits, means, means and log variances (heteroscedastic), log rates (poisson).
        variance: their posterior variances, (n, C).
        probabilities: (n, C) for classification, None for likelihoods of numbers.
        aleatoric: uncertainty of the data: entropy in nats (n,), or noise variance (n, C).
        epistemic: uncertainty of the network: mutual information in nats (n,), or variance (n, C).
        covariance: (n, C, C), or (n C, n C) with joint; only when asked for.
        predictive_covariance: of a new observation, (n, C, C), where `covariance` is asked for and the noises of a
            regression are correlated.
        predictive_mean: of a new observation, (n, K): the rate (poisson), the mean (heteroscedastic), else None.
        predictive_variance: of a new observation: variance plus that of the noise, (n, C); regression. Of poisson and
            heteroscedastic aleatoric plus epistemic, (n, K).
        novelty: how unlike the training rows a row is, (n,): the share of training rows that are at least as uncertain
            (a p-value: small means unlike). Where the prior was tuned by 'auto' or 'validated', else None.
        novelty_score: what `novelty` is the p-value of, (n,): the mean variance of the outputs.
        seed: of the draws, if any were made.
        notes: what the server noticed.
    """

    mean: Array
    variance: Array
    probabilities: Array | None = None
    aleatoric: Array | None = None
    epistemic: Array | None = None
    covariance: Array | None = None
    predictive_covariance: Array | None = None
    predictive_mean: Array | None = None
    predictive_variance: Array | None = None
    novelty: Array | None = None
    novelty_score: Array | None = None
    seed: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassPrediction(Prediction):
    """A prediction of classes or labels ('classification', 'binary', 'multilabel'): it has probabilities."""

    probabilities: Array = field(kw_only=True)
    predictive_mean: None = None
    predictive_variance: None = None
    predictive_covariance: None = None


@dataclass(frozen=True, slots=True)
class RegressionPrediction(Prediction):
    """A prediction of a 'regression': it has the variance of a new observation, whose mean is `mean`."""

    probabilities: None = None
    predictive_mean: None = None
    predictive_variance: Array = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class ObservationPrediction(Prediction):
    """A prediction of 'poisson' or 'heteroscedastic': it has mean and variance of a new observation."""

    probabilities: None = None
    predictive_mean: Array = field(kw_only=True)
    predictive_variance: Array = field(kw_only=True)


#: The class of a prediction by its likelihood; of others it is `Prediction`.
_CLASSES: dict[str, type[Prediction]] = {
    "classification": ClassPrediction,
    "binary": ClassPrediction,
    "multilabel": ClassPrediction,
    "regression": RegressionPrediction,
    "poisson": ObservationPrediction,
    "heteroscedastic": ObservationPrediction,
}


class Predicting(Sampling):
    """The predictive distribution."""

    def __call__(
        self,
        X: Any,
        pred_type: str = "glm",
        joint: bool = False,
        link_approx: str | None = None,
        n_samples: int = 100,
        diagonal_output: bool = False,
        seed: Any = None,
    ) -> Any:
        """The predictive distribution for rows of examples X (n, ...).

        Args:
            link_approx: how probabilities come from the Gaussian over outputs. None: 'probit', or what was chosen when
                the prior was tuned by 'auto' or 'validated'.

        Returns:
            Classification: probabilities (n, C). Likelihoods of numbers: (f_mu, f_var) of the network's outputs, f_mu
            (n, C), f_var (n, C, C) without the noise; with `joint` f_mu (n C,) and f_var (n C, n C); with
            `diagonal_output` or pred_type 'nn' f_var (n, C).
        """
        if pred_type == "nn":
            draw = self.functional_samples if has_numbers(self.likelihood) else self.predictive_samples
            samples = draw(X, n_samples, pred_type="nn", seed=seed)
            return (
                (samples.mean(axis=0), samples.var(axis=0, ddof=1))
                if has_numbers(self.likelihood)
                else samples.mean(axis=0)
            )
        if pred_type != "glm":
            raise OptionError(
                f"pred_type must be 'glm' or 'nn'; got '{pred_type}'.", "BAD_OPTION", {"option": "pred_type"}
            )
        numbers = has_numbers(self.likelihood)
        joint = joint and numbers
        spread = "variance" if diagonal_output and not joint else "covariance"
        options = {"joint": joint, "covariance": numbers and spread == "covariance", "uncertainty": False}
        parts = ["mean", spread] if numbers else ["probabilities"]
        answer = self._predicted(X, link_approx, pred_type, n_samples, options, seed, parts=parts)
        if not numbers:
            return answer["probabilities"]
        return answer["mean"].reshape(-1) if joint else answer["mean"], answer[spread]

    def predict(
        self,
        X: Any,
        *,
        link_approx: str | None = None,
        pred_type: str = "glm",
        n_samples: int | None = None,
        joint: bool = False,
        covariance: bool = False,
        uncertainty: bool = True,
        seed: Any = None,
        timeout: float | None = None,
    ) -> Prediction:
        """Everything that is known about the outputs for some inputs.

        Args:
            X: rows of examples (n, ...).
            link_approx: as for calling the posterior.
            joint: adds the covariance of all outputs of all rows, (n C, n C).
            covariance: adds the covariance of the outputs of each row, (n, C, C).
            uncertainty: False leaves out the aleatoric and epistemic parts, and the draws that they take.
        """
        options = {"joint": joint, "covariance": covariance or joint, "uncertainty": uncertainty}
        answer = self._predicted(X, link_approx, pred_type, n_samples, options, seed, timeout=timeout)
        answer["notes"] = tuple(answer.get("notes", ()))
        kind = _CLASSES.get(self.likelihood, Prediction)
        return kind(**{snake_case(key): value for key, value in answer.items()})

    def _predicted(
        self,
        X: Any,
        link: str | None,
        predictive: str,
        samples: int | None,
        options: dict[str, Any],
        seed: Any,
        *,
        parts: list[str] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """The answer of the server, in as many messages as the rows need; `parts`: what of it will be read."""
        x = self._examples(X)
        options = {"predictive": predictive, **options} | ({} if link is None else {"link": link})
        if samples is not None:
            options["samples"] = int(samples)
        if seed is not None or link == "mc" or predictive == "nn":
            options["seed"] = fresh_seed(seed)
        answers = [
            self._call(
                "predict",
                {"x": rows, "options": options, "parts": parts or _PARTS},
                timeout=timeout,
                progress=self._progress,
            )
            for rows in ([x] if options["joint"] else row_batches(x))
        ]
        return together(answers)
