"""A bug in batchrun: three lines for the user, and a report file for whoever mends it.

The file holds versions, the command and its option names, and the places in the code. It holds no values of
variables, no option's value, no request and no key; an error's own words are cut to one short line.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from batchrun import __version__
from batchrun.cli.call import Call
from batchrun.cli.lazy import COMMANDS
from batchrun.cli.screen import Tone
from batchrun.core.secrets import redacted
from batchrun.errors import Exit

_QUOTED = re.compile(r"""(['"])(?:(?!\1).){33,}\1""")
WORDS = 200
"""Characters of an error's own words that are kept."""


def report(error: Exception, args: Sequence[str], call: Call) -> int:
    """Write the report file, say where it is, and return the exit code."""
    screen = call.screen
    doing = next((word for word in args if word in COMMANDS), "")
    if call.flags.verbose or os.environ.get("BATCHRUN_DEBUG", "0") not in {"", "0"}:
        screen.must_say(redacted("".join(traceback.format_exception(error))).rstrip())
    place = _written(_page(error, args))
    name = f"`batchrun {doing}`" if doing else "`batchrun`"
    if "--json" in args:
        import json

        message = f"a bug in batchrun stopped {name}: {words(error)}"
        hint = f"report: {place}" if place else ""
        screen.must_say(
            json.dumps({"event": "error", "code": "bug", "exit": int(Exit.BUG), "message": message, "hint": hint})
        )
        return Exit.BUG
    screen.must_say(
        f"{screen.talk_style('error:', Tone.BAD, Tone.BOLD)} a bug in batchrun stopped {name}: {words(error)}"
    )
    screen.must_say("nothing that was stored is lost; the same command continues")
    if place is not None:
        screen.must_say(f"report: {place}   (no keys, no requests in it; -v shows the traceback)")
    else:
        screen.must_say("no report could be written; -v shows the traceback")
    return Exit.BUG


def words(error: BaseException) -> str:
    """What an exception says, fit to be written down: one short line, long quotations left out, no key."""
    lines = str(error).splitlines()
    text = redacted(_QUOTED.sub("'…'", lines[0] if lines else ""))
    return f"{type(error).__name__}: {text[:WORDS]}" if text else type(error).__name__


def _page(error: Exception, args: Sequence[str]) -> str:
    # Words that are no option and no command are file names, ids or prompts: the user's own.
    given = [word.partition("=")[0] if word.startswith("-") else word if word in COMMANDS else "…" for word in args]
    return "\n".join(
        [
            f"batchrun {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            f"command: batchrun {' '.join(given)}",
            *_versions(),
            "",
            *_chain(error),
            "",
        ]
    )


def _versions() -> list[str]:
    found = ((name, sys.modules.get(name)) for name in ("anthropic", "sqlalchemy", "aiohttp", "alembic"))
    return [f"{name} {getattr(module, '__version__', '?')}" for name, module in found if module is not None]


def _chain(error: BaseException) -> list[str]:
    lines: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        lines.append(words(link))
        lines += [f"  {f.filename}:{f.lineno} in {f.name}" for f in traceback.extract_tb(link.__traceback__)]
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return lines


def state_home() -> Path:
    """Where what the program remembers about itself lives (XDG base directories)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "batchrun"


def _written(page: str) -> Path | None:
    """The path of the new file, readable by its owner alone; None if it cannot be written."""
    try:
        folder = state_home()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(redacted(page))
    except (OSError, RuntimeError):  # a full disk, or no home
        return None
    return path
