"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes beside the place, syncs, and renames: a full disk or a killed process leaves the old file.

    Raises:
        OSError: naming `path`.
    """
    target = os.path.realpath(os.fspath(path))
    try:
        mode: int | None = os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    try:
        if mode is not None and not stat.S_ISREG(mode):
            # Pipes and devices cannot be renamed to, and have nothing to lose.
            with open(target, "wb") as file:
                file.write(data)
        else:
            _replace(target, data, mode)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; what was there before is unchanged", os.fspath(path)) from error


def _replace(target: str, data: bytes, mode: int | None) -> None:
    folder, name = os.path.split(target)
    beside = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(6)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(beside, flags, 0o666 if mode is None else stat.S_IMODE(mode))
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """The new name is on the disk then; not every system lets a folder be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
