"""An answer belongs to its request, obeys its parameters, and is the same each time."""

from __future__ import annotations

import json
import random
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.simulator import answers, schema, tokens
from batchrun.simulator.models import published
from batchrun.simulator.plan import Length
from tests.simulator.world import MODEL, asks

OPUS = published()[MODEL]


def compose(body: dict[str, Any], length: Length | None = None) -> answers.Answer:
    return answers.compose(body, answers.digest(body), OPUS, length or Length(), ())


def text_of(answer: answers.Answer) -> str:
    return "".join(block["text"] for block in answer.content if block["type"] == "text")


@given(text=st.text(min_size=1), other=st.text(min_size=1))
def test_an_answer_names_its_request_and_no_other(text: str, other: str) -> None:
    assert answers.digest(asks(text)) in text_of(compose(asks(text)))
    assert (answers.digest(asks(text)) == answers.digest(asks(other))) == (text == other)


def test_the_digest_is_of_what_is_asked_and_not_of_how() -> None:
    plain = answers.digest(asks("hi"))
    assert answers.digest(asks("hi", stream=True, metadata={"user_id": "x"}) | {"max_tokens": 5}) == plain
    assert answers.digest(asks("hi", system="be brief")) != plain


def test_the_same_request_has_the_same_answer() -> None:
    assert compose(asks("hi")) == compose(asks("hi"))


def test_lengths_follow_the_plan() -> None:
    made = [
        compose(asks(f"hi {nth}") | {"max_tokens": 128_000}, Length(median=300, spread=0.5)).output
        for nth in range(2000)
    ]
    assert statistics.median(made) == pytest.approx(300, rel=0.1)
    assert statistics.quantiles(made, n=100)[15] == pytest.approx(300 / 1.65, rel=0.15)


def test_max_tokens_cuts_and_says_so() -> None:
    answer = compose(asks("hi") | {"max_tokens": 10})
    assert (answer.stop_reason, answer.output) == ("max_tokens", 10)
    assert answers.digest(asks("hi")) in text_of(answer)
    whole = compose(asks("hi") | {"max_tokens": 100_000})
    assert whole.stop_reason == "end_turn"
    assert compose(asks("hi") | {"max_tokens": whole.output}).stop_reason == "end_turn"
    assert compose(asks("hi") | {"max_tokens": whole.output - 1}).stop_reason == "max_tokens"


def test_thinking_counts_towards_the_output_and_can_eat_it_all() -> None:
    answer = compose(asks("hi", thinking={"type": "adaptive"}))
    assert [block["type"] for block in answer.content] == ["thinking", "text"]
    assert 0 < answer.thinking < answer.output
    eaten = compose(asks("hi", thinking={"type": "adaptive"}) | {"max_tokens": 5})
    assert (eaten.stop_reason, eaten.output, eaten.thinking, text_of(eaten)) == ("max_tokens", 5, 5, "")


def test_a_stop_sequence_stops() -> None:
    answer = compose(asks("hi", stop_sequences=["bridge", "zzz"]), Length(median=400, spread=0))
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "bridge")
    assert "bridge" not in text_of(answer)
    assert 0 < answer.output < 400


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "size": {"enum": ["small", "large"]},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1},
        "when": {"type": "string", "format": "date"},
        "maybe": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        "either": {"type": ["boolean", "null"]},
        "left_out": {"type": "string"},
        "both": {"allOf": [{"$ref": "#/$defs/tag"}]},
    },
    "required": ["name", "age", "size", "tags", "when", "maybe", "either", "both"],
    "additionalProperties": False,
    "$defs": {
        "tag": {
            "type": "object",
            "properties": {"word": {"const": "x"}},
            "required": ["word"],
            "additionalProperties": False,
        }
    },
}


def test_a_structured_answer_is_valid_json_of_the_schema() -> None:
    assert schema.objection(PERSON) is None
    body = asks("hi", output_config={"format": {"type": "json_schema", "schema": PERSON}})
    answer = compose(body)
    assert json.loads(text_of(answer)) == {
        "name": answers.digest(body),
        "age": 0,
        "size": "small",
        "tags": [{"word": "x"}],
        "when": "2026-11-20",
        "maybe": None,
        "either": False,
        "both": {"word": "x"},
    }
    assert answer.stop_reason == "end_turn"


def test_a_structured_answer_that_is_cut_is_no_json() -> None:
    body = asks("hi", output_config={"format": {"type": "json_schema", "schema": PERSON}}) | {"max_tokens": 8}
    answer = compose(body)
    assert answer.stop_reason == "max_tokens"
    with pytest.raises(json.JSONDecodeError):
        json.loads(text_of(answer))


OBJECTIONS: list[tuple[Any, str]] = [
    ({"type": "object"}, "additionalProperties"),
    ({"type": "integer", "minimum": 1}, "'minimum' is not supported"),
    ({"type": "string", "maxLength": 5}, "'maxLength' is not supported"),
    ({"$ref": "#/$defs/none"}, "Invalid reference"),
    ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}, "Recursive"),
    ({"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "object"}}]}, "additionalProperties"),
    ("string", "valid dictionary"),
]


@pytest.mark.parametrize(("value", "words"), OBJECTIONS)
def test_schemas_that_the_api_does_not_take_are_refused(value: Any, words: str) -> None:
    assert words in str(schema.objection(value))


def test_a_forced_tool_is_used_with_an_input_of_its_schema() -> None:
    tools = [{"name": "a", "input_schema": {"type": "object"}}, {"name": "b", "input_schema": PERSON}]
    first = compose(asks("hi", tools=tools, tool_choice={"type": "any"}))
    named = compose(asks("hi", tools=tools, tool_choice={"type": "tool", "name": "b"}))
    assert (first.stop_reason, first.content[0]["name"]) == ("tool_use", "a")
    assert (named.content[0]["name"], named.content[0]["input"]["size"]) == ("b", "small")
    assert compose(asks("hi", tools=tools)).stop_reason == "end_turn"


@given(text=st.text(min_size=200, max_size=2000))
def test_tokens_are_near_an_estimate_by_bytes_and_always_the_same(text: str) -> None:
    size = len(text.encode())
    counted = tokens.text(text, OPUS)
    assert size * OPUS.density * 0.89 <= counted <= size * OPUS.density * 1.11
    assert tokens.text(text, OPUS) == counted


def test_images_documents_and_tools_weigh_something() -> None:
    plain = tokens.count(asks("hi"), OPUS)
    image = {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "x"}}]}
    document = {
        "role": "user",
        "content": [{"type": "document", "source": {"type": "base64", "data": "x" * 150_000}}],
    }
    assert tokens.count(asks("hi", messages=[image]), OPUS) > 1000
    assert tokens.count(asks("hi", messages=[document]), OPUS) > 5000
    assert tokens.count(asks("hi", tools=[{"name": "a", "input_schema": {}}]), OPUS) > plain + 300


def test_dice_are_those_of_the_request_alone() -> None:
    random.seed(1)
    first = compose(asks("hi"))
    random.seed(2)
    assert compose(asks("hi")) == first
