"""The line of a problem as it is shown: without secrets, without control characters, and short."""

from __future__ import annotations

import re
import unicodedata

KEY = re.compile(r"sk-ant-[\w-]+")
"""An API key, an admin key or an OAuth token of Anthropic's."""

_BEFORE = 48
_LENGTH = 88
_SHOWN = 40
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def masked(text: str) -> str:
    """*text* with each key starred out, of the same length."""
    return KEY.sub(lambda found: "sk-ant-" + "*" * (len(found[0]) - 7), text)


def shown(text: str) -> str:
    """A short text of the user's inside a message: at most 40 characters, no key, nothing that moves the cursor."""
    cut = masked(text)
    return _visible(cut if len(cut) <= _SHOWN else cut[: _SHOWN - 1] + "…")


def excerpt(line: str, offset: int, width: int) -> tuple[str, int, int]:
    """(text, mark, width): *line* shortened round *offset* (from 0), and where the marked part is in that text."""
    offset = min(max(offset, 0), len(line))
    start = 0 if len(line) <= _LENGTH else max(0, min(offset - _BEFORE, len(line) - _LENGTH))
    end = min(len(line), start + _LENGTH)
    clean = masked(line)
    head = ("…" if start else "") + _visible(clean[start:offset])
    middle = _visible(clean[offset : max(offset, min(offset + width, end))])
    tail = _visible(clean[offset + width : end]) if offset + width < end else ""
    return head + middle + tail + ("…" if end < len(line) else ""), len(head), max(1, len(middle))


def _visible(text: str) -> str:
    """*text* with all that a terminal would obey instead of showing written as an escape."""
    if text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _HIDDEN else char for char in text)


def _escaped(char: str) -> str:
    point = ord(char)
    return f"\\x{point:02x}" if point < 256 else f"\\u{point:04x}" if point < 65_536 else f"\\U{point:08x}"
