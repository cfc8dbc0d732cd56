"""The network compared with its training rows: scores and warnings."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

from polylaplace import Laplace, LaplaceClassifier, LaplaceRegressor, TrainingWarning


@pytest.fixture(scope="module")
def blobs() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 90)
    x = np.array([[0, 0], [2.5, 0], [0, 2.5]])[y] + rng.normal(size=(90, 2))
    network = MLPClassifier((8,), activation="tanh", solver="lbfgs", max_iter=30, random_state=0).fit(x, y)
    return {"x": x, "y": y, "network": network}


def test_scores_on_the_training_rows(blobs: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", TrainingWarning)
        model = LaplaceClassifier(blobs["network"]).fit(blobs["x"], blobs["y"])
    training = model.laplace_.training
    assert training is not None
    assert training["rows"] == 90
    for name, p in (
        ("network", blobs["network"].predict_proba(blobs["x"])),
        ("posterior", model.predict_proba(blobs["x"])),
    ):
        # The posterior's are taken before its covariance is cut to the leading directions.
        nll = -np.log(p[np.arange(90), blobs["y"]]).mean()
        assert training[name]["nll"] == pytest.approx(nll, rel=1e-6 if name == "network" else 1e-4)
        assert training[name]["accuracy"] == pytest.approx((p.argmax(axis=1) == blobs["y"]).mean())
    assert model.choice_ is not None
    assert training["leave_one_out_nll"] == pytest.approx(model.choice_.leave_one_out_nll)
    text = model.summary()
    assert "On the 90 training rows" in text
    assert f"NLL {training['network']['nll']:.4g}" in text


def test_contradictions_are_warnings_that_name_the_users_line(blobs: dict[str, Any]) -> None:
    permuted = (blobs["y"] + 1) % 3
    with pytest.warns(TrainingWarning, match="another order") as caught:
        model = LaplaceClassifier(blobs["network"]).fit(blobs["x"], permuted)
    assert [warning.filename for warning in caught if warning.category is TrainingWarning] == [__file__]
    assert "another order" in " ".join(str(model).split())
    with pytest.warns(TrainingWarning, match="another order") as caught:
        Laplace(blobs["network"], "classification").fit(blobs["x"], permuted)
    assert {warning.filename for warning in caught} == {__file__}
    target = blobs["x"][:, 0]
    network = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=300, random_state=0)
    network.fit(blobs["x"], target)
    with pytest.warns(TrainingWarning, match="another scale"):
        LaplaceRegressor(network).fit(blobs["x"], 100 * target)


def test_negated_outputs_and_names_of_classes(blobs: dict[str, Any]) -> None:
    network = blobs["network"]
    negated = {
        "0.weight": network.coefs_[0].T,
        "0.bias": network.intercepts_[0],
        "1.weight": -network.coefs_[1].T,
        "1.bias": -network.intercepts_[1],
    }
    with pytest.warns(TrainingWarning, match="seem to be negated: it is right on .*, and would be on .* the opposite"):
        Laplace(negated, "classification", activation="tanh").fit(blobs["x"], blobs["y"])
    names = np.array(["maple", "elm", "oak"])[blobs["y"]]
    with pytest.warns(TrainingWarning, match="counted from 0.* Here 0 is 'elm', 1 is 'maple', 2 is 'oak'"):
        LaplaceClassifier(negated, activation="tanh", tune="marglik").fit(blobs["x"], names)
