"""Block-diagonal posteriors against numpy on the blocks of a full one."""

from __future__ import annotations

import numpy as np
import pytest

from polylaplace import BlockDiagonal, Laplace, OptionError, load, merge

rng = np.random.default_rng(3)
X = rng.normal(size=(30, 3))
Y = rng.integers(0, 3, 30)
WEIGHTS = {
    "0.weight": rng.normal(size=(4, 3)),
    "0.bias": rng.normal(size=4),
    "2.weight": rng.normal(size=(3, 4)),
    "2.bias": rng.normal(size=3),
}
SIZES = {"layer": [16, 15], "tensor": [12, 4, 12, 3]}

pytestmark = pytest.mark.filterwarnings("ignore")


def posterior(structure: str, **options: object) -> Laplace:
    given = {"activation": "Tanh", "precision": "float64", "prior_precision": 2.0, **options}
    return Laplace(WEIGHTS, "classification", "all", structure, **given)


def outputs(theta: np.ndarray) -> np.ndarray:
    w, b, v, c = np.split(theta, [12, 16, 28])
    return np.tanh(X @ w.reshape(4, 3).T + b) @ v.reshape(3, 4).T + c


@pytest.mark.parametrize("blocks", ["layer", "tensor"])
def test_blocks_against_numpy(blocks: str) -> None:
    full = posterior("full").fit(X, Y)
    la = posterior("blockdiag", blocks=blocks).fit(X, Y)
    owner = np.repeat(np.arange(len(SIZES[blocks])), SIZES[blocks])
    h = np.where(owner[:, None] == owner, np.asarray(full.H), 0)
    assert isinstance(la.H, BlockDiagonal)
    assert len(la.H) == len(SIZES[blocks])
    np.testing.assert_allclose(la.H.to_dense(), h, atol=1e-12)
    np.testing.assert_allclose(la.H.diag(), np.diag(h))
    p = h + 2 * np.eye(31)
    np.testing.assert_allclose(la.posterior_precision.to_dense(), p, atol=1e-12)
    np.testing.assert_allclose(la.posterior_covariance, np.linalg.inv(p), atol=1e-10)
    theta = np.concatenate([value.ravel() for value in WEIGHTS.values()])
    evidence = la.log_likelihood - 0.5 * (np.linalg.slogdet(p)[1] - 31 * np.log(2) + 2 * theta @ theta)
    np.testing.assert_allclose(la.log_marginal_likelihood(), evidence, rtol=1e-10)
    steps = 1e-6 * np.eye(31)
    jacobian = np.stack([(outputs(theta + s) - outputs(theta - s)) / 2e-6 for s in steps], -1)
    f_var = np.einsum("ncp,pq,ndq->ncd", jacobian, np.linalg.inv(p), jacobian)
    np.testing.assert_allclose(la.functional_variance(X), f_var, rtol=1e-5, atol=1e-7)
    assert la(X, pred_type="nn", n_samples=20).shape == (30, 3)


def test_partial_fits_files_and_layer_wise_priors() -> None:
    la = posterior("blockdiag")
    whole = posterior("blockdiag").fit(X, Y)
    la.fit_merged(merge([la.fit_partial(X[:11], Y[:11]), la.fit_partial(X[11:], Y[11:])]))
    np.testing.assert_allclose(la.log_marginal_likelihood(), whole.log_marginal_likelihood(), rtol=1e-10)
    again = load(whole.to_bytes())
    np.testing.assert_array_equal(again(X), whole(X))
    whole.optimize_prior_precision(method="marglik", prior_structure="layerwise")
    best = whole.log_marginal_likelihood()
    assert len(whole.prior_precision) == 4
    for factor in (0.98, 1.02):
        assert whole.log_marginal_likelihood(prior_precision=whole.prior_precision * factor) <= best


def test_blocks_of_another_structure_are_refused() -> None:
    with pytest.raises(OptionError, match="blockdiag"):
        posterior("kron", blocks="tensor").fit(X, Y)
    with pytest.raises(OptionError, match="layer"):
        posterior("blockdiag", blocks="rows").fit(X, Y)
