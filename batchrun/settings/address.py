"""The address of the API as users write it, and the mistakes that would look like network trouble later."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

API = "https://api.anthropic.com"

_VERSIONED = re.compile(r"/v1(/messages(/batches)?)?/*$")
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|\[?::1\]?|.+\.localhost")


def address(raw: object) -> str:
    """The base URL without a slash at its end. Raises ValueError with the end of a sentence; it shows no password."""
    if not isinstance(raw, str):
        raise ValueError("must be an address, such as https://gateway.example")  # noqa: TRY004  # every bad value alike
    url = raw.strip()
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValueError("must not contain blanks")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must be an address, such as https://gateway.example") from None
    if "://" not in url:
        raise ValueError("must begin with https:// or http://")
    if parts.scheme.lower() not in {"http", "https"}:
        raise ValueError(f"must begin with https:// or http://, not {parts.scheme}://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user or password; a key belongs into ANTHROPIC_API_KEY")
    if not host:
        raise ValueError("must name a host, such as https://gateway.example")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise ValueError("must not contain ? or #")
    return _VERSIONED.sub("", url).rstrip("/")


def doubts(raw: str) -> list[str]:
    """What is accepted in the base URL *raw*, and worth a warning all the same."""
    found = []
    if _VERSIONED.search(raw.strip()):
        found.append(f"the base URL ends in /v1, which is added to it anyway; using {address(raw)}")
    parts = urlsplit(raw.strip())
    if parts.scheme.lower() == "http" and not _LOOPBACK.fullmatch(parts.hostname or ""):
        found.append(f"the key goes to {parts.hostname} without encryption (http://)")
    return found
