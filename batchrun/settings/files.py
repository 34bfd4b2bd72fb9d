"""Settings files: where they lie, what they say, and on which line they say it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrun.errors import UsageError

NAME = "batchrun.toml"
SYSTEM_FILE = Path("/etc/batchrun/config.toml")

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsFile:
    """What one file says. `lines` has the line (from 1) of each key and table by its path in `values`."""

    path: Path
    shown: str  #: as a person would write it
    values: Mapping[str, Any]
    lines: Mapping[Key, int]
    foreign: bool = False  #: found by walking up, and it belongs to another user

    def place(self, key: Key) -> str:
        """`./batchrun.toml:3`, by the key or the nearest table above it."""
        while key and key not in self.lines:
            key = key[:-1]
        return f"{self.shown}:{self.lines[key]}" if key else self.shown


def project_file(folder: Path) -> tuple[Path, Key] | None:
    """The nearest `batchrun.toml`, or `pyproject.toml` with our table, in *folder* or above; and the table's path."""
    for place in (folder, *folder.parents):
        if is_file(place / NAME):
            return place / NAME, ()
        if _speaks_of_us(place / "pyproject.toml"):
            return place / "pyproject.toml", ("tool", "batchrun")
    return None


def is_file(path: Path) -> bool:
    """Whether there is such a file, as far as we are allowed to see."""
    try:
        return path.is_file()
    except OSError:
        return False


def _speaks_of_us(path: Path) -> bool:
    try:
        return b"tool.batchrun" in path.read_bytes()
    except OSError:
        return False


def user_file(environ: Mapping[str, str]) -> Path:
    home = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or expanded("~"), ".config")
    return Path(home, "batchrun", "config.toml")


def expanded(path: str) -> Path:
    """*path* with `~` replaced; left as it is for a user without a home, as containers have them."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  # pathlib's raises there


def read(path: Path, folder: Path, *, table: Key = (), found: bool = False) -> SettingsFile:
    """The settings in *path* below *table*; *found* says that it was come upon and not named by the user.

    Raises UsageError if it cannot be read or is not TOML.
    """
    from batchrun.settings.toml import lines_of, parsed  # noqa: PLC0415  # 16 ms that only a settings file should cost

    name = shown(path, folder)
    text = _text(path, name)
    values = parsed(text, name)
    for part in table:
        values = values.get(part, {}) if isinstance(values, dict) else values
    if not isinstance(values, dict):
        raise UsageError(f"{name}: `[{'.'.join(table)}]` must be a table")
    lines = {key[len(table) :]: line for key, line in lines_of(text).items() if key[: len(table)] == table}
    return SettingsFile(path=path, shown=name, values=values, lines=lines, foreign=found and _foreign(path))


def _text(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{name}: not UTF-8 text") from None
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise UsageError(f"cannot read `{name}`: {reason}") from None


def _foreign(path: Path) -> bool:
    return path.stat().st_uid not in _trusted()


def _trusted() -> set[int]:
    """Whose files are as good as our own: ours and the administrator's."""
    return {os.geteuid(), 0}


def shown(path: Path, folder: Path) -> str:
    """*path* as a person would write it: below *folder* as `./…`, below the home as `~/…`."""
    for base, sign in ((folder, "."), (expanded("~"), "~")):
        if path.is_relative_to(base):
            return f"{sign}/{path.relative_to(base)}"
    return str(path)
