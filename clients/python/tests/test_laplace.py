"""`Laplace` as its users meet it: shapes, seeds, files, errors, threads, forks."""

from __future__ import annotations

import _thread
import gc
import io
import multiprocessing
import os
import pickle
import signal
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import CASES, during, read_case
from polylaplace import (
    Client,
    DataError,
    GraphError,
    Laplace,
    LaplaceError,
    LaplaceWarning,
    OptionError,
    Partial,
    ShapeError,
    StateError,
    UntrustedInputError,
    default_client,
    load,
    merge,
)

IRIS = CASES / "tabular-iris" / "model.onnx"
LINE = CASES / "regression-1d" / "model.onnx"


@pytest.fixture(scope="module")
def iris() -> dict[str, Any]:
    _, data = read_case("tabular-iris")
    return {**data, "y": data["y"].astype(np.int64), "y_test": data["y_test"].astype(np.int64)}


@pytest.fixture(scope="module")
def line() -> dict[str, Any]:
    return read_case("regression-1d")[1]


@pytest.fixture(scope="module")
def la(iris: dict[str, Any]) -> Laplace:
    return Laplace(IRIS, "classification").fit(iris["x"], iris["y"])


def test_shapes_of_classification(la: Laplace, iris: dict[str, Any]) -> None:
    n = len(iris["x_test"])
    p = la(iris["x_test"])
    assert p.shape == (n, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert p.flags.writeable
    assert la(iris["x_test"], link_approx="mc", n_samples=50, seed=1).shape == (n, 3)
    assert la(iris["x_test"], pred_type="nn", n_samples=5, seed=1).shape == (n, 3)
    assert la.functional_variance(iris["x_test"]).shape == (n, 3, 3)
    assert la.functional_variance(iris["x_test"][:4], joint=True).shape == (12, 12)
    assert la.sample(7, seed=1).shape == (7, la.n_params)
    assert la.predictive_samples(iris["x_test"], 5, seed=1).shape == (5, n, 3)
    assert la.functional_samples(iris["x_test"], 5, seed=1).shape == (5, n, 3)
    prediction = la.predict(iris["x_test"], covariance=True)
    assert prediction.covariance is not None
    np.testing.assert_allclose(np.einsum("ncc->nc", prediction.covariance), prediction.variance, rtol=1e-10)
    assert prediction.aleatoric is not None
    assert prediction.aleatoric.shape == (n,)
    assert prediction.epistemic is not None
    assert (prediction.epistemic > 0).all()


def test_shapes_of_regression(line: dict[str, Any]) -> None:
    x = line["x_test"][:9]
    la = Laplace(LINE, "regression", "all", "full").fit(line["x"], line["y"])
    f_mu, f_var = la(x)
    assert (f_mu.shape, f_var.shape) == ((9, 1), (9, 1, 1))
    f_mu, f_var = la(x, joint=True)
    assert (f_mu.shape, f_var.shape) == ((9,), (9, 9))
    f_mu, f_var = la(x, diagonal_output=True)
    assert (f_mu.shape, f_var.shape) == ((9, 1), (9, 1))
    f_mu, f_var = la(x, pred_type="nn", n_samples=20, seed=3)
    assert (f_mu.shape, f_var.shape) == ((9, 1), (9, 1))
    vector = Laplace(LINE, "regression", "all", "full").fit(line["x"], line["y"][:, 0])
    assert vector.log_marginal_likelihood() == la.log_marginal_likelihood()


def test_r8_the_same_seed_gives_the_same_bytes(la: Laplace, iris: dict[str, Any]) -> None:
    assert la.sample(5, seed=7).tobytes() == la.sample(5, seed=7).tobytes()
    assert la.sample(5, seed=7).tobytes() != la.sample(5, seed=8).tobytes()
    assert la.sample(5).tobytes() != la.sample(5).tobytes()
    with Client() as other:
        twin = Laplace(IRIS, "classification", client=other).fit(iris["x"], iris["y"])
        assert twin.sample(5, seed=7).tobytes() == la.sample(5, seed=7).tobytes()
        assert (
            twin.functional_samples(iris["x_test"], 5, seed=7).tobytes()
            == la.functional_samples(iris["x_test"], 5, seed=7).tobytes()
        )
    np.random.seed(1)
    first = la.sample(2)
    np.random.seed(1)
    assert la.sample(2).tobytes() == first.tobytes()


def test_hyper_parameters_can_be_set_before_and_after(iris: dict[str, Any]) -> None:
    before = Laplace(IRIS, "classification", prior_precision=0.3, temperature=2).fit(iris["x"], iris["y"])
    after = Laplace(IRIS, "classification").fit(iris["x"], iris["y"])
    after.prior_precision = 0.3
    after.temperature = 2
    assert after.log_marginal_likelihood() == pytest.approx(before.log_marginal_likelihood(), rel=1e-12)
    assert after.log_marginal_likelihood(prior_precision=5) != after.log_marginal_likelihood()
    assert after.prior_precision == 0.3
    layerwise = Laplace(IRIS, "classification", prior_precision=[0.3, 0.3], temperature=2).fit(iris["x"], iris["y"])
    assert layerwise.log_marginal_likelihood() == pytest.approx(before.log_marginal_likelihood(), rel=1e-12)
    np.testing.assert_allclose(before.prior_precision_diag, np.full(before.n_params, 0.3))


def test_the_posterior_agrees_with_itself(iris: dict[str, Any]) -> None:
    for structure in ("full", "kron", "diag"):
        la = Laplace(IRIS, "classification", "last_layer", structure, prior_precision=0.7).fit(iris["x"], iris["y"])
        precision = la.posterior_precision
        dense = (
            precision.to_dense() if structure == "kron" else np.diag(precision) if structure == "diag" else precision
        )
        np.testing.assert_allclose(la.posterior_covariance @ dense, np.eye(la.n_params), atol=1e-8)
        np.testing.assert_allclose(np.diag(la.posterior_covariance), la.posterior_variance, rtol=1e-9)
        np.testing.assert_allclose(la.log_det_posterior_precision, np.linalg.slogdet(dense)[1], rtol=1e-9)
        if structure == "kron":
            np.testing.assert_allclose(precision.diag(), np.diag(dense))
            assert precision.shape == dense.shape


def test_one_message_a_step_and_summaries_when_they_are_asked_for(
    iris: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client() as client:
        methods: list[str] = []
        call = client.call
        monkeypatch.setattr(
            client, "call", lambda method, *rest, **more: (methods.append(method), call(method, *rest, **more))[1]
        )
        la = Laplace(IRIS, "classification", client=client).fit(iris["x"], iris["y"])
        la.optimize_prior_precision()
        la(iris["x_test"])
        assert "fitted to 112 examples" in repr(la)
        # The second one compares 'marglik' with 'auto': once, and for small data only.
        assert methods == ["fit", "tune", "tune", "predict"]
        del methods[1]
        assert la.n_params == 33
        assert la.n_outputs == 3
        assert la.summary["logMarginalLikelihood"] == pytest.approx(la.log_marginal_likelihood())
        assert methods[3:] == ["get", "logMarginalLikelihood"]
        la.fit(iris["x"], iris["y"]).fit(iris["x"], iris["y"])
        assert methods[5:] == ["readNetwork", "fit", "fit"]
        assert la.summary["tuned"] == "none"
        monkeypatch.setattr("polylaplace._posterior_state.ONE_MESSAGE", 1000)
        Laplace(IRIS, "classification", client=client).fit(iris["x"], iris["y"])
        assert methods[9:] == ["readNetwork", "fit"]


def test_tuning(la: Laplace, iris: dict[str, Any]) -> None:
    tuned = Laplace(IRIS, "classification").fit(iris["x"], iris["y"])
    for options in (
        {},
        {"method": "linearized"},
        {"method": "gridsearch", "X_val": iris["x_test"], "y_val": iris["y_test"]},
        {"prior_structure": "layerwise"},
    ):
        tuned.optimize_prior_precision(**options)
        assert np.all(np.asarray(tuned.prior_precision) > 0)
    assert np.shape(tuned.prior_precision) == (2,)
    tuned.optimize_prior_precision(method="gridsearch", val_loader=[(iris["x_test"], iris["y_test"])])
    with pytest.raises(OptionError, match="marglik"):
        tuned.optimize_prior_precision(method="marglikk")
    with pytest.raises(LaplaceError, match="X_val="):
        tuned.optimize_prior_precision(method="gridsearch")


def test_the_linear_model_over_all_weights_is_fitted_again_for_another_prior(iris: dict[str, Any]) -> None:
    chosen = Laplace(IRIS, "classification", "auto").fit(iris["x"], iris["y"])
    la = Laplace(IRIS, "classification", "all", "lowrank", prior_precision=50.0).fit(iris["x"], iris["y"])
    assert la.prior_precision == 50
    la.optimize_prior_precision(method="auto")
    assert la.prior_precision == pytest.approx(chosen.prior_precision, rel=1e-8)
    np.testing.assert_allclose(la(iris["x_test"]), chosen(iris["x_test"]), rtol=1e-8)
    la.optimize_prior_precision(method="validated", X_val=iris["x_test"], y_val=iris["y_test"])
    with pytest.raises(StateError, match="Tune by method='auto' or 'validated', which fit it again"):
        la.optimize_prior_precision(method="marglik")


def test_sigma_noise_is_tuned(line: dict[str, Any]) -> None:
    la = Laplace(LINE, "regression", "all", "full").fit(line["x"], line["y"])
    before = la.log_marginal_likelihood()
    la.optimize_prior_precision(tune_sigma_noise=True)
    assert la.sigma_noise != 1
    assert la.log_marginal_likelihood() > before


def test_linearized_reads_the_training_data_again(iris: dict[str, Any]) -> None:
    x, y = iris["x"], iris["y"]

    def tuned(posterior: Laplace, **data: Any) -> float:
        return float(posterior.optimize_prior_precision(method="linearized", **data).prior_precision)

    whole = Laplace(IRIS, "classification").fit(x, y)
    assert whole._training is not None
    assert whole._training[0] is x, "kept without a copy"
    assert "_training" not in whole.__getstate__(), "and not pickled"
    wanted = tuned(whole)
    batches = [(x[at : at + 30], y[at : at + 30]) for at in range(0, len(x), 30)]
    assert tuned(Laplace(IRIS, "classification").fit(batches)) == pytest.approx(wanted, rel=1e-9)
    part = Laplace(IRIS, "classification").fit_partial(x, y)
    for posterior in (
        Laplace(IRIS, "classification").fit(iter(batches)),
        Laplace(IRIS, "classification").fit_merged(part),
        load(Laplace(IRIS, "classification").fit(x, y).to_bytes()),
        pickle.loads(pickle.dumps(Laplace(IRIS, "classification").fit(x, y))),
    ):
        with pytest.raises(OptionError, match="X=X, y=y"):
            tuned(posterior)
        assert tuned(posterior, X=x, y=y) == pytest.approx(wanted, rel=1e-9)


# --- data ---


def test_batches_arrays_frames_and_lists_agree(la: Laplace, iris: dict[str, Any]) -> None:
    pandas = pytest.importorskip("pandas")
    wanted = la.log_marginal_likelihood()
    x, y = iris["x"], iris["y"]
    loader = [(x[at : at + 30], y[at : at + 30]) for at in range(0, len(x), 30)]
    for fitted in (
        Laplace(IRIS, "classification").fit(loader),
        Laplace(IRIS, "classification").fit(pandas.DataFrame(x, columns=list("abcd")), pandas.Series(y)),
        Laplace(IRIS, "classification").fit(x.tolist(), y.tolist()),
        Laplace(IRIS, "classification").fit(np.asfortranarray(x), y[:, None]),
        Laplace(IRIS, "classification").fit(iter(loader)),
    ):
        assert fitted.log_marginal_likelihood() == pytest.approx(wanted, rel=1e-10)
        assert fitted.n_data == len(x)


def test_large_arrays_are_sent_in_parts(la: Laplace, iris: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polylaplace._batching.BATCH_BYTES", 1000)
    parts = Laplace(IRIS, "classification").fit(iris["x"], iris["y"])
    assert parts.log_marginal_likelihood() == pytest.approx(la.log_marginal_likelihood(), rel=1e-10)
    np.testing.assert_allclose(parts(iris["x_test"]), la(iris["x_test"]), rtol=1e-10)


def test_partials_add_pickle_and_merge(la: Laplace, iris: dict[str, Any]) -> None:
    source = Laplace(IRIS, "classification")
    parts = [
        source.fit_partial(iris["x"][at : at + 40], iris["y"][at : at + 40]) for at in range(0, len(iris["x"]), 40)
    ]
    total = sum(pickle.loads(pickle.dumps(parts)))
    assert isinstance(total, Partial)
    assert total.n == len(iris["x"])
    assert Laplace(IRIS, "classification").fit_merged(total).log_marginal_likelihood() == pytest.approx(
        la.log_marginal_likelihood(), rel=1e-10
    )
    assert merge(parts[::-1]).n == total.n
    assert Partial.from_bytes(total.to_bytes()).n == total.n
    assert source.fit_partial([(iris["x"], iris["y"])]).n == total.n
    assert len(total.chunks or ()) == len(parts)
    assert merge([*parts[::-1], parts[0]], repeats="skip") == merge(parts), "copies and order change no bit"
    assert merge([parts[0], total, parts[1]], repeats="skip").n == total.n
    with pytest.raises(StateError, match="would count twice") as twice:
        _ = total + parts[1]
    assert twice.value.code == "DUPLICATE_CHUNK"
    again = source.fit_partial(iris["x"][:40], iris["y"][:40], chunk="rows that are merely equal")
    assert (total + again).n == total.n + 40
    assert source.fit_partial([(iris["x"][:9], iris["y"][:9])] * 20).n == 180, "batches of one call are all meant"
    assert source.fit_partial(iris["x"][:0], iris["y"][:0]) + parts[0] == parts[0], "no rows change nothing"
    other = Laplace(IRIS, "classification", hessian_structure="diag").fit_partial(iris["x"], iris["y"])
    with pytest.raises(StateError):
        _ = other + total
    with pytest.raises(UntrustedInputError):
        Partial.from_bytes(b"nonsense")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda x, y: (x[:, :2], y), ShapeError, "4"),
        (lambda x, y: (x, y[:-1]), ShapeError, "rows"),
        (lambda x, y: (x[:0], y[:0]), DataError, "no examples"),
        (lambda x, y: (np.where(x == x[0, 0], np.nan, x), y), DataError, "finite"),
        (lambda x, y: (x, y + 1), DataError, "subtract 1"),
        (lambda x, y: (x, y + 0.5), DataError, "not an integer"),
        (lambda x, y: (x, np.eye(3)[y]), DataError, "one-hot"),
        (lambda x, y: (x, np.array(["a", "b", "c"])[y]), DataError, "holds text"),
        (lambda x, y: (x, None), OptionError, "y is missing"),
        (lambda x, y: ([], None), LaplaceError, "y is missing"),
        (lambda x, y: (iter([]), None), DataError, "no batches"),
    ],
)
def test_bad_data_is_a_typed_error_and_leaves_the_posterior(
    iris: dict[str, Any], change: Any, error: type[Exception], words: str
) -> None:
    la = Laplace(IRIS, "classification").fit(iris["x"], iris["y"])
    before = la.log_marginal_likelihood()
    x, y = change(iris["x"], iris["y"])
    with pytest.raises(error, match=words):
        la.fit(x, y)
    assert la.log_marginal_likelihood() == before


def test_wrong_words_name_the_right_one(iris: dict[str, Any]) -> None:
    for options, word in (
        ({"hessian_structure": "krom"}, "kron"),
        ({"subset_of_weights": "last_layers"}, "last_layer"),
        ({"curvature": "gnn"}, "ggn"),
    ):
        with pytest.raises(OptionError, match=f"Did you mean '{word}'"):
            Laplace(IRIS, "classification", **options).fit(iris["x"], iris["y"])
    with pytest.raises(OptionError, match="Did you mean 'classification'"):
        Laplace(IRIS, "clasification").fit(iris["x"], iris["y"])
    la = Laplace(IRIS, "classification").fit(iris["x"], iris["y"])
    with pytest.raises(OptionError, match="Did you mean 'probit'"):
        la(iris["x_test"], link_approx="probitt")


def test_models_that_cannot_be_read() -> None:
    with pytest.raises(UntrustedInputError):
        Laplace(IRIS.read_bytes()[:200], "classification").fit(np.zeros((2, 4)), [0, 1])
    with pytest.raises(LaplaceError):
        Laplace(b"no model at all", "classification").fit(np.zeros((2, 4)), [0, 1])
    with pytest.raises(OptionError, match="binary"):
        Laplace(LINE, "classification").fit(np.zeros((2, 1)), [0, 1])
    with pytest.raises(FileNotFoundError):
        Laplace("missing.onnx", "classification")
    with pytest.raises((GraphError, OptionError), match="no input"):
        Laplace(IRIS, "classification", input="nonsense").fit(np.zeros((2, 4)), [0, 1])


def test_asking_before_fitting_is_an_error() -> None:
    la = Laplace(IRIS, "classification")
    for ask in (
        lambda: la(np.zeros((1, 4))),
        lambda: la.mean,
        lambda: la.n_params,
        la.log_marginal_likelihood,
        la.to_bytes,
        la.optimize_prior_precision,
    ):
        with pytest.raises(StateError, match="fit first"):
            ask()
    assert "not fitted" in repr(la)


# --- models ---


def test_tensors_with_an_architecture(la: Laplace, iris: dict[str, Any]) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    folder = CASES / "tabular-iris"
    tensors = safetensors.load_file(folder / "model.safetensors")
    for model in (tensors, folder / "model.safetensors", folder / "model.pt"):
        twin = Laplace(model, "classification", architecture=folder / "architecture.json").fit(iris["x"], iris["y"])
        assert twin.log_marginal_likelihood() == pytest.approx(la.log_marginal_likelihood(), rel=1e-6)


def test_scikit_learn_networks(iris: dict[str, Any]) -> None:
    network = pytest.importorskip("sklearn.neural_network")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for activation in ("relu", "tanh", "logistic", "identity"):
            model = network.MLPClassifier(
                hidden_layer_sizes=(5,), activation=activation, max_iter=30, random_state=0
            ).fit(iris["x"], iris["y"])
            mean = Laplace(model, "classification").fit(iris["x"], iris["y"]).predict(iris["x_test"]).mean
            p = np.exp(mean - mean.max(axis=1, keepdims=True))
            np.testing.assert_allclose(p / p.sum(axis=1, keepdims=True), model.predict_proba(iris["x_test"]), rtol=1e-6)
        regressor = network.MLPRegressor(hidden_layer_sizes=(5, 4), max_iter=30, random_state=0).fit(
            iris["x"], iris["x"][:, :2]
        )
        la = Laplace(regressor, "regression", "all").fit(iris["x"], iris["x"][:, :2])
        np.testing.assert_allclose(la.predict(iris["x_test"]).mean, regressor.predict(iris["x_test"]), rtol=1e-6)
        binary = network.MLPClassifier(hidden_layer_sizes=(5,), max_iter=30, random_state=0).fit(
            iris["x"], iris["y"] == 1
        )
        la = Laplace(binary, "binary").fit(iris["x"], (iris["y"] == 1).astype(int)[:, None])
        assert la(iris["x_test"]).shape == (len(iris["x_test"]), 1)


# --- files, pickles, processes ---


def test_save_and_load(la: Laplace, iris: dict[str, Any], tmp_path: Path) -> None:
    la.save(tmp_path / "iris.posterior")
    for again in (
        load(tmp_path / "iris.posterior"),
        Laplace.from_bytes(la.to_bytes()),
        load(la.to_bytes(network=False), model=IRIS),
    ):
        np.testing.assert_array_equal(again(iris["x_test"]), la(iris["x_test"]))
        assert again.log_marginal_likelihood() == la.log_marginal_likelihood()
        assert again.likelihood == "classification"
        assert again.hessian_structure == "kron"
    assert len(la.to_bytes(network=False)) < len(la.to_bytes())
    with pytest.raises(LaplaceError):
        load(la.to_bytes(network=False))
    with pytest.raises(StateError):
        load(la.to_bytes(network=False), model=CASES / "tabular-wine" / "model.onnx")
    with pytest.raises(UntrustedInputError):
        load(b"nonsense")


def test_pickle(la: Laplace, iris: dict[str, Any]) -> None:
    again = pickle.loads(pickle.dumps(la))
    np.testing.assert_array_equal(again(iris["x_test"]), la(iris["x_test"]))
    refit = again.fit(iris["x"], iris["y"])
    assert refit.log_marginal_likelihood() == pytest.approx(la.log_marginal_likelihood(), rel=1e-12)
    unfitted = pickle.loads(pickle.dumps(Laplace(IRIS, "classification")))
    assert unfitted.fit(iris["x"], iris["y"]).n_data == len(iris["x"])


def _predict(la: Laplace, x: Any, connection: Any) -> None:
    connection.send(la(x))


def test_fork(la: Laplace, iris: dict[str, Any]) -> None:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_predict, args=(la, iris["x_test"], there))
    child.start()
    assert here.poll(300)
    np.testing.assert_array_equal(here.recv(), la(iris["x_test"]))
    child.join(300)
    assert child.exitcode == 0


def test_threads(la: Laplace, iris: dict[str, Any]) -> None:
    wanted = la(iris["x_test"])
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(lambda _: la(iris["x_test"]), range(50)):
            np.testing.assert_array_equal(answer, wanted)


def test_p6_a_crash_is_an_error_and_copies_come_back(iris: dict[str, Any]) -> None:
    with Client() as client:
        la = Laplace(IRIS, "classification", client=client).fit(iris["x"], iris["y"])
        wanted = la(iris["x_test"])
        copy = load(la.to_bytes(), client=client)
        os.kill(client.server_pid or 0, signal.SIGKILL)
        while client.server_pid is not None:
            time.sleep(0.01)
        with pytest.raises(StateError, match="Fit again"):
            la(iris["x_test"])
        np.testing.assert_array_equal(copy(iris["x_test"]), wanted)
        np.testing.assert_array_equal(la.fit(iris["x"], iris["y"])(iris["x_test"]), wanted)


def test_r7_objects_that_are_gone_free_their_handles(iris: dict[str, Any]) -> None:
    with Client() as client:
        for _ in range(5):
            Laplace(IRIS, "classification", client=client).fit(iris["x"], iris["y"]).optimize_prior_precision()
        gc.collect()
        client.ping()
        assert client.stats()["handles"] == []


def test_r3_ctrl_c_in_a_fit_leaves_the_old_posterior(iris: dict[str, Any]) -> None:
    la = Laplace(IRIS, "classification").fit(iris["x"], iris["y"])
    before = la.log_marginal_likelihood()
    rows = np.tile(iris["x"], (20_000, 1))
    labels = np.tile(iris["y"], 20_000)
    pid = default_client().server_pid
    assert pid is not None
    # Stopped, so that the fit cannot end before the interrupt.
    os.kill(pid, signal.SIGSTOP)
    during(default_client(), lambda: (_thread.interrupt_main(), time.sleep(0.05), os.kill(pid, signal.SIGCONT)))
    with pytest.raises(KeyboardInterrupt):
        la.fit(rows, labels)
    assert la.log_marginal_likelihood() == before


def test_soak_memory_is_flat(iris: dict[str, Any]) -> None:
    with Client() as client:
        x, y = iris["x"][:20], iris["y"][:20]

        def rounds(count: int) -> float:
            for _ in range(count):
                Laplace(IRIS, "classification", client=client).fit(x, y)(x)
            return float(client.stats()["rss"]) / 2**20

        rounds(150)
        first = rounds(150)
        last = rounds(300)
        assert last < first * 1.15 + 20, (first, last)


# --- words ---


def test_notes_are_warnings() -> None:
    from polylaplace._laplace import Laplace as Class

    la = Class.__new__(Class)
    la._prior = {}
    with pytest.warns(LaplaceWarning, match="a note"):
        la._adopt(object(), {"notes": ["a note"]})  # type: ignore[arg-type]


def test_what_a_fit_has_told_is_not_told_again() -> None:
    network = [{"type": "Linear", "name": "a"}, {"type": "Softmax"}]
    tensors = {"a.weight": np.eye(2, 3), "a.bias": np.zeros(2)}
    x = np.random.default_rng(1).normal(size=(40, 3))
    la = Laplace(tensors, "classification", architecture=network)
    with pytest.warns(LaplaceWarning, match="ends in Softmax"):
        la.fit(x, (x[:, 0] < x[:, 1]).astype(int))
    with warnings.catch_warnings():
        warnings.simplefilter("error", LaplaceWarning)
        la.optimize_prior_precision(method="auto")
        la.prior_precision = 2.0
        la.conformalize(x, (x[:, 0] < x[:, 1]).astype(int))


def test_default_client_is_shared_and_comes_back() -> None:
    first = default_client()
    assert default_client() is first
    first.close()
    assert default_client() is not first
    buffer = io.StringIO()
    print(default_client().ping() > 0, file=buffer)
    assert buffer.getvalue() == "True\n"


def test_a_vector_to_begin_with_needs_a_prior_of_as_many(iris: dict[str, Any]) -> None:
    la = Laplace(IRIS, "classification").fit(iris["x"], iris["y"])
    with pytest.raises(OptionError, match=r"prior_structure='scalar'.*'layerwise'") as caught:
        la.optimize_prior_precision(init_prior_prec=np.ones(2))
    assert caught.value.data["option"] == "init_prior_prec"
    with pytest.raises(DataError, match="init_prior_prec holds text"):
        la.optimize_prior_precision(init_prior_prec="large")
    for one in (2, np.float32(2), np.ones(1)):
        la.optimize_prior_precision(init_prior_prec=one)
    la.optimize_prior_precision(init_prior_prec=np.ones(2), prior_structure="layerwise")
    assert np.size(la.prior_precision) == 2


def test_numbers_of_parameters_are_refused_where_indices_do_not_ascend(iris: dict[str, Any]) -> None:
    la = Laplace(IRIS, "classification", "subnetwork", subnetwork_indices=[7, 3], prior_precision=1.0)
    la.fit(iris["x"], iris["y"])
    for name in ("prior_precision", "prior_mean"):
        with pytest.raises(OptionError, match="do not ascend"):
            setattr(la, name, [1.0, 2.0])
    with pytest.raises(OptionError, match="do not ascend"):
        la.log_marginal_likelihood([1.0, 2.0])
    la.prior_mean = 0.5
