"""What an error of the database means: time heals it, or nothing does, or it is the fault of the one who asked."""

from __future__ import annotations

import sqlite3
import sys
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
    lost: bool = False  #: the connection is gone, and with it the word on whether the last commit was kept

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


_LOST = Fault(
    code="lost",
    message="the PostgreSQL server cannot be reached",
    hint="see whether it runs; nothing stored is lost",
    lost=True,
)
CONFLICT = Fault(
    code="conflict",
    message="several transactions wanted the same rows",
    hint="try again; nothing stored is lost",
)
_SERVER_BUSY = Fault(
    code="busy",
    message="another session keeps the tables locked",
    hint="see who: `SELECT * FROM pg_stat_activity WHERE wait_event_type = 'Lock'`",
)
_STANDBY = Fault(
    code="read_only",
    message="the server takes no writes: a standby, or made read-only",
    hint="`?target_session_attrs=read-write` in the URL finds the primary among several hosts",
    lost=True,  # another connection may lead to a server that takes them
)
_RIGHTS = Fault(
    code="rights",
    message="the role may not do this with the tables",
    hint="the role that made the tables may: see docs/howto/postgres.md",
    lasting=True,
)
_OTHER_TABLES = Fault(
    code="other_tables",
    message="the tables are not those that were there when this began",
    hint="was the database dropped, restored or upgraded meanwhile? begin anew",
    lasting=True,
)

_STATES = {
    "53100": _FULL,
    "53200": _MEMORY,
    "53300": _LOST,  # too many connections
    "53": _MEMORY,
    "08": _LOST,
    "57P": _LOST,  # it is shut down, crashed, or starts just now
    "57": CONFLICT,  # a statement was cancelled
    "58": _IO,
    "25006": _STANDBY,
    "25P": _LOST,  # a transaction took too long: the session is over
    "40": CONFLICT,
    "55P03": _SERVER_BUSY,
    "42501": _RIGHTS,
    "42P01": _OTHER_TABLES,
    "42703": _OTHER_TABLES,
    "XX001": _CORRUPT,
    "XX002": _CORRUPT,
}
"""By SQLSTATE, or how it begins (postgresql.org/docs/18/errcodes-appendix.html)."""


def fault_of(error: BaseException) -> Fault | None:
    """The fault behind *error*; None if the database is well and what was asked of it was wrong."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        # Extended names begin with the primary one: SQLITE_IOERR_WRITE, SQLITE_BUSY_SNAPSHOT.
        name = getattr(cause, "sqlite_errorname", None) or ""
        return _FAULTS.get("_".join(name.split("_")[:2]))
    psycopg = sys.modules.get("psycopg")  # where nobody imported it nothing comes from it
    if psycopg is None or not isinstance(cause, psycopg.Error):
        return None
    if cause.sqlstate is None:
        return _LOST if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) else None
    return next((fault for n in (5, 3, 2) if (fault := _STATES.get(cause.sqlstate[:n])) is not None), None)
