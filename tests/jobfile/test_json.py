"""Places in JSON text, and JSON written by hand: checked against the standard library's own reader and writer."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batchrun.jobfile.faults import Path
from batchrun.jobfile.json_places import blemishes, locate
from batchrun.jobfile.json_text import canonical, compact, too_deep
from batchrun.jobfile.texts import compared, members_of, sent

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)
NAMES = st.sampled_from(["model", "max_tokens", "messages", "system", "tools", "zeta", "a", "a!", 'q"', "é", "a-b"])
MESSAGES = st.lists(
    st.dictionaries(st.sampled_from(["role", "content", "x"]), st.sampled_from(["user", "assistant"]) | VALUES),
    max_size=2,
)


def paths(value: Any, here: Path = ()) -> Iterator[tuple[Path, Any]]:
    yield here, value
    if isinstance(value, dict):
        for name, each in value.items():
            yield from paths(each, (*here, name))
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from paths(each, (*here, index))


def spaced(value: Any, chance: random.Random) -> str:
    """The JSON text of *value* with blanks wherever they may stand."""

    def blank() -> str:
        return "".join(chance.choices(" \t\n\r", k=chance.randrange(3)))

    if isinstance(value, dict):
        members = (
            blank() + json.dumps(name, ensure_ascii=chance.random() < 0.5) + blank() + ":" + spaced(each, chance)
            for name, each in value.items()
        )
        text = "{" + (",".join(members) or blank()) + "}"
    elif isinstance(value, list):
        text = "[" + (",".join(spaced(each, chance) for each in value) or blank()) + "]"
    else:
        text = json.dumps(value, ensure_ascii=chance.random() < 0.5)
    return blank() + text + blank()


@given(VALUES, st.randoms(use_true_random=False))
def test_every_value_is_found_where_it_stands(value: Any, chance: random.Random) -> None:
    text = spaced(value, chance)
    decoder = json.JSONDecoder()
    for path, wanted in paths(value):
        offset, width = locate(text, path)
        found, end = decoder.raw_decode(text, offset)
        assert json.dumps(found) == json.dumps(wanted)
        assert width == (1 if isinstance(wanted, dict | list) else end - offset)
        if path and isinstance(path[-1], str):
            offset, width = locate(text, path, name=True)
            assert json.loads(text[offset : offset + width]) == path[-1]


@given(VALUES, st.lists(st.text(max_size=2) | st.integers(-2, 3), max_size=4), st.randoms(use_true_random=False))
def test_a_path_that_leads_nowhere_ends_at_a_value(value: Any, path: list[str | int], chance: random.Random) -> None:
    text = spaced(value, chance)
    offset, width = locate(text, tuple(path))
    json.JSONDecoder().raw_decode(text, offset)
    assert width >= 1


@given(VALUES, st.randoms(use_true_random=False))
def test_a_value_that_can_be_sent_has_no_blemish(value: Any, chance: random.Random) -> None:
    assert list(blemishes(spaced(value, chance))) == []


@given(st.dictionaries(NAMES, SCALARS | VALUES | MESSAGES, max_size=5))
def test_members_written_by_hand_are_those_of_the_writer(request: dict[str, Any]) -> None:
    members = members_of(request)
    assert sent(members.values()) == compact(request)
    assert compared(members) == canonical(request)
    assert len(compared(members)) == len(sent(members.values()))


@given(st.integers(0, 30), st.integers(1, 30), st.booleans())
def test_depth_is_counted_exactly(depth: int, limit: int, lists: bool) -> None:
    value: Any = "x"
    for _ in range(depth):
        value = [1, value] if lists else {"a": value, "b": 2}
    assert too_deep([value], limit) == (depth + 1 > limit)
