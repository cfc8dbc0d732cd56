"""A likelihood of the user's own against numpy."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from polylaplace import Laplace, OptionError, ShapeError, load

rng = np.random.default_rng(1)
X = rng.normal(size=(40, 2))
Y = rng.normal(size=40)
NETWORK = {
    "0.weight": rng.normal(size=(5, 2)),
    "0.bias": rng.normal(size=5),
    "2.weight": rng.normal(size=(1, 5)),
    "2.bias": rng.normal(size=1),
}
OPTIONS = {"activation": "Tanh", "precision": "float64", "prior_precision": 2.0}

pytestmark = pytest.mark.filterwarnings("ignore")


class Cauchy:
    """Lambda is the Fisher information, 1/2."""

    def loss(self, f: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.log(np.pi * (1 + (f[:, 0] - y) ** 2))

    def residual(self, f: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 2 * (f - y[:, None]) / (1 + (f - y[:, None]) ** 2)

    def root(self, f: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.full((len(f), 1, 1), np.sqrt(0.5))


def test_evidence_and_predictions() -> None:
    la = Laplace(NETWORK, Cauchy(), "last_layer", "full", **OPTIONS).fit(X, Y)
    features = np.hstack([np.tanh(X @ NETWORK["0.weight"].T + NETWORK["0.bias"]), np.ones((40, 1))])
    theta = np.append(NETWORK["2.weight"][0], NETWORK["2.bias"])
    H = 0.5 * features.T @ features
    np.testing.assert_allclose(la.H, H, rtol=1e-10)
    f = features @ theta
    loss = np.log(np.pi * (1 + (f - Y) ** 2)).sum()
    np.testing.assert_allclose(la.log_likelihood, -loss, rtol=1e-10)
    P = H + 2 * np.eye(6)
    evidence = -loss - 0.5 * (np.linalg.slogdet(P)[1] - 6 * np.log(2) + 2 * theta @ theta)
    np.testing.assert_allclose(la.log_marginal_likelihood(), evidence, rtol=1e-9)
    mean, variance = la(X[:3])
    np.testing.assert_allclose(mean[:, 0], f[:3], rtol=1e-10)
    expected = np.einsum("np,pq,nq->n", features[:3], np.linalg.inv(P), features[:3])
    np.testing.assert_allclose(variance[:, 0, 0], expected, rtol=1e-9)
    answer = la.predict(X[:3])
    assert answer.predictive_variance is None
    assert la.predict_interval(X[:3]).shape[:2] == (3, 2)
    assert load(la.to_bytes()).log_marginal_likelihood() == la.log_marginal_likelihood()
    assert pickle.loads(pickle.dumps(la)).log_marginal_likelihood() == la.log_marginal_likelihood()
    la.optimize_prior_precision(method="marglik")
    assert la.fit([(X[:20], Y[:20]), (X[20:], Y[20:])]).summary["examples"] == 40
    twice = Laplace(NETWORK, Cauchy(), "last_layer", "full", **OPTIONS).fit(X, Y).fit(X, Y, override=False)
    np.testing.assert_allclose(twice.H, 2 * H, rtol=1e-10)
    weighted = Laplace(NETWORK, Cauchy(), "last_layer", "full", **OPTIONS).fit(X, Y, sample_weight=np.full(40, 0.5))
    np.testing.assert_allclose(weighted.H, H / 2, rtol=1e-10)


def test_what_is_not_there_is_refused() -> None:
    class Wrong(Cauchy):
        def root(self, f: np.ndarray, y: np.ndarray) -> np.ndarray:
            return np.ones(len(f))

    with pytest.raises(ShapeError, match="root"):
        Laplace(NETWORK, Wrong(), **OPTIONS).fit(X, Y)
    with pytest.raises(OptionError, match="functional"):
        Laplace(NETWORK, Cauchy(), "all", "functional", **OPTIONS).fit(X, Y)
    la = Laplace(NETWORK, Cauchy(), **OPTIONS).fit(X, Y)
    with pytest.raises(OptionError, match="Scores"):
        la.compare(X, Y)
    with pytest.raises(OptionError, match="marglik"):
        la.optimize_prior_precision(method="auto")
