"""Numbers and matrices of a fitted posterior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._block_diagonal import BlockDiagonal
from ._choice import Choice
from ._data import Array, fresh_seed, to_array
from ._description import describe
from ._kron import KronFactors
from ._low_rank import LowRank
from ._options import as_numbers
from ._posterior_state import PosteriorState
from ._words import snake_cased


class PosteriorQuantities(PosteriorState):
    """Evidence and its terms, precision and covariance, sizes. P is the number of parameters of the posterior."""

    def log_marginal_likelihood(self, prior_precision: Any = None, sigma_noise: Any = None) -> float:
        """The Laplace approximation of the log evidence, also at other hyper-parameters (which are not kept).

        It is that of the network at its weights, so that it tells right labels from permuted ones.
        """
        params: dict[str, Any] = {}
        if prior_precision is not None:
            params["priorPrecision"] = as_numbers(prior_precision, "prior_precision")
        if sigma_noise is not None:
            params["sigmaNoise"] = as_numbers(sigma_noise, "sigma_noise")
        return float(self._call("logMarginalLikelihood", params)["value"])

    @property
    def log_likelihood(self) -> float:
        """Log likelihood of the data at the network's weights."""
        return float(self._get("logLikelihood"))

    @property
    def log_evidence_at_mode(self) -> float | None:
        """Log evidence of the linear model at its own mode, where the prior was tuned by one; else None."""
        value = self._get("logEvidenceAtMode")
        return None if value is None else float(value)

    @property
    def choice(self) -> Choice | None:
        """What the fit chose and why; None where everything was given."""
        value = self._summary["choice"] if "choice" in self._summary else self._get("choice")
        return None if value is None else Choice.from_wire(value)

    @property
    def loss(self) -> float:
        """Loss of the data at the network's weights."""
        return float(self._get("loss"))

    @property
    def scatter(self) -> float:
        """(theta - mu0)' P0 (theta - mu0)."""
        return float(self._get("scatter"))

    @property
    def log_det_posterior_precision(self) -> float:
        """Log-determinant of the posterior precision."""
        return float(self._get("logDetPosteriorPrecision"))

    @property
    def log_det_prior_precision(self) -> float:
        """Log-determinant of the prior precision."""
        return float(self._get("logDetPriorPrecision"))

    @property
    def log_det_ratio(self) -> float:
        """Log-determinant of the posterior precision minus that of the prior precision."""
        return float(self._get("logDetRatio"))

    @property
    def H(self) -> Any:
        """Curvature of the loss, without prior: (P, P), (P,), KronFactors, or LowRank."""
        return _matrix(self._get("H"))

    @property
    def posterior_precision(self) -> Any:
        """Precision of the posterior: (P, P), (P,), KronFactors, or LowRank."""
        return _matrix(self._get("posteriorPrecision"))

    @property
    def posterior_covariance(self) -> Array:
        """Covariance of the posterior as a dense (P, P) matrix."""
        covariance: Array = self._get("posteriorCovariance")
        return covariance

    @property
    def posterior_variance(self) -> Array:
        """Diagonal of the covariance, (P,)."""
        variance: Array = self._get("posteriorVariance")
        return variance

    @property
    def posterior_scale(self) -> Array:
        """Standard deviations of the parameters, (P,)."""
        return np.sqrt(self.posterior_variance)

    @property
    def prior_precision_diag(self) -> Array:
        """Prior precision of each parameter, (P,)."""
        diagonal: Array = self._get("priorPrecisionDiag")
        return diagonal

    @property
    def mean(self) -> Array:
        """Mean of the posterior: the network's weights, or the linear model's for structure 'lowrank', (P,)."""
        mean: Array = self._get("mean")
        return mean

    def _summary_value(self, key: str) -> Any:
        """An entry of the summary. Fits answer with a brief one: the rest is asked for once."""
        if key not in self._summary:
            self._summary = dict(self._get("summary"))
        return self._summary[key]

    @property
    def n_params(self) -> int:
        """Number of parameters of the posterior."""
        return int(self._summary_value("parameterCount"))

    @property
    def n_outputs(self) -> int:
        """Number of outputs of the network."""
        return int(self._summary_value("outputs"))

    @property
    def n_data(self) -> int:
        """Number of examples of the fit."""
        return int(self._summary_value("examples"))

    @property
    def parameter_names(self) -> list[str]:
        """Names of the tensors of the posterior, in order."""
        return [str(entry["name"]) for entry in self._summary_value("parameters")]

    @property
    def summary(self) -> dict[str, Any]:
        """What the server says about the posterior."""
        self._summary_value("digest")
        return dict(self._summary)

    def describe(self) -> str:
        """The posterior in words: what it is, what was chosen and why, how it does on its training rows."""
        return describe(self.summary)

    @property
    def training(self) -> dict[str, Any] | None:
        """Scores on the training rows of network and posterior, and the leave-one-out NLL; None where not known."""
        value = self.summary.get("training")
        return None if value is None else snake_cased(value)

    def influence(self, X: Any, y: Any, at: Any = None, *, sample_weight: Any = None) -> dict[str, Array | None]:
        """What single training rows do: the linearised network and its posterior without each.

        In closed form for structures 'full', 'blockdiag' and 'functional' (of all rows); 'kron' and 'diag' forget each
        row in turn. Not for posteriors that answer by a linear model ('auto', 'linearized').

        Args:
            X, y: rows of the fit (n, ...) and their labels, as for `fit`.
            at: other rows (m, ...), whose outputs are looked at.
            sample_weight: how often each row counted in the fit, (n,): all of it is left out. None: once.

        Returns:
            `mean` and `variance` (n, C): the outputs of each row by the posterior without it; `loss` (n,): its loss
            there, the leave-one-out score; `change` (m, C, n): by how much the outputs at `at` would change without
            each row, None without `at`.
        """
        params: dict[str, Any] = dict(self._data(X, y))
        if at is not None:
            params["at"] = self._examples(at, "at")
        if sample_weight is not None:
            params["sampleWeight"] = np.asarray(to_array(sample_weight, "sample_weight"), np.float64)
        answer = self._call("influence", params, progress=self._progress)
        return {part: answer.get(part) for part in ("mean", "variance", "loss", "change")}

    def sample(self, n_samples: int = 100, *, seed: Any = None) -> Array:
        """Draws of the parameters, (n_samples, n_params).

        Args:
            seed: a number, a generator, or None: numpy's global state.
        """
        samples: Array = self._call("sample", {"samples": int(n_samples), "seed": fresh_seed(seed)})["samples"]
        return samples

    def log_prob(self, theta: Any) -> Any:
        """Log density of parameters (n_params,), or of the rows of (S, n_params)."""
        array = to_array(theta, "theta")
        values = self._call("logProb", {"theta": array})["logProb"]
        return float(values[0]) if array.ndim == 1 else values


def _matrix(value: Any) -> Any:
    """A matrix of the server: dense (P, P), its diagonal (P,), Kronecker factors, blocks, or of low rank."""
    if not isinstance(value, Mapping):
        return value
    if value["structure"] == "kron":
        return KronFactors(value["blocks"], delta=value.get("delta"))
    if value["structure"] == "blockdiag":
        return BlockDiagonal(value["blocks"], value["size"])
    if value["structure"] == "lowrank":
        return LowRank(value["rows"], value["delta"])
    return value["matrix"] if "matrix" in value else value["diagonal"]
