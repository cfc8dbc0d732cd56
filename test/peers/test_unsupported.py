"""What is not supported is refused, or said, with a way out: the last part of docs/architectures.md."""

from __future__ import annotations

import pathlib
import re

import pytest
import unsupported

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "architectures.md"


@pytest.mark.parametrize("case", unsupported.CASES, ids=lambda case: str(case.what))
def test_what_is_not_supported_says_what_to_do(case: unsupported.Case) -> None:
    assert re.search(case.says, unsupported.told(case)), unsupported.told(case)
    assert f"| {case.what} |" in PAGE.read_text()
