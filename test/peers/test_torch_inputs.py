"""torch modules with several inputs, and with results that are more than one tensor."""

from __future__ import annotations

import warnings
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from polylaplace import DataError, GraphError, Laplace, OptionError, ShapeError, StateError, load
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

# The networks are not trained, which is told.
pytestmark = pytest.mark.filterwarnings("ignore::polylaplace.TrainingWarning")

torch.manual_seed(2)
ROWS, CLASSES = 12, 3
Y = np.arange(ROWS) % CLASSES


class Two(nn.Module):
    """Numbers and a category; the two take no equal part."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers, self.kinds = nn.Linear(4, 5), nn.Embedding(6, 5)
        self.head = nn.Linear(5, CLASSES)

    def forward(self, x: torch.Tensor, kind: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        return self.head(torch.tanh(self.numbers(x) + 0.3 * self.kinds(kind))) * scale


class Difference(nn.Module):
    """Inputs of the same shape, whose order matters."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.head = nn.Linear(4, 5), nn.Linear(5, CLASSES)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.a(first - 2 * second)))


class Tokens(nn.Module):
    """A small encoder as Hugging Face's are called."""

    def __init__(self, make: Any = dict) -> None:
        super().__init__()
        self.make, self.words = make, nn.Embedding(9, 6)
        self.mix, self.classifier = nn.Linear(6, 6), nn.Linear(6, CLASSES)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, labels: torch.Tensor | None = None
    ) -> Any:
        assert labels is None
        h = torch.tanh(self.mix(self.words(input_ids)))
        mask = torch.ones_like(h[..., :1]) if attention_mask is None else attention_mask[..., None].to(h.dtype)
        pooled = (h * mask).sum(1) / mask.sum(1)
        return self.make(logits=self.classifier(pooled), pooled=pooled)


class WholeMapping(nn.Module):
    """laplace-torch's way: forward takes the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Tokens()

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.inner(batch["input_ids"], batch["attention_mask"])["logits"]


class Returns(nn.Module):
    """One linear layer, and what is made of its output."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make, self.head = make, nn.Linear(4, CLASSES)

    def forward(self, x: torch.Tensor) -> Any:
        return self.make(self.head(x))


def tokens() -> dict[str, torch.Tensor]:
    lengths = torch.arange(ROWS) % 4 + 2
    return {
        "attention_mask": (torch.arange(5) < lengths[:, None]).long(),
        "input_ids": torch.randint(0, 9, (ROWS, 5)),
    }


def reals() -> torch.Tensor:
    return torch.randn(ROWS, 4, dtype=torch.float64)


def variance(module: nn.Module, f: torch.Tensor) -> np.ndarray:
    """Functional variances under the full GGN and prior 1, by autograd."""
    parameters = list(module.parameters())

    def row(output: torch.Tensor) -> torch.Tensor:
        parts = torch.autograd.grad(output, parameters, retain_graph=True, allow_unused=True)
        pairs = zip(parameters, parts, strict=True)
        return torch.cat([torch.zeros(p.numel()) if g is None else g.reshape(-1) for p, g in pairs])

    jacobian = torch.stack([torch.stack([row(output) for output in outputs]) for outputs in f]).double()
    p = torch.softmax(f, -1).detach()
    root = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    hessian = torch.einsum("ncp,ncd,ndq->pq", jacobian, root, jacobian)
    covariance = torch.linalg.inv(hessian + torch.eye(len(hessian)).double())
    return torch.einsum("ncp,pq,ncq->nc", jacobian, covariance, jacobian).numpy()


def agrees(la: Laplace, module: nn.Module, data: Any, f: torch.Tensor) -> None:
    predicted = la.predict(data)
    np.testing.assert_allclose(predicted.mean, f.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(predicted.variance, variance(module, f), rtol=1e-6)
    assert [each["name"] for each in la.summary["parameters"]] == [name for name, _ in module.named_parameters()]
    np.testing.assert_array_equal(la.mean, nn.utils.parameters_to_vector(module.parameters()).detach().numpy())


def full(module: nn.Module, **options: Any) -> Laplace:
    return Laplace(module, "classification", "all", "full", **options)


def test_a_mapping_and_a_tuple() -> None:
    module = Two().double()
    x, kind = reals(), torch.randint(0, 6, (ROWS,))
    f = module(x, kind)
    mapping, places = {"kind": kind, "x": x}, (x, kind)
    by_name, by_place = full(module).fit(mapping, Y), full(module).fit(places, Y)
    for data in (mapping, places):
        agrees(by_name, module, data, f)
        agrees(by_place, module, data, f)
    loader = DataLoader(TensorDataset(x, kind, torch.as_tensor(Y)), batch_size=5)
    agrees(full(module).fit(loader), module, mapping, f)


def test_inputs_of_one_shape_keep_their_order() -> None:
    module = Difference().double()
    a, b = reals(), reals()
    loader = DataLoader(TensorDataset(a, b, torch.as_tensor(Y)), batch_size=2)
    agrees(full(module).fit(loader), module, [a, b], module(a, b))
    for data in ([a, b], {"second": b, "first": a}):
        la = full(module).fit(data, Y)
        agrees(la, module, {"second": b, "first": a}, module(a, b))
        agrees(la, module, [a, b], module(a, b))


def test_a_loader_of_mappings_with_labels() -> None:
    module, data = Tokens().double(), tokens()
    rows = [{**{key: value[i] for key, value in data.items()}, "labels": int(Y[i])} for i in range(ROWS)]
    f = module(**data)["logits"]
    la = full(module).fit(DataLoader(rows, batch_size=5))
    agrees(la, module, data, f)
    agrees(full(module).fit({**data, "labels": torch.as_tensor(Y)}), module, data, f)
    other = Laplace.from_bytes(la.to_bytes())
    np.testing.assert_array_equal(other(data), la(data))
    alone = {"input_ids": data["input_ids"]}
    agrees(full(module).fit(alone, Y), module, alone, module(**alone)["logits"])


def test_a_module_that_takes_the_whole_batch() -> None:
    module, data = WholeMapping().double(), tokens()
    agrees(full(module).fit(data, Y), module, data, module(data))


@pytest.mark.parametrize("make", [dict, SimpleNamespace, namedtuple("Output", ["logits", "pooled"])])
def test_the_logits_of_a_result(make: Any) -> None:
    module, data = Tokens(make).double(), tokens()
    result = module(**data)
    agrees(full(module).fit(data, Y), module, data, result["logits"] if make is dict else result.logits)


def test_outputs_by_name() -> None:
    x = reals()
    several = {"a": lambda f: {"loss": None, "a": f, "b": 2 * f}, "output1": lambda f: (2 * f, f)}
    for name, make in several.items():
        module = Returns(make).double()
        agrees(full(module, output=name).fit(x, Y), module, x, module.head(x))
        with pytest.raises(GraphError, match=r"with the tensors '(a|output0)', '(b|output1)'.*output='(a|output0)'"):
            full(module).fit(x, Y)
        with pytest.raises(OptionError, match=r"output is 'c'.*with the tensors '(a|output0)', '(b|output1)'"):
            full(module, output="c").fit(x, Y)
    module = Returns(lambda f: {"hidden": None, "only": f}).double()
    agrees(full(module).fit(x, Y), module, x, module.head(x))
    with pytest.raises(GraphError, match="returns a dict without a tensor"):
        full(Returns(lambda f: {"logits": None})).fit(x, Y)


class Heads(nn.Module):
    """Two heads on one trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 2), nn.Linear(5, CLASSES)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        h = torch.tanh(self.trunk(x))
        return {"a": self.a(h), "b": self.b(h)}


def test_a_head_by_name() -> None:
    module, x = Heads().double(), reals()
    for name, labels in (("a", Y % 2), ("b", Y), ("a", Y % 2)):
        agrees(full(module, output=name).fit(x, labels), module, x, module(x)[name])


def test_inputs_and_tensors_of_one_name() -> None:
    module, x = Difference().double(), reals()
    module.register_buffer("second", torch.ones(4))
    agrees(full(module).fit([x, -x], Y), module, [x, -x], module(x, -x))
    with pytest.raises(GraphError, match="'second' is the name of an input and of a tensor"):
        full(module).fit({"first": x, "second": x}, Y)


def test_other_inputs_than_forward_takes() -> None:
    x, kind = reals(), torch.randint(0, 6, (ROWS,))
    la = full(Two().double())
    with pytest.raises(DataError, match=r"needs 'kind', and the data have 'x'"):
        la.fit({"x": x}, Y)
    with pytest.raises(DataError, match=r"have 'idx', which .* takes 'x', 'kind', 'scale'"):
        la.fit({"x": x, "kind": kind, "idx": kind}, Y)
    with pytest.raises(DataError, match=r"takes 'x', 'kind', 'scale' and needs 'x', 'kind'; the data are 1 array\."):
        la.fit(x, Y)
    with pytest.raises(DataError, match=r"takes 'first', 'second'; the data are 3 arrays"):
        full(Difference().double()).fit([x, x, x], Y)
    with pytest.raises(GraphError, match=r"one mapping with the keys 'input_ids': KeyError: 'attention_mask'"):
        full(WholeMapping()).fit({"input_ids": tokens()["input_ids"]}, Y)


def test_the_last_layer_half_precision_and_further_training() -> None:
    module, data = Tokens().double(), tokens()
    la = Laplace(module, "classification", last_layer_name="classifier").fit(data, Y)
    assert la.n_params == sum(value.numel() for value in module.classifier.parameters())
    for _ in range(2):
        la.fit(data, Y)
        np.testing.assert_allclose(la.predict(data).mean, module(**data)["logits"].detach(), rtol=1e-9)
        module.mix.weight.data.mul_(1.5)
    half = Tokens().to(torch.bfloat16)
    predicted = Laplace(half, "classification").fit(data, Y).predict(data).mean
    np.testing.assert_allclose(predicted, half.float()(**data)["logits"].detach(), rtol=1e-4, atol=1e-5)
    assert all(value.dtype == torch.float32 for value in half.parameters())


class LastToken(nn.Module):
    """The last token that is not padding, by its number, as GPT's classifiers find it."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.mix, self.head = nn.Embedding(9, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits = self.head(torch.tanh(self.mix(self.words(input_ids))))
        last = (torch.arange(input_ids.shape[1]) * attention_mask).argmax(-1)
        return logits[torch.arange(input_ids.shape[0]), last]


def test_examples_by_their_number(tmp_path: Path) -> None:
    module, data = LastToken().double(), tokens()
    f = module(**data)
    agrees(full(module).fit(data, Y), module, data, f)
    args = (data["input_ids"], data["attention_mask"])
    for dynamo in (False, True):
        path = tmp_path / f"{dynamo}.onnx"
        axes = (
            {"dynamic_shapes": [{0: torch.export.Dim("n")}] * 2}
            if dynamo
            else {"dynamic_axes": {"input_ids": {0: "n"}, "attention_mask": {0: "n"}}}
        )
        torch.onnx.export(module, args, path, dynamo=dynamo, input_names=["input_ids", "attention_mask"], **axes)
        np.testing.assert_allclose(full(path).fit(data, Y).predict(data).variance, variance(module, f), rtol=1e-6)


def test_batches_of_other_lengths() -> None:
    module, data = Tokens().double(), tokens()
    shorter = {key: value[:, :4] for key, value in data.items()}
    with pytest.raises(ShapeError, match=r"one length: pad or cut them to 5.*padding='max_length'"):
        full(module).fit([{**data, "labels": Y}, {**shorter, "labels": Y}])
    la = full(module).fit(data, Y)
    with pytest.raises(ShapeError, match="pad or cut them to 5"):
        la(shorter)
    with pytest.raises(ShapeError, match="Batch 1 has examples of shape .4,."):
        la.optimize_prior_precision(method="gridsearch", val_loader=[(data, Y), (shorter, Y)])


def test_a_posterior_without_its_network_and_the_module() -> None:
    module, data = Tokens().double(), tokens()
    la = full(module).fit(data, Y)
    saved = la.to_bytes(network=False)
    first = {key: value[:3] for key, value in data.items()}
    np.testing.assert_array_equal(load(saved, model=module, example=first)(data), la(data))
    with pytest.raises(OptionError, match="A Tokens is read by running it: .*example="):
        load(saved, model=module)
    with pytest.raises(StateError):
        load(saved, model=Tokens().double(), example=first)


class Unread(nn.Module):
    """Reads one of its inputs; another argument is a keyword with a default."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor, z: torch.Tensor, *, scale: float = 2.0) -> torch.Tensor:
        return self.head(x) * scale


def test_data_for_an_input_that_is_not_read_are_passed_over() -> None:
    torch.manual_seed(0)
    module = Unread().double().eval()
    x, z = torch.randn(9, 4).double().numpy(), torch.randn(9, 2).double().numpy()
    both = {"z": z, "x": x}
    fitted = Laplace(module, "classification", subset_of_weights="all", hessian_structure="full")
    fitted.fit(both, np.arange(9) % 3)
    plain = nn.Linear(4, 3).double()
    with torch.no_grad():
        plain.weight.copy_(2 * module.head.weight)
        plain.bias.copy_(2 * module.head.bias)
    expected = Laplace(plain, "classification", subset_of_weights="all", hessian_structure="full", prior_precision=0.25)
    expected.fit(x, np.arange(9) % 3)
    np.testing.assert_allclose(fitted.functional_variance(both), expected.functional_variance(x), rtol=1e-8)


class TwoClasses(nn.Module):
    """One probability, and its complement beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 5), nn.Linear(5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        p = torch.sigmoid(self.last(torch.tanh(self.first(x))))
        return torch.cat([1 - p, p], 1)


def test_a_probability_beside_its_complement() -> None:
    torch.manual_seed(0)
    x = torch.randn(60, 3)
    y = (x[:, 0] + 0.5 * torch.randn(60) > 0).long()
    model = TwoClasses()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.nll_loss(model(x).log(), y).backward()
        optimizer.step()
    la = Laplace(model, "classification", subset_of_weights="all", hessian_structure="full", prior_precision=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        la.fit(x, y)
    np.testing.assert_allclose(la(x, link_approx="map"), model(x).detach().numpy(), atol=1e-6)
    probit = np.asarray(la(x))
    np.testing.assert_allclose(probit.sum(1), 1, atol=1e-9)
    # The classes' log-odds are the logit: the evidence is that of a network with one.
    one = Laplace(
        nn.Sequential(model.first, nn.Tanh(), model.last),
        "binary",
        subset_of_weights="all",
        hessian_structure="full",
        prior_precision=1.0,
    ).fit(x, y[:, None])
    assert abs(float(la.log_marginal_likelihood()) - float(one.log_marginal_likelihood())) < 1e-4


class CountsRows(nn.Module):
    """Takes the number of rows, or of features, as a Python number."""

    def __init__(self, count: str) -> None:
        super().__init__()
        self.count = count
        self.first, self.last = nn.Linear(3, 5), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.first(x))
        if self.count == "len":
            return self.last(h.reshape(len(x), -1))
        if self.count == "int":
            return self.last(h.reshape(int(x.shape[0]), -1))
        return self.last(h.reshape(x.size(0), len(x[0]) + 2))


@pytest.mark.parametrize("count", ["len", "int"])
def test_a_number_of_rows_as_a_python_number_is_refused_with_advice(count: str) -> None:
    x = torch.randn(20, 3)
    with pytest.raises(GraphError, match=r"test_torch_inputs.py, line \d+.*x\.size\(0\) or x\.shape\[0\]"):
        Laplace(CountsRows(count), "classification").fit(x, torch.arange(20) % 2)


def test_a_number_of_features_as_a_python_number_is_none_of_rows() -> None:
    x = torch.randn(20, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Laplace(CountsRows("features"), "classification").fit(x, torch.arange(20) % 2)
