"""Networks and data for the engines, and what one machine makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from polylaplace import Laplace


def network(outputs: int, seed: int = 0) -> dict[str, Any]:
    """A small network of two layers as a dictionary of tensors."""
    rng = np.random.default_rng(seed)
    return {
        "0.weight": rng.normal(size=(6, 4)) / 2,
        "0.bias": rng.normal(size=6) / 4,
        "2.weight": rng.normal(size=(outputs, 6)) / 2,
        "2.bias": rng.normal(size=outputs) / 4,
    }


#: Rows of the data: not a multiple of the number of partitions.
ROWS = 203
NAMES = ["a", "b", "c", "d"]


def data(likelihood: str) -> tuple[Any, Any]:
    """Rows (n, 4) and labels."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(ROWS, 4))
    score = x @ rng.normal(size=(4, 3))
    if likelihood == "classification":
        return x, (score + rng.gumbel(size=score.shape)).argmax(axis=1)
    return x, score[:, :1] + 0.3 * rng.normal(size=(ROWS, 1))


#: Every kind of posterior: likelihood, subset, structure.
KINDS = [
    ("classification", "last_layer", "kron"),
    ("classification", "all", "kron"),
    ("classification", "all", "diag"),
    ("regression", "last_layer", "full"),
    ("regression", "all", "full"),
    ("regression", "all", "kron"),
]


def posterior(likelihood: str, subset: str = "last_layer", structure: str = "kron", **options: Any) -> Laplace:
    """A posterior to fit."""
    outputs = 3 if likelihood == "classification" else 1
    return Laplace(network(outputs), likelihood, subset, structure, activation="tanh", prior_precision=0.7, **options)


def frame(likelihood: str) -> Any:
    """The data as a pandas data frame with labels y."""
    import pandas as pd

    x, y = data(likelihood)
    return pd.DataFrame(x, columns=NAMES).assign(y=np.asarray(y).reshape(len(x)))


def check_equal(fitted: Laplace, likelihood: str, subset: str, structure: str) -> None:
    """The posterior is that of one machine to 1e-10."""
    x, y = data(likelihood)
    alone = posterior(likelihood, subset, structure).fit(x, y)
    check_same(fitted, alone, x)


def check_same(fitted: Laplace, alone: Laplace, x: Any) -> None:
    """Two posteriors agree to 1e-10."""
    assert fitted.log_marginal_likelihood() == pytest.approx(alone.log_marginal_likelihood(), rel=1e-10)
    one, other = fitted.predict(x[:20]), alone.predict(x[:20])
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(one.variance, other.variance, rtol=1e-10)


#: How often each row counts: some not at all.
COUNTS = np.random.default_rng(5).integers(0, 3, ROWS)


def check_weighted(fitted: Laplace) -> None:
    """The posterior is that of the rows repeated by COUNTS, prior precision included: tune='auto' of classes."""
    x, y = data("classification")
    rows = np.repeat(np.arange(ROWS), COUNTS)
    alone = posterior("classification").fit(x[rows], y[rows]).optimize_prior_precision(method="auto")
    assert fitted.prior_precision == pytest.approx(alone.prior_precision, rel=1e-7)
    np.testing.assert_allclose(fitted.predict(x[:20]).variance, alone.predict(x[:20]).variance, rtol=1e-7)


def once(path: Path) -> bool:
    """True the first time, in whatever process."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
