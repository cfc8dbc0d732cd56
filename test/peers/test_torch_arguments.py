"""58: the names of laplace-torch refuse arguments of another kind by a typed error, as the rest of the client does.

The public surface is read from the package, so that a new class, function or argument is covered by itself.
"""

from __future__ import annotations

import inspect
import math
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).parents[2] / "clients" / "python" / "tests"))
from argument_audit import NATIVE, WRONG, failures, methods, required, with_signature_of
from polylaplace import DataError, LaplaceError, OptionError, ShapeError
from polylaplace import torch as lt
from polylaplace.torch import curvature, utils
from polylaplace.torch._kinds import demand_finite

# The networks are not trained, which is told.
pytestmark = pytest.mark.filterwarnings("ignore::polylaplace.LaplaceWarning")

WORDS: list[Any] = ["nonsense", 5, math.nan, object(), ["a"], {"a": 1}]
NO_TENSORS: list[Any] = ["1", math.nan, {"a": 1}, object(), np.ones(3)]
INPUTS: list[Any] = [*NO_TENSORS, [], None, 1 + 2j, b"x"]
BAD_TENSORS = [torch.tensor(math.nan), torch.tensor([1.0, math.nan]), torch.ones(2, 2, 2)]
KINDS = {
    "float | Tensor": ["1", math.nan, math.inf, {"a": 1}, object(), *BAD_TENSORS],
    "Tensor": NO_TENSORS,
    "Inputs": INPUTS,
    "Count": [*WRONG["int"], 0, -1],
    "nn.Module": ["net", 5, object(), None, {"0.weight": 1}],
    "DataLoader": ["rows", 5, object(), math.nan],
    "type[CurvatureInterface]": ["GGN", 5, object()],
    "torch.Generator": ["seed", 5, object(), math.nan],
    "Mapping[str, Any]": ["kwargs", 5, object(), ["a"]],
}
X, Y = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3
LOADER = DataLoader(TensorDataset(X, Y), batch_size=6)
CLASSES = [
    cls
    for name in lt.__all__
    if inspect.isclass(cls := getattr(lt, name)) and (hasattr(cls, "_key") or not cls.__subclasses__())
    if issubclass(cls, lt.BaseLaplace)
]


@pytest.fixture(autouse=True)
def _kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    for annotation, values in KINDS.items():
        monkeypatch.setitem(WRONG, annotation, values)
    for name, kind in {**vars(utils), "FeatureReduction": None}.items():
        if kind is None or (inspect.isclass(kind) and issubclass(kind, Enum)):
            monkeypatch.setitem(WRONG, f"{name} | str", WORDS)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))


def own_signature(cls: Any) -> Any:
    """The class, or the one whose arguments it passes on."""
    return lt.BaseLaplace if "args" in inspect.signature(cls).parameters else cls


def known(cls: Any) -> dict[str, Any]:
    subset = {"subnetwork_indices": torch.tensor([0, 5]), "n_subset": 6}
    subset |= {"subsample_size": 6, "n_eigenvalues": 2}
    return required(own_signature(cls), {"model": network(), "likelihood": "classification", **subset})


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_constructors(cls: Any) -> None:
    def made(**given: Any) -> None:
        cls(**given).fit(LOADER)

    call = with_signature_of(own_signature(cls), made)
    found = list(failures(cls.__name__, call, known(cls), NATIVE))
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_methods(cls: Any) -> None:
    la = cls(**known(cls))
    la.fit(LOADER)
    Js = (la._jacobians(X) if hasattr(la, "_jacobians") else la.backend.jacobians(X))[0]
    values = {
        "x": X,
        "X": X,
        "train_loader": LOADER,
        "Js": Js,
        "Js_star": Js,
        "value": getattr(la, "mean", None),
        "n_samples": 5,
    }
    values |= {"state_dict": la.state_dict(), "subnet_samples": torch.zeros(2, 2), "link_approx": "probit"}
    values |= {"val_loader": LOADER, "method": "gridsearch", "grid_size": 2, "n_steps": 2, "grid": [1.0]}
    values["pred_type"] = str(cls._default_pred_type)
    found: list[str] = []
    for name in [*methods(cls), "__call__"]:
        if not inspect.isroutine(inspect.getattr_static(cls, name)):
            continue
        method = getattr(la, name)
        given = required(method, values)
        if name == "optimize_prior_precision":
            marglik = {**given, "method": "marglik", "val_loader": None}
            found += failures(f"{name} by marglik", method, marglik, NATIVE)
        found += failures(name, method, given, NATIVE)
    assert found == [], "\n".join(found)


def test_functions() -> None:
    def train(**given: Any) -> None:
        lt.marglik_training(**{"n_epochs": 2, "n_hypersteps": 2, **given})

    def made(**given: Any) -> None:
        lt.Laplace(**given).fit(LOADER)

    training = with_signature_of(lt.marglik_training, train)
    found = list(failures("marglik_training", training, {"model": network(), "train_loader": LOADER}, NATIVE))
    call = with_signature_of(lt.Laplace, made)
    found += failures("Laplace", call, {"model": network(), "likelihood": "classification"}, NATIVE)
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("cls", [curvature.CurvlinopsGGN, curvature.CurvlinopsEF], ids=lambda cls: cls.__name__)
def test_backends(cls: Any) -> None:
    found = list(failures(cls.__name__, cls, {"model": network(), "likelihood": "classification"}, NATIVE))
    plain = cls(network(), "classification")
    of_last = cls(utils.FeatureExtractor(network()), "classification", last_layer=True)
    for name in methods(cls):
        if name in ("lossfunc", "sums"):
            continue
        method = getattr(of_last if name.startswith("last_layer") else plain, name)
        found += failures(f"{cls.__name__}.{name}", method, required(method, {"x": X, "y": Y, "N": 12}), NATIVE)
    assert found == [], "\n".join(found)


def values_of_utilities() -> dict[str, Any]:
    """An argument of every name."""
    M, la = torch.eye(3), lt.DiagLaplace(network(), "classification")
    la.fit(LOADER)
    probs = torch.full((12, 3), 1 / 3)
    values = {"model": network(), "train_loader": LOADER, "n_params_subnet": 3, "likelihood": "classification"}
    values |= {"laplace": la, "val_loader": LOADER, "loss": utils.get_nll, "diag_laplace_model": la, "pred_type": "glm"}
    values |= {"M": M, "X": M, "t1": M, "t2": M, "blocks": [M], "value": 1.0, "scalar": 2.0, "W": torch.ones(3)}
    values |= {"mean": torch.ones(3, 2), "var": torch.ones(3, 2), "means": torch.ones(3, 2), "n_samples": 2, "N": 5}
    values |= {"prior_prec": torch.ones(1), "prior_prec_init": 1.0, "prior_structure": "scalar", "n_layers": 2}
    values |= {"n_params": 9, "device": X.device, "dtype": X.dtype, "out_dist": probs, "probs": probs, "targets": Y}
    values |= {"criterion": nn.CrossEntropyLoss(), "n_snapshots_total": 2, "kfacs": [[M]], "eigenvectors": [[M]]}
    values |= {"eigenvalues": [[torch.ones(3)]], "parameter_names": ["0.weight"], "module_names": ["0"]}
    return {**values, "subnet_mask": torch.ones(31, dtype=torch.bool), "last_layer_name": "2", "x": X}


def test_utilities() -> None:
    values, found = values_of_utilities(), []
    for name in utils.__all__:
        function = getattr(utils, name)
        if name.startswith("_") or (inspect.isclass(function) and issubclass(function, Enum)):
            continue
        given = required(function, {**values, "M": 2} if name == "SoDSampler" else values)
        found += failures(name, function, given, NATIVE)
        if not inspect.isclass(function) or name in ("FeatureExtractor", "SoDSampler"):
            continue
        for each in methods(function):
            if inspect.isroutine(inspect.getattr_static(function, each)) and (name, each) != ("SubnetMask", "select"):
                method = getattr(function(**given), each)
                found += failures(f"{name}.{each}", method, required(method, values), (*NATIVE, NotImplementedError))
    assert found == [], "\n".join(found)


def test_what_is_set_afterwards() -> None:
    la = lt.Laplace(network(), "regression", "all", "diag")
    for name in ("prior_precision", "sigma_noise", "temperature"):
        for value in (math.nan, math.inf, 0.0, -1.0):
            with pytest.raises(OptionError, match=name):
                setattr(la, name, value)


def test_rows_that_are_not_finite() -> None:
    la = lt.Laplace(network(), "classification", "all", "full")
    la.fit(LOADER)
    rows = X.clone()
    rows[3, 1] = math.nan
    for options in ({}, {"pred_type": "nn", "link_approx": "mc"}):
        with pytest.raises(DataError, match="NaN"):
            la(rows, **options)
    with pytest.raises(LaplaceError, match="NaN"):
        la.fit(DataLoader(TensorDataset(rows, Y), batch_size=6))


@pytest.mark.parametrize(
    ("batches", "error"),
    [
        ([], DataError),
        ([X], DataError),
        ([(X,)], DataError),
        ([(X, Y.tolist())], DataError),
        ([(X, Y[:5])], ShapeError),
        ([{"input_ids": X}], DataError),
    ],
    ids=["none", "bare rows", "no labels", "a list", "too few labels", "another key"],
)
def test_batches_that_are_none(batches: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        lt.Laplace(network(), "classification", "all", "diag").fit(batches)


def test_finite_numbers_of_any_size_are_taken() -> None:
    large = torch.tensor([3e38, 3e38, -3e38])
    assert demand_finite(large, "value") is large
    for bad in (torch.tensor([1.0, float("nan")]), torch.tensor([float("inf"), float("-inf")]), float("inf")):
        with pytest.raises(OptionError):
            demand_finite(bad, "value")
