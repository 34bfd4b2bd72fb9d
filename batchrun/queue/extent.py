"""How large a queue is, and of what."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from batchrun.core.job import Millis
from batchrun.queue.batchlist import rewound
from batchrun.queue.reading import Reading
from batchrun.queue.schema import VERSION

TABLES = ("runs", "jobs", "requests", "shared", "attempts", "results", "batches", "candidates", "events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """All sizes in bytes."""

    path: Path
    size: int
    log: int  #: of the write-ahead log
    page: int
    pages: int
    unused: int  #: pages that a vacuum would give back
    free: int  #: of the disk
    schema: str
    sqlite: str
    simulated: bool
    created: Millis
    queue: str  #: its token, in each custom_id
    rows: dict[str, int]
    rewound: Millis | None  #: when a backup was restored, while something of it is not known yet


def extent(reading: Reading) -> Extent:
    """Counts every row: as long as it takes to walk the smallest index of each table."""
    with reading.moment():
        meta = dict(reading.rows("SELECT key, value FROM meta"))
        page, pages, unused = (
            reading.rows(f"PRAGMA {name}")[0][0] for name in ("page_size", "page_count", "freelist_count")
        )
        rows = {name: reading.rows(f"SELECT COUNT(*) FROM {name}")[0][0] for name in TABLES}
        sqlite = reading.rows("SELECT sqlite_version()")[0][0]
    log = Path(f"{os.path.realpath(reading.path)}-wal")
    return Extent(
        path=reading.path,
        size=reading.path.stat().st_size,
        log=log.stat().st_size if log.exists() else 0,
        page=page,
        pages=pages,
        unused=unused,
        free=shutil.disk_usage(reading.path.parent).free,
        schema=VERSION,
        sqlite=sqlite,
        simulated=reading.simulated,
        created=Millis(int(meta["created"])),
        queue=meta["queue"],
        rows=rows,
        rewound=rewound(reading),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerExtent:
    """Of a queue on a server; its size is in bytes, and is that of the whole database."""

    place: str
    size: int
    schema: str
    postgresql: str
    simulated: bool
    created: Millis
    queue: str
    rows: dict[str, int]


def extent_of_server(reading: Reading) -> ServerExtent:
    """Counts every row."""
    with reading.moment():
        meta = dict(reading.rows("SELECT key, value FROM meta"))
        return ServerExtent(
            place=reading.place,
            size=reading.rows("SELECT pg_database_size(current_database())")[0][0],
            schema=VERSION,
            postgresql=reading.rows("SHOW server_version")[0][0],
            simulated=reading.simulated,
            created=Millis(int(meta["created"])),
            queue=meta["queue"],
            rows={name: reading.rows(f"SELECT COUNT(*) FROM {name}")[0][0] for name in TABLES},
        )
