"""The URL of a PostgreSQL database as the place of a queue, and where its password stays: out of everybody's sight."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

SCHEMES = ("postgresql://", "postgres://")

_SECRET = re.compile(r"password", re.IGNORECASE)
_passwords: dict[str, dict[str, str]] = {}


def is_server(place: object) -> bool:
    """Whether *place* names a PostgreSQL server, and not a file."""
    return isinstance(place, str) and place.startswith(SCHEMES)


def without_password(url: str) -> str:
    """*url* without any password that stands in it; `secrets_of` finds them again, in this process alone."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("@")[2] or url  # no URL at all: it is refused by what is left of it
    user, at, host = parts.netloc.rpartition("@")
    name, colon, password = user.partition(":")
    query = parse_qsl(parts.query, keep_blank_values=True)
    secrets = {key: value for key, value in query if _SECRET.search(key)}
    rest = urlencode([(key, value) for key, value in query if key not in secrets], safe="/")
    plain = urlunsplit((parts.scheme, f"{name}{at}{host}", parts.path, rest, ""))
    if colon:
        secrets.setdefault("password", unquote(password))
    if secrets:
        _passwords[plain] = secrets
    return plain


def secrets_of(url: str) -> dict[str, str]:
    """The parameters of a connection that `without_password` left out of *url*."""
    return _passwords.get(url, {})
