"""Intervals, quantiles, sets of classes and their calibration, against numpy; MAPIE through `return_std`."""

from __future__ import annotations

import pickle
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

from polylaplace import Laplace, LaplaceClassifier, LaplaceRegressor, LaplaceWarning, OptionError, StateError, load


@pytest.fixture(scope="module")
def line() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, (260, 1))
    y = np.sin(x[:, 0]) + 0.2 * rng.normal(size=260)
    network = MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", solver="lbfgs", max_iter=500, random_state=0)
    return {
        "network": network.fit(x[:80], y[:80]),
        **{"x": x[:80], "y": y[:80], "x_cal": x[80:150], "y_cal": y[80:150], "x_test": x[150:], "y_test": y[150:]},
    }


@pytest.fixture(scope="module")
def blobs() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 320)
    x = np.array([[0, 0], [1.5, 0], [0, 1.5]])[y] + rng.normal(size=(320, 2))
    words = np.array(["ash", "birch", "cedar"])[y]
    network = MLPClassifier((8,), activation="tanh", solver="lbfgs", max_iter=40, random_state=0).fit(
        x[:90], words[:90]
    )
    return {
        "network": network,
        **{"x": x[:90], "y": words[:90], "x_cal": x[90:190], "y_cal": words[90:190]},
        **{"x_test": x[190:], "y_test": words[190:]},
    }


def fitted(line: dict[str, Any]) -> LaplaceRegressor:
    return LaplaceRegressor(line["network"]).fit(line["x"], line["y"])


def test_intervals_before_a_calibration_are_gaussian(line: dict[str, Any]) -> None:
    model = fitted(line)
    mean, std = model.predict(line["x_test"], return_std=True)
    z = NormalDist().inv_cdf(0.95)
    intervals = model.predict_interval(line["x_test"], alpha=0.1)
    assert intervals.shape == (110, 2)
    np.testing.assert_allclose(intervals, np.column_stack([mean - z * std, mean + z * std]), rtol=1e-6, atol=1e-8)
    quantiles = model.predict_quantiles(line["x_test"], [0.05, 0.5, 0.95])
    np.testing.assert_allclose(quantiles[:, [0, 2]], intervals, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(quantiles[:, 1], mean, rtol=1e-6, atol=1e-8)
    function = np.sqrt(model.uncertainty(line["x_test"]).variance[:, 0])
    credible = model.predict_interval(line["x_test"], alpha=0.1, noise=False)
    np.testing.assert_allclose(np.diff(credible, axis=1)[:, 0], 2 * z * function, rtol=1e-6)
    np.testing.assert_array_equal(model.laplace_.predict_interval(line["x_test"], 0.1), intervals)


def test_conformal_intervals_are_those_of_the_definition(line: dict[str, Any]) -> None:
    model = fitted(line)
    mean, std = model.predict(line["x_cal"], return_std=True)
    scores = np.sort(np.abs(line["y_cal"] - mean) / std)
    bound = scores[int(np.ceil(71 * 0.9)) - 1]
    assert model.conformalize(line["x_cal"], line["y_cal"]) is model
    mean, std = model.predict(line["x_test"], return_std=True)
    intervals = model.predict_interval(line["x_test"], alpha=0.1)
    np.testing.assert_allclose(
        intervals, np.column_stack([mean - bound * std, mean + bound * std]), rtol=1e-6, atol=1e-8
    )
    inside = (intervals[:, 0] <= line["y_test"]) & (line["y_test"] <= intervals[:, 1])
    assert 0.8 < inside.mean() < 0.99
    for again in (pickle.loads(pickle.dumps(model)).laplace_, load(model.laplace_.to_bytes())):
        np.testing.assert_array_equal(again.predict_interval(line["x_test"], 0.1), intervals)
    assert "calibrated by 70 rows held out" in model.summary()
    with pytest.warns(LaplaceWarning, match="70 rows cannot guarantee"):
        wide = model.predict_interval(line["x_test"][:2], alpha=0.001)
    assert np.isinf(wide).all()


def test_a_calibration_without_rows_is_the_jackknife(line: dict[str, Any]) -> None:
    model = fitted(line).conformalize()
    intervals = model.predict_interval(line["x_test"], alpha=0.2)
    inside = (intervals[:, 0] <= line["y_test"]) & (line["y_test"] <= intervals[:, 1])
    assert 0.65 < inside.mean() < 0.95
    assert "80 training rows, each predicted without itself" in model.summary()


def test_shapes_with_several_outputs(line: dict[str, Any]) -> None:
    y = np.column_stack([line["y"], 100 * line["y"]])
    network = MLPRegressor(hidden_layer_sizes=(6,), solver="lbfgs", max_iter=300, random_state=0).fit(line["x"], y)
    model = LaplaceRegressor(network).fit(line["x"], y)
    mean, std = model.predict(line["x_test"], return_std=True)
    intervals = model.predict_interval(line["x_test"], alpha=0.5)
    assert intervals.shape == (110, 2, 2)
    z = NormalDist().inv_cdf(0.75)
    np.testing.assert_allclose(intervals, np.stack([mean - z * std, mean + z * std], axis=1), rtol=1e-6, atol=1e-8)
    quantiles = model.predict_quantiles(line["x_test"], (0.25, 0.5, 0.75))
    assert quantiles.shape == (110, 2, 3)
    np.testing.assert_allclose(quantiles[..., 0], intervals[:, 0], rtol=1e-6, atol=1e-8)
    column = LaplaceRegressor(line["network"]).fit(line["x"], line["y"][:, None])
    assert column.predict(line["x_test"]).shape == (110, 1)
    assert column.predict_interval(line["x_test"]).shape == (110, 2, 1)
    assert column.predict_quantiles(line["x_test"]).shape == (110, 1, 3)


def test_sets_of_classes_are_those_of_the_definition(blobs: dict[str, Any]) -> None:
    model = LaplaceClassifier(blobs["network"]).fit(blobs["x"], blobs["y"])
    with pytest.raises(OptionError, match="conformalize"):
        model.predict_sets(blobs["x_test"])
    model.conformalize(blobs["x_cal"], blobs["y_cal"])
    p = model.predict_proba(blobs["x_cal"])
    truth = np.searchsorted(model.classes_, blobs["y_cal"])
    # At a level where the bound is not the sum of all probabilities, to which rounding would decide who belongs.
    bound = np.sort(adaptive_scores(p)[np.arange(100), truth])[int(np.ceil(101 * 0.7)) - 1]
    assert bound < 1 - 1e-6
    sets = model.predict_sets(blobs["x_test"], alpha=0.3)
    assert sets.dtype == bool
    p_test = model.predict_proba(blobs["x_test"])
    np.testing.assert_array_equal(sets, never_empty(adaptive_scores(p_test) <= bound, p_test))
    covered = sets[np.arange(130), np.searchsorted(model.classes_, blobs["y_test"])]
    assert covered.mean() > 0.6
    smallest = LaplaceClassifier(blobs["network"]).fit(blobs["x"], blobs["y"])
    smallest.conformalize(blobs["x_cal"], blobs["y_cal"], score="lac")
    threshold = np.sort(1 - p[np.arange(100), truth])[int(np.ceil(101 * 0.9)) - 1]
    wanted = never_empty(1 - p_test <= threshold, p_test)
    np.testing.assert_array_equal(smallest.predict_sets(blobs["x_test"], alpha=0.1), wanted)
    with pytest.raises(OptionError, match="aps"):
        smallest.conformalize(blobs["x_cal"], blobs["y_cal"], score="asp")


def never_empty(sets: Any, p: Any) -> Any:
    """Sets with the most probable class where they had none."""
    return sets | (~sets.any(axis=1, keepdims=True) & (p == p.max(axis=1, keepdims=True)))


def adaptive_scores(p: Any) -> Any:
    """For every class the probability of the more probable ones and its own, (n, C)."""
    order = np.argsort(-p, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(p, order, axis=1), axis=1) + 1e-9 * np.arange(p.shape[1])
    scores = np.empty_like(p)
    np.put_along_axis(scores, order, sums, axis=1)
    return scores


def test_sets_of_two_classes(blobs: dict[str, Any]) -> None:
    y = blobs["y"] == "ash"
    network = MLPClassifier((5,), solver="lbfgs", max_iter=40, random_state=0).fit(blobs["x"], y)
    model = LaplaceClassifier(network).fit(blobs["x"], y)
    model.conformalize(blobs["x_cal"], blobs["y_cal"] == "ash")
    sets = model.predict_sets(blobs["x_test"], 0.1)
    assert sets.shape == (130, 2)
    assert sets[np.arange(130), (blobs["y_test"] == "ash").astype(int)].mean() > 0.8


def test_what_cannot_be_asked_is_a_typed_error(line: dict[str, Any], blobs: dict[str, Any]) -> None:
    regressor = fitted(line)
    for alpha in (0, 1, -0.1, 2, True, "a", None):
        with pytest.raises(OptionError, match="alpha must be a "):
            regressor.predict_interval(line["x_test"], alpha=alpha)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="quantiles"):
        regressor.predict_quantiles(line["x_test"], [0.5, 1.5])
    with pytest.raises(OptionError, match="predict_interval"):
        regressor.laplace_.predict_sets(line["x_test"])
    classes = LaplaceClassifier(blobs["network"]).fit(blobs["x"], blobs["y"]).laplace_
    for ask in (classes.predict_interval, classes.predict_quantiles):
        with pytest.raises(OptionError, match="predict_sets"):
            ask(blobs["x_test"])
    with pytest.raises(OptionError, match="y is missing"):
        regressor.conformalize(line["x_cal"])
    with pytest.raises(StateError, match="fit first"):
        Laplace(line["network"], "regression").conformalize(line["x_cal"], line["y_cal"])


def test_mapie_unchanged(line: dict[str, Any]) -> None:
    regression = pytest.importorskip("mapie.regression")
    scores = pytest.importorskip("mapie.conformity_scores")
    model = fitted(line)
    # The score that asks for standard deviations: |y - mean| / std.
    conformal = regression.SplitConformalRegressor(
        model, confidence_level=0.9, conformity_score=scores.StdConformityScore(), prefit=True
    )
    conformal.conformalize(line["x_cal"], line["y_cal"])
    _, theirs = conformal.predict_interval(line["x_test"])
    ours = model.conformalize(line["x_cal"], line["y_cal"]).predict_interval(line["x_test"], alpha=0.1)
    np.testing.assert_allclose(theirs[:, 1, 0], ours[:, 1], rtol=1e-6, atol=1e-8)
    # MAPIE's lower end is one order statistic nearer to the mean.
    mean, std = model.predict(line["x_cal"], return_std=True)
    rank = int(np.ceil(71 * 0.9)) - 1
    bound = np.sort(np.abs(line["y_cal"] - mean) / std)[rank - 1]
    mean, std = model.predict(line["x_test"], return_std=True)
    np.testing.assert_allclose(theirs[:, 0, 0], mean - bound * std, rtol=1e-6, atol=1e-8)
