"""The parts of an OpenAI message as content blocks: those of chat completions, and those of responses."""

from __future__ import annotations

import re
from typing import Any

from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Path, article
from batchrun.jobfile.foreign.loss import Losses

_DATA_URL = re.compile(r"data:([\w.+/-]+)(?:;[\w=-]+)*;base64,", re.ASCII)
_TEXTS = ("input_text", "output_text", "text")

Content = str | list[dict[str, Any]]


def content_of(here: Path, content: Any, losses: Losses) -> Content:
    """Text as it is, parts as blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        losses.refuse(here, f"`content` must be text or a list of parts, not {article(content)}", name=False)
        return ""
    blocks = [block for index, part in enumerate(content) if (block := _block((*here, index), part, losses))]
    if len(blocks) == len(content) == 1 and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return blocks


def _block(here: Path, part: Any, losses: Losses) -> dict[str, Any] | None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(kind, str):
        losses.refuse(here, "a part of a message must be an object with a `type`", name=False)
        return None
    if kind in _TEXTS:
        if isinstance(part.get("text"), str):
            _rest(here, part, ("type", "text"), losses)
            return {"type": "text", "text": part["text"]}
        losses.refuse(here, "`text` of this part is missing or not text", name=False)
        return None
    if kind == "refusal":
        losses.changed(here, "a refusal of the assistant becomes its text")
        return {"type": "text", "text": str(part.get("refusal"))}
    if kind == "image_url":
        holder = part.get("image_url")
        inner = holder if isinstance(holder, dict) else {"url": holder}
        return _image((*here, "image_url"), inner.get("url"), inner.get("detail"), losses)
    if kind == "input_image" and "file_id" not in part:
        return _image((*here, "image_url"), part.get("image_url"), part.get("detail"), losses)
    if kind in ("file", "input_file"):
        holder = part.get("file") if kind == "file" else part
        return _file(here, holder if isinstance(holder, dict) else {}, losses)
    losses.refuse(here, f"a part of type `{shown(kind)}` cannot be converted", _hint(kind), name=False)
    return None


def _hint(kind: str) -> str:
    if kind == "input_audio":
        return "the API takes no sound: write down what is said first"
    return (
        "what OpenAI's Files API holds has to be sent along, or uploaded to Anthropic's"
        if kind == "input_image"
        else ""
    )


def _image(here: Path, url: Any, detail: Any, losses: Losses) -> dict[str, Any] | None:
    if detail not in (None, "auto", "high"):
        losses.lost(
            here, f"`detail` {article(detail)} is left out", "the API sees pictures as they are; make it smaller"
        )
    source = _source(here, url, losses)
    return None if source is None else {"type": "image", "source": source}


def _source(here: Path, url: Any, losses: Losses) -> dict[str, Any] | None:
    if isinstance(url, str):
        if found := _DATA_URL.match(url):
            media_type = "image/jpeg" if found[1] == "image/jpg" else found[1]
            return {"type": "base64", "media_type": media_type, "data": url[found.end() :]}
        if url.startswith(("https://", "http://")):
            return {"type": "url", "url": url}
    losses.refuse(here, "this is neither a data URL in base64 nor an address", name=False)
    return None


def _file(here: Path, file: dict[str, Any], losses: Losses) -> dict[str, Any] | None:
    address = file.get("file_data") or file.get("file_url")
    if not isinstance(address, str):
        losses.refuse(
            here, "a file that OpenAI's Files API holds cannot be converted", _hint("input_image"), name=False
        )
        return None
    source = _source(here, address, losses)
    if source is None:
        return None
    block: dict[str, Any] = {"type": "document", "source": source}
    if isinstance(file.get("filename"), str):
        block["title"] = file["filename"]
    return block


def _rest(here: Path, part: dict[str, Any], known: tuple[str, ...], losses: Losses) -> None:
    for name, value in part.items():
        if name not in known and value not in (None, []):
            losses.lost((*here, name), f"`{shown(name)}` of this part is left out")
