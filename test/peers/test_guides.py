"""The code of the guides that need torch runs, block by block."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "guides"
GUIDES = [path for path in sorted(FOLDER.glob("*.md")) if "import torch" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("guide", GUIDES, ids=[path.stem for path in GUIDES])
def test_the_code_of_a_guide(guide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", guide.read_text(encoding="utf-8"), flags=re.S):
        exec(compile(block, guide.name, "exec"), space)
    if guide.stem == "segmentation":
        assert space["probabilities"].shape[0] == 2
        assert sorted(space["probabilities"].shape)[-2:] == [8, 8]
