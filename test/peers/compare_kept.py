"""Compares files that `npm run fuzz -- --keep FOLDER` kept, mutants that our readers accept, with what the libraries read:
`python test/peers/compare_kept.py FOLDER` prints how many are equal, and each that is not.

torch reads with weights_only, safetensors and onnx give the weights, and ONNX Runtime runs the networks. What only one
side accepts is strictness; what both accept must be the same."""

import collections
import io
import json
import multiprocessing
import pathlib
import sys
import warnings

import conftest
import numpy
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from safetensors.torch import load
from test_pytorch import bits

#: Numbers of ONNX Runtime may differ by so much of the largest, by the type of the network.
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


def of_torch(content):
    loaded = torch.load(io.BytesIO(content), weights_only=True)
    return {name: bits(tensor) for name, tensor in loaded.items()}


def of_safetensors(content):
    return {name: bits(tensor) for name, tensor in load(content).items()}


def of_onnx(content):
    model = onnx.load_model_from_string(content)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return {name: (array.dtype.name, array.shape, array.tobytes()) for name, array in arrays.items()}


PEERS = {
    "PyTorch": ("pytorch", of_torch),
    "safetensors": ("safetensors", of_safetensors),
    "ONNX": ("onnx", of_onnx),
}


def ends_of(read, path):
    """How the comparison of one file ended: for its weights, and for what a network computes."""
    kind = path.name.split("-")[0]
    reader, peer = PEERS[kind]
    try:
        ours = read(reader, path)
    except conftest.Refused:
        return ["refused by us"]
    try:
        theirs = peer(path.read_bytes())
    except Exception:
        return ["refused by the library"]
    # The adapters give what networks are made of: a state dictionary may hold more.
    return ["equal" if ours == theirs else f"DIFFERENT: {differing(ours, theirs)}"]


def differing(ours, theirs):
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    return ", ".join(
        f"{name}: {ours.get(name, ('absent',))[:2]}, {theirs.get(name, ('absent',))[:2]}" for name in names[:3]
    )


def serve_onnxruntime(connection):
    """A process of its own: a file that is not checked may end it."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = 1
    while True:
        try:
            path, fed = connection.recv()
        except EOFError:
            return
        try:
            session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
            names = [output.name for output in session.get_outputs()]
            connection.send(dict(zip(names, session.run(None, fed), strict=True)))
        except Exception as error:
            connection.send(str(error))


class OnnxRuntime:
    """ONNX Runtime in a process that is started again when a file ends it."""

    def __init__(self):
        self.process = None

    def __call__(self, path, fed):
        """Outputs by name, or why there are none."""
        if self.process is None or not self.process.is_alive():
            self.connection, there = multiprocessing.get_context("spawn").Pipe()
            self.process = multiprocessing.get_context("spawn").Process(
                target=serve_onnxruntime, args=(there,), daemon=True
            )
            self.process.start()
            there.close()
        try:
            self.connection.send((str(path), fed))
            if self.connection.poll(60):
                return self.connection.recv()
            self.process.kill()
            return "hangs"
        except (EOFError, OSError):
            self.process.join(60)
            return "crashed"


def run_end(read, runtime, path):
    """How a network's outputs compare with ONNX Runtime's."""
    read.process.stdin.write(json.dumps({"reader": "onnx-run", "path": str(path)}) + "\n")
    read.process.stdin.flush()
    ours = json.loads(read.process.stdout.readline())
    if "error" in ours:
        assert ours["error"]["code"] not in ("none", "INTERNAL"), (path, ours["error"])
        return "not run by us"
    fed = {
        entry["name"]: numpy.asarray(entry["data"], dtype=entry["dtype"]).reshape(entry["shape"])
        for entry in ours["inputs"]
    }
    theirs = runtime(path, fed)
    if isinstance(theirs, str):
        return f"not run by ONNX Runtime: {theirs}"
    for output in ours["outputs"]:
        found = numpy.asarray([float(text) for text in output["data"]]).reshape(output["shape"])
        wanted = theirs.get(output["name"])
        if wanted is None:
            return f"DIFFERENT: {output['name']} is no output of theirs"
        if wanted.shape != found.shape:
            return f"DIFFERENT: shape {found.shape}, {wanted.shape}"
        finite = numpy.isfinite(wanted)
        if not (finite == numpy.isfinite(found)).all():
            return "DIFFERENT: what is finite"
        largest = max(1e-30, numpy.abs(wanted[finite], dtype=numpy.float64).max(initial=0.0))
        most = numpy.abs(found[finite] - wanted[finite]).max(initial=0.0)
        if most > TOLERANCE.get(wanted.dtype.name, 0) * largest:
            return f"DIFFERENT: by {most / largest:.1e} of the largest"
    return "runs equally"


def compare(folder, step=1):
    """How many files of each kind ended in which way, and those that differ."""
    counts, different = collections.Counter(), []
    reader, runtime = conftest.Reader(), OnnxRuntime()
    for path in sorted(pathlib.Path(folder).iterdir())[::step]:
        kind = path.name.split("-")[0]
        if kind not in PEERS:
            continue
        ends = ends_of(reader, path)
        if kind == "ONNX":
            ends.append(run_end(reader, runtime, path))
        for end in ends:
            counts[kind, end.split(":")[0]] += 1
            if end.startswith("DIFFERENT"):
                different.append(f"{path.name}: {end}")
    reader.close()
    return counts, different


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    counts, different = compare(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    for (kind, end), count in sorted(counts.items()):
        print(f"{kind:12} {end:26} {count:7}")
    print("\n".join(different))
    sys.exit(1 if different else 0)
