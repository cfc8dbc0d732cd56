"""What the two scikit-learn estimators share."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ._client import Client
from ._data import Array
from ._default_client import default_client
from ._exceptions import LaplaceError, LaplaceWarning
from ._laplace import Laplace
from ._options import as_prior_structure, as_structure, as_tune_method
from ._prediction import Prediction
from ._scikit_learn import BaseEstimator, check_is_fitted, check_random_state, clone, validate_data


class LaplaceEstimator(BaseEstimator):  # type: ignore[misc]
    """What both estimators share."""

    def __init__(
        self,
        model: Any = None,
        *,
        subset_of_weights: str = "last_layer",
        hessian_structure: str = "kron",
        curvature: str = "ggn",
        prior_precision: Any = None,
        prior_structure: str = "scalar",
        tune: str | None = None,
        temperature: float = 1.0,
        architecture: Any = None,
        activation: str | None = None,
        engine: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.subset_of_weights = subset_of_weights
        self.hessian_structure = hessian_structure
        self.curvature = curvature
        self.prior_precision = prior_precision
        self.prior_structure = prior_structure
        self.tune = tune
        self.temperature = temperature
        self.architecture = architecture
        self.activation = activation
        self.engine = engine
        self.precision = precision
        self.threads = threads
        self.random_state = random_state

    # --- the network ---

    def _network(self, default: type[Any], X: Array, y: Array) -> Any:
        """The fitted network: the given one, or a scikit-learn MLP that is trained first."""
        model = self.model
        if model is None:
            model = default(max_iter=1000)
        if (
            not hasattr(model, "fit")
            or not hasattr(model, "get_params")
            or hasattr(model, "module_")
            or _is_fitted(model)
        ):
            return model
        network = clone(model)
        if "random_state" in network.get_params() and network.get_params()["random_state"] is None:
            network.set_params(random_state=check_random_state(self.random_state).randint(2**31 - 1))
        with warnings.catch_warnings():
            # The training's own notice of max_iter: the posterior does not need a perfect optimum.
            warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")
            network.fit(X, y)
        return network

    def _fit_laplace(self, network: Any, likelihood: str, X: Array, y: Array, validation: Any) -> None:
        options = {
            "likelihood": likelihood,
            "subset": self.subset_of_weights,
            "structure": as_structure(self.hessian_structure),
            "curvature": self.curvature,
            "priorStructure": as_prior_structure(self.prior_structure),
            "temperature": self.temperature,
        }
        if self.tune is not None and self.prior_precision is None:
            options["tune"] = as_tune_method(self.tune)
        la = Laplace(
            network,
            likelihood,
            self.subset_of_weights,
            self.hessian_structure,
            curvature=self.curvature,
            temperature=self.temperature,
            architecture=self.architecture,
            activation=self.activation,
            engine=self.engine,
            precision=self.precision,
            threads=self.threads,
            client=self._client(),
        )
        if self.prior_precision is not None:
            options["priorPrecision"] = (
                np.asarray(self.prior_precision, dtype=np.float64)
                if np.ndim(self.prior_precision)
                else float(self.prior_precision)
            )
        with warnings.catch_warnings():
            # A classifier that gives probabilities is what is meant here.
            warnings.filterwarnings("ignore", message="The network ends in", category=LaplaceWarning)
            la.tuned_fit(X, y, options, validation)
        self.laplace_ = la
        self.network_ = network

    def _client(self) -> Client:
        return default_client()

    def _predict_all(self, X: Any, **options: Any) -> Prediction:
        check_is_fitted(self, "laplace_")
        return self.laplace_.predict(self._checked(X), **options)

    def _checked(self, X: Any) -> Array:
        """Rows of features. Networks of images take arrays of more axes."""
        array: Array = validate_data(self, X, reset=False, dtype=[np.float64, np.float32], allow_nd=True)
        return array

    def uncertainty(self, X: Any) -> Prediction:
        """Everything that is known about the outputs: means, variances, aleatoric and epistemic parts."""
        return self._predict_all(X)

    @property
    def log_marginal_likelihood_(self) -> float:
        """Log marginal likelihood of the fitted posterior."""
        check_is_fitted(self, "laplace_")
        value: float = self.laplace_.log_marginal_likelihood()
        return value

    @property
    def prior_precision_(self) -> Any:
        """The prior precision in use."""
        check_is_fitted(self, "laplace_")
        return self.laplace_.prior_precision

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "laplace_")


def _is_fitted(model: Any) -> bool:
    try:
        check_is_fitted(model)
    except (LaplaceError, ValueError, TypeError):
        return False
    return True
