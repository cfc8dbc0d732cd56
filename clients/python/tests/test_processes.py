"""Processes over the outputs by their definitions, of a network whose Jacobian is its input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polylaplace import Laplace, load
from polylaplace._exceptions import OptionError

RANDOM = np.random.default_rng(4)
WEIGHTS = {"0.weight": RANDOM.normal(size=(3, 4)), "0.bias": RANDOM.normal(size=3)}
X = RANDOM.normal(size=(30, 4))
Y = RANDOM.integers(0, 3, size=30)
NEW = RANDOM.normal(size=(5, 4))
DELTA = 0.7


def posterior(**options: object) -> Laplace:
    layers = [{"type": "Linear", "name": "0"}]
    return Laplace(WEIGHTS, "classification", architecture=layers, prior_precision=DELTA, **options)  # type: ignore[arg-type]


def with_ones(x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.hstack([x, np.ones((len(x), 1))])


def test_independent_outputs(tmp_path: Path) -> None:
    la = posterior(subset_of_weights="all", hessian_structure="gp", independent_outputs=True).fit(X, Y)
    p = np.exp(X @ WEIGHTS["0.weight"].T + WEIGHTS["0.bias"])
    p /= p.sum(1, keepdims=True)
    wanted = np.zeros((5, 3, 3))
    for c in range(3):
        P = DELTA * np.eye(5) + (with_ones(X).T * p[:, c] * (1 - p[:, c])) @ with_ones(X)
        wanted[:, c, c] = np.einsum("ni,ij,nj->n", with_ones(NEW), np.linalg.inv(P), with_ones(NEW))
    np.testing.assert_allclose(la.functional_variance(NEW), wanted, rtol=1e-10)
    la.save(tmp_path / "one.posterior")
    np.testing.assert_allclose(load(tmp_path / "one.posterior").functional_variance(NEW), wanted, rtol=1e-10)
    with pytest.raises(OptionError, match="independent_outputs"):
        la.sample(3)


def test_nystroem_is_full_where_the_landmarks_span_the_weights() -> None:
    full = posterior(subset_of_weights="all", hessian_structure="full").fit(X, Y)
    la = posterior(subset_of_weights="all", hessian_structure="functional", nystroem=True, n_subset=12).fit(X, Y)
    np.testing.assert_allclose(la.functional_variance(NEW), full.functional_variance(NEW), rtol=1e-9)
    assert la.log_marginal_likelihood() == pytest.approx(full.log_marginal_likelihood(), rel=1e-10)
    few = posterior(subset_of_weights="all", hessian_structure="functional", nystroem=True, n_subset=1).fit(X, Y)
    assert np.trace(few.posterior_covariance) < np.trace(full.posterior_covariance)
    with pytest.raises(OptionError, match="nystroem"):
        posterior(nystroem=True).fit(X, Y)


def test_samples_estimate_what_full_has(tmp_path: Path) -> None:
    full = posterior(subset_of_weights="all", hessian_structure="full").fit(X, Y)
    with pytest.warns(UserWarning, match=r"relative standard error of 7\.1 %"):
        la = posterior(subset_of_weights="all", hessian_structure="samples", samples=400, seed=1).fit(X, Y)
    ratio = np.trace(la.posterior_covariance) / np.trace(full.posterior_covariance)
    assert ratio == pytest.approx(1, abs=0.1)
    la.save(tmp_path / "samples.posterior")
    np.testing.assert_array_equal(
        load(tmp_path / "samples.posterior").functional_variance(NEW), la.functional_variance(NEW)
    )
    with pytest.raises(OptionError, match="samples"):
        la.log_marginal_likelihood(prior_precision=2.0)
    with pytest.raises(OptionError, match="samples"):
        posterior(samples=5).fit(X, Y)
