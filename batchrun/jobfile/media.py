"""Pictures and documents in messages: kind, size, number and form, as far as they stand in the request itself."""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from batchrun.core.models import Model
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Fault, Path, article
from batchrun.jobfile.picture import Picture, picture_of

IMAGE_TYPES = ("image/gif", "image/jpeg", "image/png", "image/webp")
"""What the API reads (vision page, 2026-09)."""

IMAGE_BASE64 = 10 * 1024 * 1024
"""The longest base64 of one picture: the API's refusal names 10485760 bytes (seen live 2026-09-29)."""
NEARLY = IMAGE_BASE64 * 8 // 10

MANY = 20
"""Pictures in one request above which a stricter limit of their size holds."""
WIDEST = 8_000
WIDEST_OF_MANY = 2_000
"""Pixels on either side (vision page, 2026-09)."""

MOST = 600
MOST_OF_SMALL = 100
SMALL = 200_000
"""Pictures in one request, and in one to a model with a context window of at most `SMALL` (vision page, 2026-09)."""

_DEEPEST = 4
_CURE = "take away what is not base64; a data URL has it after its comma"


def faults_of_media(messages: Iterable[Any], model: Model | None) -> Iterator[Fault]:
    """What is wrong with all pictures and documents of *messages*, wherever they stand in them."""
    pictures: list[tuple[Path, Picture]] = []
    count = 0
    for here, block in _media(messages):
        source, path = block.get("source"), (*here, "source")
        picture = block["type"] == "image"
        count += picture
        if source is None:
            said = f"this {'picture' if picture else 'document'} has no `source`"
            yield Fault(code=Code.SOURCE, path=here, message=said, hint=_SOURCES)
        elif picture:
            found, faults = _image(path, source)
            if found is not None:
                pictures.append((path, found))
            yield from faults
        else:
            yield from _document(path, source)
    yield from _too_many(count, model)
    widest = WIDEST_OF_MANY if count > MANY else WIDEST
    for path, picture in pictures:
        if max(picture.width, picture.height) > widest:
            why = f" on a side where there are more than {MANY}" if count > MANY else " on a side"
            yield Fault(
                code=Code.IMAGE_DIMENSIONS,
                path=path,
                message=f"this picture is {picture.width:,} x {picture.height:,} pixels; the API takes {widest:,}{why}",
                hint=f"make it smaller, for example `magick IN -resize '{widest}x{widest}>' OUT`",
            )


_SOURCES = 'for example `{"type": "base64", "media_type": "image/png", "data": "…"}`, or type `url` or `file`'


def _media(messages: Iterable[Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Each block that is a picture or a document, also inside what a tool gave back."""
    for index, message in enumerate(messages):
        if isinstance(message, dict) and isinstance(message.get("content"), list):
            yield from _blocks(("messages", index, "content"), message["content"], 0)


def _blocks(here: Path, blocks: list[Any], depth: int) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for index, block in enumerate(blocks):
        if not isinstance(block, dict):
            continue
        kind, inner = block.get("type"), block.get("content")
        if kind in ("image", "document"):  # whatever it is: a list has no hash
            yield (*here, index), block
        elif kind == "tool_result" and isinstance(inner, list) and depth < _DEEPEST:
            yield from _blocks((*here, index, "content"), inner, depth + 1)


def _too_many(count: int, model: Model | None) -> Iterator[Fault]:
    context = None if model is None else model.context
    most = MOST_OF_SMALL if context is not None and context <= SMALL else MOST
    if count > most:
        whose = f"`{model.id}`" if model is not None and most == MOST_OF_SMALL else "the API"
        yield Fault(
            code=Code.TOO_MANY_IMAGES,
            path=("messages",),
            message=f"this request has {count:,} pictures; {whose} takes {most}",
            hint="make several jobs of it",
        )


def _image(here: Path, source: Any) -> tuple[Picture | None, list[Fault]]:
    """(the picture, if it stands there and is one; what is wrong with it)."""
    if not isinstance(source, dict) or source.get("type") != "base64":
        return None, list(_elsewhere(here, source))
    media_type, data = source.get("media_type"), source.get("data")
    faults = []
    if media_type not in IMAGE_TYPES:
        said = f", not {article(media_type)}" if "media_type" in source else ""
        faults.append(
            Fault(
                code=Code.MEDIA_TYPE,
                path=(*here, "media_type") if "media_type" in source else here,
                message=f"`media_type` of a picture must be {', '.join(IMAGE_TYPES[:-1])} or {IMAGE_TYPES[-1]}{said}",
                hint="write `image/jpeg`" if media_type == "image/jpg" else "convert the picture to one of these",
            )
        )
    raw, wrong = _decoded((*here, "data"), data)
    faults += wrong
    if raw is None or not isinstance(data, str):
        return None, faults
    faults += _size((*here, "data"), len(data))
    picture = picture_of(raw)
    if isinstance(picture, str):
        faults.append(
            Fault(
                code=Code.MEDIA_TYPE,
                path=(*here, "data"),
                message=f"this is {picture}, which the API does not read as a picture",
                hint='write `"type": "document"` for it' if picture == "a PDF" else "convert it to JPEG or PNG",
            )
        )
        return None, faults
    if picture is not None and media_type in IMAGE_TYPES and picture.media_type != media_type:
        faults.append(
            Fault(
                code=Code.MEDIA_MISMATCH,
                path=(*here, "media_type"),
                message=f"`media_type` is {media_type}, and the data is {picture.media_type}: the API refuses that",
                hint=f"write `{picture.media_type}`",
            )
        )
    return picture, faults


def _size(here: Path, length: int) -> Iterator[Fault]:
    if length > NEARLY:
        over = length > IMAGE_BASE64
        yield Fault(
            code=Code.IMAGE_TOO_LARGE if over else Code.IMAGE_NEARLY_TOO_LARGE,
            path=here,
            message=(
                f"this picture has {length:,} characters of base64 ({length * 3 // 4:,} bytes); the API takes "
                f"{'' if over else 'at most '}{IMAGE_BASE64:,}"
            ),
            hint="make it smaller: the model sees no more than 2,576 pixels on a side",
        )


def _document(here: Path, source: Any) -> Iterator[Fault]:
    if not isinstance(source, dict) or source.get("type") not in ("base64", "text"):
        yield from _elsewhere(here, source)
        return
    media_type, data = source.get("media_type"), source.get("data")
    wanted = "application/pdf" if source["type"] == "base64" else "text/plain"
    if media_type != wanted:
        said = f", not {article(media_type)}" if "media_type" in source else ""
        yield Fault(
            code=Code.MEDIA_TYPE,
            path=(*here, "media_type") if "media_type" in source else here,
            message=f"`media_type` of a document of type `{source['type']}` must be {wanted}{said}",
            hint="other kinds of files have to be turned into PDF or text first",
        )
    if source["type"] == "text":
        if not isinstance(data, str) or not data.strip():
            yield Fault(code=Code.SOURCE, path=here, message="`data` of this document is no text, or empty")
        return
    raw, wrong = _decoded((*here, "data"), data)
    yield from wrong
    if raw is not None and b"%PDF-" not in raw[:1024]:
        yield Fault(
            code=Code.MEDIA_MISMATCH,
            path=(*here, "data"),
            message="this document is not a PDF: it does not begin as one",
            hint='text goes in as `{"type": "text", "media_type": "text/plain", "data": "…"}`',
        )


def _elsewhere(here: Path, source: Any) -> Iterator[Fault]:
    """What is wrong with a source that names what it does not hold. Types that are not known are let through."""
    kind = source.get("type") if isinstance(source, dict) else None
    if not isinstance(source, dict) or not isinstance(kind, str):
        yield Fault(code=Code.SOURCE, path=here, message="`source` must be an object with a `type`", hint=_SOURCES)
    elif kind == "url" and not str(source.get("url")).startswith(("https://", "http://")):
        local = str(source.get("url")).startswith("data:")
        yield Fault(
            code=Code.SOURCE,
            path=(*here, "url") if "url" in source else here,
            message="`url` must be an address that begins with https://",
            hint="a data URL goes in as type `base64`, with what stands after its comma as `data`" if local else "",
        )
    elif kind == "file" and not isinstance(source.get("file_id"), str):
        yield Fault(code=Code.SOURCE, path=here, message="`file_id` of this source is missing or not text")


def _decoded(here: Path, data: Any) -> tuple[bytes | None, list[Fault]]:
    """(the bytes; what is wrong with their base64)."""
    if not isinstance(data, str) or not data:
        what = "is missing or empty" if not data else f"must be text in base64, not {article(data)}"
        return None, [Fault(code=Code.BASE64, path=here[:-1], message=f"`data` {what}")]
    if data.startswith("data:"):
        return None, [Fault(code=Code.BASE64, path=here, message="`data` is a whole data URL", hint=_CURE)]
    try:
        return binascii.a2b_base64(data, strict_mode=True), []
    except (ValueError, UnicodeEncodeError):
        pass  # broken into lines, or no base64 at all
    joined = "".join(data.split())
    try:
        raw = binascii.a2b_base64(joined, strict_mode=True)
    except (ValueError, UnicodeEncodeError) as error:
        said = f"`data` is not base64: {shown(str(error)[:1].lower() + str(error)[1:])}"
        return None, [Fault(code=Code.BASE64, path=here, message=said, hint=_CURE)]
    breaks = "`data` has line breaks or blanks in its base64, which the API may refuse"
    return raw, [Fault(code=Code.BASE64_BREAKS, path=here, message=breaks, hint="`base64 -w0 FILE` writes one line")]
