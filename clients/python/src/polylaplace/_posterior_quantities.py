"""Numbers and matrices of a fitted posterior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._data import Array
from ._kron import KronFactors
from ._options import as_number, as_numbers
from ._posterior_state import PosteriorState


class PosteriorQuantities(PosteriorState):
    """Evidence and its terms, precision and covariance, sizes. P is the number of parameters of the posterior."""

    def log_marginal_likelihood(self, prior_precision: Any = None, sigma_noise: Any = None) -> float:
        """The Laplace approximation of the log evidence, also at other hyper-parameters (which are not kept)."""
        params: dict[str, Any] = {}
        if prior_precision is not None:
            params["priorPrecision"] = as_numbers(prior_precision, "prior_precision")
        if sigma_noise is not None:
            params["sigmaNoise"] = as_number(sigma_noise, "sigma_noise")
        return float(self._call("logMarginalLikelihood", params)["value"])

    @property
    def log_likelihood(self) -> float:
        """Log likelihood of the data at the network's weights."""
        return float(self._get("logLikelihood"))

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
        """Curvature of the loss, without prior: (P, P), (P,), or KronFactors."""
        return _matrix(self._get("H"))

    @property
    def posterior_precision(self) -> Any:
        """Precision of the posterior: (P, P), (P,), or KronFactors."""
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
        """Mean of the posterior: the network's weights, (P,)."""
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


def _matrix(value: Any) -> Any:
    """A matrix of the server: dense (P, P), its diagonal (P,), or Kronecker factors."""
    if not isinstance(value, Mapping):
        return value
    if value["structure"] == "kron":
        return KronFactors(value["blocks"], delta=value.get("delta"))
    return value["matrix"] if "matrix" in value else value["diagonal"]
