"""Weights of rows, and curvatures of gradients, against repeated rows and definitions in numpy."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from polylaplace import Laplace
from polylaplace._exceptions import OptionError, ShapeError

RANDOM = np.random.default_rng(0)
WEIGHTS = {
    "0.weight": RANDOM.normal(size=(4, 2)),
    "0.bias": RANDOM.normal(size=4),
    "2.weight": RANDOM.normal(size=(3, 4)),
    "2.bias": RANDOM.normal(size=3),
}
LAYERS = [{"type": "Linear", "name": "0"}, {"type": "Tanh"}, {"type": "Linear", "name": "2"}]
X = RANDOM.normal(size=(20, 2))
Y = RANDOM.integers(0, 3, size=20)


def posterior(**options: object) -> Laplace:
    return Laplace(WEIGHTS, "classification", architecture=LAYERS, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("structure", ["kron", "full", "diag"])
@pytest.mark.parametrize("subset", ["all", "last_layer"])
def test_weights_are_repeated_rows(subset: str, structure: str) -> None:
    times = RANDOM.integers(0, 3, size=20)
    weighted = posterior(subset_of_weights=subset, hessian_structure=structure).fit(X, Y, sample_weight=times)
    rows = np.repeat(np.arange(20), times)
    twice = posterior(subset_of_weights=subset, hessian_structure=structure).fit(X[rows], Y[rows])
    batches = posterior(subset_of_weights=subset, hessian_structure=structure).fit(
        [(X[:7], Y[:7]), (X[7:], Y[7:])], sample_weight=times
    )
    for other in (weighted, batches):
        assert other.log_marginal_likelihood() == pytest.approx(twice.log_marginal_likelihood(), rel=1e-12)
        np.testing.assert_allclose(other.posterior_variance, twice.posterior_variance, rtol=1e-10)
    parts = posterior(subset_of_weights=subset, hessian_structure=structure)
    sums = parts.fit_partial(X[:9], Y[:9], sample_weight=times[:9]) + parts.fit_partial(
        X[9:], Y[9:], sample_weight=times[9:]
    )
    assert parts.fit_merged(sums).log_marginal_likelihood() == pytest.approx(twice.log_marginal_likelihood(), rel=1e-12)


def test_empirical_fisher_is_the_sum_of_outer_products() -> None:
    la = posterior(hessian_structure="full", curvature="empirical_fisher").fit(X, Y)
    features = np.tanh(X @ WEIGHTS["0.weight"].T + WEIGHTS["0.bias"])
    logits = features @ WEIGHTS["2.weight"].T + WEIGHTS["2.bias"]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    residual = p - np.eye(3)[Y]
    gradients = np.concatenate([(residual[:, :, None] * features[:, None, :]).reshape(20, -1), residual], axis=1)
    np.testing.assert_allclose(la.H, gradients.T @ gradients, rtol=1e-10, atol=1e-12)


def test_draws_are_seeded() -> None:
    def matrix(**options: object) -> np.ndarray:  # type: ignore[type-arg]
        return np.asarray(posterior(hessian_structure="full", curvature="mc_fisher", **options).fit(X, Y).H)

    np.testing.assert_array_equal(matrix(seed=1, draws=2), matrix(seed=1, draws=2))
    assert np.abs(matrix(seed=1, draws=2) - matrix(seed=2, draws=2)).max() > 1e-6


def test_tuning_reads_the_weighted_rows() -> None:
    times = np.random.default_rng(1).integers(0, 3, size=20)
    rows = np.repeat(np.arange(20), times)
    for method in ("auto", "linearized"):
        weighted = posterior().fit(X, Y, sample_weight=times).optimize_prior_precision(method=method)
        twice = posterior().fit(X[rows], Y[rows]).optimize_prior_precision(method=method)
        assert weighted.prior_precision == pytest.approx(twice.prior_precision, rel=1e-9)
        parts = posterior()
        parts.fit_merged(parts.fit_partial(X, Y, sample_weight=times))
        parts.optimize_prior_precision(method=method, X=X, y=Y, sample_weight=times)
        assert parts.prior_precision == pytest.approx(twice.prior_precision, rel=1e-9)
    halves = posterior().fit(X, Y, sample_weight=times / 2)
    halves.optimize_prior_precision(method="marglik")
    with pytest.raises(OptionError, match="whole number"):
        halves.optimize_prior_precision(method="auto")
    copy = pickle.loads(pickle.dumps(halves))
    assert copy.log_marginal_likelihood() == pytest.approx(halves.log_marginal_likelihood())


def test_wrong_weights_are_refused() -> None:
    with pytest.raises(ShapeError, match="sample_weight has 3 entries"):
        posterior().fit(X, Y, sample_weight=[1, 2, 3])
    with pytest.raises(OptionError, match="'marglik'"):
        posterior(subset_of_weights="auto").fit(X, Y, sample_weight=np.full(20, 0.5))


def test_functional_and_low_rank_are_the_full_posterior() -> None:
    full = posterior(hessian_structure="full", subset_of_weights="all").fit(X, Y)
    for options in ({"hessian_structure": "gp"}, {"hessian_structure": "lowrank", "rank": 27}):
        la = posterior(subset_of_weights="all", **options).fit(X, Y)
        assert la.log_marginal_likelihood() == pytest.approx(full.log_marginal_likelihood(), rel=1e-10)
        np.testing.assert_allclose(la.functional_variance(X), full.functional_variance(X), rtol=1e-7)
        np.testing.assert_allclose(la.H.to_dense(), full.H, atol=1e-9)
    some = posterior(hessian_structure="functional", subset_of_weights="all", n_subset=4, seed=1).fit(X, Y)
    assert np.all(some.posterior_variance >= full.posterior_variance - 1e-12)


def test_subnetworks_and_the_hessian() -> None:
    full = np.asarray(posterior(hessian_structure="full", subset_of_weights="all").fit(X, Y).H)
    some = posterior(subset_of_weights="subnetwork", subnetwork_indices=[0, 5, 20]).fit(X, Y)
    np.testing.assert_allclose(some.H, full[np.ix_([0, 5, 20], [0, 5, 20])], rtol=1e-10)
    named = posterior(subset_of_weights="subnetwork", subnetwork_indices=["2"], hessian_structure="kron").fit(X, Y)
    assert named.n_params == 15
    largest = posterior(subset_of_weights="subnetwork", subnetwork_indices={"count": 3, "by": "magnitude"}).fit(X, Y)
    theta = np.concatenate([WEIGHTS[name].ravel() for name in WEIGHTS])
    np.testing.assert_allclose(np.sort(np.abs(largest.mean)), np.sort(np.abs(theta))[-3:])
    exact = posterior(subset_of_weights="all", curvature="hessian", hessian_structure="full", prior_precision=50.0)
    assert np.abs(np.asarray(exact.fit(X, Y).H) - full).max() > 1e-3


def test_input_gradients_are_those_of_the_predictions() -> None:
    la = posterior(subset_of_weights="all", hessian_structure="kron").fit(X, Y)
    found = la.input_gradients(X[:3])
    for column in range(2):
        step = np.zeros(2)
        step[column] = 1e-5
        up, down = la.predict(X[:3] + step), la.predict(X[:3] - step)
        for part in ("variance", "probabilities"):
            slope = (getattr(up, part) - getattr(down, part)) / 2e-5
            np.testing.assert_allclose(found[part][:, :, column], slope, rtol=1e-5, atol=1e-8)  # type: ignore[index]
