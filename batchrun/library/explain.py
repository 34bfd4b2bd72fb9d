"""The page of each code: what it means, why it is a problem, and what cures it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from batchrun.core.problem import Severity
from batchrun.jobfile.codes import IGNORABLE, Code
from batchrun.library.probed import MEANINGS as PROBED
from batchrun.queue.mistakes import MEANINGS

_FILE = Path(__file__).parent.parent / "data" / "codes.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    code: str
    meaning: str
    severity: Severity
    ignorable: bool
    why: str
    cure: str
    example: str


def meanings() -> dict[str, str]:
    """What each code means in one line, in the order of the codes."""
    return dict(sorted(({code.value: code.meaning for code in Code} | MEANINGS | PROBED).items()))


def page(code: str) -> Page:
    """Raises KeyError for a code that there is not."""
    known = {each.value: each for each in Code}.get(code)
    said = _data()["pages"].get(code, {})
    return Page(
        code=code,
        meaning=meanings()[code],
        severity=Severity.ERROR if known is None else known.severity,
        ignorable=known in IGNORABLE,
        why=said.get("why", ""),
        cure=said.get("cure", ""),
        example=said.get("example", ""),
    )


def date() -> str:
    """The day from which the pages are."""
    return str(_data()["date"])


@cache
def _data() -> dict[str, Any]:
    with _FILE.open("rb") as stream:
        data = tomllib.load(stream)
    return {"date": data.pop("date"), "pages": data}
