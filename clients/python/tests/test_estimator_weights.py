"""Weights of rows in the scikit-learn estimators: a weight of 2 is the row twice, one of 0 no row."""

from __future__ import annotations

import numpy as np
import pytest

from polylaplace import LaplaceClassifier, LaplaceRegressor, OptionError
from polylaplace import ShapeError as WrongShape

pytest.importorskip("sklearn")
from sklearn.neural_network import MLPClassifier, MLPRegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 2))
CLASSES = (X[:, 0] + 0.3 * rng.normal(size=40) > 0).astype(int)
TARGETS = X[:, 0] + 0.1 * rng.normal(size=40)
WEIGHT = np.arange(40) % 3
TWICE = np.repeat(np.arange(40), WEIGHT)

pytestmark = pytest.mark.filterwarnings("ignore")


def networks() -> tuple[MLPClassifier, MLPRegressor]:
    options = {"hidden_layer_sizes": (4,), "solver": "lbfgs", "max_iter": 300, "random_state": 0}
    return MLPClassifier(**options).fit(X, CLASSES), MLPRegressor(**options).fit(X, TARGETS)


def test_whole_weights_are_the_rows_as_often() -> None:
    classifier, regressor = networks()
    for options in ({}, {"prior_precision": 2.0, "subset_of_weights": "all", "hessian_structure": "full"}):
        own = LaplaceClassifier(classifier, **options).fit(X, CLASSES, WEIGHT)
        repeated = LaplaceClassifier(classifier, **options).fit(X[TWICE], CLASSES[TWICE])
        np.testing.assert_allclose(own.predict_proba(X), repeated.predict_proba(X), rtol=1e-7)
        assert own.laplace_.n_data == len(TWICE)
    own = LaplaceRegressor(regressor).fit(X, TARGETS, sample_weight=WEIGHT)
    repeated = LaplaceRegressor(regressor).fit(X[TWICE], TARGETS[TWICE])
    np.testing.assert_allclose(own.predict(X, return_std=True), repeated.predict(X, return_std=True), rtol=1e-7)


def test_other_weights_go_with_sums_and_wrong_ones_are_refused() -> None:
    classifier, _ = networks()
    parts = {"subset_of_weights": "last_layer", "hessian_structure": "kron", "prior_precision": 1.0}
    half = LaplaceClassifier(classifier, **parts).fit(X, CLASSES, np.full(40, 0.5))
    whole = LaplaceClassifier(classifier, **parts).fit(X, CLASSES)
    np.testing.assert_allclose(2 * half.laplace_.loss, whole.laplace_.loss)
    with pytest.raises(OptionError, match="whole number"):
        LaplaceClassifier(classifier).fit(X, CLASSES, np.full(40, 0.5))
    with pytest.raises(WrongShape):
        LaplaceClassifier(classifier).fit(X, CLASSES, np.ones(39))


def test_an_unfitted_network_is_trained_with_them() -> None:
    options = {"hidden_layer_sizes": (4,), "solver": "lbfgs", "max_iter": 300, "random_state": 0}
    try:
        trained = MLPRegressor(**options).fit(X, TARGETS, sample_weight=WEIGHT)
    except TypeError:
        with pytest.raises(OptionError, match="takes no sample_weight"):
            LaplaceRegressor(MLPRegressor(**options)).fit(X, TARGETS, WEIGHT)
        return
    own = LaplaceRegressor(MLPRegressor(**options)).fit(X, TARGETS, WEIGHT)
    np.testing.assert_allclose(own.uncertainty(X).mean.shape, (40, 1))
    np.testing.assert_allclose(own.network_.predict(X), trained.predict(X), rtol=1e-6)
