"""Rows that are added to a posterior and taken away again, against fits of the rows that are there then."""

from __future__ import annotations

import numpy as np
import pytest

from polylaplace import DataError, Laplace, OptionError, StateError

rng = np.random.default_rng(0)
X = rng.normal(size=(30, 2))
Y = (X[:, 0] > 0).astype(int)
WEIGHTS = {
    "0.weight": rng.normal(size=(4, 2)),
    "0.bias": rng.normal(size=4),
    "2.weight": rng.normal(size=(2, 4)),
    "2.bias": rng.normal(size=2),
}

pytestmark = pytest.mark.filterwarnings("ignore")


def posterior(structure: str = "kron") -> Laplace:
    return Laplace(WEIGHTS, "classification", "all", structure, activation="Tanh", precision="float64")


@pytest.mark.parametrize("structure", ["kron", "full", "diag"])
def test_streaming_and_unlearning(structure: str) -> None:
    whole, first = posterior(structure).fit(X, Y), posterior(structure).fit(X[:20], Y[:20])
    la = posterior(structure).fit(X[:20], Y[:20], override=False)
    la.fit([(X[20:25], Y[20:25]), (X[25:], Y[25:])], override=False)
    assert la.n_data == 30
    np.testing.assert_allclose(la.log_marginal_likelihood(), whole.log_marginal_likelihood())
    np.testing.assert_allclose(la.posterior_variance, whole.posterior_variance)
    la.forget(X[20:], Y[20:])
    np.testing.assert_allclose(la.posterior_variance, first.posterior_variance)
    np.testing.assert_allclose(la(X), first(X))
    with pytest.raises(DataError):
        la.forget(X[:20], Y[:20])
    np.testing.assert_allclose(la(X), first(X))


def test_partials_are_taken_away() -> None:
    la = posterior()
    a, b = la.fit_partial(X[:20], Y[:20]), la.fit_partial(X[20:], Y[20:])
    rest = (a + b) - b
    assert rest.n == 20
    assert rest.chunks == a.chunks
    np.testing.assert_allclose(posterior().fit_merged(rest)(X), posterior().fit_merged(a)(X))
    with pytest.raises(StateError):
        a - b


def test_a_posterior_chosen_by_its_rows_is_refused() -> None:
    la = Laplace(WEIGHTS, "classification", "auto", activation="Tanh").fit(X, Y)
    with pytest.raises(OptionError, match="marglik"):
        la.fit(X, Y, override=False)
