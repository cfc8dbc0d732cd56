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
from onnx import numpy_helper

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


@pytest.fixture(scope="module")
def results() -> list[dict[str, object]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lines = "\n".join(json.dumps(case) for case in cases())
    run = subprocess.run(
        ["node", str(ROOT / "test" / "peers" / "run-operators.mjs")],
        input=lines, capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_nothing_is_computed_otherwise_than_the_standard_says(results: list[dict[str, object]]) -> None:
    wrong = [(each["name"], each["outcomes"]) for each in results
             if each["outcome"] == "wrong" and each["name"] not in RANDOM | OTHERWISE]  # fmt: skip
    assert wrong == []


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
