"""Inputs that are compressed, with gzip or zstd, read as what they expand to."""

from __future__ import annotations

import gzip
import importlib
import io
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
SUFFIXES = (".gz", ".zst")

MOST_TIMES = 1_000
"""How many times as large as itself a file may become once it has given `FREE` bytes; real text hardly reaches 50."""
FREE = 1 << 30


class NoZstd(Exception):
    """There is no reader for zstd in this Python."""


def bare(name: str) -> str:
    """*name* without the ending of a compressed file."""
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def expanded(raw: io.RawIOBase, sign: bytes) -> io.RawIOBase:
    """What *raw*, which begins with *sign*, expands to; *raw* itself where that says nothing. Raises NoZstd."""
    if sign.startswith(GZIP):
        return _Expanded(raw, "gzip")
    if sign.startswith(ZSTD):
        return _Expanded(raw, "zstd")
    return raw


class _Counted(io.RawIOBase):
    """A stream that counts what is read of it."""

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__()
        self._raw = raw
        self.bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        n = self._raw.readinto(buffer) or 0
        self.bytes += n
        return n


class _Expanded(io.RawIOBase):
    """Raises OSError for data that are broken, cut short, or expand without measure."""

    def __init__(self, raw: io.RawIOBase, form: str) -> None:
        super().__init__()
        self._raw = raw
        self._form = form
        self._inside = _Counted(raw)
        self._bytes = 0
        source = cast("BinaryIO", io.BufferedReader(self._inside, 1 << 18))
        self._reader, errors = _gzip(source) if form == "gzip" else _zstd(source)
        self._errors: tuple[type[Exception], ...] = (*errors, EOFError)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._raw.close()
        super().close()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        try:
            read = self._reader.read(len(view))
        except self._errors as error:
            raise OSError(0, f"Its {self._form} data are broken or cut short") from error
        self._bytes += len(read)
        if self._bytes > FREE and self._bytes > MOST_TIMES * self._inside.bytes:
            raise OSError(0, f"Its {self._form} data expand to more than {MOST_TIMES:,} times their size")
        view[: len(read)] = read
        return len(read)


def _gzip(source: BinaryIO) -> tuple[BinaryIO, tuple[type[Exception], ...]]:
    return cast("BinaryIO", gzip.GzipFile(fileobj=source)), (gzip.BadGzipFile, zlib.error)


def _zstd(source: BinaryIO) -> tuple[BinaryIO, tuple[type[Exception], ...]]:
    for name in ("compression.zstd", "backports.zstd"):  # of Python 3.14, or the extra `zstd`
        try:
            zstd: Any = importlib.import_module(name)
        except ImportError:
            continue
        return zstd.ZstdFile(source), (zstd.ZstdError,)
    raise NoZstd
