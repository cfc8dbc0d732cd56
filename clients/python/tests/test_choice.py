"""The estimators with no option set, against numpy: what they chose, their answer, novelty, evidence, words."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier, MLPRegressor

from conftest import CASES, read_case
from mlp import NumpyMlp, sigmoid, softmax, zero_sum
from polylaplace import (
    Choice,
    DataError,
    Laplace,
    LaplaceClassifier,
    LaplaceRegressor,
    LowRank,
    OptionError,
    PriorWarning,
    StateError,
    TrainingWarning,
    load,
)
from polylaplace._description import describe

IRIS = CASES / "tabular-iris" / "model.onnx"


@pytest.fixture(scope="module")
def noisy() -> dict[str, Any]:
    """Three overlapping classes, of which a network of 8 units learns much by heart."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 120)
    centres = np.array([[0, 0], [1.2, 0], [0, 1.2]])
    x = centres[y] + rng.normal(size=(120, 2))
    network = MLPClassifier((8,), activation="tanh", solver="lbfgs", max_iter=60, alpha=1e-3, random_state=0).fit(x, y)
    return {"x": x, "y": y, "network": network, "x_new": rng.normal(size=(9, 2)) * 2}


@pytest.fixture(scope="module")
def model(noisy: dict[str, Any]) -> LaplaceClassifier:
    return LaplaceClassifier(noisy["network"]).fit(noisy["x"], noisy["y"])


@pytest.fixture(scope="module")
def curve() -> dict[str, Any]:
    """Two outputs of one input, on scales 1 and 1000."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-3, 3, (70, 1))
    y = np.column_stack([np.sin(x[:, 0]), np.cos(x[:, 0])]) + rng.normal(size=(70, 2)) * [0.1, 0.3]
    network = MLPRegressor(
        hidden_layer_sizes=(12,), activation="tanh", solver="lbfgs", max_iter=2000, random_state=0
    ).fit(x, y)
    # What a network of targets on the scales 1 and 1000 is: the last layer's second column is multiplied.
    network.coefs_[-1] *= [1, 1000]
    network.intercepts_[-1] *= [1, 1000]
    return {"x": x, "y": y * [1, 1000], "network": network, "x_new": np.linspace(-4, 4, 7)[:, None]}


# --- classes ---


def test_probabilities_are_the_mixture_of_network_and_linear_model(
    model: LaplaceClassifier, noisy: dict[str, Any]
) -> None:
    choice = model.choice_
    assert isinstance(choice, Choice)
    assert (choice.subset, choice.structure, choice.link) == ("all", "lowrank", "zero_sum")
    assert choice.rows == 120
    mlp, la = NumpyMlp(noisy["network"]), model.laplace_
    f, jacobian = mlp.outputs(mlp.theta, noisy["x_new"]), mlp.jacobian(noisy["x_new"])
    precision = la.posterior_precision
    assert isinstance(precision, LowRank)
    covariance = np.einsum("ncp,pq,ndq->ncd", jacobian, np.linalg.inv(precision.to_dense()), jacobian)
    linear = f + jacobian @ (la.mean - mlp.theta)
    wanted = (
        choice.network_weight * softmax(f)
        + choice.halfway_weight * zero_sum((f + linear) / 2, choice.halfway_scale * covariance)
        + choice.linear_weight * zero_sum(linear, choice.variance_scale * covariance)
    )
    np.testing.assert_allclose(model.predict_proba(noisy["x_new"]), wanted, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(model.predict(noisy["x_new"]), wanted.argmax(axis=1))
    np.testing.assert_allclose(la.functional_variance(noisy["x_new"]), covariance, rtol=1e-5, atol=1e-9)


def test_weights_and_scores_of_a_choice(model: LaplaceClassifier, noisy: dict[str, Any]) -> None:
    choice = model.choice_
    assert choice is not None
    p = noisy["network"].predict_proba(noisy["x"])[np.arange(120), noisy["y"]]
    assert choice.network_nll == pytest.approx(-np.log(p).mean(), rel=1e-8)
    assert choice.leave_one_out_nll is not None
    assert choice.r == pytest.approx(choice.network_nll / choice.leave_one_out_nll)
    assert choice.network_weight + choice.halfway_weight + choice.linear_weight == pytest.approx(1)
    assert choice.leave_one_out_nll in [score.nll for score in choice.leave_one_out]
    assert choice.delta == (pytest.approx(model.prior_precision_),)
    with pytest.raises(FrozenInstanceError):
        choice.r = 1.0  # type: ignore[misc]
    assert hash(choice) == hash(pickle.loads(pickle.dumps(choice)))


def test_low_rank_matrices(model: LaplaceClassifier) -> None:
    la = model.laplace_
    assert isinstance(la.H, LowRank)
    assert la.H.delta == 0
    assert la.H.shape == (la.n_params, la.n_params)
    dense = la.H.to_dense()
    np.testing.assert_allclose(dense, la.H.rows.T @ la.H.rows)
    np.testing.assert_allclose(la.H.diag(), np.diag(dense))
    np.testing.assert_allclose(
        la.posterior_precision.to_dense(), dense + model.prior_precision_ * np.eye(la.n_params), rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(la.posterior_precision.diag(), np.diag(la.posterior_precision.to_dense()))
    np.testing.assert_allclose(
        la.posterior_covariance, np.linalg.inv(la.posterior_precision.to_dense()), rtol=1e-6, atol=1e-9
    )
    assert "rank=" in repr(la.H)
    by_hand = Laplace(model.network_, "classification", "all", "lowrank")
    assert isinstance(by_hand.fit(*la._training[:2]).H, LowRank)  # type: ignore[misc]


def test_novelty_is_a_p_value_among_leave_one_out_variances(model: LaplaceClassifier, noisy: dict[str, Any]) -> None:
    mlp, la = NumpyMlp(noisy["network"]), model.laplace_
    covariance = np.linalg.inv(la.posterior_precision.to_dense())

    def variances(x: Any) -> tuple[Any, Any]:
        jacobian = mlp.jacobian(x)
        return np.einsum("ncp,pq,ndq->ncd", jacobian, covariance, jacobian), jacobian

    own, jacobian = variances(noisy["x"])
    p = softmax(mlp.outputs(mlp.theta, noisy["x"]) + jacobian @ (la.mean - mlp.theta))
    curvature = np.einsum("nc,cd->ncd", p, np.eye(3)) - np.einsum("nc,nd->ncd", p, p)
    # S (I - Lambda S)^-1: the covariance without the row's own curvature.
    left_out = np.stack([s @ np.linalg.inv(np.eye(3) - a @ s) for s, a in zip(own, curvature, strict=True)])
    training = np.einsum("ncc->n", left_out) / 3
    score = np.einsum("ncc->n", variances(noisy["x_new"])[0]) / 3
    wanted = (1 + (training >= score[:, None]).sum(axis=1)) / 121
    np.testing.assert_allclose(model.novelty(noisy["x_new"]), wanted, atol=1.5 / 121)
    prediction = model.uncertainty(noisy["x_new"])
    assert prediction.novelty_score is not None
    np.testing.assert_allclose(prediction.novelty_score, score, rtol=1e-5)
    np.testing.assert_array_equal(prediction.novelty, model.novelty(noisy["x_new"]))
    with pytest.raises(StateError, match="method='auto'"):
        Laplace(noisy["network"], "classification").fit(noisy["x"], noisy["y"]).novelty(noisy["x_new"])


def test_the_evidence_tells_right_labels_from_permuted_ones(noisy: dict[str, Any]) -> None:
    right = LaplaceClassifier(noisy["network"]).fit(noisy["x"], noisy["y"])
    permuted = LaplaceClassifier(noisy["network"]).fit(noisy["x"], (noisy["y"] + 1) % 3)
    assert right.log_marginal_likelihood_ > permuted.log_marginal_likelihood_ + 100
    la = right.laplace_
    p = noisy["network"].predict_proba(noisy["x"])[np.arange(120), noisy["y"]]
    assert la.log_likelihood == pytest.approx(np.log(p).sum(), rel=1e-8)
    by_definition = la.log_likelihood - 0.5 * (la.log_det_ratio + la.scatter)
    assert right.log_marginal_likelihood_ == pytest.approx(by_definition, rel=1e-10)
    assert right.log_evidence_at_mode_ is not None
    assert right.log_evidence_at_mode_ != right.log_marginal_likelihood_
    fixed = LaplaceClassifier(noisy["network"], prior_precision=1.0).fit(noisy["x"], noisy["y"])
    assert fixed.log_evidence_at_mode_ is None
    assert fixed.choice_ is None


def test_print_says_what_was_chosen_and_why(model: LaplaceClassifier, noisy: dict[str, Any]) -> None:
    choice = model.choice_
    assert choice is not None
    flat = " ".join(str(model).split())
    assert str(model).startswith("LaplaceClassifier(")
    for words in (choice.reason, choice.explanation, "structure lowrank", "tuned by 'auto'", "120 rows"):
        assert words in flat
    assert model.summary() in str(model)
    assert choice.explanation in repr(model)
    assert repr(model).startswith("LaplaceClassifier(")
    assert model.summary_["tuned"] == "auto"
    assert repr(clone(model)) == str(clone(model)) == repr(LaplaceClassifier(clone(noisy["network"])))
    again = pickle.loads(pickle.dumps(model))
    assert again.choice_ == choice
    np.testing.assert_array_equal(again.novelty(noisy["x_new"]), model.novelty(noisy["x_new"]))
    np.testing.assert_array_equal(again.predict_proba(noisy["x_new"]), model.predict_proba(noisy["x_new"]))


# --- one logit ---


def tensors_of(network: Any) -> dict[str, Any]:
    """A network without scikit-learn's words for it, as files and torch modules are."""
    return {
        f"{2 * layer}.{name}": tensor
        for layer, (matrix, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True))
        for name, tensor in (("weight", matrix.T.copy()), ("bias", bias))
    }


def test_a_network_of_one_logit(noisy: dict[str, Any]) -> None:
    x, words = noisy["x"], np.where(noisy["y"] == 2, "yes", "no")
    network = MLPClassifier((6,), activation="tanh", solver="lbfgs", max_iter=50, random_state=0).fit(x, words)
    mlp = NumpyMlp(network)
    logit = tensors_of(network)
    model = LaplaceClassifier(logit, activation="Tanh").fit(x, words)
    assert list(model.classes_) == ["no", "yes"]
    assert model.laplace_.likelihood == "binary"
    p = model.predict_proba(noisy["x_new"])
    assert p.shape == (9, 2)
    la, choice = model.laplace_, model.choice_
    assert choice is not None
    f, jacobian = mlp.outputs(mlp.theta, noisy["x_new"])[:, 0], mlp.jacobian(noisy["x_new"])[:, 0]
    variance = np.einsum("np,pq,nq->n", jacobian, np.linalg.inv(la.posterior_precision.to_dense()), jacobian)
    linear = f + jacobian @ (la.mean - mlp.theta)

    def probit(mean: np.ndarray, scale: float) -> np.ndarray:
        return sigmoid(mean / np.sqrt(1 + np.pi / 8 * scale * variance))

    wanted = (
        choice.network_weight * sigmoid(f)
        + choice.halfway_weight * probit((f + linear) / 2, choice.halfway_scale)
        + choice.linear_weight * probit(linear, choice.variance_scale)
    )
    np.testing.assert_allclose(p, np.column_stack([1 - wanted, wanted]), rtol=1e-6, atol=1e-9)
    assert set(model.predict(noisy["x_new"])) <= {"no", "yes"}
    # The same as scikit-learn's own network of two classes, which is known to have one logit.
    np.testing.assert_allclose(LaplaceClassifier(network).fit(x, words).predict_proba(noisy["x_new"]), p, rtol=1e-9)
    with pytest.raises(DataError, match=r"one output \(a logit.*3 classes"):
        LaplaceClassifier(logit, activation="Tanh").fit(x, noisy["y"])


def test_class_numbers_of_which_some_do_not_occur() -> None:
    _, data = read_case("tabular-iris")
    y = data["y"].astype(int)
    model = LaplaceClassifier(IRIS, tune="linearized").fit(data["x"][y > 0], y[y > 0])
    assert list(model.classes_) == [0, 1, 2]
    right = y[y > 0] == model.predict(data["x"][y > 0])
    assert right.mean() > 0.9
    with pytest.raises(DataError, match="3 outputs, and y has 2 classes"):
        LaplaceClassifier(IRIS).fit(data["x"], np.where(y > 0, "more", "less"))
    with pytest.raises(DataError, match="3 outputs, and y has 4 classes"):
        LaplaceClassifier(IRIS).fit(data["x"], np.arange(len(y)) % 4)


# --- regression ---


def test_several_outputs_have_a_noise_each(curve: dict[str, Any]) -> None:
    model = LaplaceRegressor(curve["network"]).fit(curve["x"], curve["y"])
    sigma = model.sigma_noise_
    assert sigma.shape == (2,)
    np.testing.assert_allclose(sigma, [0.1, 300], rtol=0.35)
    choice = model.choice_
    assert choice is not None
    np.testing.assert_array_equal(choice.sigma_noise, sigma)
    mean, std = model.predict(curve["x_new"], return_std=True)
    assert (mean.shape, std.shape) == ((7, 2), (7, 2))
    prediction = model.uncertainty(curve["x_new"])
    np.testing.assert_allclose(std, np.sqrt(prediction.variance + sigma**2), rtol=1e-12)
    np.testing.assert_allclose(std**2, prediction.predictive_variance, rtol=1e-12)
    np.testing.assert_array_equal(model.laplace_.sigma_noise, sigma)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).sigma_noise_, sigma)
    np.testing.assert_array_equal(load(model.laplace_.to_bytes()).sigma_noise, sigma)
    assert "0.1" in model.summary()


def test_the_mean_is_halfway_between_network_and_linear_model(curve: dict[str, Any]) -> None:
    x, y = curve["x"], curve["y"][:, 0]
    network = MLPRegressor(
        hidden_layer_sizes=(6,), activation="tanh", solver="lbfgs", max_iter=300, random_state=1
    ).fit(x, y)
    model = LaplaceRegressor(network).fit(x, y)
    mlp, la = NumpyMlp(network), model.laplace_
    jacobian = mlp.jacobian(curve["x_new"])[:, 0]
    f = mlp.outputs(mlp.theta, curve["x_new"])[:, 0]
    mean, std = model.predict(curve["x_new"], return_std=True)
    np.testing.assert_allclose(mean, f + jacobian @ (la.mean - mlp.theta) / 2, rtol=1e-6, atol=1e-8)
    variance = np.einsum("np,pq,nq->n", jacobian, np.linalg.inv(la.posterior_precision.to_dense()), jacobian)
    np.testing.assert_allclose(std, np.sqrt(variance + model.sigma_noise_**2), rtol=1e-5)


# --- Laplace ---


def test_laplace_takes_auto_and_keeps_its_defaults(noisy: dict[str, Any], model: LaplaceClassifier) -> None:
    x, y, network = noisy["x"], noisy["y"], noisy["network"]
    auto = Laplace(network, "classification", "auto").fit(x, y)
    np.testing.assert_allclose(auto(noisy["x_new"]), model.predict_proba(noisy["x_new"]), rtol=1e-9)
    assert auto.choice == model.choice_
    assert auto.choice is not None
    assert auto.choice.explanation in " ".join(str(auto).split())
    refit = auto.fit(x, y)
    assert refit.choice == model.choice_, "a fit after a fit chooses again"
    plain = Laplace(network, "classification").fit(x, y)
    assert plain.choice is None
    assert plain.prior_precision == 1
    assert (plain.subset_of_weights, plain.hessian_structure) == ("last_layer", "kron")
    fixed = Laplace(network, "classification", "auto", prior_precision=3.0).fit(x, y)
    assert fixed.prior_precision == 3
    assert fixed.choice is None


def test_method_auto_reads_the_training_data_once_more(noisy: dict[str, Any]) -> None:
    x, y, network = noisy["x"], noisy["y"], noisy["network"]
    la = Laplace(network, "classification", "last_layer", "full").fit(x, y)
    before = la(noisy["x_new"])
    la.optimize_prior_precision(method="auto")
    assert la.choice is not None
    assert la.choice.subset == "last_layer"
    assert la.prior_precision != 1
    assert not np.allclose(la(noisy["x_new"]), before)
    again = load(Laplace(network, "classification", "last_layer", "full").fit(x, y).to_bytes())
    with pytest.raises(OptionError, match="method='auto', X=X, y=y"):
        again.optimize_prior_precision(method="auto")
    again.optimize_prior_precision(method="auto", X=x, y=y)
    np.testing.assert_allclose(again(noisy["x_new"]), la(noisy["x_new"]), rtol=1e-9)
    # The link of a posterior whose prior was given is laplace-torch's.
    np.testing.assert_array_equal(
        Laplace(network, "classification").fit(x, y)(noisy["x_new"], link_approx="probit"),
        Laplace(network, "classification").fit(x, y)(noisy["x_new"]),
    )


def test_marglik_warns_once_where_it_is_far_from_auto(noisy: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = noisy["x"], noisy["y"]
    wild = MLPClassifier((30,), activation="tanh", solver="lbfgs", alpha=0, max_iter=3000, random_state=0).fit(x, y)
    la = Laplace(wild, "classification", "last_layer", "full").fit(x, y)
    with pytest.warns(PriorWarning, match='method="auto"') as caught:
        la.optimize_prior_precision()
    assert caught[0].filename == __file__
    marglik = la.prior_precision
    auto = Laplace(wild, "classification", "last_layer", "full").fit(x, y).optimize_prior_precision(method="auto")
    assert max(marglik / auto.prior_precision, auto.prior_precision / marglik) > 3
    with no_prior_warning():
        la.optimize_prior_precision()
        load(la.to_bytes()).optimize_prior_precision()
    monkeypatch.setattr("polylaplace._tuning._CHEAP_BYTES", 100)
    with no_prior_warning():
        Laplace(wild, "classification", "last_layer", "full").fit(x, y).optimize_prior_precision()


def test_marglik_is_not_compared_where_its_warning_is_ignored(
    noisy: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    made = Laplace._made

    def counted(self: Laplace, method: str, *args: Any, **how: Any) -> Any:
        asked.append(method)
        return made(self, method, *args, **how)

    monkeypatch.setattr(Laplace, "_made", counted)
    x, y = noisy["x"], noisy["y"]
    network = MLPClassifier((5,), max_iter=20, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        la = Laplace(network.fit(x, y), "classification", "last_layer", "full").fit(x, y)
        asked.clear()
        la.optimize_prior_precision()
        assert asked == ["tune"]
        # A filter of some texts alone leaves others to be shown.
        warnings.resetwarnings()
        warnings.filterwarnings("ignore", message="another", category=PriorWarning)
        la.optimize_prior_precision()
    assert asked == ["tune"] * 3


@contextmanager
def no_prior_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", PriorWarning)
        yield


def test_notes_of_contradictions_are_training_warnings() -> None:
    la = Laplace.__new__(Laplace)
    notes = ["Warning: The network is no better than guessing.", "a note"]
    la._prior = {}
    with pytest.warns(TrainingWarning, match=r"^The network is no better") as caught:
        la._adopt(object(), {"notes": notes})  # type: ignore[arg-type]
    assert [type(warning.message).__name__ for warning in caught] == ["TrainingWarning", "LaplaceWarning"]


def test_training_scores_are_shown_where_the_server_gives_them(model: LaplaceClassifier) -> None:
    training = {"rows": 120, "network": {"nll": 0.25, "accuracy": 0.9}, "posterior": None, "leaveOneOutNll": 0.5}
    text = describe({**model.summary_, "training": training, "notes": ["Warning: Something is wrong."]})
    assert "network: NLL 0.25, accuracy 0.9" in text
    assert "each predicted without itself: NLL 0.5" in text
    assert "Warning: Something is wrong." in text


def test_the_tensors_of_the_posterior_are_listed() -> None:
    parameters = [{"name": f"w{i}", "shape": [3, 2], "size": 6} for i in range(10)]
    summary = {"likelihood": "regression", "subset": "all", "parameterCount": 60, "structure": "kron", "examples": 5}
    more = {"tuned": "none", "priorPrecision": 1.0, "sigmaNoise": 1.0, "logMarginalLikelihood": -1.0, "notes": []}
    text = describe({**summary, **more, "parameters": parameters}).replace("\n  ", " ")
    assert "Parameters: w0 (3 x 2), w1 (3 x 2), " in text
    assert "w7 (3 x 2) and 2 more\n" in text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("outputs", [1, 3])
def test_a_trained_network_takes_rows_of_one_class_and_a_single_row(outputs: int) -> None:
    tensors, layers = {}, []
    random = np.random.default_rng(0)
    for i, (rows, columns) in enumerate([(6, 4), (outputs, 6)]):
        tensors |= {f"l{i}.weight": random.standard_normal((rows, columns)), f"l{i}.bias": np.zeros(rows)}
        layers += [{"type": "Linear", "name": f"l{i}"}, {"type": "Tanh"}]
    x = random.standard_normal((9, 4))
    for subset in ("auto", "last_layer"):
        for rows in (9, 1):
            model = LaplaceClassifier(tensors, architecture=layers[:-1], subset_of_weights=subset)
            p = model.fit(x[:rows], np.ones(rows, int)).predict_proba(x)
            assert p.shape == (9, max(2, outputs))
            assert np.allclose(p.sum(1), 1)
        if outputs == 1:
            std = LaplaceRegressor(tensors, architecture=layers[:-1], subset_of_weights=subset)
            assert np.isfinite(std.fit(x[:1], x[:1, 0]).predict(x, return_std=True)).all()
    # A network that is trained here needs more.
    with pytest.raises(DataError, match="has one class: 1"):
        LaplaceClassifier().fit(x, np.ones(9, int))
    with pytest.raises(ValueError, match="minimum of 2"):
        LaplaceRegressor().fit(x[:1], x[:1, 0])
