"""Which database: the one named, else the nearest `batchrun.db`, else a new one in the working folder."""

from __future__ import annotations

from pathlib import Path

from batchrun.core.server import is_server, without_password
from batchrun.settings.files import is_file

NAME = "batchrun.db"
SIMULATED = "batchrun-simulated.db"


def database(named: str | None, folder: Path, *, simulate: bool) -> str:
    """The path or URL of the database; simulated runs have one of their own."""
    if named is not None:
        return _plain(named, folder)
    name = SIMULATED if simulate else NAME
    for place in (folder, *folder.parents):
        if is_file(place / name):
            return str(place / name)
    return str(folder / name)


def _plain(named: str, folder: Path) -> str:
    """A URL that only names a file of SQLite as that file's path; that of a server without its password."""
    if is_server(named):
        return without_password(named)
    path = named.removeprefix("sqlite:///")
    return named if path in {"", named} or "?" in path else str(folder / path)


def exists(database: str) -> bool:
    """Whether it is there. Of a server that is not asked: its database is made by whoever looks after it."""
    return is_server(database) or Path(database).exists()
