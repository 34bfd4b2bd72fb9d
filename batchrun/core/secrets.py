"""Keys in texts that are not ours: found by their form, and taken out before anything is written down."""

from __future__ import annotations

import re

_FORMS = re.compile(
    r"""sk-ant-[\w-]{4,}                                  # an API key or an OAuth token
      | (?<=[Bb]earer[ ])[\w.~+/=-]{8,}                   # an authorization header
      | (?<=://)[^\s/:@]*:[^\s/@]+(?=@)                   # user and password in an address
      | (?<=password=)[^\s&'"]+                           # and where it stands in the address's query
    """,
    re.VERBOSE,
)


def redacted(text: str) -> str:
    """*text* without keys, tokens and passwords in addresses."""
    return _FORMS.sub("[removed]", text)


def ending(secret: str) -> str:
    """How a screen tells one key from another: its last four characters, of a long one."""
    return f"…{secret[-4:]}" if len(secret) >= 20 else "…"
