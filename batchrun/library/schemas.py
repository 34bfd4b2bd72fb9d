"""The JSON Schemas of what people write for batchrun."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from batchrun.core.models import ModelTable
from batchrun.jobfile.schema import jobs_schema, line_schema
from batchrun.settings.schema import settings_schema

WHAT = ("jobs", "line", "settings")


def schema_of(what: str, models: ModelTable, day: str | None = None) -> dict[str, Any]:
    """The schema of *what*, one of `WHAT`, offering the *models* that are served on *day* (YYYY-MM-DD; None: today)."""
    if what == "settings":
        return settings_schema()
    when = f"{datetime.now(UTC):%Y-%m-%d}" if day is None else day
    served = [name for name, model in models.models.items() if not (model.gone(when) or model.deprecated)]
    return jobs_schema(served) if what == "jobs" else line_schema(served)
