"""Rewards learnt from pairs against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from polylaplace import Laplace, ShapeError, load

rng = np.random.default_rng(2)
PAIRS = rng.normal(size=(30, 2, 3))
Y = (PAIRS.sum(axis=2).argmax(axis=1)).astype(np.int64)
NETWORK = {
    "0.weight": rng.normal(size=(4, 3)),
    "0.bias": rng.normal(size=4),
    "2.weight": rng.normal(size=(1, 4)),
    "2.bias": rng.normal(size=1),
}
OPTIONS = {"activation": "Tanh", "precision": "float64", "prior_precision": 2.0}

pytestmark = pytest.mark.filterwarnings("ignore")


def test_rewards_of_pairs() -> None:
    la = Laplace(NETWORK, "reward_modeling", "last_layer", "full", **OPTIONS).fit(PAIRS, Y)
    features = np.tanh(PAIRS @ NETWORK["0.weight"].T + NETWORK["0.bias"])
    features = np.concatenate([features, np.ones((30, 2, 1))], axis=2)
    theta = np.append(NETWORK["2.weight"][0], NETWORK["2.bias"])
    difference = features[:, 1] - features[:, 0]
    logits = difference @ theta
    p = 1 / (1 + np.exp(-logits))
    H = (difference * (p * (1 - p))[:, None]).T @ difference
    np.testing.assert_allclose(la.H, H, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(la.log_likelihood, np.log(np.where(Y == 1, p, 1 - p)).sum(), rtol=1e-10)
    X = PAIRS[:, 0]
    mean, variance = la(X)
    np.testing.assert_allclose(mean[:, 0], features[:, 0] @ theta, rtol=1e-9)
    expected = np.einsum("np,pq,nq->n", features[:, 0], np.linalg.inv(H + 2 * np.eye(5)), features[:, 0])
    np.testing.assert_allclose(variance[:, 0, 0], expected, rtol=1e-8)
    np.testing.assert_allclose(load(la.to_bytes())(X)[1], variance, rtol=1e-12)
    la.optimize_prior_precision(method="marglik")
    with pytest.raises(ShapeError, match="pairs"):
        la.compare(X, Y)


def test_held_out_pairs_score_choices() -> None:
    la = Laplace(NETWORK, "reward_modeling", "last_layer", "full", **OPTIONS).fit(PAIRS[:20], Y[:20])
    scores = la.compare(PAIRS[20:], Y[20:])
    mean, variance = la(PAIRS[20:].reshape(20, 3), joint=True)
    sign = np.kron(np.eye(10), [-1, 1])
    logit = sign @ mean.ravel() / np.sqrt(1 + np.pi / 8 * np.diag(sign @ variance @ sign.T))
    p = 1 / (1 + np.exp(-logit))
    np.testing.assert_allclose(scores.posterior["nll"], -np.log(np.where(Y[20:] == 1, p, 1 - p)).mean(), rtol=1e-9)
    la.optimize_prior_precision(method="gridsearch", X_val=PAIRS[20:], y_val=Y[20:])
    assert la.compare(PAIRS[20:], Y[20:]).posterior["nll"] <= scores.posterior["nll"] + 1e-12
