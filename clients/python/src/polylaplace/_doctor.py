"""`doctor()`: what works on this machine and what does not, in sentences."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TextIO

from . import _runtime
from ._arguments import checked
from ._client import Client
from ._exceptions import LaplaceError
from ._version import __version__


@checked
def doctor(*, file: TextIO | None = None) -> bool:
    """Checks the set-up and prints what it finds. Returns whether everything that is needed is there."""
    out = sys.stdout if file is None else file
    healthy = True

    def say(mark: str, text: str) -> None:
        print(f"[{mark}] {text}", file=out)

    say("ok", f"polylaplace {__version__}, Python {platform.python_version()}, {platform.platform()}")
    for package in ("numpy", "msgpack", "scikit-learn", "torch", "tqdm"):
        version = _installed(package)
        if version is not None:
            say("ok", f"{package} {version}")
    problems: dict[str, str | None] = {}
    for where, path in _runtime.candidates():
        examined = _runtime.examine(path)
        problems[os.path.abspath(path)] = examined.problem
        version = ".".join(map(str, examined.version or ()))
        found = f"Node.js {version} at {path} (found in {where})"
        say("ok" if examined.problem is None else "--", examined.problem or found)
    try:
        node = _runtime.find_node()
        server = _runtime.server_file()
        say("ok", f"server {server}")
        problem = problems[node] if node in problems else _runtime.examine(node).problem
        if problem is None:
            _try_server(say)
            _report_engine(node, say)
        else:
            healthy = False
            say("!!", problem)
    except LaplaceError as error:
        healthy = False
        say("!!", error.message)
    say(
        "ok" if healthy else "!!",
        "Everything that is needed is there."
        if healthy
        else "polylaplace cannot work here yet; see the lines marked [!!].",
    )
    return healthy


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _try_server(say: object) -> None:
    assert callable(say)
    with Client() as client:
        info = client.server_info
        seconds = min(client.ping() for _ in range(5))
        say(
            "ok",
            f"the server answers: version {info['version']}, protocol {info['protocol']}, "
            f"{seconds * 1e3:.2f} ms a round trip",
        )
        if info["version"] != __version__:
            say(
                "--",
                f"the server has version {info['version']} and the package {__version__}; install both from one build.",
            )


def _report_engine(node: str, say: object) -> None:
    """The fast engine is optional: tells where it is looked for and how to install it."""
    assert callable(say)
    place = ort_folder(node)
    if place is not None:
        say("ok", f"onnxruntime-node at {place}")
    else:
        say(
            "--",
            "onnxruntime-node, the faster engine for large networks, is not installed (optional): "
            "npm install -g onnxruntime-node",
        )


def ort_folder(node: str) -> str | None:
    """Where onnxruntime-node is: POLYLAPLACE_ORT, or npm's global folder."""
    named = os.environ.get("POLYLAPLACE_ORT")
    if named:
        return named if Path(named).is_dir() else None
    npm = shutil.which("npm", path=os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", "")]))
    if npm is None:
        return None
    try:
        root = _runtime.output_of([npm, "root", "-g"], 20.0)[1].decode(errors="replace").strip()
    except (OSError, subprocess.SubprocessError):
        return None
    folder = Path(root) / "onnxruntime-node"
    return str(folder) if root and folder.is_dir() else None
