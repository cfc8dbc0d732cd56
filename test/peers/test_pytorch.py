"""Files that torch.save wrote are read bit for bit as torch.load reads them."""

import collections
import io
import pickle
import struct
import zipfile

import conftest
import numpy
import pytest
import torch

DTYPES = {
    name: getattr(torch, name)
    for name in (
        "float64",
        "float32",
        "float16",
        "bfloat16",
        "int64",
        "int32",
        "int16",
        "int8",
        "uint8",
        "bool",
        "uint16",
        "uint32",
        "uint64",
    )
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def bits(tensor):
    """(dtype, shape, bytes) in row-major order, without a detour through numbers."""
    plain = torch.empty(tensor.numel(), dtype=tensor.dtype).copy_(tensor.detach().reshape(-1))
    return NAMES[tensor.dtype], tuple(tensor.shape), plain.view(torch.uint8).numpy().tobytes()


def random_tensor(random, dtype):
    """Any bits, and one of the ways in which a tensor can lie in its storage."""
    dims = conftest.shape(random)
    raw = bytearray(conftest.random_bits(random, dtype, dims))
    flat = torch.frombuffer(raw, dtype=DTYPES[dtype]) if raw else torch.empty(0, dtype=DTYPES[dtype])
    tensor = flat.clone().reshape(dims)
    way = random.integers(0, 6)
    if way == 1 and tensor.dim() > 1:
        tensor = tensor.permute(*random.permutation(tensor.dim()).tolist())
    elif way == 2 and tensor.dim() > 0 and tensor.shape[0] > 2:
        tensor = tensor[1:-1]
    elif way == 3 and tensor.dim() > 0:
        tensor = tensor[..., ::2]
    elif way == 4 and tensor.dim() > 0:
        tensor = tensor.unsqueeze(0).expand(3, *tensor.shape)
    elif way == 5 and tensor.dim() == 4:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    return tensor


def random_state(random, dtypes=tuple(DTYPES)):
    state = collections.OrderedDict(
        (name, random_tensor(random, random.choice(dtypes))) for name in conftest.names(random, 6)
    )
    base = torch.arange(24, dtype=torch.float32)
    state["shared.a"], state["shared.b"], state["tied"] = (
        base[:12].view(3, 4),
        base[6:18].view(4, 3).t(),
        base[:12].view(3, 4),
    )
    return state


def check(read, path, state, **options):
    found = read("pytorch", path, **options)
    assert list(found) == list(state)
    for name, tensor in state.items():
        assert found[name] == bits(tensor), name


OLD = tuple(name for name in DTYPES if name not in ("uint16", "uint32", "uint64"))


@pytest.mark.parametrize("seed", range(40))
def test_archives(read, tmp_path, seed):
    state = random_state(numpy.random.default_rng(seed))
    torch.save(state, tmp_path / "model.pt", pickle_protocol=2 + seed % 4)
    check(read, tmp_path / "model.pt", state)
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    (tmp_path / "buffer.pt").write_bytes(buffer.getvalue())
    check(read, tmp_path / "buffer.pt", state)


@pytest.mark.parametrize("seed", range(40))
def test_legacy_streams(read, tmp_path, seed):
    state = random_state(numpy.random.default_rng(1000 + seed), OLD if seed % 2 else tuple(DTYPES))
    torch.save(state, tmp_path / "model.pt", _use_new_zipfile_serialization=False, pickle_protocol=2 + seed % 4)
    check(read, tmp_path / "model.pt", state)


@pytest.mark.parametrize("seed", range(10))
def test_big_endian(read, tmp_path, seed):
    """torch reads such files by turning every element round; so must we."""
    state = random_state(numpy.random.default_rng(2000 + seed), OLD)
    torch.save(state, tmp_path / "little.pt")
    storages = {}
    for tensor in state.values():
        storages.setdefault(tensor.untyped_storage().data_ptr(), tensor.element_size())
    order = list(dict.fromkeys(tensor.untyped_storage()._cdata for tensor in state.values()))
    widths = {cdata: tensor.element_size() for tensor in state.values() for cdata in [tensor.untyped_storage()._cdata]}
    with zipfile.ZipFile(tmp_path / "little.pt") as source, zipfile.ZipFile(tmp_path / "big.pt", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("/byteorder"):
                content = b"big"
            elif "/data/" in name:
                width = widths[order[int(name.rsplit("/", 1)[1])]]
                content = b"".join(content[i : i + width][::-1] for i in range(0, len(content), width))
            target.writestr(name, content)
    loaded = torch.load(tmp_path / "big.pt", weights_only=True)
    assert all(bits(loaded[name]) == bits(state[name]) for name in state), "the file is what torch takes it for"
    check(read, tmp_path / "big.pt", state)


class Network(torch.nn.Module):
    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.body = torch.nn.Sequential(
            torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 5)
        )
        self.head = torch.nn.Linear(5, 2, bias=False)
        self.again = self.head
        self.register_buffer("scale", torch.tensor(2.0))
        self.register_buffer("cache", torch.zeros(3), persistent=False)
        self.scales = torch.nn.ParameterList([torch.nn.Parameter(torch.randn(2)) for _ in range(2)])

    def forward(self, x):
        return self.head(self.body(x)) * self.scale


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_whole_modules_and_checkpoints(read, tmp_path, legacy):
    network = Network(7).double()
    state = network.state_dict()
    kind = {"_use_new_zipfile_serialization": not legacy}
    torch.save(network, tmp_path / "module.pt", **kind)
    check(read, tmp_path / "module.pt", state)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(4, 3).double()).sum().backward()
    optimizer.step()
    state = network.state_dict()
    checkpoint = {
        "epoch": 3,
        "model_state_dict": state,
        "optimizer_state_dict": optimizer.state_dict(),
        "loss": torch.tensor(0.5),
        "rng": torch.get_rng_state(),
    }
    torch.save(checkpoint, tmp_path / "checkpoint.pt", **kind)
    check(read, tmp_path / "checkpoint.pt", state)
    torch.save({"model": network, "optimizer": optimizer, "ema": {"w": torch.ones(2)}}, tmp_path / "both.pt", **kind)
    check(read, tmp_path / "both.pt", state)
    check(read, tmp_path / "both.pt", {"w": torch.ones(2)}, model="ema")
    torch.save({f"module.{name}": value for name, value in state.items()}, tmp_path / "parallel.pt", **kind)
    check(read, tmp_path / "parallel.pt", state)
    torch.save([torch.nn.Parameter(torch.ones(2)), torch.zeros(3)], tmp_path / "list.pt", **kind)
    check(read, tmp_path / "list.pt", {"0": torch.ones(2), "1": torch.zeros(3)})
    torch.save(torch.eye(3), tmp_path / "tensor.pt", **kind)
    check(read, tmp_path / "tensor.pt", {"tensor": torch.eye(3)})


@pytest.mark.filterwarnings("ignore")
def test_torchscript(read, tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    torch.jit.script(network).save(str(tmp_path / "script.pt"))
    check(read, tmp_path / "script.pt", network.state_dict())


def test_plain_pickles(read, tmp_path):
    state = {"weight": torch.randn(3, 4).t(), "bias": torch.randn(2)}
    for protocol in (2, 3, 4, 5):
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(state, protocol=protocol))
        check(read, tmp_path / "model.pkl", state)


@pytest.mark.filterwarnings("ignore")
def test_what_is_not_plain_numbers_is_named(read, refused, tmp_path):
    odd = {
        "complex64": torch.zeros(2, dtype=torch.complex64),
        "sparse": torch.eye(3).to_sparse(),
        "meta": torch.zeros(2, device="meta"),
        "float8_e4m3fn": torch.zeros(2).to(torch.float8_e4m3fn),
        "quantised": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
        "negated": torch.zeros(2, dtype=torch.complex64).conj().imag,
    }
    for kind, tensor in odd.items():
        torch.save({"w": tensor}, tmp_path / "model.pt")
        with pytest.raises(refused, match=f"UNSUPPORTED_FORMAT.*'w' is .*{kind}"):
            read("pytorch", tmp_path / "model.pt")


def test_archives_without_checksums(read, refused, tmp_path):
    """torch can leave them out; what is then in their place is not one."""
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"w": torch.ones(4)}, tmp_path / "model.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    with pytest.raises(refused, match="UNTRUSTED_INPUT.*checksum"):
        read("pytorch", tmp_path / "model.pt")


@pytest.mark.parametrize("seed", range(conftest.MUTATIONS))
@pytest.mark.filterwarnings("ignore")
def test_mutated_files_are_refused_or_equal(read, refused, tmp_path, seed):
    """What both readers accept must be the same tensors; what only we refuse is our strictness."""
    random = numpy.random.default_rng(3000 + seed)
    path = tmp_path / "model.pt"
    state = collections.OrderedDict(
        a=torch.arange(6, dtype=torch.float32).view(2, 3), b=torch.arange(3).t(), c=torch.ones(2, 2).t()
    )
    torch.save(state, path, _use_new_zipfile_serialization=seed % 2 == 0)
    content = bytearray(path.read_bytes())
    for _ in range(int(random.integers(1, 4))):
        content[random.integers(0, len(content))] = random.integers(0, 256)
    path.write_bytes(bytes(content))
    try:
        found = read("pytorch", path)
    except refused:
        return
    try:
        loaded = torch.load(path, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        # We read objects of classes that nobody knows as plain data, numbers saved on any device, and the texts of
        # Python 2; torch needs the class and the device, and its safe reader does not know all opcodes.
        assert any(
            reason in str(error)
            for reason in ("Unsupported global", "don't know how to restore data location", "Unsupported operand")
        )
        return
    assert {name: bits(tensor) for name, tensor in loaded.items()} == found


def test_large_storage_numbers_do_not_change_the_order(read, tmp_path):
    state = {f"w{i}": torch.full((2,), float(i)) for i in range(120)}
    torch.save(state, tmp_path / "model.pt")
    check(read, tmp_path / "model.pt", state)
    assert struct.unpack("<2f", read("pytorch", tmp_path / "model.pt")["w119"][2]) == (119.0, 119.0)
