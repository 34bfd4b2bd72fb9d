"""Requests are put together to the letter."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.queue.bodies import SharedParts, pieces_of, whole

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=5)


@given(value=OBJECTS, indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_the_pieces_of_an_object_are_its_members_as_they_were_written(
    value: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    pieces = pieces_of(text)
    assert {name: json.loads(piece) for name, piece in pieces.items()} == value
    assert list(pieces) == list(value)
    assert all(piece in text for piece in pieces.values())


@given(own=OBJECTS, shared=st.none() | OBJECTS, overrides=st.none() | OBJECTS, data=st.data())
def test_own_goes_over_shared_and_overrides_over_all(
    own: dict[str, Any], shared: dict[str, Any] | None, overrides: dict[str, Any] | None, data: st.DataObject
) -> None:
    order = data.draw(st.none() | st.permutations(sorted({*own, *(shared or {})})))
    text = whole(
        json.dumps(own),
        None if shared is None else pieces_of(json.dumps(shared)),
        None if order is None else json.dumps(order),
        None if overrides is None else json.dumps(overrides),
    )
    merged = json.loads(text)
    assert merged == {**(shared or {}), **own, **(overrides or {})}
    if order is not None and shared is not None:
        assert [name for name in merged if name in order] == order


def test_a_request_in_one_piece_is_sent_as_it_is() -> None:
    text = ' { "a" : 1.10 } '
    assert whole(text, None, None, None) == text


def test_numbers_keep_their_digits_and_texts_their_escapes() -> None:
    own = r'{"big":123456789012345678901234567890,"real":1.10e-2,"text":"\u00e9\/","huge":1e400}'
    assert whole(own, {"x": "1"}, None, None) == '{"x":1,' + own[1:]


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "{", '{"a"}', '{"a":}', '{"a":1', '{"a":1 "b":2}', "{1:2}", '{"a":1,}']
)
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        pieces_of(text)


def test_shared_parts_are_remembered_while_there_is_room() -> None:
    parts = SharedParts(room=40)
    for part in (1, 2, 3):
        parts.put(part, '{"system":"xxxx"}')  # 17 characters
        assert parts.get(part) == {"system": '"xxxx"'}
        parts.get(1)
    assert parts.get(2) is None
    assert parts.get(1) is not None
    parts.put(9, '{"system":"' + "x" * 100 + '"}')
    assert parts.get(9) is not None
    assert parts.get(1) is None
