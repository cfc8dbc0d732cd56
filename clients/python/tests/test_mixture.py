"""Mixtures of posteriors against draws of a member and then of its answer."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from polylaplace import Laplace, Mixture, OptionError

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 2))

pytestmark = pytest.mark.filterwarnings("ignore")


def posterior(likelihood: str, seed: int, y: np.ndarray, outputs: int = 1) -> Laplace:
    draw = np.random.default_rng(seed)
    weights = {
        "0.weight": draw.normal(size=(4, 2)),
        "0.bias": draw.normal(size=4),
        "2.weight": draw.normal(size=(outputs, 4)),
        "2.bias": draw.normal(size=outputs),
    }
    return Laplace(weights, likelihood, "all", "full", prior_precision=5.0, activation="Tanh").fit(X, y)


def test_numbers_have_the_moments_of_the_mixture() -> None:
    members = [posterior("regression", seed, X[:, :1]) for seed in (1, 2, 3)]
    mixture = Mixture(members, [1, 2, 1])
    mean, variance = mixture(X[:5])
    random = np.random.default_rng(5)
    which = random.choice(3, size=200_000, p=[0.25, 0.5, 0.25])
    own = [member.predict(X[:5]) for member in members]
    m = np.stack([each.mean[:, 0] for each in own])[which]
    v = np.stack([each.predictive_variance[:, 0] for each in own])[which]
    draws = m + np.sqrt(v) * random.normal(size=m.shape)
    np.testing.assert_allclose(mean[:, 0], draws.mean(0), atol=0.02)
    np.testing.assert_allclose(variance[:, 0], draws.var(0), rtol=0.02)
    answer = mixture.predict(X[:5])
    np.testing.assert_allclose(answer.aleatoric + answer.epistemic, answer.predictive_variance)
    single = Mixture(members[:1]).predict(X[:5])
    np.testing.assert_allclose(single.epistemic, own[0].epistemic)


def test_classes_have_the_mean_of_the_probabilities() -> None:
    y = (X[:, 0] > 0).astype(int)
    members = [posterior("classification", seed, y, 2) for seed in (1, 2)]
    mixture = Mixture(members)
    np.testing.assert_allclose(mixture(X), (members[0](X) + members[1](X)) / 2)
    answer = mixture.predict(X, seed=1)
    p = mixture(X)
    np.testing.assert_allclose(answer.epistemic, np.maximum(0, -(p * np.log(p)).sum(1) - answer.aleatoric), atol=1e-12)
    counts = Mixture([posterior("poisson", 1, np.abs(np.round(X[:, :1])))]).predict(X[:3])
    assert counts.predictive_mean is not None


def test_what_does_not_go_together_is_refused() -> None:
    one = posterior("regression", 1, X[:, :1])
    other = posterior("classification", 1, (X[:, 0] > 0).astype(int), 2)
    for members, weights in (([], None), ([one, other], None), ([one], [0.0]), ([one], [1, 2]), ([one, one], [1, -1])):
        with pytest.raises(OptionError):
            Mixture(members, weights)


def test_intervals_quantiles_and_draws_of_numbers() -> None:
    members = [posterior("regression", seed, X[:, :1]) for seed in (1, 2, 3)]
    mixture = Mixture(members, [1, 2, 1])
    draws = mixture.functional_samples(X[:5], 4000, seed=1)[:, :, 0]
    noisy = draws + np.random.default_rng(3).normal(size=draws.shape)
    for interval, sample in (
        (mixture.predict_interval(X[:5], 0.2), noisy),
        (mixture.predict_interval(X[:5], 0.2, noise=False), draws),
    ):
        assert interval.shape == (5, 2)
        share = ((interval[:, 0] < sample) & (sample < interval[:, 1])).mean(0)
        np.testing.assert_allclose(share, 0.8, atol=0.03)
    quantiles = mixture.predict_quantiles(X[:5], [0.1, 0.5, 0.9])
    np.testing.assert_allclose(quantiles[:, [0, 2]], mixture.predict_interval(X[:5], 0.2), rtol=1e-9)
    assert (np.diff(quantiles, axis=1) > 0).all()
    classes = Mixture([posterior("classification", 1, (X[:, 0] > 0).astype(int), 2)])
    np.testing.assert_allclose(classes.predictive_samples(X[:5], 7, seed=1).sum(-1), 1)
    with pytest.raises(OptionError, match="predict_sets"):
        classes.predict_interval(X)


def test_counts_have_quantiles_of_the_mixed_distribution() -> None:
    y = np.abs(np.round(3 * X[:, :1]))
    mixture = Mixture([posterior("poisson", seed, y) for seed in (1, 2)], [3, 1])
    low, middle, high = mixture.predict_quantiles(X[:5], [0.05, 0.5, 0.95]).T
    rates = mixture.predictive_samples(X[:5], 20_000, seed=1)[:, :, 0]
    counts = np.random.default_rng(2).poisson(np.minimum(rates, 1e6))
    assert ((counts <= low).mean(0) > 0.04).all()
    assert ((counts < high).mean(0) < 0.96).all()
    assert (abs((counts <= middle).mean(0) - 0.5) < 0.02 + (counts == middle).mean(0)).all()
    rate = mixture.predict_interval(X[:5], 0.2, noise=False)
    np.testing.assert_allclose(((rates > rate[:, 0]) & (rates < rate[:, 1])).mean(0), 0.8, atol=0.02)


def test_calibrated_sets_hold_the_classes_and_come_back_on_another_server() -> None:
    y = (X[:, 0] > 0).astype(int)
    mixture = Mixture([posterior("classification", seed, y, 2) for seed in (1, 2)])
    with pytest.raises(OptionError, match="conformalize"):
        mixture.predict_sets(X)
    with pytest.raises(OptionError, match="have not seen"):
        mixture.conformalize()
    held = np.random.default_rng(3).normal(size=(60, 2))
    mixture.conformalize(held, (held[:, 0] > 0).astype(int), score="lac")
    sets = mixture.predict_sets(held, 0.2)
    assert sets[np.arange(60), (held[:, 0] > 0).astype(int)].mean() >= 0.8
    again = pickle.loads(pickle.dumps(mixture))
    np.testing.assert_array_equal(again.predict_sets(X, 0.2), mixture.predict_sets(X, 0.2))


def test_gradients_covariances_and_scores() -> None:
    members = [posterior("regression", seed, X[:, :1]) for seed in (1, 2)]
    mixture = Mixture(members)
    slope = mixture.input_gradients(X[:3])["variance"]
    moved = [mixture.predict(X[:3] + step * np.array([0, 1e-5])).variance for step in (1, -1)]
    np.testing.assert_allclose(slope[:, 0, 1], (moved[0] - moved[1])[:, 0] / 2e-5, rtol=1e-5, atol=1e-8)
    joint = mixture.functional_variance(X[:3], joint=True)
    np.testing.assert_allclose(np.diag(joint), mixture.predict(X[:3]).variance[:, 0])
    np.testing.assert_allclose(mixture.predict(X[:3], joint=True).covariance, joint)
    compared = mixture.compare(X, X[:, :1])
    own = [member.predict(X) for member in members]
    density = [
        np.exp(-((X[:, :1] - p.mean) ** 2) / 2 / p.predictive_variance) / p.predictive_variance**0.5 for p in own
    ]
    nll = -np.log((density[0] + density[1]) / 2 / np.sqrt(2 * np.pi)).mean()
    np.testing.assert_allclose(compared.posterior["nll"], nll)
    # The mixture is that of its members as they are.
    before = mixture.predict(X[:3]).variance
    members[0].prior_precision = 50.0
    assert (mixture.predict(X[:3]).variance < before).all()
