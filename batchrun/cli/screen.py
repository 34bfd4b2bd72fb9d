"""What this process writes on: two streams, and what each can show. Data goes to stdout, talk to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TextIO

ROOM = 80
"""Columns assumed where no terminal tells."""


class Tone(StrEnum):
    """What a coloured word means; the value is its SGR code."""

    GOOD = "32"
    BAD = "31"
    WARN = "33"
    HINT = "36"
    DIM = "2"
    BOLD = "1"


class Mark(StrEnum):
    """The symbols; the value is what stands where the stream has no UTF-8."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_SYMBOLS = {Mark.OK: "✓", Mark.WARN: "!", Mark.FAIL: "✗"}
_TONES = {Mark.OK: Tone.GOOD, Mark.WARN: Tone.WARN, Mark.FAIL: Tone.BAD}


def _hostile() -> dict[int, str]:
    """Characters that would move the cursor, colour the screen, or turn the direction of what follows."""
    controls = [*range(0x20), 0x7F, *range(0x80, 0xA0)]
    directions = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    breaks = [0x2028, 0x2029, 0xFEFF]
    hidden = range(0xE0000, 0xE0080)
    table = {code: f"\\x{code:02x}" for code in controls}
    table.update({code: f"\\u{code:04x}" for code in [*directions, *breaks]})
    table.update({code: f"\\U{code:08x}" for code in hidden})
    table.update({0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"})
    return table


HOSTILE = _hostile()
_LINES = {code: text for code, text in HOSTILE.items() if code not in {0x09, 0x0A}}


def clean(text: str, *, lines: bool = False) -> str:
    """*text* with everything a terminal would obey made visible. `lines` leaves line breaks and tabs as they are.

    Answers, error messages and file names are written by others: each goes through here on its way to a terminal.
    """
    return text.translate(_LINES if lines else HOSTILE)


def colored(choice: str, environ: Mapping[str, str], *, tty: bool) -> bool:
    """Whether to colour a stream. `choice` is the flag: always and never win over the environment."""
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in {"", "0"} or environ.get("CLICOLOR_FORCE", "0") not in {"", "0"}:
        return True
    return tty and environ.get("TERM") != "dumb" and environ.get("CLICOLOR") != "0"


def attended(environ: Mapping[str, str], *, tty: bool) -> bool:
    """Whether somebody watches the stream: bars and redrawing are only for people."""
    return tty and environ.get("TERM") != "dumb" and environ.get("CI", "") in {"", "0", "false"}


def _width(stream: TextIO, environ: Mapping[str, str]) -> int:
    columns = environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or ROOM
    except (OSError, ValueError):  # no terminal, or a stream without a descriptor
        return ROOM


def is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def silence(stream: TextIO) -> None:
    """Let what nobody can read any more fall into the void, so that the last flush cannot fail either."""
    try:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, stream.fileno())
        os.close(sink)
    except (OSError, ValueError):  # a stream without a descriptor: a test's
        pass


class Screen:
    """The two streams of one call of the program.

    `simulated` is set by whoever knows that the database holds simulated work: it writes the word once, before
    anything else is said, and marks each JSON document. `typed` makes of a command in a hint the one to type.
    """

    def __init__(
        self,
        *,
        color: str = "auto",
        quiet: bool = False,
        environ: Mapping[str, str] | None = None,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self._environ = environ = os.environ if environ is None else environ
        self.out = sys.stdout if out is None else out
        self.err = sys.stderr if err is None else err
        self.quiet = quiet
        self.tty = is_terminal(self.out)
        self.interactive = attended(environ, tty=is_terminal(self.err))
        self.paint(color)
        self.utf8 = _speaks_utf8(self.out)
        self.err_utf8 = _speaks_utf8(self.err)
        self.width = _width(self.out if self.tty else self.err, environ)
        self.simulated = False
        self.typed: Callable[[str], str] = str

    def paint(self, color: str) -> None:
        """Colour from now on as *color* says: auto, always or never."""
        self.out_color = colored(color, self._environ, tty=self.tty)
        self.err_color = colored(color, self._environ, tty=is_terminal(self.err))

    def write(self, text: str) -> None:
        """One piece of data on stdout, as it is."""
        self.out.write(text)

    def line(self, text: str = "") -> None:
        """One line of data on stdout, as it is: whatever others wrote has been through `clean`."""
        self.out.write(text + "\n")

    def say(self, text: str = "") -> None:
        """One line of talk on stderr; nothing when quiet."""
        if not self.quiet:
            self._talk(text)

    def must_say(self, text: str) -> None:
        """One line on stderr even when quiet: warnings and what went wrong."""
        self.out.flush()  # so that the two streams stay in order on a terminal
        self._talk(text)

    def _talk(self, text: str) -> None:
        try:
            self.err.write(text + "\n")
            self.err.flush()
        except OSError:
            silence(self.err)  # nobody listens any more; what is being done matters more

    def warn(self, text: str) -> None:
        self.must_say(f"{self.talk_style('warning:', Tone.WARN)} {text}")

    def mark_simulated(self) -> None:
        if not self.simulated:
            self.simulated = True
            self.must_say(
                self.talk_style("SIMULATED: no request leaves this machine and nothing costs money", Tone.WARN)
            )

    def style(self, text: str, *tones: Tone) -> str:
        """*text* in colour, for stdout."""
        return _styled(text, tones) if self.out_color else text

    def talk_style(self, text: str, *tones: Tone) -> str:
        """*text* in colour, for stderr."""
        return _styled(text, tones) if self.err_color else text

    def mark(self, mark: Mark) -> str:
        """A symbol for stdout."""
        return self.style(_SYMBOLS[mark] if self.utf8 else mark.value, _TONES[mark])

    def talk_mark(self, mark: Mark) -> str:
        """A symbol for stderr."""
        return self.talk_style(_SYMBOLS[mark] if self.err_utf8 else mark.value, _TONES[mark])

    def bar(self, share: float, width: int, *, started: float = 0.0) -> str:
        """A bar for stdout: `share` of it is full, and `started` more of it half (both of 1)."""
        return drawn_bar(share, width, started=started, utf8=self.utf8)


def drawn_bar(share: float, width: int, *, started: float = 0.0, utf8: bool = True) -> str:
    full, half, empty = ("█", "▒", "░") if utf8 else ("#", "+", "-")
    done = min(width, int(share * width))
    out = min(width - done, max(int((share + started) * width) - done, 1 if started else 0))
    return full * done + half * out + empty * (width - done - out)


def _styled(text: str, tones: tuple[Tone, ...]) -> str:
    return f"\x1b[{';'.join(tones)}m{text}\x1b[0m" if tones and text else text


def _speaks_utf8(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "").replace("_", "") in {"utf8", "cp65001"}
