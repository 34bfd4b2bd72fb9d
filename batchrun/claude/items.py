"""One line of a batch's results as an outcome."""

from __future__ import annotations

from collections.abc import Mapping

from batchrun.claude.answer import answer_of, dumped, is_message
from batchrun.claude.money import halt_of
from batchrun.claude.redaction import wording
from batchrun.claude.said import STATUS_OF_TYPE, Asked, heard, reply_of
from batchrun.claude.translate import limited
from batchrun.core.outcome import (
    AccountStopped,
    Canceled,
    Dropped,
    Expired,
    Outcome,
    Overloaded,
    Refused,
    Reply,
    ServerFailed,
    Stop,
    Succeeded,
)


def item_outcome(line: Mapping[str, object], asked: Asked, *, canceled_by_user: bool) -> Outcome:
    """What *line*, `{"custom_id": …, "result": {"type": …}}`, says about its job.

    A message is an answer under whatever label it comes. Errors, expired and canceled items are not billed (batch
    guide, 2026-09-26); of a label that is not known nobody can say, so it counts as possibly billed.
    """
    result = line.get("result")
    result = result if isinstance(result, Mapping) else {}
    message = result.get("message")
    if isinstance(message, dict) and is_message(message):
        return Succeeded(reply=Reply(), answer=answer_of(dumped(message), message))
    match result.get("type"):
        case "errored":
            return _errored(result.get("error"), asked)
        case "expired":
            return Expired(reply=Reply(error_type="expired", message="not processed within 24 hours"))
        case "canceled":
            return Canceled(reply=Reply(error_type="canceled"), by_user=canceled_by_user)
        case label:
            words = f"a result of the type {label!r} without a message"
            return Dropped(reply=Reply(error_type="unknown_result", message=wording(words, asked.secrets)))


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
