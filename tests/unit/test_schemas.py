"""Our check of JSON Schemas says what the reference says, and nothing keeps it busy or makes it reach out."""

from __future__ import annotations

import json
import socket
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.core import schemas
from batchrun.core.message import structured
from batchrun.core.misfit import Unusable
from batchrun.core.schemas import Schema, schema_of
from tests.examples import examples

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 0.5, -1.5]) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
NUMBERS = st.integers(-2, 3) | st.sampled_from([0.5, 1.0])
COUNTS = st.integers(0, 3)
TYPES = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
            "enum": st.lists(VALUES, min_size=1, max_size=3),
            "const": VALUES,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b|c"]), inner, max_size=1),
            "additionalProperties": inner,
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "prefixItems": some,
            "items": inner,
            "minItems": COUNTS,
            "maxItems": COUNTS,
            "uniqueItems": st.booleans(),
            "minLength": COUNTS,
            "maxLength": COUNTS,
            "pattern": st.sampled_from(["a", "^b", "a$"]),
            "minimum": NUMBERS,
            "maximum": NUMBERS,
            "exclusiveMinimum": NUMBERS,
            "exclusiveMaximum": NUMBERS,
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "minProperties": COUNTS,
            "maxProperties": COUNTS,
            "anyOf": some,
            "oneOf": some,
            "allOf": some,
            "not": inner,
            "$ref": st.sampled_from(["#/$defs/one", "#/$defs/a~1b"]),
        },
    )


SCHEMAS = st.recursive(st.booleans() | TYPES.map(lambda kind: {"type": kind}), _schemas, max_leaves=5)


@settings(max_examples=examples(120), deadline=None)
@given(schema=SCHEMAS, one=SCHEMAS, value=VALUES)
def test_it_says_what_the_reference_says(schema: Any, one: Any, value: Any) -> None:
    definitions = {"one": {"type": "string"} if one is True else {"type": "array"}, "a/b": {"minimum": 0}}
    whole = {"$defs": definitions, "allOf": [schema]}
    expected = jsonschema.Draft202012Validator(whole).is_valid(value)
    assert (Schema(whole).objection(value) is None) is expected


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "labels": {"type": "array", "items": {"enum": ["a", "b"]}},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"name": "x", "age": 3, "labels": ["a"]}, None),
        ({"name": "x", "age": -1}, "$.age: -1 is less than 0"),
        ({"name": "x", "age": True}, "$.age: true is no integer"),
        ({"name": "x"}, '$: "age" is missing'),
        ({"name": "x", "age": 3, "labels": ["a", "z"]}, '$.labels[1]: "z" is none of ["a", "b"]'),
        ({"name": "x", "age": 3, "more": 1}, '$: "more" is no name of this object'),
        ("y" * 99, f'$: "{"y" * 38}… is no object'),
    ],
)
def test_a_reason_names_the_place(value: Any, why: str | None) -> None:
    assert Schema(PERSON).objection(value) == why


def test_a_schema_may_lead_back_to_itself() -> None:
    tree = Schema({"$ref": "#/$defs/t", "$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}})
    assert tree.objection([[], [[]]]) is None
    assert tree.objection([[], [[5]]]) == "$[1][0][0]: 5 is no array"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
        {
            "$ref": "#/$defs/0",
            "$defs": {
                **{str(n): {"not": {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2}} for n in range(60)},
                "60": {"not": True},
            },
        },
    ],
    ids=["at-once", "in-a-circle", "doubling"],
)
def test_a_schema_without_end_is_given_up(schema: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "STEPS", 1_000)
    with pytest.raises(Unusable):
        Schema(schema).objection("x")


@pytest.mark.parametrize("target", ["https://example.com/s.json", "file:///etc/passwd", "other.json#/a", "#a", 5])
def test_a_reference_to_elsewhere_is_never_followed(target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", lambda *_args, **_more: pytest.fail("it reached out"))
    with pytest.raises(Unusable, match="which is not within it"):
        Schema({"$ref": target})


@pytest.mark.parametrize(
    "text",
    ["{", "5", '{"type": "strin"}', '{"pattern": "["}', '{"enum": 1}', '{"items": ' * 5_000 + "1", '{"minimum": "x"}'],
)
def test_a_schema_that_is_none_says_so_and_breaks_nothing(text: str) -> None:
    assert isinstance(schema_of(text), str)
    answer = structured({}, '{"a": 1}', text)
    assert (answer.value, answer.fits) == ({"a": 1}, None)
    assert answer.why is not None
    assert answer.why.startswith("the schema cannot be used: ")


def test_a_value_that_is_deep_is_checked_or_given_up() -> None:
    tree = Schema({"$defs": {"t": {"items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"})
    deep = json.loads("[" * 900 + "]" * 900)
    with pytest.raises(Unusable):
        tree.objection(deep)


@pytest.mark.parametrize(
    ("text", "stop", "why"),
    [
        ('{"name": "x", "age": 3}', "end_turn", None),
        ('{"name": "x", "a', "max_tokens", "cut off at max_tokens: no JSON: unterminated string starting at"),
        ("Sure: {}", "end_turn", "no JSON: expecting value at character 1"),
        ('{"name": "x", "age": NaN}', "end_turn", "no JSON: NaN is no JSON"),
        (None, "refusal", "the model refused: it has no text"),
        ("[" * 200_000, "end_turn", "no JSON that can be read: it is nested too deeply"),
    ],
)
def test_an_answer_that_does_not_fit_says_why(text: str | None, stop: str, why: str | None) -> None:
    found = structured({"stop_reason": stop}, text, json.dumps(PERSON))
    assert found.fits is (why is None)
    assert (found.why or "").startswith(why or "")
