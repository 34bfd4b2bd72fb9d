"""The version of the tables that this program reads and writes: the name of the newest migration."""

from __future__ import annotations

VERSION = "0004"
