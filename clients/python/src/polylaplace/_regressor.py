"""`LaplaceRegressor`: a scikit-learn regressor."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._data import Array
from ._estimator_base import LaplaceEstimator
from ._scikit_learn import MLPRegressor, RegressorMixin, check_is_fitted, check_random_state, validate_data


class LaplaceRegressor(RegressorMixin, LaplaceEstimator):  # type: ignore[misc]
    """A neural network regressor with error bars.

    Args:
        model: a fitted network, or an unfitted MLPRegressor, which `fit` clones and trains first. None: an
            MLPRegressor.
        subset_of_weights, hessian_structure, curvature, prior_precision, tune, prior_structure, random_state: as in
            LaplaceClassifier. The noise is tuned together with the prior precision.

    >>> mean, std = LaplaceRegressor().fit(X, y).predict(X_new, return_std=True)  # doctest: +SKIP
    """

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> LaplaceRegressor:
        """Fits the posterior (and an unfitted network before) to X (n, ...) and targets y (n,) or (n, C)."""
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
        """Predictions (n,) or (n, C), with standard deviations or covariances as GaussianProcessRegressor gives them.

        Args:
            return_std: also the standard deviation of a new observation (noise included), in the shape of the
                prediction.
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
