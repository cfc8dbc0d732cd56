"""Held-out rows: what they are used for, that they are never ignored, and the comparison on them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier, MLPRegressor

from mlp import NumpyMlp, softmax
from polylaplace import Comparison, DataError, LaplaceClassifier, LaplaceRegressor, OptionError, ShapeError
from polylaplace._held_out import split_rows


@pytest.fixture(scope="module")
def blobs() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 300)
    x = np.array([[0, 0], [1.5, 0], [0, 1.5]])[y] + rng.normal(size=(300, 2))
    words = np.array(["ash", "birch", "cedar"])[y]
    network = MLPClassifier((8,), activation="tanh", solver="lbfgs", max_iter=25, random_state=0)
    return {
        "network": network.fit(x[:90], words[:90]),
        **{"x": x[:90], "y": words[:90], "x_val": x[90:130], "y_val": words[90:130]},
        **{"x_test": x[130:], "y_test": words[130:]},
    }


def test_validated_is_what_held_out_rows_are_for(blobs: dict[str, Any]) -> None:
    plain = LaplaceClassifier(blobs["network"]).fit(blobs["x"], blobs["y"])
    model = LaplaceClassifier(blobs["network"])
    model.fit(blobs["x"], blobs["y"], X_val=blobs["x_val"], y_val=blobs["y_val"])
    assert model.summary_["tuned"] == "validated"
    choice = model.choice_
    assert choice is not None
    assert choice.held_out is not None
    assert choice.held_out["rows"] == 40
    truth = np.searchsorted(model.classes_, blobs["y_val"])
    mlp = NumpyMlp(blobs["network"])
    f = mlp.outputs(mlp.theta, blobs["x_val"])

    def nll(p: Any) -> float:
        return float(-np.log(p[np.arange(40), truth]).mean())

    assert choice.held_out["nll"] == pytest.approx(nll(model.predict_proba(blobs["x_val"])), rel=1e-6)
    assert choice.held_out["network_nll"] == pytest.approx(nll(softmax(f)), rel=1e-6)
    assert choice.held_out["nll"] <= choice.held_out["network_nll"]
    assert not np.allclose(model.predict_proba(blobs["x_test"]), plain.predict_proba(blobs["x_test"]))
    # Other labels of the held-out rows make another posterior.
    other = LaplaceClassifier(blobs["network"]).fit(
        blobs["x"], blobs["y"], X_val=blobs["x_val"], y_val=np.roll(blobs["y_val"], 7)
    )
    assert not np.allclose(model.predict_proba(blobs["x_test"]), other.predict_proba(blobs["x_test"]))


def test_temperature_scaling_as_the_baseline(blobs: dict[str, Any]) -> None:
    model = LaplaceClassifier(blobs["network"], calibrate="temperature")
    model.fit(blobs["x"], blobs["y"], X_val=blobs["x_val"], y_val=blobs["y_val"])
    mlp = NumpyMlp(blobs["network"])
    f, truth = mlp.outputs(mlp.theta, blobs["x_val"]), np.searchsorted(model.classes_, blobs["y_val"])
    grid = np.exp(np.linspace(-4, 4, 20_001))
    losses = [-np.log(softmax(f / t)[np.arange(40), truth]).mean() for t in grid]
    best = grid[int(np.argmin(losses))]
    wanted = softmax(mlp.outputs(mlp.theta, blobs["x_test"]) / best)
    np.testing.assert_allclose(model.predict_proba(blobs["x_test"]), wanted, atol=1e-3)
    with pytest.raises(OptionError, match="needs held-out rows"):
        LaplaceClassifier(blobs["network"], calibrate="temperature").fit(blobs["x"], blobs["y"])
    with pytest.raises(OptionError, match="temperature"):
        LaplaceClassifier(blobs["network"], calibrate="temprature").fit(
            blobs["x"], blobs["y"], X_val=blobs["x_val"], y_val=blobs["y_val"]
        )


def test_a_share_of_the_rows(blobs: dict[str, Any]) -> None:
    fitted = LaplaceClassifier(blobs["network"], validation_fraction=0.2).fit(blobs["x"], blobs["y"])
    assert fitted.summary_["tuned"] == "validated"
    assert fitted.summary_["examples"] == 72
    untrained = LaplaceClassifier(clone(blobs["network"]), validation_fraction=0.2, random_state=0)
    model = untrained.fit(blobs["x"], blobs["y"])
    assert model.summary_["examples"] == 72
    # The network was trained without the rows that are held out.
    kept, out = split_rows(90, 0.2, np.random.RandomState(0), blobs["y"])
    again = clone(blobs["network"]).fit(blobs["x"][kept], blobs["y"][kept])
    np.testing.assert_array_equal(model.network_.coefs_[0], again.coefs_[0])
    by_hand = LaplaceClassifier(again).fit(
        blobs["x"][kept], blobs["y"][kept], X_val=blobs["x"][out], y_val=blobs["y"][out]
    )
    np.testing.assert_allclose(model.predict_proba(blobs["x_test"]), by_hand.predict_proba(blobs["x_test"]), rtol=1e-9)
    for share in (0, 1, 1.5, "a", True):
        with pytest.raises(OptionError, match="validation_fraction must be a number between 0 and 1"):
            LaplaceClassifier(blobs["network"], validation_fraction=share).fit(blobs["x"], blobs["y"])


def test_rows_are_split_class_by_class() -> None:
    classes = np.array([0] * 60 + [1] * 30 + [2] * 10)
    kept, out = split_rows(100, 0.2, np.random.RandomState(3), classes)
    assert sorted([*kept, *out]) == list(range(100))
    np.testing.assert_array_equal(np.bincount(classes[out]), [12, 6, 2])
    assert len(split_rows(100, 0.25, np.random.RandomState(3), None)[1]) == 25
    with pytest.raises(DataError, match="leaves 0 held out"):
        split_rows(3, 0.1, np.random.RandomState(0), None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tune": "marglik"}, "would change nothing"),
        ({"tune": "linearized"}, "would change nothing"),
        ({"tune": "none"}, "would change nothing"),
        ({"prior_precision": 1.0}, "would change nothing"),
        ({"validation_fraction": 0.1}, "given twice"),
        ({"calibrate": "temperature", "tune": "grid"}, "goes with tune='validated'"),
    ],
)
def test_held_out_rows_are_never_ignored(blobs: dict[str, Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        LaplaceClassifier(blobs["network"], **options).fit(
            blobs["x"], blobs["y"], X_val=blobs["x_val"], y_val=blobs["y_val"]
        )


def test_what_is_wrong_with_held_out_rows_is_a_typed_error(blobs: dict[str, Any]) -> None:
    model, x, y = LaplaceClassifier(blobs["network"]), blobs["x"], blobs["y"]
    for missing in ({"X_val": blobs["x_val"]}, {"y_val": blobs["y_val"]}):
        with pytest.raises(OptionError, match="is missing"):
            model.fit(x, y, **missing)
    with pytest.raises(DataError, match="y_val has labels"):
        model.fit(x, y, X_val=blobs["x_val"], y_val=np.full(40, "oak"))
    with pytest.raises(ShapeError):
        model.fit(x, y, X_val=blobs["x_val"], y_val=blobs["y_val"][:-1])
    with pytest.raises(ValueError, match="features"):
        model.fit(x, y, X_val=blobs["x_val"][:, :1], y_val=blobs["y_val"])
    for tune in ("validated", "grid", "gridsearch"):
        with pytest.raises(OptionError, match="needs held-out rows"):
            LaplaceClassifier(blobs["network"], tune=tune).fit(x, y)
    with pytest.raises(OptionError, match="leave one of the two out"):
        LaplaceClassifier(blobs["network"], tune="marglik", prior_precision=2.0).fit(x, y)


def test_validated_regression() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, (150, 1))
    y = np.sin(x[:, 0]) + 0.2 * rng.normal(size=150)
    network = MLPRegressor(hidden_layer_sizes=(30,), activation="tanh", solver="lbfgs", max_iter=3000, random_state=0)
    network.fit(x[:60], y[:60])
    model = LaplaceRegressor(network).fit(x[:60], y[:60], X_val=x[60:100], y_val=y[60:100])
    assert model.summary_["tuned"] == "validated"
    assert model.choice_ is not None
    assert model.choice_.held_out is not None
    mean, std = model.predict(x[100:], return_std=True)
    inside = np.abs(y[100:] - mean) < 1.645 * std
    assert 0.7 < inside.mean() <= 1
    share = LaplaceRegressor(clone(network), validation_fraction=0.25, random_state=1).fit(x[:100], y[:100])
    assert share.summary_["examples"] == 75
    with pytest.raises(OptionError):
        LaplaceRegressor(network, calibrate="temperature").fit(x[:60], y[:60], X_val=x[60:], y_val=y[60:])


# --- the comparison ---


def test_compare_scores_network_temperature_and_posterior(blobs: dict[str, Any]) -> None:
    model = LaplaceClassifier(blobs["network"]).fit(blobs["x"], blobs["y"])
    report = model.compare(blobs["x_test"], blobs["y_test"])
    assert isinstance(report, Comparison)
    assert report.rows == 170
    truth = np.searchsorted(model.classes_, blobs["y_test"])
    for scores, p in (
        (report.network, blobs["network"].predict_proba(blobs["x_test"])),
        (report.posterior, model.predict_proba(blobs["x_test"])),
    ):
        assert scores["nll"] == pytest.approx(-np.log(p[np.arange(170), truth]).mean(), rel=1e-6)
        assert scores["accuracy"] == pytest.approx((p.argmax(axis=1) == truth).mean())
        assert scores["brier"] == pytest.approx(((p - np.eye(3)[truth]) ** 2).sum(axis=1).mean(), rel=1e-6)
    assert report.temperature is not None
    assert report.temperature_from == "cross-validation"
    assert report.temperature["points"] == 170
    table = str(report)
    assert table.splitlines()[0] == "170 rows"
    assert "temperature scaling" in table.splitlines()[1]
    assert f"{report.posterior['nll']:.4g}" in table
    assert json.loads(json.dumps(report.to_dict()))["network"]["adaptive_ece"] == report.network["adaptive_ece"]
    held_out = LaplaceClassifier(blobs["network"]).fit(
        blobs["x"], blobs["y"], X_val=blobs["x_val"], y_val=blobs["y_val"]
    )
    again = held_out.compare(blobs["x_test"], blobs["y_test"])
    assert again.temperature_from == "validation"
    assert again.temperature is not None
    assert again.temperature["points"] == 170
    assert "the held-out rows of the fit" in str(again)
    with pytest.raises(DataError, match="oak"):
        model.compare(blobs["x_test"][:2], ["oak", "ash"])


def sine() -> tuple[LaplaceRegressor, np.ndarray, np.ndarray, np.random.Generator]:
    """120 rows of a noisy sine, a regressor fitted to half of them, and what draws more."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, (120, 1))
    y = np.sin(x[:, 0]) + 0.2 * rng.normal(size=120)
    network = MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", solver="lbfgs", max_iter=500, random_state=0)
    model = LaplaceRegressor(network).fit(x[:60], y[:60])
    return model, x, y, rng


def test_compare_of_a_regression() -> None:
    model, x, y, _ = sine()
    report = model.compare(x[60:], y[60:])
    mean, std = model.predict(x[60:], return_std=True)
    density = 0.5 * np.log(2 * np.pi * std**2) + (y[60:] - mean) ** 2 / (2 * std**2)
    assert report.posterior["nll"] == pytest.approx(density.mean(), rel=1e-6)
    assert report.posterior["rmse"] == pytest.approx(np.sqrt(((y[60:] - mean) ** 2).mean()), rel=1e-6)
    inside = np.abs(y[60:] - mean) <= 1.6448536269514722 * std
    assert next(e["coverage"] for e in report.posterior["intervals"] if e["level"] == 0.9) == pytest.approx(
        inside.mean()
    )
    assert report.temperature is None
    assert "coverage of 90 % intervals" in str(report)
    assert "temperature" not in str(report)


def test_outputs_on_other_scales_are_scored_alone() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(80, 3))
    weights = {"0.weight": rng.normal(size=(6, 3)), "0.bias": rng.normal(size=6)}
    weights |= {"2.weight": rng.normal(size=(2, 6)) * [[1.0], [1000.0]], "2.bias": np.zeros(2)}
    hidden = np.tanh(x @ weights["0.weight"].T + weights["0.bias"])
    y = hidden @ weights["2.weight"].T + rng.normal(size=(80, 2)) * [0.3, 300.0]
    layers = [{"type": "Linear", "name": "0"}, {"type": "Tanh"}, {"type": "Linear", "name": "2"}]
    model = LaplaceRegressor(weights, architecture=layers).fit(x[:60], y[:60])
    report = model.compare(x[60:], y[60:])
    mean, std = model.predict(x[60:], return_std=True)
    for c, own in enumerate(report.posterior["by_output"]):
        z = (y[60:, c] - mean[:, c]) / std[:, c]
        assert own["nll"] == pytest.approx((0.5 * z**2 + np.log(std[:, c] * np.sqrt(2 * np.pi))).mean(), rel=1e-6)
        assert own["rmse"] == pytest.approx(np.sqrt(((y[60:, c] - mean[:, c]) ** 2).mean()), rel=1e-6)
        assert f"output {c}: RMSE" in str(report)
    training = model.summary_["training"]["network"]["rmseByOutput"]
    np.testing.assert_allclose(training[0] * 1000, training[1], rtol=1.0)
    assert "RMSE of each output" in model.summary()


def told(data: Any, others: Any) -> dict[str, float]:
    """AUROC by all pairs, and the share of others under the least threshold that 95 % of the data pass."""
    data, others = np.asarray(data), np.asarray(others)
    pairs = (others[:, None] > data).mean() + 0.5 * (others[:, None] == data).mean()
    passing = next(t for t in np.sort(data) if 100 * (data <= t).sum() >= 95 * len(data))
    return {"auroc": pytest.approx(pairs, abs=1e-9), "fpr_at_95_tpr": pytest.approx((others <= passing).mean())}


def test_compare_tells_outliers(blobs: dict[str, Any]) -> None:
    model = LaplaceClassifier(blobs["network"]).fit(blobs["x"], blobs["y"])
    x, others = blobs["x_test"], np.random.default_rng(5).normal(size=(60, 2)) * 4
    report = model.compare(x, blobs["y_test"], outliers=others)
    assert report.outliers is not None
    assert list(report.outliers) == ["network", "temperature", "posterior", "novelty"]
    mlp = NumpyMlp(blobs["network"])
    scaled = [softmax(mlp.outputs(mlp.theta, rows) / report.temperature_value) for rows in (x, others)]
    for of, (p, q) in {
        "network": [blobs["network"].predict_proba(rows) for rows in (x, others)],
        "temperature": scaled,
        "posterior": [model.predict_proba(rows) for rows in (x, others)],
    }.items():
        assert report.outliers[of] == told(1 - p.max(axis=1), 1 - q.max(axis=1)), of
    scores = [model.uncertainty(rows).novelty_score for rows in (x, others)]
    assert report.outliers["novelty"] == told(*scores)
    lines = str(report).splitlines()
    assert " ".join(lines[-5].split()) == "rows that are no data, told by AUROC FPR at 95 % TPR"
    assert lines[-2].split()[-3] == f"{report.outliers['posterior']['auroc']:.3f}"
    assert json.loads(json.dumps(report.to_dict()))["outliers"] == report.outliers
    plain = model.compare(x, blobs["y_test"])
    assert plain.outliers is None
    assert plain.posterior == report.posterior
    with pytest.raises(ValueError, match="3 features"):
        model.compare(x, blobs["y_test"], outliers=np.ones((4, 3)))


def test_compare_of_a_regression_tells_outliers() -> None:
    model, x, y, rng = sine()
    others = rng.uniform(2, 6, (40, 1))
    report = model.compare(x[60:], y[60:], outliers=others)
    assert report.outliers is not None
    assert list(report.outliers) == ["posterior", "novelty"]
    deviations = [model.predict(rows, return_std=True)[1] for rows in (x[60:], others)]
    assert report.outliers["posterior"] == told(*deviations)
