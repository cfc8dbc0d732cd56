"""torch modules with operators that the older exporter lacks or changes, and modules that are no function of a row."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from polylaplace import GraphError, Laplace, StateError
from torch import nn
from torch.nn.utils import parametrizations, parametrize

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(9, 6))
TIMES = RNG.normal(size=(9, 5, 4))
SIGNALS = RNG.normal(size=(9, 16))
IMAGES = RNG.normal(size=(9, 2, 6, 6))
TOKENS = RNG.integers(0, 7, (9, 4))
WINDOW = torch.hann_window(8, dtype=torch.float64)


class Of(nn.Module):
    """A function of a module's parts and rows."""

    def __init__(self, function: Callable[[Any, torch.Tensor], torch.Tensor], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self, x)


class Exponential(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return torch.matrix_exp(weight - weight.T)


def between(layer: nn.Module, last: int) -> nn.Module:
    return nn.Sequential(layer, nn.Tanh(), nn.Linear(last, 3))


def orthogonal(out: int, **options: Any) -> nn.Module:
    return between(parametrizations.orthogonal(nn.Linear(6, out), **options), out)


def exponential() -> nn.Module:
    module = between(nn.Linear(6, 6), 6)
    parametrize.register_parametrization(module[0], "weight", Exponential())  # type: ignore[index]
    return module


def hooked(outside: bool) -> nn.Module:
    inner = nn.Sequential(nn.Tanh())
    module = nn.Sequential(nn.Linear(6, 5), inner, nn.Linear(5, 3))
    (module if outside else inner).register_forward_hook(lambda _module, _rows, result: 2 * result)
    return module


def with_buffer() -> nn.Module:
    module = Of(lambda own, x: own.a(x * own.scale), a=nn.Linear(6, 3))
    module.register_buffer("scale", torch.arange(6.0) + 1, persistent=False)
    return module


def tied_spectrum() -> nn.Module:
    module = Of(
        lambda own, x: own.head(torch.fft.rfft(own.b(own.a(x))).abs()),
        a=nn.Linear(16, 16),
        b=nn.Linear(16, 16),
        head=nn.Linear(9, 3),
    )
    module.b.weight = module.a.weight
    return module


def projected(**options: Any) -> nn.Module:
    outputs = 6 if options.get("bidirectional") else 3
    return Of(
        lambda own, x: own.head(torch.cat([own.lstm(x)[0][:, -1], own.lstm(x)[1][1][-1]], 1)),
        lstm=nn.LSTM(4, 5, proj_size=3, batch_first=True, **options),
        head=nn.Linear(outputs + 5, 3),
    )


def convolved(*layers: nn.Module, features: int) -> nn.Module:
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 3))


MODULES: dict[str, tuple[Callable[[], nn.Module], np.ndarray]] = {
    "orthogonal, matrix exponential": (lambda: orthogonal(6), ROWS),
    "orthogonal, Householder": (lambda: orthogonal(4), ROWS),
    "orthogonal, Cayley": (lambda: orthogonal(6, orthogonal_map="cayley"), ROWS),
    "exponential of one's own": (exponential, ROWS),
    "hook inside": (lambda: hooked(False), ROWS),
    "hook outside": (lambda: hooked(True), ROWS),
    "buffer outside of the state dict": (with_buffer, ROWS),
    "circular padding": (
        lambda: convolved(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), nn.Tanh(), features=72),
        IMAGES,
    ),
    "projections": (projected, TIMES),
    "projections both ways": (lambda: projected(num_layers=2, bidirectional=True, bias=False), TIMES),
    "table with a largest norm": (
        lambda: Of(
            lambda own, x: own.head(own.table(x).mean(1)),
            table=nn.Embedding(7, 4, max_norm=0.5),
            head=nn.Linear(4, 3),
        ),
        TOKENS,
    ),
    "spectrum of tied layers": (tied_spectrum, SIGNALS),
    "windows of an axis from behind": (
        lambda: Of(
            lambda own, x: own.head((own.gain * x).transpose(1, 2).unfold(-2, 3, 1).flatten(1)),
            gain=nn.Parameter(torch.ones(4)),
            head=nn.Linear(30, 3),
        ),
        TIMES,
    ),
    "weights read as data": (
        lambda: Of(
            lambda own, x: nn.functional.linear(own.a(x).tanh() @ own.turn, own.kept.weight.data),
            a=nn.Linear(6, 5),
            turn=nn.Parameter(torch.randn(5, 5)),
            kept=nn.Linear(5, 3, bias=False),
        ),
        ROWS,
    ),
    "short-time spectrum": (
        lambda: Of(
            lambda own, x: own.head(torch.stft(own.gain * x, 8, 4, window=WINDOW, return_complex=True).abs().mean(-1)),
            gain=nn.Parameter(torch.ones(16)),
            head=nn.Linear(5, 3),
        ),
        SIGNALS,
    ),
}


def jacobian(module: nn.Module, rows: torch.Tensor) -> np.ndarray:
    """N x C x P by torch's autograd."""
    parameters = [value for value in module.parameters() if value.requires_grad]
    return np.stack(
        [
            np.stack(
                [
                    torch.cat(
                        [
                            torch.zeros(value.numel()) if found is None else found.reshape(-1)
                            for value, found in zip(
                                parameters,
                                torch.autograd.grad(output, parameters, retain_graph=True, allow_unused=True),
                                strict=True,
                            )
                        ]
                    ).numpy()
                    for output in outputs
                ]
            )
            for outputs in module(rows)
        ]
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_outputs_parameters_and_variances_are_those_of_torch(name: str) -> None:
    torch.manual_seed(0)
    make, rows = MODULES[name]
    module = make().double().eval()
    targets = RNG.normal(size=(9, 3))
    la = Laplace(module, "regression", "all", "full", prior_precision=1.0, sigma_noise=1.0).fit(rows, targets)
    shown = la.predict(rows, covariance=True)
    outputs = module(torch.as_tensor(rows)).detach().numpy()
    np.testing.assert_allclose(shown.mean, outputs, rtol=0, atol=1e-10 * np.abs(outputs).max())
    assert la.n_params == sum(value.numel() for value in module.parameters() if value.requires_grad)
    slopes = jacobian(module, torch.as_tensor(rows))
    precision = np.einsum("ncp,ncq->pq", slopes, slopes) + np.eye(la.n_params)
    wanted = np.einsum(
        "ncp,ndp->ncd", slopes, np.linalg.solve(precision, slopes.reshape(27, -1).T).T.reshape(slopes.shape)
    )
    np.testing.assert_allclose(shown.covariance, wanted, rtol=0, atol=1e-8 * np.abs(wanted).max())


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(6, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.a(x) * self.calls


def in_half_precision() -> nn.Module:
    def cast(own: Any, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return own.a(x)

    return Of(cast, a=nn.Linear(6, 3))


REFUSED: dict[str, tuple[Callable[[], nn.Module], np.ndarray, str]] = {
    "dropout in evaluation": (
        lambda: Of(lambda own, x: own.a(nn.functional.dropout(x)), a=nn.Linear(6, 3)),
        ROWS,
        r"with the same rows again.*training=self\.training",
    ),
    "calls are counted": (Counting, ROWS, "counts its calls"),
    "a branch by a row": (
        lambda: Of(lambda own, x: own.a(x if x[0, 0] > -99 else -x), a=nn.Linear(6, 3)),
        ROWS,
        r"branches on them.*torch\.where",
    ),
    "a number of a row": (
        lambda: Of(lambda own, x: own.a(x) * (1 + float((x > 99).sum())), a=nn.Linear(6, 3)),
        ROWS,
        r"Python number of values.*torch\.where",
    ),
    "a copy is used in evaluation": (
        lambda: Of(
            lambda own, x: (own.a if own.training else own.mean)(x),
            a=nn.Linear(6, 3),
            mean=nn.Linear(6, 3).requires_grad_(False),
        ),
        ROWS,
        r"do not change its outputs in evaluation mode.*parameters='mean\.bias'",
    ),
    "nothing is trained": (
        lambda: nn.Sequential(nn.Linear(6, 3)).requires_grad_(False),
        ROWS,
        r"All 2 parameters .*requires_grad=False.*parameters='0\.bias'",
    ),
    "times first": (
        lambda: Of(lambda own, x: own.head(own.lstm(x)[0].mean(1)), lstm=nn.LSTM(4, 3), head=nn.Linear(3, 3)),
        TIMES,
        r"'lstm' \(LSTM\) has batch_first=False.*examples first.*x\.transpose\(0, 1\)",
    ),
    "statistics of the rows": (
        lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, 3)),
        ROWS,
        r"'1' \(BatchNorm1d\) keeps no statistics",
    ),
    "softmax over rows": (
        lambda: Of(lambda own, x: own.a(x).softmax(0), a=nn.Linear(6, 3)),
        ROWS,
        "depend on the other rows",
    ),
}


def test_indices_kept_as_a_parameter_and_rows_of_whole_numbers() -> None:
    module = Of(
        lambda own, x: own.a(x)[:, own.order],
        order=nn.Parameter(torch.tensor([1, 0, 2]), requires_grad=False),
        a=nn.Linear(6, 3),
    )
    rows, labels = ROWS.astype(np.float32), np.arange(9) % 3
    la = Laplace(module, "classification", "all", "full").fit(rows, labels)
    assert la.n_params == 21
    np.testing.assert_allclose(la.predict(rows).mean, module(torch.as_tensor(rows)).detach(), atol=1e-6)
    with pytest.raises(GraphError, match=r"whole numbers \(int64\).*astype\('float32'\)"):
        Laplace(module, "classification").fit(rows.astype(int), labels)


def test_half_precision_inside_is_named() -> None:
    torch.manual_seed(0)
    with pytest.raises(GraphError, match=r"half precision.*autocast"):
        Laplace(in_half_precision(), "classification").fit(ROWS.astype(np.float32), np.arange(9) % 3)


@pytest.mark.filterwarnings("ignore")
def test_quantised_layers_are_refused() -> None:
    module = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)))
    with pytest.raises(GraphError, match="quantised layers.*float model") as caught:
        Laplace(module, "classification").fit(ROWS.astype(np.float32), np.arange(9) % 3)
    assert caught.value.code == "UNSUPPORTED_OPERATOR"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_function_of_a_row_is_refused(name: str) -> None:
    torch.manual_seed(0)
    make, rows, words = REFUSED[name]
    with pytest.raises(GraphError, match=words):
        Laplace(make().double(), "classification").fit(rows, np.arange(9) % 3)


def test_a_failed_export_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    module = Of(
        lambda own, x: own.a(torch.linalg.svdvals(x.unsqueeze(-1) * own.w)),
        a=nn.Linear(1, 3),
        w=nn.Parameter(torch.ones(1)),
    )
    with warnings.catch_warnings(), pytest.raises(GraphError, match=r"svd.*polylaplace\.torch\.Laplace"):
        warnings.simplefilter("ignore")
        Laplace(module, "classification").fit(ROWS, np.arange(9) % 3)
    assert "graph(" not in "".join(capfd.readouterr())


def test_recordings_are_refused_and_the_program_of_an_export_is_read() -> None:
    module = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    x, y = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32), np.arange(9) % 3
    example = (torch.zeros(2, 4),)
    for recording in (torch.jit.trace(module, example), torch.export.export(module, example)):
        with pytest.raises(GraphError, match="recording of a module.*Give the torch module"):
            Laplace(recording, "classification").fit(x, y)
    program = torch.onnx.export(module, example, dynamo=True, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        la = Laplace(program, "classification", "all", "kron").fit(x, y)
    assert la.n_params == 43


def test_layers_without_weights_yet_are_refused() -> None:
    lazy = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(StateError, match="lazy layer.*call the module once"):
        Laplace(lazy, "classification").fit(ROWS, np.arange(9) % 3)


def test_a_new_object_fits_merged_parts_of_a_module_with_code_by_an_example() -> None:
    def module() -> nn.Module:
        torch.manual_seed(2)
        return Of(lambda own, x: own.b(own.a(x).tanh()) + x[:, :3], a=nn.Linear(6, 4), b=nn.Linear(4, 3)).double()

    y = np.arange(len(ROWS)) % 3
    whole = Laplace(module(), "classification", prior_precision=1.0).fit(ROWS, y)
    worker = Laplace(module(), "classification", prior_precision=1.0)
    parts = sum([worker.fit_partial(ROWS[:4], y[:4]), worker.fit_partial(ROWS[4:], y[4:])])
    new = Laplace(module(), "classification", prior_precision=1.0)
    with pytest.raises(StateError, match=r"fit_merged\(parts, example=X\[:4\]\)"):
        new.fit_merged(parts)
    new.fit_merged(parts, example=ROWS[:4])
    np.testing.assert_allclose(new(ROWS), whole(ROWS), rtol=1e-10)
