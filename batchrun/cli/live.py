"""A board on a whole terminal, drawn anew at each interval and at each change of its size, until q or Ctrl-C."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from batchrun.cli.board import View, board
from batchrun.cli.news import Line
from batchrun.cli.screen import Screen, Tone
from batchrun.errors import Exit

GLANCE = 0.1
"""Seconds between two looks at the keyboard and at the terminal's size."""

_STYLES = {
    Tone.GOOD: "green",
    Tone.BAD: "red",
    Tone.WARN: "yellow",
    Tone.HINT: "cyan",
    Tone.DIM: "dim",
    Tone.BOLD: "bold",
}


class _Ended(BaseException):
    """SIGTERM or SIGHUP came: leave the terminal as it was."""


def live(screen: Screen, look: Callable[[], View], interval: float) -> Exit:
    """Show what *look* finds until somebody leaves. The terminal is then as it was before."""
    console = Console(
        file=screen.out,
        force_terminal=True,  # was decided before: rich has other ideas
        no_color=not screen.out_color,
        color_system="standard" if screen.out_color else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    view = look()  # what is wrong with the queue is said before the screen is taken
    try:
        with _ending(), _keys() as keys, Live(console=console, screen=True, auto_refresh=False) as shown:
            while True:
                drawn = _draw(shown, console, screen, view)
                until = time.monotonic() + interval
                while (left := until - time.monotonic()) > 0:
                    if keys(min(GLANCE, left)):
                        return Exit.OK
                    if console.size != drawn:
                        drawn = _draw(shown, console, screen, view)
                view = look()
    except KeyboardInterrupt:
        return Exit.OK  # how one leaves
    except _Ended:
        return Exit.TERMINATED


def _draw(shown: Live, console: Console, screen: Screen, view: View) -> object:
    size = console.size
    lines = board(view, size.width, size.height, utf8=screen.utf8)
    shown.update(Group(*(_text(line, color=screen.out_color) for line in lines)), refresh=True)
    return size


def _text(line: Line, *, color: bool) -> Text:
    text = Text(no_wrap=True, overflow="crop")
    for piece, tone in line:
        text.append(piece, _STYLES[tone] if tone is not None and color else "")
    return text


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """A function that waits so many seconds at most and tells whether q was pressed."""
    import termios
    import tty

    try:
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
    except (OSError, ValueError, termios.error):  # nobody types
        yield _deaf
        return

    def pressed(seconds: float) -> bool:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        if not ready:
            return False
        typed = os.read(descriptor, 64)
        if not typed:  # the terminal is gone
            raise _Ended
        return b"q" in typed.lower()

    tty.setcbreak(descriptor)
    try:
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _deaf(seconds: float) -> bool:
    time.sleep(seconds)
    return False


@contextmanager
def _ending() -> Iterator[None]:
    """SIGTERM and SIGHUP lead out by the door."""

    def leave(_: int, __: FrameType | None) -> None:
        raise _Ended

    before = {one: signal.signal(one, leave) for one in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
