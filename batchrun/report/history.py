"""Events as the queue kept them, made into the values again that they were."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from typing import Any, get_args

from batchrun.core.events import Event, Turn
from batchrun.core.outcome import Flag
from batchrun.core.usage import Usage
from batchrun.queue.jobrows import EventRow

_KINDS = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower(): kind for kind in get_args(Event)}


def event_of(row: EventRow) -> Event | None:
    """The event of *row*; None for one that this version does not know, or that another one wrote otherwise."""
    kind = _KINDS.get(row.kind)
    if kind is None:
        return None
    known = {"at": row.at, "run": row.run, "job": row.job, "lane": row.lane} | dict(row.detail)
    values: dict[str, Any] = {}
    try:
        for one in fields(kind):
            if known.get(one.name) is not None:
                values[one.name] = _value(one.name, known[one.name])
            elif one.default is MISSING:
                values[one.name] = None  # what is not known is left out of a row
        event: Event = kind(**values)
    except (TypeError, ValueError):
        return None
    return event


def _value(name: str, value: Any) -> Any:
    match name:
        case "runs":
            return tuple((run, run_name) for run, run_name in value)
        case "usage":
            return Usage(**value)
        case "turn":
            return Turn(value)
        case "flag":
            return Flag(value)
        case _:
            return value
