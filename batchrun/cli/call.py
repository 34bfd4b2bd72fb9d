"""One call of the program: its global flags, and the screen, settings and queue they lead to."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.cli.screen import Screen
from batchrun.core.job import Millis
from batchrun.core.server import is_server, without_password
from batchrun.errors import UsageError

if TYPE_CHECKING:
    from batchrun.queue.reading import Reading
    from batchrun.settings import Settings

BOOLEANS = {"": False, "0": False, "false": False, "1": True, "true": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The global flags as they were given, before or after the command; None where one was not."""

    db: str | None = None
    config_file: str | None = None
    no_config: bool = False
    simulate: bool = False
    quiet: bool = False
    verbose: int = 0
    color: str | None = None
    progress: str | None = None
    log_file: str | None = None


def flags_of(environ: Mapping[str, str]) -> Flags:
    """What the variables say that are no settings. Raises UsageError for a value that is neither yes nor no."""

    def switch(name: str) -> bool:
        value = environ.get(name, "")
        if value not in BOOLEANS:
            raise UsageError(f"{name} must be 1, 0, true or false, not `{value}`")
        return BOOLEANS[value]

    return Flags(simulate=switch("BATCHRUN_SIMULATE"), quiet=switch("BATCHRUN_QUIET"))


@dataclass(kw_only=True)
class Call:
    """Made before the flags are read, and complete when a command starts."""

    flags: Flags = field(default_factory=Flags)
    _warned: set[str] = field(default_factory=set)

    @cached_property
    def screen(self) -> Screen:
        color = self.flags.color or os.environ.get("BATCHRUN_COLOR", "")
        screen = Screen(color=color if color in {"always", "never"} else "auto", quiet=self.flags.quiet)
        if self.flags.simulate:
            screen.mark_simulated()
        screen.typed = self.typed
        return screen

    @cached_property
    def settings(self) -> Settings:
        """The settings that hold for a call without flags of its own. Raises UsageError."""
        return self.settings_with()

    def settings_with(self, **flags: object) -> Settings:
        """The settings with a command's own *flags*, by option; None where one was not given. Raises UsageError."""
        from batchrun.settings import load

        named = ("db", "color", "progress", "log_file")
        settings = load(
            {name: getattr(self.flags, name) for name in named} | flags,
            config_file=self.flags.config_file,
            no_config=self.flags.no_config,
            simulate=self.flags.simulate,
        )
        self.screen.paint(settings.color)
        for warning in settings.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                self.screen.warn(warning)
        return settings

    def typed(self, text: str) -> str:
        """*text*, in which each `batchrun …` that somebody may type leads to the same queue as this call."""
        from batchrun.report.cures import word

        words = ["--simulate"] if self.flags.simulate else []
        db = self.flags.db
        db = without_password(db) if is_server(db) and db is not None else db
        for flag, value in (("--db", db), ("--config-file", self.flags.config_file)):
            if value is not None:
                words += [flag, word(value)]
        if not words:
            return text
        import re

        from batchrun.cli.lazy import COMMANDS

        inserted = " ".join(["batchrun", *words, ""]).replace("\\", r"\\")
        return re.sub(rf"\bbatchrun (?=(?:{'|'.join(COMMANDS)})\b)(?!\S+ --help)", inserted, text)

    @property
    def now(self) -> Millis:
        """The wall clock, for what is shown."""
        return Millis(time.time_ns() // 1_000_000)

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """The queue, to look at. Raises UsageError where there is none."""
        from batchrun.queue.reading import NoQueue, OldSchema, Reading

        place = self.settings.db
        try:
            try:
                reading = Reading.open(place)
            except OldSchema:
                _upgrade(place)
                reading = Reading.open(place)
        except NoQueue as none:
            if self._simulated_instead():
                none.hint = "there is a simulated one: add --simulate"
            raise
        with reading:
            if reading.simulated:
                self.screen.mark_simulated()
            yield reading

    def _simulated_instead(self) -> bool:
        """Whether somebody may have forgotten the flag."""
        from batchrun.settings.database import database

        return (
            not self.flags.simulate
            and self.flags.db is None
            and Path(database(None, Path.cwd(), simulate=True)).exists()
        )


def _upgrade(place: str) -> None:
    """Bring the queue of an older batchrun up to date; it takes a second, once."""
    from batchrun.queue.connect import close_queue, open_queue

    close_queue(open_queue(place, simulated=None, create=False))
