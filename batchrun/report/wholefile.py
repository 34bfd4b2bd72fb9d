"""A file that is there whole or not at all: written under another name, made durable, then renamed."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from batchrun.errors import UsageError


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Write *path* as UTF-8, readable by its owner alone. Whatever stood there stays until the new one is complete.

    A pipe or a device is written to as it is. Raises UsageError where no file can be; OSError from the disk.
    """
    try:
        found = path.stat().st_mode if path.exists() else None
    except OSError as error:
        raise _impossible(path, error) from error
    if found is not None and stat.S_ISDIR(found):
        raise UsageError(f"{path} is a folder", hint="-o names a file")
    if found is not None and not stat.S_ISREG(found):
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
        return
    real = Path(os.path.realpath(path))
    try:
        descriptor, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name[:60]}.", suffix=".part")
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise _impossible(path, error) from error
    try:
        # Half of a surrogate pair, which JSON allows, becomes the escape that JSON has for it.
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(real)
    except BaseException:
        Path(name).unlink()
        raise
    _sync_folder(real.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _impossible(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"cannot write {path}: {(error.strerror or '').lower()}", hint="-o names a file in a folder that exists"
    )
