"""The inputs of a submit: files and streams, opened so that every byte read is also hashed."""

from __future__ import annotations

import hashlib
import io
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from batchrun.jobfile.codes import Code
from batchrun.jobfile.compressed import NoZstd, expanded
from batchrun.jobfile.faults import Fault

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

DIGEST = 16
"""Bytes of a digest."""

_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """One input as the user named it. "-" is a stream, which must be given and can be read only once."""

    name: str
    stream: BinaryIO | io.RawIOBase | None = None


class Tap(io.RawIOBase):
    """A stream that hashes what passes, and whose beginning can be looked at before it is read."""

    def __init__(self, raw: BinaryIO | io.RawIOBase) -> None:
        super().__init__()
        self._raw = raw
        self._ahead = b""
        self._hash = hashlib.blake2b(digest_size=DIGEST)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """Closes a file that was opened here; a stream is its owner's."""
        if isinstance(self._raw, io.RawIOBase):
            self._raw.close()
        super().close()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        if self._ahead:
            n = min(len(view), len(self._ahead))
            view[:n] = self._ahead[:n]
            self._ahead = self._ahead[n:]
            return n
        read = self._raw.read(len(view)) or b""
        self._hash.update(read)
        view[: len(read)] = read
        return len(read)

    def peek(self, size: int) -> bytes:
        """The first bytes, at most *size*; fewer only if there are no more. Only before anything is read."""
        while len(self._ahead) < size and (more := self._raw.read(size - len(self._ahead))):
            self._hash.update(more)
            self._ahead += more
        return self._ahead

    def digest(self) -> bytes:
        """Over all bytes that were read so far."""
        return self._hash.digest()


@dataclass(frozen=True, slots=True)
class Opened:
    """A source that can be read. `folder` is where a file stands, with symbolic links resolved; None for a stream."""

    source: Source
    tap: Tap
    reader: io.BufferedReader
    folder: Path | None


def is_stream(source: Source) -> bool:
    """Whether *source* can be read only once: standard input, or a pipe by its path."""
    if source.stream is not None or source.name == "-":
        return True
    try:
        return stat.S_ISFIFO(Path(source.name).stat().st_mode)
    except (OSError, ValueError):
        return False


def opened(source: Source) -> Opened | Fault:
    """*source*, open; whoever takes it closes its reader. Raises nothing: a file that cannot be opened is a Fault."""
    path = Path(source.name)
    try:
        if source.stream is not None:
            return _tapped(source, source.stream, None)
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return Fault(
                code=Code.NOT_A_FILE,
                message="this is a directory",
                hint=f"name the job files in it, for example `{path / '*.jsonl'}`",
            )
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            return Fault(code=Code.NOT_A_FILE, message="this is a device, not a file", hint="`-` is standard input")
        raw = io.FileIO(path, "rb")
        return _tapped(source, raw, path.resolve().parent if stat.S_ISREG(mode) else None)
    except (OSError, ValueError) as error:
        return unreadable(error)


def unreadable(error: OSError | ValueError) -> Fault:
    """Why a file could not be read."""
    if isinstance(error, FileNotFoundError):
        return Fault(code=Code.UNREADABLE, message="there is no such file")
    if isinstance(error, PermissionError):
        return Fault(
            code=Code.UNREADABLE, message="reading this file is not permitted", hint="look at its owner and mode"
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Fault(code=Code.UNREADABLE, message=f"this file cannot be read: {reason.lower()}")


def _tapped(source: Source, raw: BinaryIO | io.RawIOBase, folder: Path | None) -> Opened | Fault:
    tap = Tap(raw)
    try:
        inside = expanded(tap, tap.peek(4))
    except NoZstd:
        tap.close()
        return Fault(
            code=Code.BINARY,
            message="this is compressed with zstd, which this Python does not read",
            hint="`pip install 'batchrun[zstd]'`, or `zstd -dc FILE | batchrun submit -`",
        )
    if inside is not tap:
        tap = Tap(inside)  # what is compressed anew with the same content is the same input
    return Opened(source, tap, io.BufferedReader(tap, _BUFFER), folder)
