"""Words that may be written down: bounded, and without the key in use, even where a server echoes a part of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from batchrun.core.secrets import redacted

LONGEST = 2_000
"""Characters a message keeps."""

LOOKED_AT = 20_000
"""Characters that are looked at for the sake of those."""

PIECE = 12
"""So many characters of a secret in a row are not written down either."""

REMOVED = "[removed]"
_SECRET_NAMES = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)


def secrets_in(headers: Mapping[str, object]) -> frozenset[str]:
    """The values of those *headers* whose names say that they are secret, `Bearer` and the like taken off."""
    values = (str(value) for name, value in headers.items() if _SECRET_NAMES.search(name))
    return frozenset(word for value in values for word in value.split() if len(word) >= 8)


def wording(text: str, secrets: Iterable[str] = ()) -> str:
    """*text* on one line, without *secrets*, keys and passwords, at most 2,000 characters long."""
    text = text[:LOOKED_AT]
    for secret in secrets:
        text = _without(text, secret)
    # A terminal obeys some of what cannot be printed, and no database takes halves of characters.
    text = " ".join("".join(each if each.isprintable() else " " for each in redacted(text)).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _without(text: str, secret: str) -> str:
    """*text* without *secret* and without any longer piece of it."""
    text = text.replace(secret, REMOVED)
    start = 0
    while start + PIECE <= len(secret):
        if secret[start : start + PIECE] not in text:
            start += 1
            continue
        end = start + PIECE
        while end < len(secret) and secret[start : end + 1] in text:
            end += 1
        text = text.replace(secret[start:end], REMOVED)
        start = end
    return text
