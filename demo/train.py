"""Trains the network of the demo and writes demo/digits.onnx and demo/digits.json (data of all 1,797 digits).

    pip install torch==2.13.0 numpy scikit-learn onnx
    python demo/train.py

scikit-learn's digits, 500 training rows, 64-16-10 with tanh, Adam (its defaults, batches of 32, no weight decay)
until every training row is fitted. The other 1,297 digits are never looked at here; the demo tests on them.
"""

import base64
import json
import pathlib

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

HERE = pathlib.Path(__file__).parent
SEED = 0
TRAINING_ROWS = 500
HIDDEN = 16
TARGET_LOSS = 0.0005  # of the training rows: fitted, and sure of it, as networks trained without weight decay become


def train(x: np.ndarray, y: np.ndarray) -> torch.nn.Sequential:
    """Adam with its defaults in batches of 32 until all training rows are classified rightly and the loss is small."""
    torch.manual_seed(SEED)
    net = torch.nn.Sequential(torch.nn.Linear(64, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, 10))
    adam = torch.optim.Adam(net.parameters())
    inputs, labels = torch.tensor(x), torch.tensor(y)
    for epoch in range(1, 2001):
        for rows in torch.randperm(len(x)).split(32):
            adam.zero_grad()
            torch.nn.functional.cross_entropy(net(inputs[rows]), labels[rows]).backward()
            adam.step()
        with torch.no_grad():
            logits = net(inputs)
            loss = torch.nn.functional.cross_entropy(logits, labels).item()
        if (logits.argmax(1) == labels).all() and loss < TARGET_LOSS:
            print(f"epoch {epoch}: training loss {loss:.5f}, all {len(y)} rows fitted")
            break
    return net


def export(net: torch.nn.Sequential, path: pathlib.Path) -> None:
    """The network as an ONNX file: Gemm and Tanh nodes, weights under PyTorch's names, a symbolic batch axis."""
    nodes, weights, value = [], [], "pixels"
    layers = list(net.named_children())
    for name, layer in layers:
        output = "logits" if name == layers[-1][0] else f"hidden{name}"
        if isinstance(layer, torch.nn.Linear):
            nodes.append(helper.make_node("Gemm", [value, f"{name}.weight", f"{name}.bias"], [output], transB=1))
            weights += [
                numpy_helper.from_array(p.detach().numpy(), f"{name}.{kind}") for kind, p in layer.named_parameters()
            ]
        else:
            nodes.append(helper.make_node("Tanh", [value], [output]))
        value = output
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 10])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main() -> None:
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(labels))
    pixels, labels = pixels[order].astype(np.uint8), labels[order]
    x = (pixels / 16).astype(np.float32)
    net = train(x[:TRAINING_ROWS], labels[:TRAINING_ROWS])
    export(net, HERE / "digits.onnx")
    digits = {
        "source": "scikit-learn load_digits, rows shuffled with numpy default_rng(0)",
        "trainingRows": TRAINING_ROWS,
        "scale": 16,
        "pixels": base64.b64encode(pixels.tobytes()).decode(),
        "labels": "".join(map(str, labels)),
    }
    (HERE / "digits.json").write_text(json.dumps(digits, indent=1) + "\n")


if __name__ == "__main__":
    main()
