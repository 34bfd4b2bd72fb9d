"""What is wrong with the messages of a request: as little as the API surely refuses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from batchrun.core.models import Model
from batchrun.jobfile.codes import Code
from batchrun.jobfile.faults import Fault, Path, article
from batchrun.jobfile.json_text import too_deep
from batchrun.jobfile.media import faults_of_media
from batchrun.jobfile.rules import Rules

ROLES = frozenset({"user", "assistant", "system"})
"""`system` within the messages since SDK 2.x; not every model takes it."""

_HINT = 'for example `[{"role": "user", "content": "…"}]`'


def check_messages(messages: Any, model: Model | None, rules: Rules) -> Iterable[Fault]:
    if type(messages) is list and len(messages) == 1:
        message = messages[0]
        if type(message) is dict and len(message) == 2 and message.get("role") == "user":
            content = message.get("content")
            if type(content) is str and content and not content.isspace():
                return ()  # nearly all requests
    return _of_list(messages, model, rules)


def _of_list(messages: Any, model: Model | None, rules: Rules) -> Iterator[Fault]:
    here: Path = ("messages",)
    if not isinstance(messages, list):
        yield Fault(
            code=Code.MESSAGES, path=here, message=f"`messages` must be a list, not {article(messages)}", hint=_HINT
        )
        return
    if not messages:
        yield Fault(code=Code.MESSAGES, path=here, message="`messages` is empty", hint=_HINT)
        return
    for index, message in enumerate(messages):
        yield from _message((*here, index), message, rules, last=index == len(messages) - 1)
    yield from faults_of_media(messages, model)
    if model is not None and not model.prefill and _is_prefill(messages[-1]):
        yield Fault(
            code=Code.PREFILL,
            path=(*here, len(messages) - 1),
            message=f"the last message is the assistant's, which `{model.id}` refuses",
            hint="end with a message of the user; `output_config.format` asks for JSON",
        )


def _message(here: Path, message: Any, rules: Rules, *, last: bool) -> Iterator[Fault]:
    if not isinstance(message, dict):
        yield Fault(code=Code.MESSAGES, path=here, message=f"a message must be an object, not {article(message)}")
        return
    if too_deep(message):
        yield Fault(code=Code.TOO_DEEP, path=here, message="this message is nested too deeply")
        return
    role, content = message.get("role"), message.get("content")
    if not (isinstance(role, str) and role in ROLES):
        given = f", not {article(role)}" if "role" in message else ""
        yield Fault(
            code=Code.MESSAGES,
            path=(*here, "role") if "role" in message else here,
            message=f'`role` must be "user" or "assistant"{given}',
        )
    if "content" not in message:
        yield Fault(code=Code.MESSAGES, path=here, message="`content` of this message is missing")
    elif isinstance(content, str):
        if not content.strip() and not (last and role == "assistant"):
            yield Fault(code=Code.NO_TEXT, path=(*here, "content"), message="the text of this message is empty")
    elif not isinstance(content, list):
        yield Fault(
            code=Code.MESSAGES,
            path=(*here, "content"),
            message=f"`content` must be text or a list of blocks, not {article(content)}",
        )
    elif not content and not (last and role == "assistant"):
        yield Fault(code=Code.NO_TEXT, path=(*here, "content"), message="this message has no content blocks")
    else:
        for index, block in enumerate(content):
            yield from _block((*here, "content", index), block, role, strict=rules.strict)


def _block(here: Path, block: Any, role: Any, *, strict: bool) -> Iterator[Fault]:
    if not isinstance(block, dict):
        yield Fault(
            code=Code.MESSAGES,
            path=here,
            message=f"a content block must be an object, not {article(block)}",
            hint='for text: `{"type": "text", "text": "…"}`',
        )
        return
    kind = block.get("type")
    if not isinstance(kind, str):
        yield Fault(code=Code.MESSAGES, path=here, message="`type` of this content block is missing or not text")
    elif kind == "text":
        yield from text_block(here, block)
        if strict and role == "user" and block.get("citations"):
            yield Fault(
                code=Code.BLOCK_REFUSED,
                path=(*here, "citations"),
                message="this API version refuses citations on text of the user",
                hint="remove `citations`",
            )
    elif kind == "document" and strict and role == "assistant":
        yield Fault(
            code=Code.BLOCK_REFUSED,
            path=here,
            message="this API version refuses documents in messages of the assistant",
            hint="put the document into a message of the user",
        )


def text_block(here: Path, block: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with a block of type `text`."""
    text = block.get("text")
    if not isinstance(text, str):
        yield Fault(code=Code.MESSAGES, path=here, message="`text` of this text block is missing or not text")
    elif not text.strip():
        yield Fault(code=Code.NO_TEXT, path=(*here, "text"), message="the text of this block is empty")


def _is_prefill(message: Any) -> bool:
    """Whether the model would have to go on from this message; a paused turn with tools handed back is none."""
    if not isinstance(message, dict) or message.get("role") != "assistant":
        return False
    content = message.get("content")
    if isinstance(content, list):
        return all(isinstance(block, dict) and block.get("type") == "text" for block in content)
    return True
