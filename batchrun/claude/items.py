"""One line of a batch's results as an item."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import islice

from batchrun.claude.answer import answer_of, dumped, is_message
from batchrun.claude.money import halt_of
from batchrun.claude.redaction import wording
from batchrun.claude.said import STATUS_OF_TYPE, Asked, heard, reply_of
from batchrun.claude.translate import limited
from batchrun.core.batch import Item
from batchrun.core.outcome import (
    AccountStopped,
    Canceled,
    Expired,
    Outcome,
    Overloaded,
    Refused,
    Reply,
    ServerFailed,
    Stop,
    Succeeded,
    Unknown,
)

_STRICT = json.JSONDecoder()
_LAX = json.JSONDecoder(strict=False)
"""Also takes control characters that stand bare in a string."""

_BEGIN = re.compile(
    r'\s*\{\s*"custom_id"\s*:\s*"([a-zA-Z0-9_-]{1,64})"\s*,'
    r'\s*"result"\s*:\s*\{\s*"type"\s*:\s*"succeeded"\s*,\s*"message"\s*:\s*',
    re.ASCII,
)
_END = re.compile(r"\s*\}\s*\}\s*", re.ASCII)
"""A line as the API writes it of an answer: nothing but its message is left to be read."""

_MESSAGE = re.compile(r'"message"\s*:\s*(?=\{)')

_PLACES = 4
"""Places of a line where the text of its message is looked for."""


def item_of(line: bytes, asked: Asked) -> Item | None:
    """The item that *line* is; None where it is no JSON or has no custom_id, as a line that was cut.

    The answer's body is the text of `message` as it came.
    """
    try:
        text = line.decode()
        return _answered(text) or _item(text, asked)
    except (ValueError, RecursionError):
        return None


def item_outcome(line: Mapping[str, object], asked: Asked, text: str = "") -> Outcome:
    """What *line*, `{"custom_id": …, "result": {"type": …}}`, says about its job; *text* is its JSON, if at hand.

    A message is an answer under whatever label it comes. Errors, expired and canceled items are not billed (batch
    guide, 2026-09-26); of a label that is not known nobody can say, so it counts as possibly billed. Who canceled it
    is not told: the item says it was the user, and whoever knows better corrects it.
    """
    result = line.get("result")
    result = result if isinstance(result, Mapping) else {}
    message = result.get("message")
    if isinstance(message, dict) and is_message(message):
        return Succeeded(reply=Reply(), answer=answer_of(_verbatim(text, message), message))
    match result.get("type"):
        case "errored":
            return _errored(result.get("error"), asked)
        case "expired":
            return Expired(reply=Reply(error_type="expired", message="not processed within 24 hours"))
        case "canceled":
            return Canceled(reply=Reply(error_type="canceled"), by_user=True)
        case label:
            words = f"a result of the type {label!r} without a message: {text or dumped(line)}"
            return Unknown(reply=Reply(error_type="unknown_result", message=wording(words, asked.secrets)))


def _answered(text: str) -> Item | None:
    """The item of an answer as the API writes it, read once; None for every other line."""
    begin = _BEGIN.match(text)
    if begin is None:
        return None
    try:
        message, end = _STRICT.raw_decode(text, begin.end())
    except ValueError:
        return None
    if not is_message(message) or not _END.fullmatch(text, end):
        return None
    answer = answer_of(text[begin.end() : end], message)
    return Item(custom_id=begin[1], outcome=Succeeded(reply=Reply(), answer=answer))


def _item(text: str, asked: Asked) -> Item | None:
    try:
        value = _STRICT.decode(text)
    except ValueError:
        value, text = _LAX.decode(text), ""  # its text is no JSON that could be kept
    if not isinstance(value, dict):
        return None
    custom_id = value.get("custom_id")
    if not isinstance(custom_id, str) or not custom_id:
        return None
    return Item(custom_id=custom_id, outcome=item_outcome(value, asked, text))


def _verbatim(text: str, message: Mapping[str, object]) -> str:
    """The part of *text* that says *message*, or the message written anew where none is found that says just that."""
    for place in islice(_MESSAGE.finditer(text), _PLACES):
        try:
            found, end = _STRICT.raw_decode(text, place.end())
        except ValueError:
            continue
        if found == message:
            return text[place.end() : end]
    return dumped(message)


def _errored(error: object, asked: Asked) -> Outcome:
    """An item that failed; judged by its type: there is no status."""
    said = heard({}, error, asked)
    reply = reply_of(None, {}, said, asked)
    status = STATUS_OF_TYPE.get(said.type or "", 500)
    halt = halt_of(status, said.code, said.message, asked.now)
    if halt is not None:
        return AccountStopped(reply=reply, stop=halt.stop, until=halt.until)
    match status:
        case 400 | 403 | 404 | 413:
            return Refused(reply=reply)
        case 401:
            return AccountStopped(reply=reply, stop=Stop.KEY)
        case 402:
            return AccountStopped(reply=reply, stop=Stop.BILLING)
        case 429:
            return limited(said, reply, None)
        case 529:
            return Overloaded(reply=reply)
        case _:
            return ServerFailed(reply=reply)
