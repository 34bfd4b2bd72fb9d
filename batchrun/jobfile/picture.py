"""What the first bytes of a picture tell: its kind, and how many pixels it has."""

from __future__ import annotations

from dataclasses import dataclass

_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of a JPEG after which its size stands."""

_OTHERS = (
    (b"%PDF-", "a PDF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\1\0", "an icon"),
    (b"<svg", "an SVG"),
    (b"<?xml", "XML, perhaps an SVG"),
    (b"<!DOCTYPE", "HTML"),
    (b"<html", "HTML"),
)
_ISO = {
    b"heic": "a HEIC",
    b"heix": "a HEIC",
    b"mif1": "a HEIF",
    b"msf1": "a HEIF",
    b"avif": "an AVIF",
    b"isom": "a video",
    b"mp42": "a video",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a kind that the API reads. Width and height in pixels; 0 where they cannot be told."""

    media_type: str
    width: int
    height: int


def picture_of(raw: bytes) -> Picture | str | None:
    """The picture that *raw* is; the name of the other thing that it surely is; None where nobody knows."""
    if raw.startswith(b"\x89PNG\r\n\x1a\n"):
        return Picture(media_type="image/png", width=_big(raw, 16), height=_big(raw, 20))
    if raw.startswith(b"\xff\xd8\xff"):
        width, height = _jpeg(raw)
        return Picture(media_type="image/jpeg", width=width, height=height)
    if raw.startswith((b"GIF87a", b"GIF89a")):
        return Picture(media_type="image/gif", width=_little(raw, 6, 2), height=_little(raw, 8, 2))
    if raw.startswith(b"RIFF") and raw[8:12] == b"WEBP":
        width, height = _webp(raw)
        return Picture(media_type="image/webp", width=width, height=height)
    if raw[4:8] == b"ftyp":
        return _ISO.get(raw[8:12], "a video or another file of the ISO family")
    return next((name for sign, name in _OTHERS if raw.lstrip()[:16].startswith(sign)), None)


def _big(raw: bytes, at: int, size: int = 4) -> int:
    return int.from_bytes(raw[at : at + size], "big") if len(raw) >= at + size else 0


def _little(raw: bytes, at: int, size: int) -> int:
    return int.from_bytes(raw[at : at + size], "little") if len(raw) >= at + size else 0


def _jpeg(raw: bytes) -> tuple[int, int]:
    """The size that the first frame has; it stands behind any number of segments."""
    at = 2
    while at + 9 < len(raw):
        if raw[at] != 0xFF:
            break
        marker = raw[at + 1]
        if marker == 0xFF:  # a filler
            at += 1
        elif marker in _FRAMES:
            return _big(raw, at + 7, 2), _big(raw, at + 5, 2)
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # these have no length
            at += 2
        else:
            at += 2 + max(2, _big(raw, at + 2, 2))
    return 0, 0


def _webp(raw: bytes) -> tuple[int, int]:
    match raw[12:16]:
        case b"VP8X":
            return 1 + _little(raw, 24, 3), 1 + _little(raw, 27, 3)
        case b"VP8L":
            bits = _little(raw, 21, 4)
            return (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)) if bits else (0, 0)
        case b"VP8 ":
            return _little(raw, 26, 2) & 0x3FFF, _little(raw, 28, 2) & 0x3FFF
        case _:
            return 0, 0
