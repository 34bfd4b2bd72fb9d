"""What a job says beside its request, for batchrun alone: the tags it is selected by, and what it may cost."""

from __future__ import annotations

from typing import Any

from batchrun.core.figures import MOST_DOLLARS, parse_dollars
from batchrun.core.job import Nanos
from batchrun.jobfile.codes import Code
from batchrun.jobfile.faults import Fault, Path, article
from batchrun.jobfile.json_text import compact

TAG_LENGTH = 100
"""Characters of a tag at most."""
MOST_TAGS = 32


def tags_of(given: Any, faults: list[Fault]) -> str | None:
    """The JSON text of a job's tags, each once; None where it has none. A single word may stand without its list.

    Raises ValueError for half a character.
    """
    words = [given] if isinstance(given, str) else given
    if words is None or words == []:
        return None
    if not isinstance(words, list):
        faults.append(_fault(("tags",), f"`tags` must be a list of words, not {article(given)}"))
        return None
    if len(words) > MOST_TAGS:
        faults.append(_fault(("tags",), f"`tags` has {len(words):,} words; {MOST_TAGS} are the most"))
        return None
    for at, word in enumerate(words):
        if wrong := wrong_tag(word):
            faults.append(_fault(("tags",) if isinstance(given, str) else ("tags", at), wrong))
            return None
    text = compact(list(dict.fromkeys(words)))
    text.encode()
    return text


def wrong_tag(word: object) -> str:
    """What is wrong with a tag; "" if nothing is."""
    if not isinstance(word, str):
        return f"a tag must be text, not {article(word)}"
    if not word.strip():
        return "a tag is empty"
    if len(word) > TAG_LENGTH:
        return f"a tag has {len(word):,} characters; {TAG_LENGTH} are the most"
    if not word.isprintable():
        return "a tag holds a control character"
    return ""


def max_cost_of(given: Any, faults: list[Fault]) -> Nanos | None:
    """Dollars as nano-dollars; None where nothing, or nothing that can be read, is said."""
    if given is None:
        return None
    try:
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise ValueError  # noqa: TRY004, TRY301  # every bad value alike
        return Nanos(parse_dollars(str(given)))
    except ValueError:
        faults.append(
            Fault(
                code=Code.MAX_COST,
                path=("max_cost",),
                message=f"`max_cost` must be dollars, up to {MOST_DOLLARS:,}, not {article(given)}",
                hint="for example 0.50",
            )
        )
        return None


def _fault(path: Path, message: str) -> Fault:
    return Fault(code=Code.TAGS, path=path, message=message, hint='for example `"tags": ["urgent"]`')
