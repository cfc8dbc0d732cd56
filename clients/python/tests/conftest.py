"""What the tests share."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
FIXTURES = REPOSITORY / "protocol" / "fixtures" / "v1"
CASES = REPOSITORY / "test" / "fixtures" / "cases"

try:
    import polylaplace  # noqa: F401
except ImportError:
    sys.path.insert(0, str(REPOSITORY / "clients" / "python" / "src"))


@pytest.fixture(scope="session")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of a server whose methods sleep, print and die as told (test/protocol/server/slow-worker.ts)."""
    node = shutil.which("node")
    assert node is not None
    folder = tmp_path_factory.mktemp("server")
    build = [
        node,
        str(REPOSITORY / "scripts" / "build-clients.mjs"),
        "--server",
        str(folder),
        "test/protocol/server/slow-worker.ts",
    ]
    subprocess.run(build, check=True, cwd=REPOSITORY)
    return [node, str(folder / "polylaplace.mjs"), "serve"]


@pytest.fixture
def slow_client(slow_server: list[str]) -> Iterator[Any]:
    """A client of that server."""
    from polylaplace import Client

    with Client(command=slow_server) as client:
        yield client


def allowed(seconds: float) -> float:
    """A limit as it is promised on a quiet machine, and longer the more others wait for its processors."""
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0
    return seconds * (1 + 20 * max(0.0, waiting - 0.5))


def array(value: Any) -> np.ndarray[Any, Any]:
    """An array of the reference files; null stands for what is not finite."""
    data = [np.nan if item is None else item for item in value["data"]]
    return np.asarray(data, dtype=np.float64).reshape(value["shape"])


def read_case(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Expected values and data of a reference case."""
    expected = json.loads((CASES / name / "expected.json").read_text())
    folder = CASES / name
    if (folder / "data.npz").is_file():
        with np.load(folder / "data.npz") as file:
            return expected, {key: file[key] for key in file.files}
    raw = json.loads((folder / "data.json").read_text())
    return expected, {key: array(raw[key]) for key in ("x", "y", "x_test", "y_test")}
