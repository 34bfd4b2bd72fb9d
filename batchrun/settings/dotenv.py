"""A file of variables, `NAME=value` a line, for those who keep their key in `.env`."""

from __future__ import annotations

import re
from pathlib import Path

from batchrun.errors import UsageError

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_OURS = ("BATCHRUN_", "ANTHROPIC_")


def read(path: Path, shown: str) -> dict[str, tuple[str, str]]:
    """Our variables and the SDK's in *path*: name → (value, place). Others are none of our business.

    Quotes round a value are taken off, `#` after a blank begins a comment; nothing is expanded. Raises UsageError if
    the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"cannot read `env_file` {shown}", hint="it must be a text file that exists") from None
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.fullmatch(line.strip())
        if match and match[1].startswith(_OURS):
            found[match[1]] = (_unquoted(match[2].strip()), f"{shown}:{number}")
    return found


def _unquoted(value: str) -> str:
    if quoted := re.fullmatch(r"""(["'])(.*?)\1\s*(?:#.*)?""", value):
        return quoted[2]
    return re.split(r"\s#", value, maxsplit=1)[0].rstrip()
