"""scikit-learn estimators: `LaplaceClassifier` and `LaplaceRegressor`.

This module imports scikit-learn, and is itself imported only when one of them is asked for.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ._client import Client, default_client
from ._data import Array
from ._exceptions import DataError, LaplaceError, ResourceError, StateError
from ._laplace import Laplace, LaplaceWarning, Prediction

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone  # type: ignore[import-untyped]
    from sklearn.neural_network import MLPClassifier, MLPRegressor  # type: ignore[import-untyped]
    from sklearn.utils.multiclass import check_classification_targets  # type: ignore[import-untyped]
    from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data  # type: ignore[import-untyped]
except ImportError as error:
    raise ResourceError(
        "LaplaceClassifier and LaplaceRegressor need scikit-learn 1.6 or newer: pip install scikit-learn. (Laplace works without it.)",
        "MISSING_DEPENDENCY",
    ) from error


class _LaplaceEstimator(BaseEstimator):  # type: ignore[misc]
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
            "structure": {"gp": "functional"}.get(self.hessian_structure, self.hessian_structure),
            "curvature": self.curvature,
            "priorStructure": {"diag": "diagonal"}.get(self.prior_structure, self.prior_structure),
            "temperature": self.temperature,
        }
        if self.tune is not None and self.prior_precision is None:
            options["tune"] = {"gridsearch": "grid"}.get(self.tune, self.tune)
        la = Laplace(
            network, likelihood, self.subset_of_weights, self.hessian_structure, curvature=self.curvature, temperature=self.temperature,
            architecture=self.architecture, activation=self.activation, engine=self.engine, precision=self.precision, threads=self.threads,
            client=self._client(),
        )  # fmt: skip
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


class LaplaceClassifier(ClassifierMixin, _LaplaceEstimator):  # type: ignore[misc]
    """A neural network classifier with calibrated probabilities.

    Args:
        model: a fitted network (path, bytes, torch module, scikit-learn MLP, skorch net), or an unfitted MLPClassifier, which `fit`
            clones and trains first. None: an MLPClassifier with its defaults.
        subset_of_weights, hessian_structure, curvature: as in `Laplace`.
        prior_precision: a number switches tuning off; None: tuned.
        tune: 'linearized', 'marglik', 'grid' (then `fit` needs validation data) or 'none'. None: 'linearized' for the last layer,
            'marglik' for all weights.
        prior_structure: 'scalar', 'layerwise' or 'diag'.
        random_state: of the training of an unfitted model.

    Attributes:
        classes_: labels in the order of the columns of `predict_proba`.
        laplace_: the `Laplace` posterior.
        network_: the network in use.
    """

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> LaplaceClassifier:
        """Fits the posterior (and an unfitted network before)."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], allow_nd=True)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(
                f"A classifier needs at least two classes; y has one class: {self.classes_[0]!r}.", "BAD_LABELS"
            )
        network = self._network(MLPClassifier, X, y)
        if hasattr(network, "classes_"):
            codes = self._codes(network, y)
        binary = getattr(network, "out_activation_", None) == "logistic"
        validation = None if X_val is None else (X_val, self._column(np.searchsorted(self.classes_, y_val), binary))
        self._fit_laplace(network, "binary" if binary else "classification", X, self._column(codes, binary), validation)
        self._binary = self.laplace_.likelihood == "binary"
        return self

    def _codes(self, network: Any, y: Array) -> Array:
        """Class numbers in the network's own order."""
        self.classes_ = np.asarray(network.classes_)
        unknown = sorted(set(np.unique(y)) - set(self.classes_))
        if unknown:
            raise DataError(f"y has labels that the network was not trained on: {unknown[:5]}.", "BAD_LABELS")
        return np.searchsorted(self.classes_, y)

    @staticmethod
    def _column(codes: Array, binary: bool) -> Array:
        return codes.reshape(-1, 1).astype(np.int64) if binary else codes.astype(np.int64)

    def predict_proba(self, X: Any) -> Array:
        """Calibrated probabilities, (n, n_classes)."""
        probabilities = self._predict_all(X).probabilities
        if probabilities is None:
            raise StateError("The posterior gives no probabilities.", "NOT_FITTED")
        return np.column_stack([1 - probabilities[:, 0], probabilities[:, 0]]) if self._binary else probabilities

    def predict(self, X: Any) -> Array:
        """The most probable class of each row."""
        probabilities = self.predict_proba(X)
        labels: Array = self.classes_[np.argmax(probabilities, axis=1)]
        return labels

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> Array:
        """Draws of labels, (n, n_samples): a class drawn from the probabilities of a drawn network."""
        check_is_fitted(self, "laplace_")
        random = check_random_state(random_state)
        draws = self.laplace_.predictive_samples(self._checked(X), n_samples, seed=random)
        if self._binary:
            draws = np.concatenate([1 - draws, draws], axis=2)
        uniform = random.random_sample(draws.shape[:2])[..., np.newaxis]
        labels: Array = self.classes_[
            np.minimum((draws.cumsum(axis=2) < uniform).sum(axis=2), len(self.classes_) - 1)
        ].T
        return labels


class LaplaceRegressor(RegressorMixin, _LaplaceEstimator):  # type: ignore[misc]
    """A neural network regressor with error bars.

    Args:
        model: a fitted network, or an unfitted MLPRegressor, which `fit` clones and trains first. None: an MLPRegressor.
        subset_of_weights, hessian_structure, curvature, prior_precision, tune, prior_structure, random_state: as in
            LaplaceClassifier. The noise is tuned together with the prior precision.

    >>> mean, std = LaplaceRegressor().fit(X, y).predict(X_new, return_std=True)  # doctest: +SKIP
    """

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> LaplaceRegressor:
        """Fits the posterior (and an unfitted network before)."""
        # One example cannot tell noise from signal.
        X, y = validate_data(
            self,
            X,
            y,
            dtype=[np.float64, np.float32],
            allow_nd=True,
            multi_output=True,
            y_numeric=True,
            ensure_min_samples=2,
        )
        network = self._network(MLPRegressor, X, y)
        self._vector = y.ndim == 1
        self._fit_laplace(
            network, "regression", X, _two_axes(y), None if X_val is None else (X_val, _two_axes(np.asarray(y_val)))
        )
        return self

    def predict(self, X: Any, return_std: bool = False, return_cov: bool = False) -> Any:
        """Predictions, with standard deviations or covariances as GaussianProcessRegressor gives them.

        Args:
            return_std: also the standard deviation of a new observation (noise included), in the shape of the prediction.
            return_cov: also the covariance of the function values: (n, n), or (n, n, C) for C outputs.
        """
        if return_std and return_cov:
            raise RuntimeError("At most one of return_std or return_cov can be requested.")
        if return_cov:
            prediction = self._predict_all(X, joint=True)
            n, outputs = prediction.mean.shape
            assert prediction.covariance is not None
            joint = prediction.covariance.reshape(n, outputs, n, outputs)
            return self._shaped(prediction.mean), joint[:, 0, :, 0] if self._vector else np.einsum("icjc->ijc", joint)
        prediction = self._predict_all(X)
        mean = self._shaped(prediction.mean)
        return (mean, self._shaped(np.sqrt(prediction.variance + self.sigma_noise_**2))) if return_std else mean

    def _shaped(self, values: Array) -> Array:
        return values[:, 0] if self._vector else values

    @property
    def sigma_noise_(self) -> float:
        """Standard deviation of the noise, tuned."""
        check_is_fitted(self, "laplace_")
        value: float = self.laplace_.sigma_noise
        return value

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> Array:
        """Draws of the function, (n, n_samples) or (n, C, n_samples)."""
        check_is_fitted(self, "laplace_")
        draws = np.moveaxis(
            self.laplace_.functional_samples(self._checked(X), n_samples, seed=check_random_state(random_state)), 0, -1
        )
        return draws[:, 0, :] if self._vector else draws

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _two_axes(y: Array) -> Array:
    return y.reshape(-1, 1) if y.ndim == 1 else y


def _is_fitted(model: Any) -> bool:
    try:
        check_is_fitted(model)
    except (LaplaceError, ValueError, TypeError):
        return False
    return True


__all__ = ["LaplaceClassifier", "LaplaceRegressor", "LaplaceWarning"]
