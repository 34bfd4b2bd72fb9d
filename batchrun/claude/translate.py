"""The table of the API's refusals: what each status, code and type says about this job and all the others.

It decides by status, error code and error type, and by words only for the money messages that have no code
(`money.py`). In a stream and in a batch there is no status that means anything: there the type stands in for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from batchrun.claude.account import retry_after
from batchrun.claude.kept import shape_of
from batchrun.claude.money import halt_of
from batchrun.claude.redaction import wording
from batchrun.claude.said import STATUS_OF_TYPE, Asked, Said, heard, reply_of
from batchrun.claude.trouble import Kind, trouble_of
from batchrun.core.job import Millis
from batchrun.core.outcome import (
    AccountStopped,
    Billed,
    Dropped,
    Limited,
    Misrouted,
    ModelUnavailable,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    Reply,
    ServerFailed,
    Stop,
    Unreachable,
)

_WORDS = re.compile(r"[\w-]{8,}")

LOST_ORIGIN = frozenset({502, 504, 520, 524})
"""Statuses with which an edge says that it sent the request on and got no answer: it may have been billed."""

ASTRAY = frozenset({405, 407, 421, 426, 511})
"""Statuses that speak of the address or the way to it, never of the job."""

PLAIN = ASTRAY | {402, 408, 409, 413, 425, 429, 499}
"""Statuses from 400 to 499 that need no word to be understood."""

HINTS: Mapping[int, str] = {
    401: "not the API's own answer: a proxy or portal that wants a login",
    403: "not the API's own answer: a proxy or firewall, or a region that the API does not serve",
    404: "not the API's own answer: check the base URL",
    405: "check the base URL",
    407: "the proxy wants a user and a password: put them into the address in HTTPS_PROXY",
    511: "the network wants a login first",
}
"""What helps when something on the way answered with this status."""


def refusal(status: int, headers: Mapping[str, str], body: object, asked: Asked) -> Outcome:
    """What an answer with *status* (not 2xx), *headers* (lower-case names) and *body* means."""
    said = heard(headers, body, asked)
    if 300 <= status < 400:
        return Misrouted(reply=reply_of(status, headers, said, asked, _redirected(headers)))
    astray = status in ASTRAY or not (said.genuine or (said.shaped and status != 403))
    reply = reply_of(status, headers, said, asked, HINTS.get(status, "") if astray else "")
    if status >= 500:
        return _server_failed(status, headers, said, reply, asked)
    return _client_failed(status, headers, said, reply, asked)


def error_event(headers: Mapping[str, str], body: object, asked: Asked, *, began: bool) -> Outcome:
    """What an error means that came under status 200, in a stream or instead of a message; *began*: after a part of it.

    It is judged by its type: the status was sent before anything went wrong.
    """
    said = heard(headers, body, asked)
    reply = reply_of(200, headers, said, asked)
    billed = Billed.MAYBE if began else Billed.NO
    status = STATUS_OF_TYPE.get(said.type or "", 500)
    if status == 529:
        return Overloaded(reply=reply, retry_after=retry_after(headers, asked.now), billed=billed)
    if status >= 500:
        return ServerFailed(reply=reply, retry_after=retry_after(headers, asked.now), billed=billed)
    return _client_failed(status, headers, said, reply, asked)


def no_message(
    status: int, headers: Mapping[str, str], body: object, asked: Asked, what: str = "message"
) -> Dropped | Misrouted:
    """What a 2xx answer means that is not *what* was asked for: HTML, text, nothing at all, broken or other JSON.

    Under the API's request id it is an answer that broke on its way: one of the job's tries. Without one it comes from
    something else. A page is a captive portal's or a proxy's own: the API was not asked. Anything else may be a gateway
    that spoiled the API's answer, and so is possibly billed.
    """
    said = heard(headers, body, asked)
    if not said.shaped:  # what looks like words of an error may be the answer
        said = replace(said, kept=shape_of(body, asked.secrets))
    hint = f"the answer is no {what}" if said.message else "the answer is empty"
    if said.request_id is not None:
        return Dropped(reply=reply_of(status, headers, said, asked, hint))
    return Misrouted(
        reply=reply_of(status, headers, said, asked, f"{hint}; a proxy or portal, or a wrong base URL"),
        billed=Billed.NO if said.page or asked.free else Billed.MAYBE,
    )


def broken_refusal(error: BaseException, status: int, headers: Mapping[str, str], asked: Asked) -> Outcome:
    """What an answer with *status* (not 2xx) means whose body broke off with *error*: what it means without a word.

    Where a 4xx needs its words to be understood, another try may bring them whole; refusals are not billed.
    """
    known = refusal(status, headers, None, asked)
    if 400 <= status < 500 and status not in PLAIN:
        known = ServerFailed(reply=known.reply)
    words = wording(f"status {status}, and what it said broke off: {trouble_of(error).words}", asked.secrets)
    return replace(known, reply=replace(known.reply, message=words, genuine=False))


def lost(error: BaseException, asked: Asked, headers: Mapping[str, str] | None = None) -> Outcome:
    """What *error* of the connection means; *headers* (lower-case names) where a 2xx answer had begun."""
    trouble = trouble_of(error)
    if headers is not None and not trouble.sent:  # what cannot be read of an answer, and looks like a request's fault
        trouble = replace(trouble, kind=Kind.CUT, sent=True)
    message = wording(trouble.message(len(asked.body), free=asked.free), asked.secrets)
    if headers is not None:
        return cut(message, trouble.kind, asked, headers)
    reply = Reply(error_type=trouble.kind.value, message=message)
    if not trouble.sent:
        return Unreachable(reply=reply)
    return Dropped(reply=reply, timed_out=trouble.kind is Kind.TIMEOUT)


def cut(message: str, kind: Kind, asked: Asked, headers: Mapping[str, str]) -> Dropped:
    """A 2xx answer that began under *headers* and did not end."""
    said = replace(heard(headers, None, asked), type=kind.value, message=message, kept=message)
    reply = replace(reply_of(200, headers, said, asked), genuine=False)
    return Dropped(reply=reply, timed_out=kind is Kind.TIMEOUT)


def limited(said: Said, reply: Reply, after: float | None) -> Outcome:
    """429. A code that is not known, without a word on when to come again, is a limit that time alone does not lift."""
    if said.code == "ramp_limit_exceeded":
        return RateLimited(reply=reply, retry_after=after, kind=Limited.RAMP)
    if said.code is not None and after is None:
        return AccountStopped(reply=reply, stop=Stop.SPEND_CAP)
    kind = Limited.CONNECTIONS if "concurrent connections" in said.message.lower() else Limited.RATE
    return RateLimited(reply=reply, retry_after=after, kind=kind)


def _server_failed(status: int, headers: Mapping[str, str], said: Said, reply: Reply, asked: Asked) -> Outcome:
    after = retry_after(headers, asked.now)
    if status in ASTRAY:
        return Misrouted(reply=reply)
    if status == 529 or said.type == "overloaded_error":
        return Overloaded(reply=reply, retry_after=after)
    unknown = status in LOST_ORIGIN and not said.genuine
    return ServerFailed(reply=reply, retry_after=after, billed=Billed.MAYBE if unknown else Billed.NO)


def _client_failed(status: int, headers: Mapping[str, str], said: Said, reply: Reply, asked: Asked) -> Outcome:
    halt = halt_of(status, said.code, said.message, _server_now(reply, asked))
    if halt is not None:
        return AccountStopped(reply=reply, stop=halt.stop, until=halt.until)
    after = retry_after(headers, asked.now)
    match status:
        case _ if said.type == "authentication_error":
            return AccountStopped(reply=reply, stop=Stop.KEY)
        case _ if said.type == "billing_error":
            return AccountStopped(reply=reply, stop=Stop.BILLING)
        case 402:
            return AccountStopped(reply=reply, stop=Stop.BILLING)
        case 401 if not said.page:  # gateways say it in their own shapes
            return AccountStopped(reply=reply, stop=Stop.KEY)
        case 413:  # from the edge, in any shape
            return Refused(reply=reply)
        case 429:
            return limited(said, reply, after)
        case 408 | 409 | 425:
            return ServerFailed(reply=reply, retry_after=after)
        case 499:  # something on the way thought that we had gone; the API may have gone on
            return Dropped(reply=reply)
        case _ if status in ASTRAY or not (said.genuine or said.shaped):
            return Misrouted(reply=reply)
        case _:
            return _refused(status, said, reply, asked)


def _refused(status: int, said: Said, reply: Reply, asked: Asked) -> Outcome:
    """Whom a 4xx of the API, or of a gateway in the API's form, concerns: the job, its model, or the account."""
    match status:
        case 400 if said.code == "request_body_timeout":  # nothing was done (anthropic 2.11.0)
            return ServerFailed(reply=reply)
        case 403 if not said.genuine:
            return Misrouted(reply=reply)
        case 403 if _names_model(said, asked):
            return ModelUnavailable(reply=reply)
        case 403 if not _names_object(said, asked):
            return AccountStopped(reply=reply, stop=Stop.KEY)
        case 404 if said.code is None and (_names_model(said, asked) or not _names_object(said, asked)):
            return ModelUnavailable(reply=reply)
        case _:
            return Refused(reply=reply)


def _names_model(said: Said, asked: Asked) -> bool:
    return bool(asked.model) and asked.model in said.message


def _names_object(said: Said, asked: Asked) -> bool:
    """Whether the message names something that the request itself names: a file, a container, a skill by its id."""
    return any(word in asked.body for word in _WORDS.findall(said.message) if not word.isalpha())


def _redirected(headers: Mapping[str, str]) -> str:
    try:
        target = urlsplit(headers.get("location", ""))
        where = f"{target.scheme}://{target.hostname}" if target.hostname else "another address"
    except ValueError:
        where = "an address that is none"
    return f"redirected to {where}, which is not followed: check the base URL"


def _server_now(reply: Reply, asked: Asked) -> Millis:
    """The server's own clock where it told it: its month may begin before ours."""
    return reply.told.server_date if reply.told.server_date is not None else asked.now
