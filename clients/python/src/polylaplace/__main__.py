"""The command line: `python -m polylaplace fit model.onnx --data train.csv ...`, with the Node.js that Python finds."""

from __future__ import annotations

import os
import subprocess
import sys

from . import _runtime
from ._exceptions import LaplaceError


def main(arguments: list[str]) -> int:
    """Runs the program that npm's package has as `polylaplace`; its exit code."""
    try:
        server = _runtime.server_file()
        file = server if arguments[:1] == ["serve"] else server.with_name("cli.mjs")
        command = [_runtime.find_node(), str(file), *arguments]
    except LaplaceError as error:
        print(error.message, file=sys.stderr)
        return 1
    environment = {**_runtime.ALLOCATOR, **os.environ, "NODE_COMPILE_CACHE": _runtime.compile_cache()}
    if sys.platform != "win32":
        # In place of this process: signals, pipes and the terminal are then its own.
        sys.stdout.flush()
        os.execve(command[0], command, environment)
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
