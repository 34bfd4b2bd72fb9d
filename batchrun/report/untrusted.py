"""Texts of others on a page: what would steer a reader's eye unseen is made visible, and what is long is cut."""

from __future__ import annotations

from dataclasses import dataclass

from batchrun.core.figures import moment
from batchrun.core.job import Millis

REQUEST = 4_000
ANSWER = 8_000
"""Characters of one part of a request, and of an answer, that a page shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A moment for a `<time>`: as machines read it, and in words for who has no script."""

    iso: str
    words: str


def stamp(at: Millis | None) -> Stamp | None:
    if at is None:
        return None
    iso = moment(at)
    return Stamp(iso=iso, words=f"{iso[:10]} {iso[11:19]} UTC")


def _unseen() -> dict[int, str]:
    table = {code: chr(0x2400 + code) for code in range(0x20) if code not in {0x09, 0x0A}}
    table[0x7F] = "\u2421"
    directions = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    table.update({code: f"⟨U+{code:04X}⟩" for code in [*range(0x80, 0xA0), *directions, 0x2028, 0x2029, 0xFEFF]})
    table.update({code: f"⟨U+{code:04X}⟩" for code in [*range(0xD800, 0xE000), *range(0xE0000, 0xE0080)]})
    return table


_TABLE = _unseen()


def visible(text: str) -> str:
    """*text* with controls as pictures (␀), and with marks of direction, tags and halves of characters by number.

    Line breaks and tabs stay. Markup in it is not touched: escaping is the page's business.
    """
    return text if text.isascii() and text.isprintable() else text.translate(_TABLE)


def cut(text: str, most: int, whole: str) -> tuple[str, str]:
    """The beginning of *text* and, if that is not all, a note; *whole* says where all of it is."""
    if len(text) <= most:
        return text, ""
    return text[:most], f"Cut here: {most:,} of {len(text):,} characters. {whole}"
