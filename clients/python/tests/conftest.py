"""What the tests share."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
FIXTURES = REPOSITORY / "protocol" / "fixtures" / "v1"
CASES = REPOSITORY / "test" / "fixtures" / "cases"

# A shell that starts the tests in the background has them ignore Ctrl-C, which some of them press and wait for.
signal.signal(signal.SIGINT, signal.default_int_handler)

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


#: Seconds after which something is taken to hang, whatever else the machine does.
HANG = 300.0


def allowed(seconds: float) -> float:
    """A limit as it is promised on a quiet machine, and longer the more others wait for its processors."""
    waiting = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if Path("/proc/loadavg").exists():
        waiting = max(waiting, int(Path("/proc/loadavg").read_text().split()[3].split("/")[0]) - 1)
    return seconds * (1 + 20 * max(0.0, waiting / (os.cpu_count() or 1) - 0.5))


def fastest(limit: float, run: Callable[[], object], tries: int = 20) -> float:
    """The shortest of several times: other work only ever adds to one. Tries again, after pauses that grow, while the
    limit is not kept, so that a machine that is busy for some seconds fails nothing."""
    best = math.inf
    for number in range(tries):
        time.sleep(0.05 * max(0, number - 2))
        start = time.monotonic()
        run()
        best = min(best, time.monotonic() - start)
        if best < limit:
            break
    return best


def during(client: Any, act: Callable[[], object]) -> None:
    """Lets something happen in another thread as soon as a call of this client waits for its answer."""

    def wait() -> None:
        while not client._calls:
            time.sleep(0.002)
        time.sleep(0.05)
        act()

    threading.Thread(target=wait, daemon=True).start()


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
