"""Influence of training rows against numpy, and against a fit without the row where that is exact."""

from __future__ import annotations

import numpy as np
import pytest

from polylaplace import Laplace, OptionError

rng = np.random.default_rng(0)
X = rng.normal(size=(25, 3))
AT = rng.normal(size=(4, 3))

pytestmark = pytest.mark.filterwarnings("ignore")


def ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    design = np.column_stack([x, np.ones(len(x))])
    return np.linalg.solve(design.T @ design / 0.25 + 2 * np.eye(4), design.T @ y / 0.25)


def test_a_linear_regression_is_refitted_exactly() -> None:
    y = X @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=25)
    theta = ridge(X, y)
    weights = {"0.weight": theta[None, :3], "0.bias": theta[3:]}
    la = Laplace(weights, "regression", "all", "full", prior_precision=2.0, sigma_noise=0.5, precision="float64")
    la.fit(X, y)
    answer = la.influence(X, y, AT)
    for n in (0, 7, 24):
        rest = np.arange(25) != n
        other = ridge(X[rest], y[rest])
        np.testing.assert_allclose(answer["mean"][n, 0], X[n] @ other[:3] + other[3], rtol=1e-9)
        np.testing.assert_allclose(
            answer["change"][:, 0, n], AT @ (other[:3] - theta[:3]) + other[3] - theta[3], rtol=1e-6, atol=1e-10
        )
        np.testing.assert_allclose(answer["loss"][n], 0.5 * (y[n] - answer["mean"][n, 0]) ** 2, rtol=1e-9)
        alone = Laplace(weights, "regression", "all", "full", prior_precision=2.0, sigma_noise=0.5, precision="float64")
        _, f_var = alone.fit(X[rest], y[rest])(X[n : n + 1])
        np.testing.assert_allclose(answer["variance"][n], f_var[0, :, 0], rtol=1e-9)


@pytest.mark.parametrize("subset", ["all", "last_layer"])
def test_classes_by_one_newton_step(subset: str) -> None:
    draw = np.random.default_rng(2)
    weights = {
        "0.weight": draw.normal(size=(4, 3)),
        "0.bias": draw.normal(size=4),
        "2.weight": draw.normal(size=(3, 4)),
        "2.bias": draw.normal(size=3),
    }
    y = rng.integers(0, 3, 25)
    la = Laplace(
        weights, "classification", subset, "full", prior_precision=3.0, activation="Tanh", precision="float64"
    ).fit(X, y)

    def f(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        parts = np.split(theta, [12, 16, 28])
        return np.tanh(x @ parts[0].reshape(4, 3).T + parts[1]) @ parts[2].reshape(3, 4).T + parts[3]

    theta = np.concatenate([value.ravel() for value in weights.values()])
    own = np.arange(len(theta)) >= (0 if subset == "all" else 16)
    steps = 1e-6 * np.eye(len(theta))[own]
    J, J_at = (np.stack([(f(theta + s, x) - f(theta - s, x)) / 2e-6 for s in steps], -1) for x in (X, AT))
    p = np.exp(f(theta, X))
    p /= p.sum(1, keepdims=True)
    lam = np.einsum("nc,cd->ncd", p, np.eye(3)) - np.einsum("nc,nd->ncd", p, p)
    P = np.einsum("ncp,ncd,ndq->pq", J, lam, J) + 3 * np.eye(own.sum())
    answer = la.influence(X, y, AT)
    for n in range(25):
        rest = P - J[n].T @ lam[n] @ J[n]
        step = np.linalg.solve(rest, J[n].T @ (p[n] - np.eye(3)[y[n]]))
        np.testing.assert_allclose(answer["mean"][n], f(theta, X)[n] + J[n] @ step, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(answer["variance"][n], np.diag(J[n] @ np.linalg.solve(rest, J[n].T)), rtol=1e-5)
        np.testing.assert_allclose(answer["change"][..., n], J_at @ step, rtol=1e-4, atol=1e-6)
    assert la.influence(X, y)["change"] is None


def test_answers_by_a_linear_model_are_refused() -> None:
    y = (X[:, 0] > 0).astype(int)
    weights = {"0.weight": rng.normal(size=(2, 3)), "0.bias": np.zeros(2)}
    la = Laplace(weights, "classification", "auto").fit(X, y)
    with pytest.raises(OptionError, match="marglik"):
        la.influence(X, y)


@pytest.mark.parametrize("structure", ["kron", "diag", "blockdiag"])
def test_structures_give_what_has_forgotten_the_row(structure: str) -> None:
    y = X @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=25)
    weights = {"0.weight": rng.normal(size=(1, 3)), "0.bias": rng.normal(size=1)}
    la = Laplace(weights, "regression", "all", structure, prior_precision=2.0, sigma_noise=0.5, precision="float64")
    la.fit(X, y)
    answer = la.influence(X, y)
    f, _ = la(X)
    alone = Laplace(weights, "regression", "all", structure, prior_precision=2.0, sigma_noise=0.5, precision="float64")
    rest = np.arange(25) != 7
    _, f_var = alone.fit(X[rest], y[rest])(X[7:8])
    np.testing.assert_allclose(answer["variance"][7], f_var[0, :, 0], rtol=1e-9)
    np.testing.assert_allclose(answer["mean"][7], f[7] + 4 * f_var[0, 0, 0] * (f[7] - y[7]), rtol=1e-9)


def test_all_of_the_weight_of_a_row_is_left_out() -> None:
    y = X @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=25)
    times = np.r_[3, 0, 2, np.ones(22)].astype(int)
    theta = ridge(np.repeat(X, times, axis=0), np.repeat(y, times))
    weights = {"0.weight": theta[None, :3], "0.bias": theta[3:]}
    la = Laplace(weights, "regression", "all", "full", prior_precision=2.0, sigma_noise=0.5, precision="float64")
    answer = la.fit(X, y, sample_weight=times).influence(X, y, AT, sample_weight=times)
    for n in (0, 1, 2, 9):
        others = np.where(np.arange(25) == n, 0, times)
        other = ridge(np.repeat(X, others, axis=0), np.repeat(y, others))
        np.testing.assert_allclose(answer["mean"][n, 0], X[n] @ other[:3] + other[3], rtol=1e-9)
        np.testing.assert_allclose(
            answer["change"][:, 0, n], AT @ (other[:3] - theta[:3]) + other[3] - theta[3], rtol=1e-6, atol=1e-10
        )
