"""`LaplaceRegressor`: a scikit-learn regressor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np

from ._data import Array, to_array
from ._estimator_base import LaplaceEstimator, row_weights, validated, with_parameters_of
from ._examples import is_mapping, to_examples
from ._exceptions import OptionError
from ._held_out import HeldOut
from ._likelihoods import NUMBER_LIKELIHOODS, has_numbers
from ._options import as_noise
from ._scikit_learn import MLPRegressor, RegressorMixin, check_is_fitted, check_random_state
from ._sklearn_models import unwrapped_estimator


class LaplaceRegressor(RegressorMixin, LaplaceEstimator):  # type: ignore[misc]
    """A neural network regressor with error bars.

    Args:
        model: a fitted network, or an unfitted MLPRegressor, which `fit` clones and trains first. None: an
            MLPRegressor.
        likelihood: 'regression', 'poisson' (counts; the network's outputs are logarithms of rates) or 'heteroscedastic'
            (the outputs are the means, then as many logarithms of variances, as a network trained by the Gaussian
            likelihood has them). None: that of the network's own loss.
        sigma_noise: standard deviation of the observations: a number, or one for each output; a matrix (C, C) is the
            covariance of their noises, and 'full' has the evidence find it. None: tuned together with the prior
            precision, one for each output.
        subset_of_weights, hessian_structure, curvature, prior_precision, tune, prior_structure, random_state,
            validation_fraction: as in LaplaceClassifier.

    An MLPRegressor(loss='poisson') gets the likelihood 'poisson': predictions are rates, their standard deviations and
    intervals those of counts. The priors of 'poisson' and 'heteroscedastic' are tuned by 'marglik', or 'grid' with
    held-out rows.

    >>> import numpy as np
    >>> from sklearn.neural_network import MLPRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, (80, 1))
    >>> y = np.sin(X[:, 0]) + 0.1 * rng.normal(size=80)
    >>> network = MLPRegressor(hidden_layer_sizes=(20,), solver="lbfgs", max_iter=2000, random_state=0)
    >>> model = LaplaceRegressor(network).fit(X, y)
    >>> mean, std = model.predict(X, return_std=True)
    >>> bool(0.05 < model.sigma_noise_ < 0.2)
    True
    """

    @with_parameters_of(LaplaceEstimator.__init__)
    def __init__(
        self, model: Any = None, *, likelihood: str | None = None, sigma_noise: Any = None, **options: Any
    ) -> None:
        super().__init__(model, **options)
        self.likelihood = likelihood
        self.sigma_noise = sigma_noise

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> LaplaceRegressor:
        """Fits the posterior (and an unfitted network before) to X (n, ...) and targets y (n,) or (n, C).

        Args:
            sample_weight: how often each row counts, (n,): 2 is the row twice, 0 no row; whole numbers, unless prior
                precision or tune ('marglik', 'grid') are given. An unfitted network is trained with it.
            X_val, y_val: held-out rows, which neither the network nor this fit has seen; prior and noise are then
                tuned by them ('validated').

        Raises:
            OptionError: for a likelihood of classes, or one that the network does not have.
            LaplaceError: as `Laplace.fit`.
        """
        source = X
        if self.likelihood is not None and not has_numbers(self.likelihood):
            raise OptionError(
                f"LaplaceRegressor takes the likelihoods {', '.join(NUMBER_LIKELIHOODS)}; got {self.likelihood!r}. "
                "For classes and labels use LaplaceClassifier, or Laplace.",
                "BAD_OPTION",
                {"option": "likelihood", "value": self.likelihood},
            )
        if self.likelihood == "heteroscedastic" and self._trains():
            raise OptionError(
                "Likelihood 'heteroscedastic' needs a trained network, whose outputs are the means and then as many "
                "logarithms of variances; MLPRegressor has the means alone. Give a torch or Keras network or a file.",
                "BAD_COMBINATION",
                {"option": "likelihood", "value": self.likelihood},
            )
        if is_mapping(X):
            X, y = to_examples(X, "X"), to_array(y, "y")
        else:
            X, y = validated(
                self,
                X,
                y,
                dtype=[np.float64, np.float32],
                allow_nd=True,
                multi_output=True,
                y_numeric=True,
                ensure_min_samples=2 if self._trains() else 1,
            )
        held = self._held_out(X_val, y_val)
        weight = row_weights(sample_weight, len(y))
        network, X, y, held, weight = self._network(MLPRegressor, X, y, held, source, weight=weight)
        self._vector = y.ndim == 1
        if held.rows is not None:
            held = HeldOut(rows=(self._checked(held.rows[0]), self._targets(held.rows[1], "y_val")))
        la = self._posterior_of(network, self.likelihood or _likelihood_of(network))
        self._fit_laplace(la, network, X, self._targets(y, "y"), held, weight)
        return self

    def _fit_options(self, likelihood: str, there: bool) -> dict[str, Any]:
        options = super()._fit_options(likelihood, there)
        if self.sigma_noise is not None:
            found = isinstance(self.sigma_noise, str) and self.sigma_noise == "full"
            options["sigmaNoise"] = "full" if found else as_noise(self.sigma_noise, "sigma_noise")
        return options

    def _targets(self, y: Any, name: str) -> Array:
        """Targets with two axes, (n, C)."""
        array = to_array(y, name)
        return array.reshape(-1, 1) if array.ndim == 1 else array

    @overload
    def predict(self, X: Any, return_std: Literal[False] = ..., return_cov: Literal[False] = ...) -> Array: ...
    @overload
    def predict(self, X: Any, return_std: Literal[True], return_cov: Literal[False] = ...) -> tuple[Array, Array]: ...
    @overload
    def predict(
        self, X: Any, return_std: Literal[False] = ..., *, return_cov: Literal[True]
    ) -> tuple[Array, Array]: ...
    @overload
    def predict(self, X: Any, return_std: bool = ..., return_cov: bool = ...) -> Any: ...
    def predict(self, X: Any, return_std: bool = False, return_cov: bool = False) -> Any:
        """Predictions (n,) or (n, C), with standard deviations or covariances as GaussianProcessRegressor gives them.

        Args:
            return_std: also the standard deviation of a new observation, in the shape of the prediction:
                sqrt(variance of the function + sigma_noise_**2), as GaussianProcessRegressor gives it with a
                WhiteKernel. That of the function alone is in `uncertainty(X).variance`.
            return_cov: also the covariance of new observations of all rows, (n, n), or (n, n, C) for C outputs; the
                roots of its diagonal are what return_std gives, as GaussianProcessRegressor has them.

        Raises:
            RuntimeError: for both at once, as scikit-learn has it.
            OptionError: for the covariance of counts, which has no closed form.
            DataError, ShapeError: for rows that are not as those of the fit.
        """
        if return_std and return_cov:
            raise RuntimeError("At most one of return_std or return_cov can be requested.")
        counts = self._posterior().likelihood == "poisson"
        if return_cov and counts:
            raise OptionError(
                "return_cov is the covariance of Gaussian function values; rates of counts have none in closed form: "
                "use return_std, or draws (sample_y).",
                "BAD_COMBINATION",
                {"option": "return_cov"},
            )
        if return_cov:
            prediction = self._predict_all(X, joint=True)
            n, outputs = prediction.mean.shape
            assert prediction.covariance is not None
            means = outputs // 2 if self._posterior().likelihood == "heteroscedastic" else outputs
            joint = prediction.covariance.reshape(n, outputs, n, outputs)[:, :means, :, :means]
            covariance = np.einsum("icjc->ijc", joint).copy()
            # Noises of rows are independent of each other.
            covariance[np.arange(n), np.arange(n)] = prediction.predictive_variance
            return self._shaped(prediction.mean[:, :means]), covariance[:, :, 0] if self._vector else covariance
        prediction = self._predict_all(X, uncertainty=False)
        mean = self._shaped(prediction.mean if prediction.predictive_mean is None else prediction.predictive_mean)
        assert prediction.predictive_variance is not None
        return (mean, self._shaped(np.sqrt(prediction.predictive_variance))) if return_std else mean

    def predict_interval(self, X: Any, alpha: float = 0.1, *, noise: bool = True) -> Array:
        """Lower and upper ends for new observations, (n, 2) or (n, 2, C), as MAPIE gives them.

        Conformal after `conformalize`, before it Gaussian. `noise=False`: of the function itself.
        """
        return self._ends(self._posterior().predict_interval(self._checked(X), alpha, noise=noise), 2)

    def predict_quantiles(self, X: Any, quantiles: float | Sequence[float] = (0.05, 0.5, 0.95)) -> Array:
        """Quantiles of new observations, (n, Q), or (n, C, Q) for C outputs.

        Args:
            quantiles: Q probabilities between 0 and 1.
        """
        return self._ends(self._posterior().predict_quantiles(self._checked(X), quantiles), 1)

    def _ends(self, values: Array, axis: int) -> Array:
        """The axis of outputs, which one output does without, where y had it."""
        return values if self._vector or values.ndim == 3 else np.expand_dims(values, axis)

    def _shaped(self, values: Array) -> Array:
        return values[:, 0] if self._vector else values

    @property
    def sigma_noise_(self) -> Any:
        """Standard deviation of the noise, tuned or given: a number, or an array (C,) where the outputs differ."""
        return self._posterior().sigma_noise

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> Array:
        """Draws of the function (of the rate, for counts; of the means), (n, n_samples) or (n, C, n_samples)."""
        check_is_fitted(self, "laplace_")
        draw = (
            self.laplace_.predictive_samples
            if self.laplace_.likelihood == "poisson"
            else (self.laplace_.functional_samples)
        )
        drawn = draw(self._checked(X), n_samples, seed=check_random_state(random_state))
        if self.laplace_.likelihood == "heteroscedastic":
            drawn = drawn[:, :, : drawn.shape[2] // 2]
        draws = np.moveaxis(drawn, 0, -1)
        return draws[:, 0, :] if self._vector else draws

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _likelihood_of(network: Any) -> str:
    """That of the network's own loss: an MLPRegressor(loss='poisson') says logarithms of rates."""
    final = unwrapped_estimator(network).network
    return "poisson" if getattr(final, "loss", None) == "poisson" else "regression"
