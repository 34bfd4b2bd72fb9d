"""A request is weighed by its length; what its length does not bound is said in words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.tokens import (
    IMAGE,
    IMAGE_BEFORE_4_7,
    TOOL_PROMPT,
    Weight,
    weigh,
)

NEW, FORMER = "claude-haiku-5-5", "claude-haiku-4-5-20251001"


def request(content: Any = "Say hello.", *, model: str = NEW, **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": content}], **more}


def size_of(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def weighed(value: dict[str, Any]) -> Weight:
    return weigh(value, size_of(value))


PROSE = (
    "The committee met on Tuesday to consider the proposal. Several members asked how the figures had been reached, "
    "and whether the same method could be used for the coming year. No vote was taken. "
) * 20


def test_english_prose_is_estimated_from_its_characters() -> None:
    # Published: a million tokens are about 555,000 words of the newer tokenizer, 750,000 of the former.
    words = len(PROSE.split())
    assert weighed(request(PROSE)).input == pytest.approx(words / 0.555, rel=0.3)
    assert weighed(request(PROSE, model=FORMER)).input == pytest.approx(words / 0.75, rel=0.3)


@pytest.mark.parametrize(
    ("model", "former"),
    [
        ("claude-haiku-5-5", False),
        ("claude-opus-4-7", False),
        ("claude-opus-4-8", False),
        ("claude-sonnet-5", False),
        ("claude-of-tomorrow", False),
        ("claude-opus-4-6", True),
        ("claude-opus-4-20250514", True),
        ("claude-sonnet-4-6", True),
        ("claude-sonnet-4-5-20250929", True),
        ("claude-haiku-4-5", True),
        ("claude-3-5-haiku-20241022", True),
    ],
)
def test_models_before_4_7_count_fewer_tokens(model: str, former: bool) -> None:
    least = weighed(request(PROSE, model="claude-haiku-4-5")).input
    assert (weighed(request(PROSE, model=model)).input < 1.1 * least) is former


def test_even_an_empty_request_weighs_a_token() -> None:
    assert weigh({}, 2) == Weight(input=1, most=2)


def test_text_alone_is_bounded_by_its_bytes() -> None:
    one = request("Grüße, 世界", system="Be brief.")
    assert weighed(one).most == size_of(one)
    assert weighed(one).unbounded == ""


def picture(data: str) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def test_a_picture_costs_far_less_than_its_bytes() -> None:
    one = weighed(request([picture("A" * 2_000_000), {"type": "text", "text": "What is it?"}]))
    assert one.input <= IMAGE + 100
    assert one.most is not None
    assert one.most <= IMAGE + 300


def test_a_small_file_may_hold_a_large_picture() -> None:
    one = weighed(request([picture("A" * 300)]))
    assert one.most is not None
    assert one.most >= IMAGE


def test_earlier_models_see_smaller_pictures() -> None:
    one = request([picture("A" * 2_000_000)], model=FORMER)
    assert weighed(one).most == size_of(one) - 2_000_000 + IMAGE_BEFORE_4_7


def test_a_picture_by_address_is_scaled_down_as_any_other() -> None:
    one = weighed(request([{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]))
    assert one.unbounded == ""
    assert one.most is not None
    assert one.most >= IMAGE


def test_pictures_in_a_tool_s_result_count_too() -> None:
    answer = {"type": "tool_result", "tool_use_id": "t", "content": [picture("A" * 50_000)]}
    one = request([answer])
    assert weighed(one).most == size_of(one) - 50_000 + IMAGE


def test_tools_add_what_the_api_writes_about_them() -> None:
    one = request(tools=[{"name": "add", "input_schema": {"type": "object"}}])
    assert weighed(one).most == size_of(one) + TOOL_PROMPT
    assert weighed(one).input > weigh(request(), size_of(one)).input


def test_the_api_s_own_client_tools_are_bounded() -> None:
    one = request(tools=[{"type": "bash_20250124", "name": "bash"}, {"type": "custom", "name": "add"}])
    assert weighed(one).most == size_of(one) + 2 * TOOL_PROMPT


def test_a_schema_for_the_answer_adds_words_too() -> None:
    one = request(output_config={"format": {"type": "json_schema", "schema": {}}})
    assert weighed(one).most == size_of(one) + TOOL_PROMPT


PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0" * 10_000}}


@pytest.mark.parametrize(
    ("one", "word"),
    [
        (request(tools=[{"type": "web_search_20260318", "name": "web_search"}]), "web_search_20260318"),
        (request(tools=[{"type": "code_execution_20260521", "name": "code_execution"}]), "code_execution"),
        (request(tools=[{"type": "tool_of_tomorrow", "name": "x"}]), "tool_of_tomorrow"),
        (request([PDF]), "document"),
        (request([{"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}]), "document"),
        (request([{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]), "document"),
        (request([{"type": "document"}]), "document"),
        (request([{"type": "container_upload", "file_id": "file_1"}]), "container_upload"),
        (request([{"type": "web_search_tool_result", "tool_use_id": "t", "content": []}]), "web_search_tool_result"),
        (request([{"type": "tool_result", "tool_use_id": "t", "content": [PDF]}]), "document"),
        (request(mcp_servers=[{"type": "url", "url": "https://example.com"}]), "MCP"),
        (request(container="container_1"), "container"),
        (request(fallbacks=[{"model": "claude-opus-5"}]), "fallback"),
        (request(context_management={"edits": [{"type": "compact_20260112"}]}), "compaction"),
    ],
)
def test_what_bytes_do_not_bound_is_named(one: dict[str, Any], word: str) -> None:
    assert word in weighed(one).unbounded
    assert weighed(one).most is None
    assert weighed(one).input >= 1


@pytest.mark.parametrize(
    "one",
    [
        request([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}]),
        request([{"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}}]),
        request([{"type": "thinking", "thinking": "…", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]),
        request([{"type": "tool_use", "id": "t", "name": "n", "input": {}}]),
        request(context_management={"edits": [{"type": "clear_tool_uses_20250919"}]}),
        request(mcp_servers=[], container=None, fallbacks=None, tools=[]),
    ],
)
def test_what_bytes_bound_needs_no_words(one: dict[str, Any]) -> None:
    assert weighed(one).unbounded == ""
    assert weighed(one).most == size_of(one)


@pytest.mark.parametrize(
    ("one", "cached", "an_hour"),
    [
        (request(), False, False),
        (request(cache_control={"type": "ephemeral"}), True, False),
        (request(cache_control=None), False, False),
        (request(cache_control={"type": "ephemeral", "ttl": "1h"}), True, True),
        (request(system=[{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]), True, False),
        (request(tools=[{"name": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]), True, True),
        (request([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "5m"}}]), True, False),
        (request([{**PDF, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]), True, True),
    ],
)
def test_a_request_that_writes_to_the_cache_is_known(one: dict[str, Any], cached: bool, an_hour: bool) -> None:
    assert (weighed(one).cached, weighed(one).cache_1h) == (cached, an_hour)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
fields = ["model", "messages", "system", "tools", "output_config", "cache_control", "container", "context_management"]


@given(st.dictionaries(st.sampled_from(fields), json_values))
def test_a_malformed_request_is_weighed_without_complaint(one: dict[str, Any]) -> None:
    assert weighed(one).input >= 1


blocks = st.lists(
    st.dictionaries(
        st.sampled_from(["type", "source", "content", "text", "cache_control"]),
        st.sampled_from(["text", "image", "document", "tool_result", "base64", "url"]) | json_values,
    )
)


@given(blocks)
def test_malformed_blocks_are_weighed_without_complaint(content: list[Any]) -> None:
    one = request(content)
    found = weighed(one)
    assert (found.most is None) == (found.unbounded != "")
    assert found.input >= 1


def test_blocks_within_blocks_without_end_have_no_bound() -> None:
    content: list[Any] = []
    for _ in range(5_000):
        content = [{"type": "tool_result", "content": content}]
    assert "tool_result" in weigh(request(content), 100_000).unbounded
