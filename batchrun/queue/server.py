"""The way to a PostgreSQL server, for whoever reads and whoever writes. Without SQLAlchemy."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from batchrun.core.server import secrets_of, without_password
from batchrun.errors import UsageError

PATIENCE = 10
"""Seconds until a server that does not answer counts as not there."""

_FORM = "postgresql://USER@HOST:PORT/NAME; the password is best in ~/.pgpass"


def parameters_of(url: str) -> dict[str, Any]:
    """What psycopg's `connect` takes. Raises UsageError where it is missing or *url* makes no sense to it."""
    if find_spec("psycopg") is None:
        raise UsageError("PostgreSQL needs one more package", hint="pip install 'batchrun[postgres]'")
    import psycopg  # noqa: PLC0415  # only whoever has a server needs it

    plain = without_password(url)
    try:
        parameters = psycopg.conninfo.conninfo_to_dict(plain)
    except psycopg.ProgrammingError as error:
        raise UsageError(f"the database URL {plain} cannot be read: {error}".strip(), hint=_FORM) from None
    told = {name: str(value) for name, value in parameters.items()}
    return {"connect_timeout": str(PATIENCE), "application_name": "batchrun", **told, **secrets_of(plain)}
