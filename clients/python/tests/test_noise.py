"""One standard deviation of the noise, or one for each output."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.neural_network import MLPRegressor

from mlp import NumpyMlp
from polylaplace import Laplace, OptionError, load


@pytest.fixture(scope="module")
def two() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    y = np.column_stack([np.sin(x[:, 0]), x[:, 1]]) + rng.normal(size=(60, 2)) * [0.1, 0.4]
    network = MLPRegressor(hidden_layer_sizes=(5,), activation="tanh", solver="lbfgs", max_iter=300, random_state=0)
    return {"x": x, "y": y, "network": network.fit(x, y), "x_new": rng.normal(size=(7, 2))}


def test_a_noise_for_each_output(two: dict[str, Any]) -> None:
    sigma, delta = np.array([0.1, 0.4]), 0.5
    la = Laplace(two["network"], "regression", "all", "full", prior_precision=delta, sigma_noise=sigma)
    la.fit(two["x"], two["y"])
    np.testing.assert_array_equal(la.sigma_noise, sigma)
    mlp = NumpyMlp(two["network"])
    jacobian = mlp.jacobian(two["x"])
    precision = np.einsum("ncp,c,ncq->pq", jacobian, sigma**-2, jacobian) + delta * np.eye(len(mlp.theta))
    np.testing.assert_allclose(la.posterior_precision, precision, rtol=1e-6, atol=1e-8)
    new = mlp.jacobian(two["x_new"])
    f_var = np.einsum("ncp,pq,ndq->ncd", new, np.linalg.inv(precision), new)
    np.testing.assert_allclose(la(two["x_new"])[1], f_var, rtol=1e-5, atol=1e-9)
    prediction = la.predict(two["x_new"])
    np.testing.assert_allclose(prediction.predictive_variance, prediction.variance + sigma**2, rtol=1e-12)
    residuals = (two["y"] - mlp.outputs(mlp.theta, two["x"])) / sigma
    log_likelihood = -0.5 * (residuals**2).sum() - 60 * np.log(sigma * np.sqrt(2 * np.pi)).sum()
    assert la.log_likelihood == pytest.approx(log_likelihood, rel=1e-8)
    evidence = log_likelihood - 0.5 * (
        np.linalg.slogdet(precision)[1] - len(mlp.theta) * np.log(delta) + delta * mlp.theta @ mlp.theta
    )
    assert la.log_marginal_likelihood() == pytest.approx(evidence, rel=1e-8)
    for again in (load(la.to_bytes()), pickle.loads(pickle.dumps(la))):
        np.testing.assert_array_equal(again.sigma_noise, sigma)


def test_a_wrong_number_of_noises_is_a_typed_error(two: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="sigma"):
        Laplace(two["network"], "regression", sigma_noise=[0.1, 0.2, 0.3]).fit(two["x"], two["y"])
    with pytest.raises(OptionError, match="got none"):
        Laplace(two["network"], "regression", sigma_noise=[])


def test_a_fitted_posterior_takes_one_noise(two: dict[str, Any]) -> None:
    la = Laplace(two["network"], "regression", "all", "full").fit(two["x"], two["y"])
    before = la.log_marginal_likelihood()
    with pytest.raises(OptionError, match="fit again"):
        la.sigma_noise = [0.1, 0.4]
    with pytest.raises(OptionError, match="fit again"):
        la.log_marginal_likelihood(sigma_noise=[0.1, 0.4])
    assert la.sigma_noise == 1
    assert la.log_marginal_likelihood() == before
    la.sigma_noise = 0.3
    assert la.log_marginal_likelihood() > before
