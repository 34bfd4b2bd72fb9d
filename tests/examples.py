"""How many examples a property is tried with: a quarter in the quick tests, all of them where EXAMPLES=all."""

from __future__ import annotations

import os

ALL = os.environ.get("EXAMPLES") == "all"


def examples(most: int) -> int:
    return most if ALL else most // 4
