"""The lines of an input as text, one at a time; what is no text in UTF-8, or too long, is a problem in its place."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator

from batchrun.core.problem import Problem
from batchrun.jobfile.codes import Code
from batchrun.jobfile.faults import Fault

LINE_BYTES = 34 * 1024 * 1024
"""How much of a line is read at most: somewhat more than the largest request the API takes."""

SKIPPED = 1 << 34
"""Bytes of a line that are passed over at most to reach the next one: 16 GB."""


class TextLines:
    """The lines of the input *name*. `number` is that of the last one, from 1."""

    def __init__(self, name: str, reader: io.BufferedReader) -> None:
        self._name = name
        self._reader = reader
        self.number = 0

    def __iter__(self) -> Iterator[str | Problem]:
        """Each line with its break, a blank one too, or its problem. Raises OSError if reading fails."""
        reader = self._reader
        while raw := reader.readline(LINE_BYTES + 1):
            self.number += 1
            if self.number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            if len(raw) > LINE_BYTES and not raw.endswith(b"\n"):
                yield self._too_long(raw)
                continue
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                offset = len(raw[: error.start].decode())
                yield not_utf8(raw, error).at(self._name, self.number, raw.decode(errors="replace").rstrip(), offset)
                continue
            yield text

    def _too_long(self, raw: bytes) -> Problem:
        """Skips the rest of the line."""
        length = len(raw)
        while length < SKIPPED and (rest := self._reader.readline(1 << 20)):
            length += len(rest)
            if rest.endswith(b"\n"):
                break
        fault = Fault(
            code=Code.LINE_TOO_LONG,
            message=f"this line has {length:,} bytes; at most {LINE_BYTES:,} are read",
            hint="a request may have 32 MB; escapes like \\u4e2d take twice the room of the characters themselves",
        )
        return fault.at(self._name, self.number, raw[:1000].decode(errors="replace"))


def not_utf8(raw: bytes, error: UnicodeDecodeError) -> Fault:
    """The fault of bytes that are not UTF-8."""
    return Fault(
        code=Code.NOT_UTF8,
        message=f"byte 0x{raw[error.start]:02x} is not UTF-8",
        hint="save the file as UTF-8, for example `iconv -f LATIN1 -t UTF-8 FILE`",
    )
