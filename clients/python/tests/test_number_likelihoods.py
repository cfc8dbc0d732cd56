"""Likelihoods poisson and heteroscedastic against numpy: curvature by differences, moments and quantiles by draws."""

from __future__ import annotations

import numpy as np
import pytest

from polylaplace import Laplace, LaplaceRegressor, OptionError, load

pytest.importorskip("sklearn")
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, (80, 2))
COUNTS = rng.poisson(np.exp(0.5 + X[:, 0])).astype(float)

pytestmark = pytest.mark.filterwarnings("ignore")


def network(outputs: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(4)
    return {
        "0.weight": draw.normal(size=(5, 2)),
        "0.bias": draw.normal(size=5),
        "2.weight": 0.5 * draw.normal(size=(outputs, 5)),
        "2.bias": 0.1 * draw.normal(size=outputs),
    }


def outputs_of(theta: np.ndarray, outputs: int, x: np.ndarray) -> np.ndarray:
    w, b = theta[:10].reshape(5, 2), theta[10:15]
    v, c = theta[15 : 15 + 5 * outputs].reshape(outputs, 5), theta[15 + 5 * outputs :]
    return np.tanh(x @ w.T + b) @ v.T + c


def fitted(likelihood: str, y: np.ndarray, **options: object) -> Laplace:
    la = Laplace(network(2), likelihood, "all", "full", activation="Tanh", precision="float64", **options)
    return la.fit(X, y)


@pytest.mark.parametrize("likelihood", ["poisson", "heteroscedastic"])
def test_curvature_and_evidence(likelihood: str) -> None:
    y = np.stack([COUNTS, COUNTS + 1], 1) if likelihood == "poisson" else COUNTS.reshape(-1, 1)
    la = fitted(likelihood, y, prior_precision=2.0)
    theta = np.concatenate([value.ravel() for value in network(2).values()])
    np.testing.assert_allclose(la.mean, theta)
    f = outputs_of(theta, 2, X)
    steps = 1e-6 * np.eye(len(theta))
    J = np.stack([(outputs_of(theta + s, 2, X) - outputs_of(theta - s, 2, X)) / 2e-6 for s in steps], -1)
    root = np.exp(f) if likelihood == "poisson" else np.stack([np.exp(-f[:, 1]), np.full(80, 0.5)], 1)
    H = np.einsum("ncp,nc,ncq->pq", J, root, J)
    np.testing.assert_allclose(la.H, H, atol=1e-6 * np.abs(H).max())
    if likelihood == "poisson":
        stats = pytest.importorskip("scipy.stats")
        expected = stats.poisson.logpmf(y, np.exp(f)).sum()
    else:
        expected = -0.5 * (np.log(2 * np.pi) + f[:, 1] + (y[:, 0] - f[:, 0]) ** 2 / np.exp(f[:, 1])).sum()
    np.testing.assert_allclose(la.log_likelihood, expected, rtol=1e-10)
    P = H + 2 * np.eye(len(theta))
    evidence = expected - 0.5 * (np.linalg.slogdet(P)[1] - len(theta) * np.log(2) + 2 * theta @ theta)
    np.testing.assert_allclose(la.log_marginal_likelihood(), evidence, rtol=1e-7)
    f_mu, f_var = la(X[:3])
    np.testing.assert_allclose(f_mu, f[:3], rtol=1e-10)
    np.testing.assert_allclose(f_var, np.einsum("ncp,pq,ndq->ncd", J[:3], np.linalg.inv(P), J[:3]), rtol=1e-5)
    answer = la.predict(X[:3])
    v = np.einsum("ncc->nc", f_var)
    if likelihood == "poisson":
        rate = np.exp(f_mu + v / 2)
        np.testing.assert_allclose(answer.predictive_mean, rate)
        np.testing.assert_allclose(answer.epistemic, rate**2 * np.expm1(v))
        np.testing.assert_allclose(answer.predictive_variance, rate + rate**2 * np.expm1(v))
    else:
        np.testing.assert_allclose(answer.predictive_mean, f_mu[:, :1])
        np.testing.assert_allclose(answer.aleatoric, np.exp(f_mu[:, 1:] + v[:, 1:] / 2))
        np.testing.assert_allclose(answer.epistemic, v[:, :1])


def test_quantiles_of_counts_are_those_of_draws() -> None:
    y = np.stack([COUNTS, COUNTS], 1)
    la = fitted("poisson", y, prior_precision=5.0)
    draws = np.exp(la.functional_samples(X[:4], 40_000, seed=1))
    counts = np.random.default_rng(2).poisson(draws)
    for p, own in zip(
        (0.05, 0.5, 0.95), np.moveaxis(la.predict_quantiles(X[:4], [0.05, 0.5, 0.95]), -1, 0), strict=True
    ):
        assert ((counts <= own).mean(0) > p - 0.01).all()
        assert ((counts < own).mean(0) < p + 0.01).all()
    assert la.predict_interval(X[:4]).shape == (4, 2, 2)
    again = load(la.to_bytes())
    np.testing.assert_array_equal(again.predict_quantiles(X[:4]), la.predict_quantiles(X[:4]))
    la.optimize_prior_precision(method="marglik")
    with pytest.raises(OptionError, match="does not have"):
        la.optimize_prior_precision(method="auto")
    with pytest.raises(OptionError, match="for classes"):
        la.predict_sets(X)


def test_the_estimator_takes_a_network_of_counts() -> None:
    try:
        model = MLPRegressor(hidden_layer_sizes=(8,), loss="poisson", solver="lbfgs", max_iter=500, random_state=0)
    except TypeError:
        pytest.skip("scikit-learn 1.6 has no such loss")
    model.fit(X, COUNTS)
    regressor = LaplaceRegressor(model).fit(X, COUNTS)
    mean, std = regressor.predict(X, return_std=True)
    answer = regressor.uncertainty(X)
    np.testing.assert_allclose(answer.mean[:, 0], np.log(model.predict(X)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mean, np.exp(answer.mean + answer.variance / 2)[:, 0])
    assert (std**2 >= mean).all()
    ends = regressor.predict_interval(X, 0.1)
    assert np.mean((ends[:, 0] <= COUNTS) & (ends[:, 1] >= COUNTS)) > 0.85
    assert (ends == np.round(ends)).all()
    with pytest.raises(OptionError, match="return_std"):
        regressor.predict(X, return_cov=True)
    held = LaplaceRegressor(model).fit(X, COUNTS, X_val=X[:20], y_val=COUNTS[:20])
    assert np.isfinite(held.predict(X)).all()
    piped = LaplaceRegressor(
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(4,), loss="poisson", max_iter=50))
    )
    assert piped.fit(X, COUNTS).laplace_.likelihood == "poisson"
    assert piped.sample_y(X[:3], 5).shape == (3, 5)


def test_scores_of_counts_are_those_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    y = np.stack([COUNTS, COUNTS], 1)
    la = fitted("poisson", y, prior_precision=5.0)
    compared = la.compare(X, y)
    f = outputs_of(la.mean, 2, X)
    rate = np.exp(f)
    k = np.arange(2000)
    share = stats.poisson.cdf(k, rate[..., None])
    crps = ((share - (k >= y[..., None])) ** 2).sum(-1).mean()
    np.testing.assert_allclose(compared.network["nll"], -stats.poisson.logpmf(y, rate).mean(), rtol=1e-9)
    np.testing.assert_allclose(compared.network["crps"], crps, rtol=1e-8)
    deviance = 2 * (np.where(y > 0, y * np.log(np.maximum(y, 1) / rate), 0) - (y - rate)).mean()
    np.testing.assert_allclose(compared.network["deviance"], deviance, rtol=1e-9)
    interval = next(i for i in compared.network["intervals"] if i["level"] == 0.8)
    low, high = stats.poisson.ppf(0.1, rate), stats.poisson.ppf(0.9, rate)
    np.testing.assert_allclose(interval["coverage"], ((low <= y) & (y <= high)).mean())
    assert "deviance" in str(compared)
    assert la.report("/dev/null", X, y) is not None


def test_the_estimator_takes_what_the_outputs_are() -> None:
    y = COUNTS - COUNTS.mean()
    options = {"activation": "Tanh", "precision": "float64", "prior_precision": 2.0, "subset_of_weights": "all"}
    regressor = LaplaceRegressor(network(2), likelihood="heteroscedastic", hessian_structure="full", **options)
    regressor.fit(X, y)
    la = fitted("heteroscedastic", y.reshape(-1, 1), prior_precision=2.0)
    answer = la.predict(X)
    mean, std = regressor.predict(X, return_std=True)
    np.testing.assert_allclose(mean, answer.predictive_mean[:, 0], rtol=1e-10)
    np.testing.assert_allclose(std, np.sqrt(answer.predictive_variance[:, 0]), rtol=1e-10)
    _, covariance = regressor.predict(X[:3], return_cov=True)
    function = la.predict(X[:3], joint=True).covariance[::2, ::2]
    np.testing.assert_allclose(covariance[~np.eye(3, dtype=bool)], function[~np.eye(3, dtype=bool)], rtol=1e-10)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), std[:3], rtol=1e-10)
    assert regressor.sample_y(X[:3], 4).shape == (3, 4)
    assert np.isfinite(regressor.compare(X, y).posterior["crps"])
    counts = LaplaceRegressor(network(1), likelihood="poisson", **options).fit(X, COUNTS)
    assert counts.laplace_.likelihood == "poisson"
    assert regressor.get_params()["likelihood"] == "heteroscedastic"
    assert "threads" in regressor.get_params()
    with pytest.raises(OptionError, match="trained network"):
        LaplaceRegressor(likelihood="heteroscedastic").fit(X, y)
    with pytest.raises(OptionError, match="LaplaceClassifier"):
        LaplaceRegressor(network(1), likelihood="binary", **options).fit(X, y)
