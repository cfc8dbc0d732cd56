"""onnx's own node tests, as one test over every operator: what is computed is right, what is not is refused."""

from __future__ import annotations

import base64
import collections
import json
import pathlib
import subprocess
import warnings

import numpy
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Dropout of a network in training is random; here it passes its input on, and a note says so.
RANDOM = {f"test_training_dropout{kind}" for kind in ("", "_default", "_mask", "_default_mask")}

# The test divides by a length that is no whole number; the standard's text, torch and ONNX Runtime by that of the
# result.
OTHERWISE = {f"test_resize_downsample_scales_{kind}_align_corners" for kind in ("linear", "cubic")}


def encoded(value: object) -> str:
    array = value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(numpy.asarray(value))
    return base64.b64encode(array.SerializeToString()).decode()


def cases() -> list[dict[str, object]]:
    """The tests with their models, inputs and outputs; those of sequences and optional values are left out."""
    from onnx.backend.test.case.node import collect_testcases

    found = []
    for case in collect_testcases(None):
        try:
            [(inputs, outputs)] = case.data_sets
            data = {"inputs": [encoded(each) for each in inputs], "outputs": [encoded(each) for each in outputs]}
        except (ValueError, NotImplementedError):
            continue
        operators = sorted({node.op_type for node in case.model.graph.node})
        model = base64.b64encode(case.model.SerializeToString()).decode()
        found.append({"name": case.name, "operators": operators, "model": model, **data})
    return found


def evaluated(op: str, opset: int, inputs: list[numpy.ndarray | None], results: int, **attributes: object) -> dict:
    """A case of our own, with the results of the standard's reference implementation."""
    names = ["" if each is None else f"x{i}" for i, each in enumerate(inputs)]
    fed = {name: each for name, each in zip(names, inputs) if name}
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, each.shape) for name, each in fed.items()]
    outputs = [onnx.ValueInfoProto(name=f"y{i}") for i in range(results)]
    node = helper.make_node(op, names, [each.name for each in outputs], **attributes)
    model = helper.make_model(
        helper.make_graph([node], "g", values, outputs), opset_imports=[helper.make_opsetid("", opset)]
    )
    found = ReferenceEvaluator(model).run(None, fed)
    return {
        "name": f"{op} {opset} {attributes}", "operators": [op],
        "model": base64.b64encode(model.SerializeToString()).decode(),
        "inputs": [encoded(each) for each in fed.values()], "outputs": [encoded(each) for each in found],
    }  # fmt: skip


def own_cases() -> list[dict[str, object]]:
    """Where ONNX Runtime, torch and the standard differ: the standard decides."""
    draws = numpy.random.default_rng(0)

    def normal(*shape: int) -> numpy.ndarray:
        return draws.normal(size=shape).astype("float32")

    # Places halfway between two elements, mirrored.
    grid = numpy.array([-1.4, 1.4, -1.8, 1.8, -0.6, 2.2, -3, 3], "float32")
    grid = numpy.stack([grid, 0 * grid], -1).reshape(1, 1, -1, 2)
    found = [
        evaluated("GridSample", 20, [normal(1, 2, 1, 5), grid], 1, mode="nearest", padding_mode=padding,
                  align_corners=aligned) for padding in ("zeros", "border", "reflection") for aligned in (0, 1)
    ]  # fmt: skip
    for opset in (23, 24):
        # More keys than queries behind a cache: the first query sees the cache and the first new key.
        given = [normal(1, 2, 1, 4), normal(1, 2, 2, 4), normal(1, 2, 2, 4), None, *normal(2, 1, 2, 2, 4)]
        found += [evaluated("Attention", opset, given, 4, is_causal=1, qk_matmul_output_mode=mode) for mode in range(4)]
    return found


@pytest.fixture(scope="module")
def results() -> list[dict[str, object]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lines = "\n".join(json.dumps(case) for case in cases() + own_cases())
    run = subprocess.run(
        ["node", str(ROOT / "test" / "peers" / "run-operators.mjs")],
        input=lines, capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_nothing_is_computed_otherwise_than_the_standard_says(results: list[dict[str, object]]) -> None:
    wrong = [(each["name"], each["outcomes"]) for each in results
             if each["outcome"] == "wrong" and each["name"] not in RANDOM | OTHERWISE]  # fmt: skip
    assert wrong == []


def test_where_runtimes_differ_the_standard_is_followed(results: list[dict[str, object]]) -> None:
    names = {case["name"] for case in own_cases()}
    assert {each["outcome"] for each in results if each["name"] in names} == {"passed"}


def test_every_refusal_is_a_typed_error(results: list[dict[str, object]]) -> None:
    assert [each for each in results if "FAULT" in str(each["outcomes"]) or "INTERNAL" in str(each["outcomes"])] == []


def test_most_tests_of_the_operators_listed_pass(results: list[dict[str, object]]) -> None:
    claimed = [each for each in results if each["claimed"]]
    passed = [each for each in claimed if each["outcome"] == "passed"]
    refused = collections.Counter(str(each["operators"]) for each in claimed if each["outcome"] == "refused")
    print(f"{len(passed)} of {len(claimed)} tests of operators that are listed pass; refused: {dict(refused)}")
    assert len(passed) >= 1500
    assert len(passed) >= 0.97 * len(claimed)


def test_operators_of_the_standard(results: list[dict[str, object]]) -> None:
    standard = {each.name for each in onnx.defs.get_all_schemas() if each.domain == "" and not each.deprecated}
    assert len(standard & set(results[0]["listed"])) >= 165
