"""Weights of classes and label smoothing against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from polylaplace import Laplace, LaplaceClassifier, OptionError, load

rng = np.random.default_rng(1)
X = rng.normal(size=(60, 2))
Y = (rng.random(60) < 0.2).astype(int) + (X[:, 0] > 0.8)

pytestmark = pytest.mark.filterwarnings("ignore")

NETWORK = {
    "0.weight": rng.normal(size=(5, 2)),
    "0.bias": rng.normal(size=5),
    "2.weight": rng.normal(size=(3, 5)),
    "2.bias": rng.normal(size=3),
}
OPTIONS = {"activation": "Tanh", "precision": "float64", "prior_precision": 2.0}


def logits() -> np.ndarray:
    hidden = np.tanh(X @ NETWORK["0.weight"].T + NETWORK["0.bias"])
    return hidden @ NETWORK["2.weight"].T + NETWORK["2.bias"]


def fitted(**options: object) -> Laplace:
    return Laplace(NETWORK, "classification", "all", "full", **OPTIONS, **options)


def test_weights_of_classes_are_weights_of_rows() -> None:
    weights = np.array([0.5, 2.0, 3.25])
    own = fitted(class_weight=weights).fit(X, Y)
    rows = fitted().fit(X, Y, sample_weight=weights[Y])
    np.testing.assert_allclose(own.H, rows.H, rtol=1e-12)
    assert own.log_marginal_likelihood() == rows.log_marginal_likelihood()
    counts = np.bincount(Y)
    balanced = fitted(class_weight="balanced").fit(X, Y)
    np.testing.assert_allclose(
        balanced.H, fitted(class_weight=dict(enumerate(60 / (3 * counts)))).fit(X, Y).H, rtol=1e-12
    )
    assert load(own.to_bytes()).log_marginal_likelihood() == own.log_marginal_likelihood()
    with pytest.raises(OptionError, match="class_weight"):
        fitted(class_weight={0: 1.0, 2: 1.0})
    with pytest.raises(OptionError, match="class_weight"):
        fitted(class_weight=[1.0, 2.0]).fit(X, Y)


def test_label_smoothing_is_the_cross_entropy_of_smoothed_labels() -> None:
    f = logits()
    log_p = f - np.log(np.exp(f).sum(1, keepdims=True))
    soft = 0.9 * np.eye(3)[Y] + 0.1 / 3
    la = fitted(label_smoothing=0.1).fit(X, Y)
    np.testing.assert_allclose(la.loss, -(soft * log_p).sum(), rtol=1e-12)
    np.testing.assert_allclose(la.H, fitted().fit(X, Y).H, rtol=1e-12)
    np.testing.assert_allclose(
        la.log_marginal_likelihood() - fitted().fit(X, Y).log_marginal_likelihood(),
        (soft * log_p).sum() - log_p[np.arange(60), Y].sum(),
        rtol=1e-9,
    )


def test_the_classifier_takes_weights_by_label() -> None:
    pytest.importorskip("sklearn")
    from sklearn.neural_network import MLPClassifier
    from sklearn.utils.validation import has_fit_parameter

    names = np.array(["a", "b", "c"])[Y]
    trained = MLPClassifier((6,), solver="lbfgs", max_iter=60, random_state=0).fit(X, names)
    own = LaplaceClassifier(trained, class_weight={"b": 2.0}, prior_precision=1.0).fit(X, names)
    rows = LaplaceClassifier(trained, prior_precision=1.0, tune="none").fit(
        X, names, sample_weight=np.where(names == "b", 2.0, 1.0)
    )
    np.testing.assert_allclose(own.log_marginal_likelihood_, rows.log_marginal_likelihood_, rtol=1e-12)
    by_evidence = LaplaceClassifier(trained, class_weight="balanced").fit(X, names)
    assert by_evidence.summary_["tuned"] == "marglik"
    smoothed = LaplaceClassifier(trained, label_smoothing=0.1).fit(X, names)
    assert smoothed.choice_ is not None
    with pytest.raises(OptionError, match="no class"):
        LaplaceClassifier(trained, class_weight={"z": 2.0}).fit(X, names)
    if has_fit_parameter(MLPClassifier(), "sample_weight"):
        unfitted = MLPClassifier((6,), max_iter=20, random_state=0)
        model = LaplaceClassifier(unfitted, class_weight="balanced").fit(X, names)
        weights = (60 / (3 * np.bincount(Y)))[Y]
        expected = MLPClassifier((6,), max_iter=20, random_state=0).fit(X, names, sample_weight=weights)
        np.testing.assert_allclose(model.network_.coefs_[0], expected.coefs_[0])
