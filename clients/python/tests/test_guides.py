"""The code of every guide runs, block by block, as a reader would run it; those with torch run in test/peers."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from conftest import REPOSITORY

mpl.use("Agg")

GUIDES = [
    path
    for path in sorted((REPOSITORY / "docs" / "guides").glob("*.md"))
    if not re.search("^ *import torch|polylaplace.distributed", path.read_text(encoding="utf-8"), flags=re.M)
]


@pytest.mark.parametrize("guide", GUIDES, ids=[path.stem for path in GUIDES])
def test_the_code_of_a_guide(guide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", guide.read_text(encoding="utf-8"), flags=re.S)
    assert blocks, "a guide has code"
    space: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's optimiser may stop early
        for block in blocks:
            exec(compile(block, guide.name, "exec"), space)
    if guide.stem == "rows-that-are-no-data":
        assert space["told"] > 0.9
        assert space["alarms"] < 0.15
    if guide.stem == "error-bars-for-a-regression":
        assert 0.8 < space["inside"].mean() < 0.98
    if guide.stem == "bayesian-optimisation":
        assert space["y"].min() < space["expensive"](space["candidates"]).min() + 0.1
    if guide.stem == "calibrate-a-classifier":
        assert space["comparison"].posterior["nll"] < space["comparison"].network["nll"]
    if guide.stem == "deploy-by-onnx":
        assert (tmp_path / "bayesian.onnx").stat().st_size > 1000
