"""All places a value may come from, in their order, and what is wrong in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from batchrun.core.secrets import redacted
from batchrun.errors import UsageError
from batchrun.settings import files
from batchrun.settings.files import SettingsFile
from batchrun.settings.options import Option

Found = TypeVar("Found")

DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable that is set, and where."""

    value: str = field(repr=False)
    origin: str


class Problems:
    """Collected, so that all are told at once."""

    def __init__(self) -> None:
        self._messages: list[str] = []
        self._hint = ""

    def add(self, message: str, hint: str = "") -> None:
        self._messages.append(message)
        self._hint = hint or self._hint

    def gather(self, action: Callable[[], Found]) -> list[Found]:
        """What *action* gives, or nothing and one problem more."""
        try:
            return [action()]
        except UsageError as error:
            self.add(error.message, error.hint)
            return []

    def raise_all(self) -> None:
        if not self._messages:
            return
        count = len(self._messages)
        end = "" if count == 1 else f"\n{count} problems in the settings; nothing was done"
        raise UsageError("\n".join(self._messages) + end, hint=self._hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    origin: str
    folder: Path  # that relative paths start from
    foreign: bool = False


class Sources:
    """All places a value may come from."""

    def __init__(
        self, flags: Mapping[str, object], environ: Mapping[str, str], found: list[SettingsFile], folder: Path
    ) -> None:
        self.flags = flags
        self.environ = environ
        self.dotenv: dict[str, tuple[str, str]] = {}
        self.files = found
        self.folder = folder

    def first(self, option: Option) -> tuple[object, Where | None]:
        """The value of *option* that wins, as it was written, and where; (None, None) if it stands nowhere."""
        return next(self._all(option), (None, None))

    def _all(self, option: Option) -> Iterator[tuple[object, Where]]:
        if option.name in self.flags:
            yield self.flags[option.name], Where(origin=option.flag, folder=self.folder)
        variables = self.variables(option.variables)
        for name in sorted(variables, key=lambda name: not self.environ.get(name)):  # those of a file come last
            yield variables[name].value, Where(origin=variables[name].origin, folder=self.folder)
        for one in self.files:
            values = one.values.get(option.table, {}) if option.table else one.values
            if isinstance(values, Mapping) and option.name in values:
                where = Where(origin=one.place(option.key), folder=one.path.parent, foreign=one.foreign)
                yield values[option.name], where

    def variables(self, names: tuple[str, ...]) -> dict[str, Variable]:
        """Those of *names* that are set and not empty: an empty variable counts as unset, as it does for the SDK."""
        found = {}
        for name in names:
            if self.environ.get(name):
                found[name] = Variable(value=self.environ[name], origin=name)
            elif self.dotenv.get(name, ("",))[0]:
                value, place = self.dotenv[name]
                found[name] = Variable(value=value, origin=f"{name} ({place})")
        return found

    def settle(self, option: Option, values: dict[str, Any], origins: dict[str, str], problems: Problems) -> None:
        """Read the winning value of *option* into *values*."""
        values[option.name], origins[option.name] = option.default, DEFAULT
        raw, where = self.first(option)
        if where is None:
            return
        origins[option.name] = where.origin
        if where.foreign and option.trusted:
            problems.add(
                f"{where.origin}: `{option.name}` is not taken from a file that belongs to another user",
                "`--config-file` reads the file as your own",
            )
            return
        try:
            value = option.read(raw)
        except ValueError as error:
            instead = "" if option.trusted else f", not `{redacted(str(raw))[:60]}`"
            problems.add(f"{where.origin}: `{option.name}` {error}{instead}")
            return
        if option.path and "://" not in value:
            value = os.path.normpath(where.folder / files.expanded(value))
        values[option.name] = value
