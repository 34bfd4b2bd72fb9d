"""Which database is ours, and in which shape. Imports nothing, so that a status may know it."""

from __future__ import annotations

APPLICATION = 0x6272756E
"""`PRAGMA application_id` of a SQLite file of ours: "brun"."""

VERSION = "0001"
"""The revision in `alembic_version` that this program reads and writes: the newest of `migrations/`."""
