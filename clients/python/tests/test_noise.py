"""One standard deviation of the noise, or one for each output."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neural_network import MLPRegressor

from mlp import NumpyMlp
from polylaplace import DataError, Laplace, LaplaceRegressor, OptionError, load


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


def test_correlated_noise_is_a_covariance() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 2))
    draw = np.random.default_rng(4)
    network = {
        "0.weight": draw.normal(size=(4, 2)),
        "0.bias": draw.normal(size=4),
        "2.weight": draw.normal(size=(2, 4)),
        "2.bias": draw.normal(size=2),
    }
    sigma = np.array([[0.5, 0.3], [0.3, 0.8]])
    options = {"activation": "Tanh", "precision": "float64", "prior_precision": 2.0}
    la = Laplace(network, "regression", "last_layer", "full", sigma_noise=sigma, **options).fit(x, y)
    hidden = np.tanh(x @ network["0.weight"].T + network["0.bias"])
    features = np.hstack([hidden, np.ones((30, 1))])
    H = np.zeros((10, 10))
    weight = np.arange(8).reshape(2, 4)
    places = np.hstack([weight, [[8], [9]]])
    precision = np.linalg.inv(sigma)
    for c in range(2):
        for d in range(2):
            H[np.ix_(places[c], places[d])] = precision[c, d] * features.T @ features
    np.testing.assert_allclose(la.H, H, rtol=1e-9, atol=1e-9)
    f = hidden @ network["2.weight"].T + network["2.bias"]
    error = y - f
    expected = -0.5 * np.einsum("nc,cd,nd->", error, precision, error) - 15 * np.log(np.linalg.det(2 * np.pi * sigma))
    np.testing.assert_allclose(la.log_likelihood, expected, rtol=1e-10)
    answer = la.predict(x, covariance=True)
    np.testing.assert_allclose(answer.predictive_covariance, answer.covariance + sigma, rtol=1e-12)
    np.testing.assert_allclose(answer.predictive_variance, answer.variance + np.diag(sigma), rtol=1e-12)
    np.testing.assert_array_equal(la.sigma_noise, sigma)
    assert "0.3" in str(la)
    again = load(la.to_bytes())
    np.testing.assert_array_equal(again.sigma_noise, sigma)
    assert la.fit(x, y).log_likelihood == again.log_likelihood
    kron = Laplace(network, "regression", "all", "kron", sigma_noise=sigma, **options).fit(x, y)
    assert np.isfinite(kron.log_marginal_likelihood())
    with pytest.raises(OptionError, match="positive definite"):
        Laplace(network, "regression", "all", sigma_noise=-sigma, **options).fit(x, y)


def test_the_covariance_that_the_evidence_chooses(two: dict[str, Any]) -> None:
    la = Laplace(two["network"], "regression", "all", "full", prior_precision=0.5, sigma_noise="full")
    la.fit(two["x"], two["y"])
    found = la.sigma_noise
    mlp = NumpyMlp(two["network"])
    jacobian, theta = mlp.jacobian(two["x"]), mlp.theta
    residuals = two["y"] - mlp.outputs(theta, two["x"])

    def evidence(sigma: np.ndarray) -> float:  # type: ignore[type-arg]
        inverse = np.linalg.inv(sigma)
        precision = np.einsum("ncp,cd,ndq->pq", jacobian, inverse, jacobian) + 0.5 * np.eye(len(theta))
        fit = -0.5 * np.einsum("nc,cd,nd->", residuals, inverse, residuals)
        fit -= 30 * np.linalg.slogdet(2 * np.pi * sigma)[1]
        scatter = np.linalg.slogdet(precision)[1] - len(theta) * np.log(0.5) + 0.5 * theta @ theta
        return float(fit - 0.5 * scatter)

    assert la.log_marginal_likelihood() == pytest.approx(evidence(found), rel=1e-8)
    for direction in ([[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]]):
        step = 1e-4 * np.sqrt(np.outer(np.diag(found), np.diag(found))) * np.array(direction)
        up, best, down = evidence(found + step), evidence(found), evidence(found - step)
        assert best > max(up, down)
        assert abs(up - down) / 2 < 2e-3 * (2 * best - up - down)
    la.fit(two["x"][:40], two["y"][:40])
    assert not np.allclose(la.sigma_noise, found, rtol=1e-3)


def test_the_estimator_takes_noises_that_are_given(two: dict[str, Any]) -> None:
    sigma = [0.1, 0.4]
    for subset in ("auto", "last_layer"):
        model = LaplaceRegressor(two["network"], sigma_noise=sigma, subset_of_weights=subset).fit(two["x"], two["y"])
        np.testing.assert_array_equal(model.sigma_noise_, sigma)
        assert model.choice_ is not None
        assert "as it was given" in str(model.choice_)
        _, std = model.predict(two["x_new"], return_std=True)
        assert (std > sigma).all()
    assert clone(LaplaceRegressor(two["network"], sigma_noise=sigma)).sigma_noise == sigma
    found = LaplaceRegressor(two["network"], sigma_noise="full").fit(two["x"], two["y"])
    by_hand = Laplace(two["network"], "regression", sigma_noise="full").fit(two["x"], two["y"])
    assert found.sigma_noise_.shape == np.shape(by_hand.sigma_noise) == (2, 2)
    assert (np.linalg.eigvalsh(found.sigma_noise_) > 0).all()
    with pytest.raises(DataError, match="sigma_noise"):
        LaplaceRegressor(two["network"], sigma_noise="ful").fit(two["x"], two["y"])
    with pytest.raises(OptionError, match="2 outputs"):
        LaplaceRegressor(two["network"], sigma_noise=[0.1, 0.2, 0.3]).fit(two["x"], two["y"])
    with pytest.raises(OptionError, match="positive"):
        LaplaceRegressor(two["network"], sigma_noise=0).fit(two["x"], two["y"])
