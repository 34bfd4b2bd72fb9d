"""What an error of SQLite means: time heals it, or nothing does, or it is the fault of the one who asked."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import sqlalchemy as sa

from batchrun.errors import BatchrunError, SchemaError, StoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The database cannot be used right now, or (*lasting*) not at all."""

    code: str  #: "disk_full", "busy" …
    message: str
    hint: str
    lasting: bool = False

    def raised(self, path: object) -> BatchrunError:
        kind = SchemaError if self.code == "no_database" else StoreError
        return kind(f"{path}: {self.message}", hint=self.hint)


_FULL = Fault(code="disk_full", message="the disk is full", hint="make room; nothing stored is lost")
_BUSY = Fault(
    code="busy",
    message="another process has the database locked",
    hint="see who: `fuser` or `lsof` on the file; a stopped process keeps its lock",
)
_IO = Fault(code="io_error", message="the disk reports an error", hint="check the disk and its cables or volume")
_OPEN = Fault(
    code="cannot_open",
    message="the database file cannot be opened",
    hint="check the folder's rights and `ulimit -n`",
)
_MEMORY = Fault(code="no_memory", message="there is no memory left", hint="free some; nothing stored is lost")
_READONLY = Fault(
    code="read_only",
    message="the database cannot be written to",
    hint="check the rights of the file and its folder, and whether it was moved",
    lasting=True,
)
_CORRUPT = Fault(
    code="corrupt",
    message="the database is damaged",
    hint="keep a copy of it with its -wal file, then restore a backup",
    lasting=True,
)
_NO_DATABASE = Fault(
    code="no_database", message="this is no database", hint="--db names the database file", lasting=True
)

MOVED = Fault(
    code="moved",
    message="the database file was moved or deleted while it was in use",
    hint="what was written since then is in the file that is gone; put it back before the next `batchrun run`",
    lasting=True,
)

_FAULTS = {
    "SQLITE_FULL": _FULL,
    "SQLITE_BUSY": _BUSY,
    "SQLITE_LOCKED": _BUSY,
    "SQLITE_PROTOCOL": _BUSY,
    "SQLITE_IOERR": _IO,
    "SQLITE_CANTOPEN": _OPEN,
    "SQLITE_NOMEM": _MEMORY,
    "SQLITE_READONLY": _READONLY,
    "SQLITE_PERM": _READONLY,
    "SQLITE_AUTH": _READONLY,
    "SQLITE_CORRUPT": _CORRUPT,
    "SQLITE_NOTADB": _NO_DATABASE,
}


def fault_of(error: BaseException) -> Fault | None:
    """The fault behind *error*; None if the database is well and what was asked of it was wrong."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if not isinstance(cause, sqlite3.Error):
        return None
    # Extended names begin with the primary one: SQLITE_IOERR_WRITE, SQLITE_BUSY_SNAPSHOT.
    name = getattr(cause, "sqlite_errorname", None) or ""
    return _FAULTS.get("_".join(name.split("_")[:2]))
