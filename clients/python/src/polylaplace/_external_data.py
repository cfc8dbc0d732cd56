"""The files beside a model's file that hold its weights, read from its own folder alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ._client import Client
from ._exceptions import LaplaceError, OptionError, UntrustedInputError

#: A folder with the files that a model names, or their bytes by name.
ExternalData: TypeAlias = str | os.PathLike[str] | Mapping[str, bytes]

#: Bytes of all files together, 8 GiB.
_MOST_BYTES = 2**33
#: What files contain that name others: ONNX's external data, the index of safetensors in several parts.
_MARKS = (b"location", b"weight_map")


def external_files(model: Any, given: ExternalData | None, client: Client) -> dict[str, bytes] | None:
    """The bytes by name of the files that a model's file names.

    Args:
        model: a path or bytes; other models have no files beside them.
        given: the option external_data; None: what lies beside the path.

    Raises:
        UntrustedInputError: for names that lead out of the folder, links, devices, missing and overlong files.
    """
    if isinstance(given, Mapping):
        return {str(name): bytes(content) for name, content in given.items()}
    is_path = isinstance(model, (str, os.PathLike))
    if not is_path and not isinstance(model, (bytes, bytearray, memoryview)):
        if given is None:
            return None
        raise OptionError(
            f"external_data belongs to a file, and the model is a {type(model).__name__}.",
            "BAD_COMBINATION",
            {"option": "external_data"},
        )
    folder = Path(given) if given is not None else Path(model).parent if is_path else None
    if folder is None or (is_path and not os.path.isfile(model)):
        return None
    data = Path(model).read_bytes() if is_path else bytes(model)
    if not any(mark in data for mark in _MARKS):
        return None
    try:
        names = [str(name) for name in client.call("filesBeside", {"bytes": data})["names"]]
    except LaplaceError as error:
        if isinstance(error, UntrustedInputError) and error.code != "UNSUPPORTED_FORMAT":
            raise
        # What is wrong with the file is said when it is read.
        return None
    files: dict[str, bytes] = {}
    left = _MOST_BYTES
    for name in names:
        files[name] = _read_below(folder, name, left)
        left -= len(files[name])
    return files or None


def _read_below(folder: Path, name: str, left: int) -> bytes:
    """A regular file below a folder that no link leads to or from."""
    root = os.path.realpath(folder)
    plain = os.path.join(root, *name.split("/"))
    if not os.path.lexists(plain):
        raise _refusal(name, f"is not in the folder of the model, {root}")
    if os.path.realpath(plain) != plain:
        raise _refusal(
            name, "is reached through a symbolic link; give the folder that it lies in, or its bytes, as external_data"
        )
    try:
        # Not blocking: opening a named pipe would wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(plain, flags)
    except OSError as error:
        raise _refusal(name, f"cannot be opened ({error.strerror})") from error
    with os.fdopen(descriptor, "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise _refusal(name, "is no regular file")
        if info.st_nlink > 1:
            raise _refusal(name, "has a second name (hard link) and may belong to something else; copy it")
        if info.st_size > left:
            raise _refusal(name, f"has {info.st_size} bytes; {left} are allowed")
        return file.read(info.st_size)


def _refusal(name: str, problem: str) -> UntrustedInputError:
    return UntrustedInputError(
        f"The file '{name[:200]}' with weights of the network {problem}.", "UNTRUSTED_INPUT", {"path": name[:200]}
    )
