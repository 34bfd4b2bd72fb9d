"""The floor: the same file, the same durability, and nothing between it and Python's own sqlite3."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def opened(path: Path) -> sqlite3.Connection:
    """A connection to an existing queue, with what the product sets and no transaction begun by itself."""
    from batchrun.queue.connect import PRAGMAS

    database = sqlite3.connect(path, isolation_level=None)
    for pragma in PRAGMAS:
        database.execute(f"PRAGMA {pragma}")
    return database
