"""The exceptions of batchrun, and the exit code of each.

    BatchrunError
    ├─ UsageError          2   wrong usage, configuration or job file; nothing was changed
    │   └─ SchemaError     2   the database is newer than this program, or is no database of ours
    ├─ StoreError          3   the database cannot be used (disk full, read-only, gone)
    ├─ KeyRefused          4   key missing, wrong, or not allowed
    ├─ NothingMatched      5   a typed selection matched no job
    └─ WorkerBusy         75   another worker is at it, and one of the two wants to be alone

API answers are never exceptions (they are `core.outcome` values), and mistakes in job files are `core.problem` values.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes. An unknown code must be treated as failure."""

    OK = 0  #: done, or nothing to do
    FAILED_JOBS = 1  #: ran to its end, and some jobs of runs that ended in this call failed
    USAGE = 2  #: wrong usage, wrong configuration, invalid job file; nothing was changed
    UNREACHABLE = 3  #: the API or the database could not be reached or kept failing; run again later
    KEY = 4  #: key missing, wrong, or not allowed; or the run belongs to another account
    NO_MATCH = 5  #: a typed selection matched no job at all
    MONEY = 6  #: a cost cap or the account's spending limit is reached; the rest is queued
    DURATION = 7  #: the time given is over; the rest is queued
    PENDING = 8  #: not finished yet (`wait`, `status --check`)
    BUG = 70  #: a bug in batchrun
    BUSY = 75  #: another worker works on this database, and one of the two wants to be alone
    INTERRUPTED = 130  #: Ctrl-C; everything that came in is stored
    PIPE = 141  #: the reader of our output went away
    TERMINATED = 143  #: SIGTERM; everything that came in is stored


class BatchrunError(Exception):
    """Anything batchrun says no to. `hint` is the cure, in one line."""

    exit = Exit.BUG

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(BatchrunError):
    exit = Exit.USAGE


class SchemaError(UsageError):
    pass


class StoreError(BatchrunError):
    exit = Exit.UNREACHABLE


class KeyRefused(BatchrunError):
    exit = Exit.KEY


class NothingMatched(BatchrunError):
    exit = Exit.NO_MATCH


class WorkerBusy(BatchrunError):
    exit = Exit.BUSY
