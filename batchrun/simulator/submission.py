"""The body of a create: two hundred megabytes of requests, read once and a window at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

from batchrun.simulator.failures import Failure, invalid

LARGEST = 256_000_000
"""Bytes of a body; over it the edge answers 413 (errors page, 2026-09)."""

MOST = 100_000
"""Requests in one batch (batch page, 2026-09)."""

PATTERN = "^[a-zA-Z0-9_-]{1,64}$"

_WINDOW = 1 << 20
_LARGEST_VALUE = 64 << 20
_TAIL = 16
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SPACE = re.compile(r"[ \t\n\r]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Refused(Exception):
    """The whole batch is refused."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Slip:
    """One request of a body: its custom_id, and the bytes from `begin` to `end`."""

    custom_id: str
    begin: int
    end: int


def slips(file: BinaryIO, most: int = MOST) -> Iterator[Slip]:
    """The requests of a body in their order. Raises `Refused` where the API refuses the whole."""
    seen: set[str] = set()
    found = False
    try:
        for name, index, value, begin, end in _values(_Window(file)):
            if index is None:
                if name == "requests":
                    raise Refused(invalid("requests: Input should be a valid list"))
                raise Refused(invalid(f"{name}: Extra inputs are not permitted"))
            found = True
            if index < 0:
                raise Refused(invalid("requests: List should have at least 1 item after validation, not 0"))
            if index >= most:
                raise Refused(invalid(f"requests: List should have at most {most} items after validation"))
            complaint = _complaint(value, seen)
            if complaint is not None:
                raise Refused(invalid(f"requests.{index}{complaint}"))
            seen.add(value["custom_id"])
            yield Slip(value["custom_id"], begin, end)
    except (ValueError, RecursionError) as error:
        raise Refused(invalid(f"The request body is not valid JSON: {error}")) from None
    if not found:
        raise Refused(invalid("requests: Field required"))


def _complaint(value: Any, seen: set[str]) -> str | None:
    if not isinstance(value, dict):
        return ": Input should be a valid dictionary"
    for name in ("custom_id", "params"):
        if name not in value:
            return f".{name}: Field required"
    for name in value:
        if name not in {"custom_id", "params"}:
            return f".{name}: Extra inputs are not permitted"
    custom_id = value["custom_id"]
    if not isinstance(custom_id, str):
        return ".custom_id: Input should be a valid string"
    if len(custom_id) > 64:
        return ".custom_id: String should have at most 64 characters"
    if _ID.fullmatch(custom_id) is None:
        return f".custom_id: String should match pattern '{PATTERN}'"
    if custom_id in seen:
        return f".custom_id: '{custom_id}' is not unique in this batch"
    if not isinstance(value["params"], dict):
        return ".params: Input should be a valid dictionary"
    return None


class _Window:
    """A part of the file as text, one character a byte, so that a place in it is a place in the file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._decoder = json.JSONDecoder(parse_constant=_no_constant)
        self._text = ""
        self._start = 0
        self._at = 0
        self._last = False

    @property
    def place(self) -> int:
        return self._start + self._at

    def _more(self) -> None:
        if len(self._text) - self._at > _LARGEST_VALUE:
            raise ValueError(f"a value of more than {_LARGEST_VALUE} bytes at byte {self.place}")
        chunk = self._file.read(max(_WINDOW, len(self._text) - self._at))
        self._last = not chunk
        self._utf8.decode(chunk, self._last)
        self._start += self._at
        self._text = self._text[self._at :] + chunk.decode("latin-1")
        self._at = 0

    def peek(self) -> str:
        """The next character that is no white space; "" at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match is not None  # it matches nothing, too
            self._at = match.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if self._last:
                return ""
            self._more()

    def take(self, allowed: str) -> str:
        """The next character, which must be one of *allowed*."""
        found = self.peek()
        if found == "" or found not in allowed:
            raise ValueError(f"expected {' or '.join(repr(each) for each in allowed)} at byte {self.place}")
        self._at += 1
        return found

    def name(self) -> str:
        """The next name of an object."""
        if self.peek() != '"':
            raise ValueError(f"expected a name at byte {self.place}")
        return str(self.value())

    def value(self) -> Any:
        """The next value. Its texts are one character a byte."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                # What the window cuts off is wrong at its very end, or is a text without an end.
                cut = error.pos > len(self._text) - _TAIL or error.msg.startswith("Unterminated string")
                if self._last or not cut:
                    raise ValueError(f"{error.msg} at byte {self._start + error.pos}") from None
            else:
                # A number may go on behind the window.
                if self._last or end < len(self._text):
                    self._check_surrogates(value, end)
                    self._at = end
                    return value
            self._more()

    def _check_surrogates(self, value: Any, end: int) -> None:
        if _SURROGATE.search(self._text, self._at, end) is not None:
            json.dumps(value, ensure_ascii=False).encode()


def _values(window: _Window) -> Iterator[tuple[str, int | None, Any, int, int]]:
    """(name, index, value, begin, end): each request, or each other value of the object, whose index is None.

    An empty list of requests has the index -1.
    """
    window.take("{")
    if window.peek() == "}":
        window.take("}")
    else:
        while True:
            name = window.name()
            window.take(":")
            if name == "requests" and window.peek() == "[":
                yield from _requests(window)
            else:
                yield name, None, window.value(), 0, 0
            if window.take(",}") == "}":
                break
    if window.peek():
        raise ValueError(f"extra data at byte {window.place}")


def _requests(window: _Window) -> Iterator[tuple[str, int | None, Any, int, int]]:
    window.take("[")
    if window.peek() == "]":
        window.take("]")
        yield "requests", -1, None, 0, 0
        return
    index = 0
    while True:
        window.peek()
        begin = window.place
        value = window.value()
        yield "requests", index, value, begin, window.place
        index += 1
        if window.take(",]") == "]":
            return


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
