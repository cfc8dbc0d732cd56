"""J v and J'u of networks that torch exported are what torch.func makes them, for every operator that torch has."""

import json
import subprocess
import warnings

import conftest
import numpy
import pytest
import torch
from torch import nn
from torch.func import functional_call, jvp, vjp

F = nn.functional
N = 3


class Function(nn.Module):
    """A function of x and of parameters of some shapes."""

    def __init__(self, function, *shapes):
        super().__init__()
        self.function = function
        self.w = nn.ParameterList(nn.Parameter(torch.randn(shape)) for shape in shapes)

    def forward(self, x):
        return self.function(x, *self.w)


class Part(nn.Module):
    """One of the results of a module, which may read its input several times (attention)."""

    def __init__(self, module, copies=1):
        super().__init__()
        self.module, self.copies = module, copies

    def forward(self, x):
        return self.module(*[x] * self.copies)[0]


def norm(module):
    """Statistics and scales as a trained normalisation has them."""
    for value in (*module.parameters(), *module.buffers()):
        if value.is_floating_point():
            nn.init.uniform_(value, 0.5, 1.5)
    return module


def elementwise(function):
    return lambda: Function(lambda x, w: function(x * w), (4,)), (4,)


ELEMENTWISE = {
    name: elementwise(function)
    for name, function in {
        **{name: getattr(F, name) for name in (
            "relu", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "softplus", "softsign", "hardsigmoid", "hardswish",
            "hardshrink", "softshrink", "logsigmoid", "tanhshrink", "relu6", "hardtanh",
        )},
        **{name: getattr(torch, name) for name in (
            "tanh", "sigmoid", "exp", "sin", "cos", "tan", "atan", "abs", "neg", "erf", "square", "floor", "round",
        )},
        "gelu of tanh": lambda x: F.gelu(x, approximate="tanh"),
        "sqrt and log": lambda x: torch.sqrt(x * x + 1) + torch.log(x * x + 1),
        "asin and acos": lambda x: torch.asin(torch.tanh(x) * 0.9) * torch.acos(torch.tanh(x) * 0.9),
        "reciprocal": lambda x: torch.reciprocal(x * x + 1),
        "clamp": lambda x: torch.clamp(x, -0.5, 0.7),
        "where": lambda x: torch.where(x > 0.2, torch.sin(x), x * x),
        "pow": lambda x: torch.pow(x * x + 0.5, 1.7),
    }.items()
}  # fmt: skip

# A module and the shape of one example; integers below 5 where the shape is followed by True.
NETWORKS = {
    **ELEMENTWISE,
    "perceptron": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2)), (4,)),
    "matmul": (lambda: Function(lambda x, w, b: torch.tanh(x @ w) + b, (4, 3), (3,)), (4,)),
    "matmul of a stack": (lambda: Function(lambda x, w: torch.matmul(x, w), (2, 4, 3)), (2, 5, 4)),
    "matmul from the left": (lambda: Function(lambda x, w: torch.matmul(w, x), (2, 4)), (4, 3)),
    "einsum": (lambda: Function(lambda x, w: torch.einsum("nij,jk,nik->nk", x, w, x), (4, 4)), (3, 4)),
    "shared": (lambda: Function(lambda x, w: torch.tanh(x @ w) @ w.t() * w.sum(0), (4, 4)), (4,)),
    "broadcast": (lambda: Function(lambda x, a, b, c: (x + a) * b / (c * c + 1) - a, (3, 1), (4,), (1, 4)), (3, 4)),
    "prelu": (lambda: nn.PReLU(3), (3, 4)),
    "maximum and minimum": (lambda: Function(lambda x, a, b: torch.maximum(x, a) * torch.minimum(x, b), (4,), (4,)), (4,)),
    "conv 1": (lambda: nn.Conv1d(2, 4, 3, stride=2, padding=1), (2, 7)),
    "conv 2 in groups": (lambda: nn.Conv2d(4, 6, (2, 3), groups=2, dilation=(2, 1)), (4, 5, 6)),
    "conv 2 depthwise": (lambda: nn.Conv2d(3, 3, 3, groups=3, padding=1), (3, 5, 4)),
    "conv 3": (lambda: nn.Conv3d(2, 2, 2), (2, 3, 4, 3)),
    "transposed conv": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (4, 3, 4)),
    "max pool": (lambda: nn.Sequential(nn.Conv2d(2, 3, 2), nn.MaxPool2d(3, 2, padding=1)), (2, 6, 7)),
    "average pool": (lambda: nn.Sequential(nn.Conv2d(2, 3, 2), nn.AvgPool2d(2, 2, ceil_mode=True)), (2, 6, 6)),
    "global pools": (lambda: nn.Sequential(nn.Conv2d(2, 3, 2), nn.AdaptiveAvgPool2d(1)), (2, 5, 6)),
    "global maximum": (lambda: nn.Sequential(nn.Conv2d(2, 3, 2), nn.AdaptiveMaxPool2d(1)), (2, 5, 6)),
    "batch norm": (lambda: norm(nn.BatchNorm2d(3)), (3, 4, 2)),
    "layer norm": (lambda: norm(nn.LayerNorm((3, 4))), (2, 3, 4)),
    "group norm": (lambda: norm(nn.GroupNorm(2, 4)), (4, 3, 2)),
    "instance norm": (lambda: norm(nn.InstanceNorm1d(3, affine=True)), (3, 5)),
    "norms": (lambda: Function(lambda x, w: F.normalize(x * w, dim=1) + x.norm(dim=1, keepdim=True), (4,)), (4,)),
    "softmax": (lambda: Function(lambda x, w: torch.softmax(x * w, 1) + torch.log_softmax(x * w, 2), (4,)), (3, 4)),
    "reductions": (lambda: Function(lambda x, w: (x * w).sum(1) + x.mean(1) * x.amax(1) + x.amin(1) + torch.logsumexp(x, 1), (4,)), (3, 4)),
    "products and sums": (lambda: Function(lambda x, w: (x * w).prod(1, keepdim=True) * torch.cumsum(x, 1), (4,)), (3, 4)),
    "embedding": (lambda: nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(12, 2)), (4,), True),
    "gather": (lambda: Function(lambda x, w: (x * w)[:, [2, 0, 2]] + torch.gather(x, 1, x.argmax(1, keepdim=True)), (4,)), (4,)),
    "slices": (lambda: Function(lambda x, w: torch.cat([x[:, 1:3] * w, x[:, ::2], x[:, -1:]], 1), (2,)), (5,)),
    "split and stack": (lambda: Function(lambda x, w: torch.stack([torch.sin(part) * w for part in x.split(2, 1)], 1), (2,)), (4,)),
    "shapes": (lambda: Function(lambda x, w: (x.permute(0, 2, 1).unsqueeze(1).expand(-1, 2, -1, -1) * w).flatten(1), (2, 4, 1)), (3, 4)),
    "repeat": (lambda: Function(lambda x, w: torch.sin(x.repeat(1, 2, 3) * w), (6, 1)), (3, 2)),
    "triangles": (lambda: Function(lambda x, w: torch.tril(x * w) + torch.triu(x, 1) ** 2, (4,)), (3, 4)),
    "padding": (lambda: Function(lambda x, w: F.pad(F.pad(x * w, (1, 2), mode="reflect"), (2, 1)), (4,)), (3, 4)),
    "replication": (lambda: Function(lambda x, w: F.pad(x * w, (1, 2), mode="replicate"), (4,)), (3, 4)),
    "nearest": (lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.Upsample(scale_factor=2)), (1, 3, 4)),
    "linear": (lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.Upsample(scale_factor=2, mode="bilinear")), (1, 3, 4)),
    "cubic": (lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.Upsample(scale_factor=2, mode="bicubic")), (1, 4, 4)),
    "pixel shuffle": (lambda: nn.Sequential(nn.Conv2d(1, 4, 2), nn.PixelShuffle(2), nn.Tanh(), nn.PixelUnshuffle(2)), (1, 3, 4)),
    "attention": (lambda: Part(nn.MultiheadAttention(4, 2, batch_first=True), 3), (3, 4)),
    "lstm": (lambda: Part(nn.LSTM(3, 2, batch_first=True, bidirectional=True)), (4, 3)),
    "gru": (lambda: Part(nn.GRU(3, 2, batch_first=True)), (4, 3)),
    "rnn": (lambda: Part(nn.RNN(3, 2, batch_first=True)), (4, 3)),
}  # fmt: skip

# The exporter puts the gates of recurrences in another order, under other names: x alone has products there.
RENAMED = {"lstm", "gru", "rnn"}

# Attributes of these operators are numbers of float32 in ONNX.
SINGLE = {"leaky_relu", "selu", "hardsigmoid"}


@pytest.fixture(scope="module")
def products():
    process = subprocess.Popen(
        ["node", str(conftest.ROOT / "test" / "peers" / "products.mjs")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=conftest.ROOT,
    )  # fmt: skip

    def ask(**question):
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer

    yield ask
    process.stdin.close()
    process.wait(timeout=300)


def array(value):
    dtype = "float64" if value.is_floating_point() else "int64"
    return {"shape": list(value.shape), "data": value.flatten().tolist(), "dtype": dtype}


def export(module, x, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (x,), path, dynamo=False, input_names=["x"], output_names=["y"], opset_version=20, do_constant_folding=False,
                          dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_products(products, tmp_path, name):
    torch.backends.mha.set_fastpath_enabled(False)  # It has no jvp.
    torch.manual_seed(list(NETWORKS).index(name))
    make, shape, *integers = NETWORKS[name]
    module = make().double().eval()
    x = torch.randint(5, (N, *shape)) if integers else torch.randn(N, *shape, dtype=torch.float64)
    export(module, x, tmp_path / "model.onnx")

    parameters = {key: value.detach() for key, value in module.named_parameters()}
    v = {key: torch.randn_like(value) for key, value in parameters.items()}
    direction = None if integers else torch.randn_like(x)
    y = module(x).detach()
    u = torch.randn_like(y)
    answer = products(path=str(tmp_path / "model.onnx"), x=array(x), u=array(u), chosen=None if name in RENAMED else list(parameters),
                      tangents={**({} if integers else {"x": array(direction)}), **{key: array(value) for key, value in v.items()}})  # fmt: skip
    if name not in RENAMED:
        assert set(answer["parameters"]) == set(parameters)
    tolerance = 1e-6 if name in SINGLE else 1e-10
    v = {key: value if key in answer["parameters"] else torch.zeros_like(value) for key, value in v.items()}

    if integers:

        def f(weights):
            return functional_call(module, weights, (x,))

        at, tangent = (parameters,), (v,)
    else:

        def f(weights, x):
            return functional_call(module, weights, (x,))

        at, tangent = (parameters, x), (v, direction)
    _, expected = jvp(f, at, tangent)
    numpy.testing.assert_allclose(answer["f"], y.flatten(), rtol=0, atol=tolerance)
    numpy.testing.assert_allclose(
        answer["product"], expected.flatten(), rtol=0, atol=tolerance * float(expected.abs().max())
    )
    _, back = vjp(f, *at)
    gradients, *rest = back(u)
    if rest:
        gradients = {**gradients, "x": rest[0]}
    for key, value in answer["gradients"].items():
        atol = tolerance * float(gradients[key].abs().max())
        numpy.testing.assert_allclose(value, gradients[key].flatten(), rtol=0, atol=atol, err_msg=key)
