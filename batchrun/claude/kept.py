"""What may be written down of an answer that is no message: words of an error, or its shape; never an answer.

It may be an answer all the same, spoiled on its way, or an echo of the prompt; neither belongs into an error or a log.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping

from batchrun.claude.redaction import wording

LONGEST = 80
"""Characters that are kept of a text whose form tells nothing about it."""

KEYS = 8
"""Names of members that are told of a JSON object."""

_DETAILS = ("detail", "error_description", "error", "title")
"""Where gateways put their words when they refuse: FastAPI, OAuth 2.0 (RFC 6749), problem details (RFC 9457)."""

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_PAGE = re.compile(r"\s*<(!doctype|html|head|body|\?xml|!--)", re.IGNORECASE)
_JSON = re.compile(r"\s*[\[{]")


def error_of(body: object) -> Mapping[str, object]:
    """The object with type and message: under `error`, under `error.error` (batches), or the body itself."""
    found: Mapping[str, object] = {}
    for _ in range(2):
        if not isinstance(body, Mapping):
            break
        found = body
        body = body.get("error")
    return found


def is_page(text: str) -> bool:
    """Whether *text* is HTML."""
    return bool(_PAGE.match(text))


def title_of(page: str) -> str:
    found = _TITLE.search(page)
    title = html.unescape(found.group(1)).strip() if found else ""
    return f"an HTML page, “{title}”" if title else "an HTML page"


def kept_of(body: object, secrets: Iterable[str]) -> str:
    """What to write down of a refusal in no form of the API's: a gateway's few words where it has any."""
    for name in _DETAILS:
        words = error_of(body).get(name)
        if isinstance(words, str) and words:
            return _short(words, secrets)
    return shape_of(body, secrets)


def shape_of(body: object, secrets: Iterable[str]) -> str:
    """What kind of thing *body* (JSON value, or text where it was none) is; empty for nothing."""
    match body:
        case None | "":
            return ""
        case str() if is_page(body):
            return wording(title_of(body), secrets)
        case str() if _JSON.match(body):
            return f"JSON that is broken, {len(body):,} characters"
        case str():
            return _short(body, secrets)
        case Mapping():
            return _object(body, secrets)
        case list():
            return f"a JSON list of {len(body):,}"
        case _:
            return "a JSON value that is no object"


def _object(body: Mapping[object, object], secrets: Iterable[str]) -> str:
    if not body:
        return "a JSON object without members"
    kind = body.get("type")
    of_type = f" of the type `{_short(kind, secrets)}`" if isinstance(kind, str) and kind else ""
    names = ", ".join(f"`{_short(str(name), secrets)}`" for name in list(body)[:KEYS])
    return f"a JSON object{of_type} with {names}{', …' if len(body) > KEYS else ''}"


def _short(text: str, secrets: Iterable[str]) -> str:
    """The beginning of *text*, cut after its secrets were taken out: half of one would not be known."""
    text = wording(text, secrets)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
