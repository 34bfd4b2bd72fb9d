"""Which value wins: flag, environment, nearest project file, user's file, system's file, default, in this order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrun.core.job import Nanos
from batchrun.core.suggest import did_you_mean
from batchrun.settings import dotenv, files
from batchrun.settings.address import doubts
from batchrun.settings.credential import Credential, find
from batchrun.settings.database import database
from batchrun.settings.files import SYSTEM_FILE, SettingsFile
from batchrun.settings.options import CREDENTIALS, OPTIONS, OTHER_VARIABLES, PREFIX, TABLES
from batchrun.settings.sources import DEFAULT, Problems, Sources, Variable

if TYPE_CHECKING:  # only who asks for the tables pays for them
    from batchrun.settings.rows import Rows
    from batchrun.settings.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for one call. Times are in seconds, money in nano-dollars, paths absolute. Its repr shows no key."""

    db: str  #: a path, or the URL of a database server
    mode: str
    tier: str
    concurrency: int
    max_cost: Nanos | None
    tries: int
    on_crash: str  #: a value of `core.claim.OnCrash`
    on_unclear: str
    hours: str | None  #: as `core.hours` reads it
    on_truncated: str  #: a value of `core.retry.OnTruncated`
    on_refused: str  #: a value of `core.retry.OnRefused`
    grace: float
    api_version: str | None
    base_url: str
    account: str
    api_key_file: str | None
    api_key_command: str | None
    env_file: str | None
    stream_above: int
    connect_timeout: float
    read_timeout: float
    total_timeout: float
    ignore: tuple[str, ...]  #: codes of problems
    confirm_likely: Nanos
    confirm_most: Nanos
    on_done: str | None
    on_pause: str | None
    on_alert: str | None
    color: str
    progress: str
    log_file: str | None
    simulate: bool = False
    rows: Mapping[str, Rows] = field(default_factory=dict)  #: what files change in the dated tables
    files: tuple[str, ...] = ()  #: the settings files that were read, the nearest first
    warnings: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, Variable] = field(default_factory=dict, repr=False)

    def origin_of(self, name: str) -> str:
        """Where the value came from: `--tier`, `BATCHRUN_TIER`, `./batchrun.toml:3`, `default`."""
        return self.origins[name]

    def shown(self, name: str) -> str:
        """The value as a screen shows it, without passwords."""
        return OPTIONS[name].show(getattr(self, name))

    def credential(self, environ: Mapping[str, str] | None = None) -> Credential:
        """The key to use; *environ* is what `api_key_command` runs in. Raises KeyRefused if there is none of use."""
        return find(
            self.variables,
            file=(self.api_key_file, self.origins.get("api_key_file", "")),
            command=(self.api_key_command, self.origins.get("api_key_command", "")),
            environ=os.environ if environ is None else environ,
        )

    def tables(self) -> Tables:
        """The dated tables with what the settings change in them. Raises UsageError for a row that makes no sense."""
        from batchrun.settings.tables import tables  # noqa: PLC0415

        return tables(self.tier, self.rows)


def load(
    flags: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    config_file: str | None = None,
    no_config: bool = False,
    simulate: bool = False,
    system_file: Path = SYSTEM_FILE,
) -> Settings:
    """The settings for a call in *folder* with *flags* (by option; None where one was not given).

    Raises UsageError that names all problems at once, each with its place.
    """
    environ = os.environ if environ is None else environ
    folder = Path.cwd() if folder is None else folder
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    assert given.keys() <= OPTIONS.keys(), given.keys() - OPTIONS.keys()
    problems = Problems()
    found = [] if no_config else _files(environ, folder, config_file, system_file, problems)
    sources = Sources(given, environ, found, folder)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    warnings: list[str] = []

    sources.settle(OPTIONS["env_file"], values, origins, problems)
    if values["env_file"] is not None:
        path = Path(values["env_file"])
        for found_there in problems.gather(partial(dotenv.read, path, files.shown(path, folder))):
            sources.dotenv.update(found_there)
    for option in OPTIONS.values():
        if option.name not in values:
            sources.settle(option, values, origins, problems)
    rows = _rows(found, problems)
    for one in found:
        _unknown(one, problems)
    problems.raise_all()

    if simulate and origins["db"] != OPTIONS["db"].flag:  # a simulated run keeps off the real database
        values["db"], origins["db"] = None, DEFAULT
    values["db"] = database(values["db"], folder, simulate=simulate)
    url, where = sources.first(OPTIONS["base_url"])
    if where is not None and not simulate:
        warnings += [f"{where.origin}: {doubt}" for doubt in doubts(str(url))]
    warnings += _unknown_variables([*environ, *sources.dotenv])
    return Settings(
        **values,
        simulate=simulate,
        rows=rows,
        files=tuple(one.shown for one in found),
        warnings=tuple(warnings),
        origins=origins,
        variables=sources.variables(CREDENTIALS),
    )


def _files(
    environ: Mapping[str, str], folder: Path, named: str | None, system: Path, problems: Problems
) -> list[SettingsFile]:
    """The settings files that count, the nearest first."""
    if named is not None:
        path = folder / files.expanded(named)
        table: files.Key = ("tool", "batchrun") if path.name == "pyproject.toml" else ()
        return problems.gather(partial(files.read, path, folder, table=table))
    found: list[SettingsFile] = []
    project = files.project_file(folder)
    if project is not None:
        path, table = project
        found += problems.gather(partial(files.read, path, folder, table=table, found=True))
    for path in (files.user_file(environ), system):
        if files.is_file(path):
            found += problems.gather(partial(files.read, path, folder))
    return found


def _rows(found: list[SettingsFile], problems: Problems) -> dict[str, Rows]:
    """The rows of all files by table, a nearer file's over a farther one's."""
    if not any(name in one.values for name in TABLES for one in found):
        return {}
    from batchrun.settings.rows import check, merged  # noqa: PLC0415

    tables: dict[str, Rows] = {}
    for name in TABLES:
        rows: Rows = {}
        for one in reversed(found):
            if name in one.values:
                for key, message in check(name, one.values[name]):
                    problems.add(f"{one.place((name, *key))}: {message}")
                rows = merged(rows, one.values[name])
        if rows:
            tables[name] = rows
    return tables


_KEYS = frozenset({"key", "api_key", "apikey", "auth_token", "anthropic_api_key", "ANTHROPIC_API_KEY"})


def _unknown(one: SettingsFile, problems: Problems) -> None:
    tables = {option.table for option in OPTIONS.values() if option.table}
    known = [*(name for name, option in OPTIONS.items() if not option.table), *sorted(tables), *TABLES]
    for table in sorted(tables & one.values.keys()):
        _unknown_within(one, table, problems)
    for key in one.values:
        if key in _KEYS:
            problems.add(f"{one.place((key,))}: a key has no place in a file of settings; name `api_key_file` instead")
        elif key not in known:
            problems.add(f"{one.place((key,))}: unknown setting `{key}`{did_you_mean(key, known)}")


def _unknown_within(one: SettingsFile, table: str, problems: Problems) -> None:
    known = [name for name, option in OPTIONS.items() if option.table == table]
    if not isinstance(one.values[table], Mapping):
        problems.add(f"{one.place((table,))}: `{table}` must be a table: [{table}]")
        return
    for key in one.values[table]:
        if key not in known:
            problems.add(f"{one.place((table, key))}: unknown setting `{key}` in [{table}]{did_you_mean(key, known)}")


def _unknown_variables(names: list[str]) -> list[str]:
    known = [*(option.variable for option in OPTIONS.values()), *OTHER_VARIABLES]
    return [
        f"unknown variable {name}{did_you_mean(name, known)}"
        for name in sorted(set(names))
        if name.startswith(PREFIX) and name not in known
    ]
