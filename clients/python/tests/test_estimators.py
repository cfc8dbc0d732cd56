"""The scikit-learn estimators."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from conftest import CASES, read_case
from polylaplace import DataError, LaplaceClassifier, LaplaceRegressor

SMALL = {"hidden_layer_sizes": (10,), "solver": "lbfgs", "max_iter": 500, "random_state": 0}

#: Checks that cannot hold, with the reason.
EXPECTED_FAILURES: dict[str, str] = {}


@parametrize_with_checks(
    [LaplaceClassifier(MLPClassifier(**SMALL)), LaplaceRegressor(MLPRegressor(**SMALL))],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)
        check(estimator)


@pytest.fixture(scope="module")
def iris() -> Any:
    x, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(x), load_iris().target_names[y]


def test_an_unfitted_network_is_cloned_and_trained(iris: Any) -> None:
    x, y = iris
    network = MLPClassifier(**SMALL)
    model = LaplaceClassifier(network).fit(x, y)
    assert not hasattr(network, "coefs_")
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    assert model.score(x, y) > 0.95
    p = model.predict_proba(x)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert p.max(axis=1).mean() < model.network_.predict_proba(x).max(axis=1).mean(), "less sure than the plain network"
    assert np.isfinite(model.log_marginal_likelihood_)
    assert model.choice_.structure == "lowrank"
    assert model.prior_precision_ > 0
    assert model.sample_y(x[:5], 7).shape == (5, 7)
    uncertainty = model.uncertainty(x)
    assert uncertainty.epistemic is not None
    assert uncertainty.epistemic.shape == (150,)


def test_a_fitted_network_is_taken_as_it_is(iris: Any) -> None:
    x, y = iris
    network = MLPClassifier(**SMALL).fit(x, y)
    model = LaplaceClassifier(network).fit(x, y)
    assert model.network_ is network
    with pytest.raises(DataError, match=r"not trained on: \['other'\]. Its classes are 'setosa', 'versicolor', "):
        LaplaceClassifier(network).fit(x, np.where(y == "setosa", "other", y))
    missing = np.where(np.arange(150) == 7, None, y.astype(object))
    with pytest.raises(DataError, match="y must hold labels of one kind; got NoneType and str"):
        LaplaceClassifier(network).fit(x, missing)
    with pytest.raises(DataError, match="X is a masked array, and 12 of its entries are masked"):
        LaplaceClassifier(network).fit(np.ma.masked_greater(x, np.sort(x.ravel())[-13]), y)


def test_two_classes(iris: Any) -> None:
    x, y = iris
    model = LaplaceClassifier(MLPClassifier(**SMALL)).fit(x, y == "setosa")
    assert model.predict_proba(x).shape == (150, 2)
    assert model.score(x, y == "setosa") == 1
    assert set(np.unique(model.sample_y(x[:5], 3))) <= {False, True}


def test_a_network_from_a_file() -> None:
    _, data = read_case("tabular-iris")
    model = LaplaceClassifier(str(CASES / "tabular-iris" / "model.onnx")).fit(data["x"], data["y"].astype(int))
    assert model.score(data["x_test"], data["y_test"].astype(int)) > 0.85
    fixed = LaplaceClassifier(str(CASES / "tabular-iris" / "model.onnx"), prior_precision=2.0).fit(
        data["x"], data["y"].astype(int)
    )
    assert fixed.prior_precision_ == 2.0
    grid = LaplaceClassifier(str(CASES / "tabular-iris" / "model.onnx"), tune="grid")
    assert (
        grid.fit(
            data["x"], data["y"].astype(int), X_val=data["x_test"], y_val=data["y_test"].astype(int)
        ).prior_precision_
        > 0
    )


def test_regression_like_gaussian_processes() -> None:
    x, y = make_regression(80, 3, noise=5, random_state=0)
    y = (y - y.mean()) / y.std()
    model = LaplaceRegressor(MLPRegressor(**SMALL)).fit(x, y)
    mean, std = model.predict(x, return_std=True)
    assert (mean.shape, std.shape) == ((80,), (80,))
    assert (std >= model.sigma_noise_).all()
    mean, covariance = model.predict(x[:6], return_cov=True)
    assert covariance.shape == (6, 6)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), std[:6], rtol=1e-8)
    assert model.sample_y(x[:6], 4, random_state=1).shape == (6, 4)
    assert np.isfinite(model.log_marginal_likelihood_)
    with pytest.raises(RuntimeError):
        model.predict(x, return_std=True, return_cov=True)
    several = LaplaceRegressor(MLPRegressor(**SMALL)).fit(x, np.column_stack([y, -y]))
    mean, std = several.predict(x, return_std=True)
    assert (mean.shape, std.shape) == ((80, 2), (80, 2))
    covariance = several.predict(x[:6], return_cov=True)[1]
    assert covariance.shape == (6, 6, 2)
    np.testing.assert_allclose(np.sqrt(np.einsum("iic->ic", covariance)), std[:6], rtol=1e-8)
    assert several.sample_y(x[:6], 4).shape == (6, 2, 4)


def test_pipelines_cross_validation_clones_and_pickles(iris: Any) -> None:
    x, y = iris
    pipeline = make_pipeline(StandardScaler(), LaplaceClassifier(MLPClassifier(**SMALL), hessian_structure="diag"))
    assert cross_val_score(pipeline, x, y, cv=3).mean() > 0.9
    fitted = clone(pipeline).fit(x, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(x), fitted.predict_proba(x))
    with pytest.raises(NotFittedError):
        LaplaceClassifier().predict(x)


def test_several_labels_a_row_are_for_multilabel() -> None:
    X = np.random.default_rng(0).normal(size=(30, 3))
    with pytest.raises(DataError, match='Laplace\\(model, "multilabel"\\)'):
        LaplaceClassifier(MLPClassifier((4,), max_iter=5)).fit(X, (X[:, :2] > 0).astype(int))
