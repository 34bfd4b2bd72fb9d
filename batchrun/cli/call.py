"""One call of the program: its global flags, and the screen and settings they lead to."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from batchrun.cli.screen import Screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The global flags as they were given, before or after the command; None where one was not."""

    db: str | None = None
    config_file: str | None = None
    no_config: bool = False
    simulate: bool = False
    quiet: bool = False
    verbose: int = 0
    color: str = "auto"
    progress: str = "auto"
    log_file: str | None = None


@dataclass(kw_only=True)
class Call:
    """Made before the flags are read, and complete when a command starts."""

    flags: Flags = field(default_factory=Flags)

    @cached_property
    def screen(self) -> Screen:
        screen = Screen(color=self.flags.color, quiet=self.flags.quiet)
        if self.flags.simulate:
            screen.mark_simulated()
        return screen
