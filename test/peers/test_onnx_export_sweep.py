"""Every kind of posterior as an ONNX file: onnx's own checks, and onnxruntime's numbers against `predict`."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from polylaplace import Laplace, OptionError

rng = np.random.default_rng(7)
ROWS = 30
X = rng.normal(size=(ROWS, 4))
SCORES = X @ rng.normal(size=(4, 3))
STRUCTURES = ["kron", "full", "diag", "blockdiag", "ekfac", "lowrank", "functional", "samples"]
POSTERIORS = [
    *((subset, structure) for subset in ("last_layer", "all") for structure in STRUCTURES),
    *(("subnetwork", structure) for structure in ("full", "diag", "functional", "samples")),
    ("auto", None),
]
LINKS = {"classification": ["probit", "bridge", "bridge_norm", "mc", "zero_sum"], "binary": ["probit", "mc"]}
DRAWS = {"samples": 50, "seed": 3}
TOLERANCE = {"float64": 1e-6, "float32": 1e-4}

pytestmark = pytest.mark.filterwarnings("ignore")


class Cauchy:
    """A likelihood of the user's own."""

    def loss(self, f: Any, y: Any) -> Any:
        return np.log(np.pi * (1 + (f[:, 0] - y) ** 2))

    def residual(self, f: Any, y: Any) -> Any:
        return 2 * (f - y[:, None]) / (1 + (f - y[:, None]) ** 2)

    def root(self, f: Any, y: Any) -> Any:
        return np.full((len(f), 1, 1), np.sqrt(0.5))


#: By likelihood: the outputs of its network, rows and labels.
CASES: dict[str, tuple[int, Any, Any]] = {
    "classification": (3, X, SCORES.argmax(axis=1)),
    "binary": (1, X, (SCORES[:, :1] > 0).astype(int)),
    "multilabel": (3, X, (SCORES > 0).astype(int)),
    "regression": (2, X, SCORES[:, :2]),
    "poisson": (2, X, rng.poisson(np.exp(SCORES[:, :2] / 3))),
    "heteroscedastic": (4, X, SCORES[:, :2]),
    "reward_modeling": (1, rng.normal(size=(ROWS, 2, 4)), rng.integers(0, 2, ROWS)),
    "own": (1, X, SCORES[:, 0]),
}
#: What a likelihood has beside mean, variance and covariance, without conformalize.
MORE = {
    **dict.fromkeys(("classification", "binary", "multilabel"), ["probabilities", "aleatoric", "epistemic"]),
    "regression": ["predictive_variance", "aleatoric", "epistemic", "lower", "upper"],
    **dict.fromkeys(
        ("poisson", "heteroscedastic"), ["predictive_mean", "predictive_variance", "aleatoric", "epistemic"]
    ),
}


def network(outputs: int) -> dict[str, Any]:
    return {
        "0.weight": rng.normal(size=(7, 4)) / 2,
        "0.bias": rng.normal(size=7) / 3,
        "2.weight": rng.normal(size=(outputs, 7)) / 2,
        "2.bias": rng.normal(size=outputs) / 4,
    }


def run(model: bytes, inputs: list[Any]) -> dict[str, Any]:
    """The outputs by name, of a file that onnx finds nothing wrong with."""
    loaded = onnx.load_from_string(model)
    onnx.checker.check_model(loaded, full_check=True)
    onnx.shape_inference.infer_shapes(loaded, check_type=True, strict_mode=True, data_prop=True)
    assert {entry.domain for entry in loaded.opset_import} == {""}
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    kinds = {"tensor(int64)": np.int64, "tensor(float)": np.float32, "tensor(double)": np.float64}
    feeds = {own.name: part.astype(kinds[own.type]) for own, part in zip(session.get_inputs(), inputs, strict=True)}
    names = [own.name for own in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def check(la: Laplace, inputs: list[Any], dtype: str, what: str, link: str | None = None, **options: Any) -> None:
    """The file gives what `predict` gives, for one row and for many."""
    model = la.to_onnx(dtype=dtype, link=link, **options)
    drawn = {"seed": DRAWS["seed"], "n_samples": DRAWS["samples"]} if "seed" in options else {}
    assert model is not None
    for rows in (1, 5, ROWS):
        some = [part[:rows] for part in inputs]
        given = some if len(some) > 1 else some[0]
        expected = la.predict(given, covariance=True, link_approx=link, **drawn)
        for name, values in run(model, some).items():
            if name in ("lower", "upper"):
                own = la.predict_interval(given, alpha=0.1)[:, 0 if name == "lower" else 1]
            else:
                own = getattr(expected, name)
            assert values.shape == own.shape, f"{what} {name}"
            far = np.max(np.abs(values - own) / np.maximum(1, np.abs(own)))
            assert far <= TOLERANCE[dtype], f"{what} {dtype} {name}: {far}"


@pytest.mark.parametrize("likelihood", CASES)
def test_every_posterior(likelihood: str) -> None:
    outputs, x, y = CASES[likelihood]
    exported = 0
    for subset, structure in POSTERIORS:
        options: dict[str, Any] = {} if subset == "auto" else {"prior_precision": 1.3}
        if structure == "lowrank":
            options["rank"] = 5
        if subset == "subnetwork":
            # Some tensors take part in part, others not at all.
            options["subnetwork_indices"] = np.arange(20, 30)
        own: Any = Cauchy() if likelihood == "own" else likelihood
        la = Laplace(
            network(outputs), own, subset, *filter(None, [structure]), activation="tanh", precision="float64", **options
        )
        try:
            la.fit(x, y)
        except OptionError as error:
            # docs/combinations.md says which do not go together.
            assert error.code == "BAD_COMBINATION", f"{subset} {structure}: {error}"
            continue
        what = f"{likelihood} {subset} {structure}"
        names = ["mean", "variance", "covariance", *MORE.get(likelihood, [])]
        for dtype in TOLERANCE:
            for opset in (13, 24):
                check(la, [X], dtype, f"{what} {opset}", opset=opset)
            check(la, [X], dtype, what, outputs=names, **DRAWS)
            for link in LINKS.get(likelihood, []):
                check(la, [X], dtype, f"{what} {link}", link, outputs=["probabilities"], **DRAWS)
        exported += 1
    assert exported >= 9


class TwoInputs(torch.nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 5)
        self.hidden = torch.nn.Linear(3, 5)
        self.head = torch.nn.Linear(5, outputs)

    def forward(self, ids: Any, x: Any) -> Any:
        return self.head(torch.tanh(self.embedding(ids).mean(1) + self.hidden(x)))


class Ids(torch.nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 5)
        self.norm = torch.nn.LayerNorm(5)
        self.head = torch.nn.Linear(5, outputs)

    def forward(self, ids: Any) -> Any:
        return self.head(torch.nn.functional.gelu(self.norm(self.embedding(ids))).mean(1))


class Images(torch.nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.head = torch.nn.Linear(4, outputs)

    def forward(self, x: Any) -> Any:
        return self.head(torch.relu(self.norm(self.convolution(x))).mean((2, 3)))


IDS = rng.integers(0, 11, (ROWS, 6))
NETWORKS: list[tuple[type[torch.nn.Module], list[Any]]] = [
    (TwoInputs, [IDS, rng.normal(size=(ROWS, 3)).astype(np.float32)]),
    (Ids, [IDS]),
    (Images, [rng.normal(size=(ROWS, 1, 8, 8)).astype(np.float32)]),
]


@pytest.mark.parametrize(("module", "inputs"), NETWORKS, ids=lambda case: getattr(case, "__name__", ""))
@pytest.mark.parametrize("source", ["module", "file"])
def test_several_inputs_whole_numbers_and_images(
    module: type[torch.nn.Module], inputs: list[Any], source: str, tmp_path: Any
) -> None:
    torch.manual_seed(0)
    model: Any = module(3).eval()
    plain = None
    if source == "file":
        path = tmp_path / "network.onnx"
        names = ["u", "v"][: len(inputs)]
        torch.onnx.export(
            model,
            tuple(map(torch.as_tensor, inputs)),
            path,
            dynamo=False,
            input_names=names,
            dynamic_axes={name: {0: "n"} for name in names},
        )
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (plain,) = session.run(None, dict(zip(names, inputs, strict=True)))
        model = path
    labels = rng.integers(0, 3, ROWS)
    given = inputs if len(inputs) > 1 else inputs[0]
    for subset, structure in (("last_layer", "kron"), ("last_layer", "full"), ("all", "kron"), ("all", "full")):
        la = Laplace(model, "classification", subset, structure, prior_precision=1.0).fit(given, labels)
        for dtype in TOLERANCE:
            check(la, inputs, dtype, f"{module.__name__} {subset} {structure}", opset=21)
        if plain is not None:
            mean = run(bytes(la.to_onnx(dtype="float32", outputs="mean") or b""), inputs)["mean"]
            np.testing.assert_array_equal(mean, plain)


class Recurrent(torch.nn.Module):
    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.cells = kind(3, 4, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.cells(x)[0][:, -1])


@pytest.mark.parametrize("kind", [torch.nn.RNN, torch.nn.GRU, torch.nn.LSTM])
def test_recurrences_have_no_float64_kernels_and_are_written_out(kind: Any) -> None:
    torch.manual_seed(1)
    x = rng.normal(size=(ROWS, 5, 3)).astype(np.float32)
    for subset in ("last_layer", "all"):
        la = Laplace(Recurrent(kind).eval(), "classification", subset, "kron", prior_precision=1.0)
        la.fit(x, rng.integers(0, 3, ROWS))
        for dtype in TOLERANCE:
            check(la, [x], dtype, f"{kind.__name__} {subset}")


def test_means_under_windows_have_no_float64_kernel_and_are_written_out() -> None:
    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
        torch.nn.AvgPool2d(2, 1, padding=1),
        torch.nn.AvgPool2d(3, 2, padding=1, ceil_mode=True),
        torch.nn.Flatten(),
        torch.nn.Linear(12, 3),
    ).eval()
    x = rng.normal(size=(ROWS, 2, 5, 3)).astype(np.float32)
    la = Laplace(model, "classification", "all", "kron", prior_precision=1.0).fit(x, rng.integers(0, 3, ROWS))
    for dtype in TOLERANCE:
        check(la, [x], dtype, "pools")
