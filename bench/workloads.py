"""Writes the weights and the data of every workload as safetensors files, so that all libraries run the same numbers.

    python bench/workloads.py FOLDER [--quick] [--untrained] [--seed 0] [W1 W2 ...]

Each workload W becomes FOLDER/W.safetensors (tensors `x`, `y`, `x_test` and the state dict `0.weight`, ...) and
FOLDER/W.json (likelihood, layers, batch size, cells). Networks are trained briefly so that curvatures are realistic;
with --untrained they are not, and torch is not needed. Those of bench/networks.py have seeded weights and an ONNX file
beside them; they are written where they are named. Files that are there already are kept.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save_file

if TYPE_CHECKING:
    import torch

ALL = [("all", "full"), ("all", "kron"), ("all", "diag"), ("last_layer", "full")]
DENSE = [("all", "kron"), ("all", "diag"), ("last_layer", "kron"), ("last_layer", "full")]

#: `peer` holds the smaller sizes at which laplace-torch runs a cell that would take it minutes or all memory; `laplax`
#: the cells that laplax has.
WORKLOADS = {
    "W1": dict(
        title="1-50-1 tanh regression, N=150, predict 1,000",
        sizes=[1, 50, 1],
        activation="tanh",
        likelihood="regression",
        n=150,
        test=1000,
        batch=150,
        cells=ALL,
    ),
    "W2": dict(
        title="digits-like 64-64-32-10, N=1,200, predict 597",
        sizes=[64, 64, 32, 10],
        activation="tanh",
        likelihood="classification",
        n=1200,
        test=597,
        batch=1200,
        cells=DENSE,
    ),
    "W3": dict(
        title="784-256-128-10 ReLU, N=60,000 in batches of 512, predict 2,000",
        sizes=[784, 256, 128, 10],
        activation="relu",
        likelihood="classification",
        n=60000,
        test=2000,
        batch=512,
        cells=DENSE,
        peer={"all/diag": {"n": 2000, "test": 100}, "all/kron": {"test": 200}},
    ),
    "W5-100": dict(
        title="last layer kron, 512 features, 100 classes, N=50,000, predict 500",
        sizes=[512, 100],
        activation="relu",
        likelihood="classification",
        n=50000,
        test=500,
        batch=512,
        cells=[("last_layer", "kron")],
        peer={"last_layer/kron": {"test": 50}},
    ),
    "W5-1000": dict(
        title="last layer kron, 512 features, 1,000 classes, N=5,000, predict 20",
        sizes=[512, 1000],
        activation="relu",
        likelihood="classification",
        n=5000,
        test=20,
        batch=512,
        cells=[("last_layer", "kron")],
        peer={"last_layer/kron": {"n": 500, "test": 1}},
    ),
    "W6": dict(
        title="GLM predictive of 10,000 inputs, 64-64-32-10",
        sizes=[64, 64, 32, 10],
        activation="tanh",
        likelihood="classification",
        n=2000,
        test=10000,
        batch=500,
        cells=[("all", "kron"), ("all", "diag"), ("last_layer", "kron")],
        peer={"all/kron": {"test": 400}, "all/diag": {"n": 500, "test": 400}},
        laplax=["all/diag"],
    ),
    "W7": dict(
        title="layer-wise prior of W3's network tuned to convergence",
        sizes=[784, 256, 128, 10],
        activation="relu",
        likelihood="classification",
        n=10000,
        test=100,
        batch=512,
        cells=[("all", "kron")],
        prior_structure="layerwise",
    ),
}
for rows in (1000, 10000, 100000, 1000000):
    WORKLOADS[f"W8-{rows}"] = dict(
        title=f"N={rows:,} streamed, 64-64-32-10",
        sizes=[64, 64, 32, 10],
        activation="tanh",
        likelihood="classification",
        n=rows,
        test=100,
        batch=512,
        cells=[("all", "kron")],
        peer={"all/kron": {"n": min(rows, 10000)}} if rows > 10000 else {},
    )

#: Networks that are not dense, measured by bench/networks.mjs: rows, rows that are predicted, structure and subset.
NETWORKS = {
    "W4": dict(title="convolutions 1-16-32, 512-64-10", n=1000, test=50, cells=[("all", "kron")]),
    "res8": dict(title="residual, 3 x 32 x 32", n=256, test=16, cells=[("all", "kron"), ("last_layer", "kron")]),
    "resnet18": dict(title="residual, 11 M parameters", n=64, test=16, cells=[("last_layer", "kron")]),
    "vit": dict(title="vision transformer, 65 tokens of 128", n=64, test=16, cells=[("last_layer", "kron")]),
    "transformer": dict(title="TransformerEncoder, 32 steps of 128", n=256, test=16, cells=[("last_layer", "kron")]),
    "lstm": dict(title="LSTM, 32 steps of 128", n=512, test=16, cells=[("last_layer", "kron")]),
}
for name, spec in NETWORKS.items():
    spec |= dict(network=name, likelihood="classification", batch=min(spec["n"], 64))


def network(sizes: list[int], activation: str) -> torch.nn.Sequential:
    """The network of a workload in torch."""
    import torch

    between = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[activation]
    layers: list[torch.nn.Module] = []
    for i, (a, b) in enumerate(zip(sizes[:-1], sizes[1:])):
        layers += [torch.nn.Linear(a, b)] + ([between()] if i < len(sizes) - 2 else [])
    return torch.nn.Sequential(*layers)


def data(spec: dict, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs around class centres (classification), or a noisy sine (regression)."""
    if spec["likelihood"] == "regression":
        x = rng.uniform(-3, 3, (n, spec["sizes"][0])).astype(np.float32)
        return x, (np.sin(2 * x.sum(1, keepdims=True)) + 0.2 * rng.standard_normal((n, spec["sizes"][-1]))).astype(
            np.float32
        )
    shape = example_shape(spec)
    features, classes = int(np.prod(shape)), 10 if "network" in spec else spec["sizes"][-1]
    y = rng.integers(0, classes, n)
    centres = np.random.default_rng(7).standard_normal((classes, features)).astype(np.float32)
    noise = rng.standard_normal((n, features), dtype=np.float32)
    return (0.5 * centres[y] + 0.8 * noise).reshape(n, *shape), y.astype(np.int64)


def example_shape(spec: dict) -> list[int]:
    """The shape of one example."""
    if "network" not in spec:
        return spec["sizes"][:1]
    from networks import NETWORKS as SHAPES

    return SHAPES[spec["network"]][0]


def exported_weights(path: pathlib.Path, spec: dict, seed: int) -> dict[str, np.ndarray]:
    """The state dict of a network of bench/networks.py, which is written as an ONNX file too."""
    import torch
    from networks import network as module

    net = module(spec["network"], seed)
    torch.onnx.export(
        net,
        (torch.zeros(2, *example_shape(spec)),),
        str(path.with_suffix(".onnx")),
        input_names=["x"],
        dynamic_axes={"x": {0: "N"}},
        dynamo=False,
        opset_version=17,
    )
    return {key: value.numpy() for key, value in net.state_dict().items()}


def trained_weights(spec: dict, x: np.ndarray, y: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The state dict after 60 epochs of Adam over at most 5,000 examples."""
    import torch

    torch.manual_seed(seed)
    net = network(spec["sizes"], spec["activation"])
    loss = torch.nn.functional.mse_loss if spec["likelihood"] == "regression" else torch.nn.functional.cross_entropy
    adam = torch.optim.Adam(net.parameters(), lr=3e-3)
    xs, ys = torch.tensor(x[:5000]), torch.tensor(y[:5000])
    for _ in range(60):
        for rows in torch.randperm(len(xs)).split(256):
            adam.zero_grad()
            loss(net(xs[rows]), ys[rows]).backward()
            adam.step()
    return {key: value.numpy() for key, value in net.state_dict().items()}


def random_weights(spec: dict, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A state dict of the same shapes, without torch."""
    weights: dict[str, np.ndarray] = {}
    for i, (a, b) in enumerate(zip(spec["sizes"][:-1], spec["sizes"][1:])):
        weights[f"{2 * i}.weight"] = (rng.standard_normal((b, a)) / np.sqrt(a)).astype(np.float32)
        weights[f"{2 * i}.bias"] = (0.1 * rng.standard_normal(b)).astype(np.float32)
    return weights


def quick(spec: dict) -> dict:
    """The same shape of work, small enough to see in seconds that it runs."""
    peer = {
        cell: {"n": min(limits.get("n", 300), 150), "test": min(limits.get("test", 20), 10)}
        for cell, limits in spec.get("peer", {}).items()
    }
    sizes = {
        "n": min(spec["n"], 300),
        "test": min(spec["test"], 20),
        "batch": min(spec["batch"], 128) if spec["batch"] < spec["n"] else 300,
    }
    return spec | sizes | {"title": f"{spec['title']}; quick: N={sizes['n']}, predict {sizes['test']}", "peer": peer}


def write(path: pathlib.Path, spec: dict, seed: int) -> None:
    """Writes one workload, unless the same one is there."""
    description = json.dumps(spec)
    if path.with_suffix(".json").exists() and path.with_suffix(".json").read_text() == description:
        return
    rng = np.random.default_rng(seed)
    x, y = data(spec, rng, spec["n"])
    x_test, _ = data(spec, rng, spec["test"])
    if "network" in spec:
        weights = exported_weights(path, spec, seed)
    else:
        weights = random_weights(spec, rng) if spec["untrained"] else trained_weights(spec, x, y, seed)
    save_file({"x": x, "y": y, "x_test": x_test, **weights}, path.with_suffix(".safetensors"))
    path.with_suffix(".json").write_text(description)


def main() -> None:
    """Reads the command line and writes the workloads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--untrained", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("names", nargs="*")
    options = parser.parse_intermixed_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    known = WORKLOADS | ({name: spec for name, spec in NETWORKS.items() if name in options.names})
    for name, spec in known.items():
        if options.names and not any(name == wanted or name.startswith(f"{wanted}-") for wanted in options.names):
            continue
        sized = quick(spec) if options.quick else spec
        write(
            options.folder / name,
            sized | {"name": name, "seed": options.seed, "untrained": options.untrained},
            options.seed,
        )


if __name__ == "__main__":
    main()
