"""What the real API refuses is refused, in its shape; what it takes is taken."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

from batchrun.simulator.api import LARGEST_BODY, Simulator
from tests.simulator.world import asks, instant, post, reply
from tests.virtual import VirtualClock, run

SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}
TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
USED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x"}]}
HI = {"role": "user", "content": "hi"}
MARK = {"type": "ephemeral"}


def send(
    body: Any, *, path: str = "/v1/messages", headers: Mapping[str, str | None] | None = None
) -> tuple[int, Any, Mapping[str, str]]:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[int, Any, Mapping[str, str]]:
        return await reply(Simulator(instant(), clock, dice), post(body, path=path, headers=headers))

    return run(main)


def without(name: str) -> dict[str, Any]:
    body = asks("hi")
    del body[name]
    return body


REFUSED: Mapping[str, tuple[Any, str]] = {
    "no object": ([], "valid dictionary"),
    "no model": (without("model"), "model: Field required"),
    "no messages": (without("messages"), "messages: Field required"),
    "no max_tokens": (without("max_tokens"), "max_tokens: Field required"),
    "max_tokens a text": (asks("hi") | {"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
    "max_tokens true": (asks("hi") | {"max_tokens": True}, "max_tokens: Input should be a valid integer"),
    "max_tokens null": (asks("hi") | {"max_tokens": None}, "max_tokens: Input should be a valid integer"),
    "max_tokens negative": (asks("hi") | {"max_tokens": -1}, "greater than or equal to 0"),
    "max_tokens beyond the model": (asks("hi") | {"max_tokens": 128_001}, "128001 > 128000"),
    "an unknown parameter": (asks("hi", temprature=1), "temprature: Extra inputs are not permitted"),
    "a beta parameter without beta": (asks("hi", mcp_servers=[]), "mcp_servers: Extra inputs are not permitted"),
    "no message": (asks("hi", messages=[]), "at least one message"),
    "an empty text": (asks(""), "non-empty"),
    "a blank text": (asks("  \n"), "non-whitespace"),
    "an empty content": (asks("hi", messages=[{"role": "user", "content": []}]), "non-empty"),
    "an empty block": (asks("hi", messages=[{"role": "user", "content": [{"type": "text", "text": ""}]}]), "non-empty"),
    "an unknown block": (asks("hi", messages=[{"role": "user", "content": [{"type": "txt", "text": "x"}]}]), "'txt'"),
    "a block without its field": (asks("hi", messages=[{"role": "user", "content": [{"type": "image"}]}]), "source"),
    "a field that no message has": (asks("hi", messages=[{**HI, "name": "Bo"}]), "messages.0.name: Extra inputs"),
    "a message without content": (asks("hi", messages=[{"role": "user"}]), "messages.0.content: Field required"),
    "an unknown role": (asks("hi", messages=[{"role": "human", "content": "x"}]), "messages.0.role"),
    "the assistant first": (asks("hi", messages=[{"role": "assistant", "content": "x"}, HI]), "first message"),
    "prefill": (asks("hi", messages=[HI, {"role": "assistant", "content": "x"}]), "prefill"),
    "an image of the assistant": (
        asks("hi", messages=[HI, {"role": "assistant", "content": [{"type": "image", "source": {}}]}, HI]),
        "not allowed in `assistant`",
    ),
    "a tool use without result": (asks("hi", tools=[TOOL], messages=[HI, USED, HI]), "without `tool_result`"),
    "a result without tool use": (asks("hi", tools=[TOOL], messages=[RESULT]), "unexpected `tool_use_id`"),
    "a system prompt with an image": (asks("hi", system=[{"type": "image"}]), "system.0.type"),
    "an empty system block": (asks("hi", system=[{"type": "text", "text": ""}]), "system: text content blocks"),
    "five breakpoints": (
        asks("hi", system=[{"type": "text", "text": "x", "cache_control": MARK}] * 5),
        "maximum of 4 blocks",
    ),
    "a breakpoint of two days": (asks("hi", cache_control={**MARK, "ttl": "2d"}), "cache_control.ttl"),
    "temperature, to a new model": (asks("hi", temperature=0), "temperature"),
    "top_k, to a new model": (asks("hi", top_k=4), "top_k"),
    "budget thinking, to a new model": (
        asks("hi", thinking={"type": "enabled", "budget_tokens": 1024}) | {"max_tokens": 2000},
        "thinking.type",
    ),
    "an unknown thinking": (asks("hi", thinking={"type": "hard"}), "Input tag"),
    "an unknown effort": (asks("hi", output_config={"effort": "huge"}), "output_config.effort"),
    "disabled thinking at effort max": (
        asks("hi", thinking={"type": "disabled"}, output_config={"effort": "max"}),
        "cannot be used with this effort",
    ),
    "a format without schema": (
        asks("hi", output_config={"format": {"type": "json_schema"}}),
        "schema: Field required",
    ),
    "an open object in a schema": (
        asks("hi", output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}}),
        "additionalProperties",
    ),
    "a tool without schema": (asks("hi", tools=[{"name": "x"}]), "input_schema"),
    "two tools of one name": (asks("hi", tools=[TOOL, TOOL]), "unique"),
    "a choice of no tool": (asks("hi", tool_choice={"type": "auto"}), "while providing tools"),
    "a choice of an unknown tool": (asks("hi", tools=[TOOL], tool_choice={"type": "tool", "name": "y"}), "not found"),
    "forced tools while thinking": (
        asks("hi", tools=[TOOL], tool_choice={"type": "any"}, thinking={"type": "adaptive"}),
        "Thinking may not be enabled",
    ),
    "metadata of one's own": (asks("hi", metadata={"job": "1"}), "metadata.job"),
    "a blank stop sequence": (asks("hi", stop_sequences=[" "]), "non-whitespace"),
    "an unknown service tier": (asks("hi", service_tier="fast"), "service_tier"),
    "stream a text": (asks("hi", stream="yes"), "stream: Input should be a valid boolean"),
    "a mark that means nothing": (asks("hi [[simulate: 599]]"), "cannot simulate `599`"),
    "a prompt larger than the window": (asks("word " * 1_200_000), "prompt is too long"),
    "not JSON": (b'{"model": ', "not valid JSON"),
    "NaN": (b'{"model": NaN}', "not valid JSON"),
    "JSON nested without end": (b"[" * 100_000, "not valid JSON"),
    "half a surrogate pair": (rb'{"model": "\ud800"}', "not valid JSON"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_request_is_a_400_with_the_reason(name: str) -> None:
    body, reason = REFUSED[name]
    status, answer, headers = send(body)
    assert (status, answer["type"], answer["error"]["type"]) == (400, "error", "invalid_request_error")
    assert reason in answer["error"]["message"]
    assert answer["request_id"] == headers["request-id"]


TAKEN: Mapping[str, Any] = {
    "plain": asks("hi"),
    "nothing to generate": asks("hi") | {"max_tokens": 0},
    "as much as the model gives": asks("hi") | {"max_tokens": 128_000},
    "null where a value may be left out": asks("hi", system=None, thinking=None, stop_sequences=None),
    "blocks": asks("hi", messages=[{"role": "user", "content": [{"type": "text", "text": "x"}]}]),
    "an image": asks("hi", messages=[{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]),
    "tool use and result": asks("hi", tools=[TOOL], messages=[HI, USED, RESULT]),
    "a system message in between": asks("hi", messages=[HI, {"role": "system", "content": "be brief"}, HI]),
    "a forced tool": asks("hi", tools=[TOOL], tool_choice={"type": "tool", "name": "look"}),
    "a schema": asks("hi", output_config={"format": {"type": "json_schema", "schema": SCHEMA}, "effort": "low"}),
    "four breakpoints": asks("hi", system=[{"type": "text", "text": "x", "cache_control": MARK}] * 4),
    "metadata": asks("hi", metadata={"user_id": "job-1"}),
    "prefill by an old model": asks(
        "hi", messages=[HI, {"role": "assistant", "content": "x"}], model="claude-haiku-4-5"
    ),
    "sampling by an old model": asks("hi", temperature=0.5, top_k=3, model="claude-haiku-4-5"),
    "budget thinking by an old model": asks(
        "hi", thinking={"type": "enabled", "budget_tokens": 1024}, model="claude-sonnet-4-5"
    )
    | {"max_tokens": 2000},
    "temperature 1 by a new model": asks("hi", temperature=1),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_right_request_is_answered(name: str) -> None:
    status, answer, _ = send(TAKEN[name])
    assert (status, answer["type"]) == (200, "message"), answer


def test_the_newer_version_takes_no_sampling_from_anybody() -> None:
    status, answer, _ = send(
        asks("hi", temperature=1, model="claude-haiku-4-5"), headers={"anthropic-version": "2026-10-21"}
    )
    assert status == 400
    assert answer["error"]["message"] == "temperature: Extra inputs are not permitted"


def test_a_beta_parameter_comes_with_a_beta_header() -> None:
    assert send(asks("hi", mcp_servers=[]), headers={"anthropic-beta": "mcp-client-2026"})[0] == 200


@pytest.mark.parametrize("model", ["claude-fable-5-2", "claude-opus-5-5", "claude-sonnet-5-5"])
def test_models_that_always_think_refuse_to_be_stopped_and_forced(model: str) -> None:
    assert send(asks("hi", model=model, thinking={"type": "disabled"}))[0] == 400
    assert send(asks("hi", model=model, tools=[TOOL], tool_choice={"type": "any"}))[0] == 400


def test_an_unknown_model_is_a_404() -> None:
    status, answer, headers = send(asks("hi", model="claude-opus-9"))
    assert status == 404
    assert answer == {
        "type": "error",
        "error": {"type": "not_found_error", "message": "model: claude-opus-9"},
        "request_id": headers["request-id"],
    }


def test_input_and_output_must_fit_into_the_window_together() -> None:
    body = asks("word " * 125_000, model="claude-haiku-4-5") | {"max_tokens": 64_000}
    status, answer, _ = send(body)
    assert status == 400
    assert "exceed context limit" in answer["error"]["message"]
    assert send(body | {"max_tokens": 1000})[0] == 200


KEYS: Mapping[str, tuple[Mapping[str, str | None], int]] = {
    "in x-api-key": ({}, 200),
    "as a bearer": ({"x-api-key": None, "authorization": "Bearer sk-test"}, 200),
    "missing": ({"x-api-key": None}, 401),
    "as a password": ({"x-api-key": None, "authorization": "Basic sk-test"}, 401),
    "wrong": ({"x-api-key": "bad-key"}, 401),
    "wrong as a bearer": ({"x-api-key": None, "authorization": "Bearer bad"}, 401),
}


@pytest.mark.parametrize("where", KEYS)
def test_a_key_is_needed_in_either_header(where: str) -> None:
    headers, expected = KEYS[where]
    status, answer, told = send(asks("hi"), headers=headers)
    assert status == expected
    if expected == 401:
        assert answer["error"]["type"] == "authentication_error"
        assert "anthropic-workspace-id" not in told


@pytest.mark.parametrize(
    "headers",
    [{"anthropic-version": None}, {"anthropic-version": "2024-01-01"}, {"content-type": "text/plain"}],
)
def test_version_and_content_type_are_needed(headers: Mapping[str, str | None]) -> None:
    status, answer, _ = send(asks("hi"), headers=headers)
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")


def test_a_body_that_is_too_large_is_turned_away_by_the_edge_without_request_id() -> None:
    status, answer, headers = send(b" " * (LARGEST_BODY + 1))
    assert status == 413
    assert answer["error"]["type"] == "request_too_large"
    assert "request-id" not in headers
    assert "request_id" not in answer


def test_unknown_paths_and_methods_say_so() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[int, int]:
        simulator = Simulator(instant(), clock, dice)
        unknown = await reply(simulator, post(asks("hi"), path="/v1/complete"))
        wrong = await reply(simulator, post(asks("hi"), path="/v1/models"))
        return unknown[0], wrong[0]

    assert run(main) == (404, 405)


def test_counting_takes_the_same_request_without_max_tokens() -> None:
    body = without("max_tokens")
    status, answer, _ = send(body, path="/v1/messages/count_tokens")
    assert status == 200
    assert answer == {"input_tokens": send(asks("hi"))[1]["usage"]["input_tokens"]}
    assert send(asks("hi"), path="/v1/messages/count_tokens")[0] == 400
    assert send(asks(""), path="/v1/messages/count_tokens")[0] == 400


def test_answers_name_their_account_and_their_request() -> None:
    plan = instant(organization="org-1", workspace="wrkspc_1")

    async def main(clock: VirtualClock, dice: random.Random) -> Mapping[str, str]:
        return (await reply(Simulator(plan, clock, dice), post(asks("hi"))))[2]

    headers = run(main)
    assert headers["anthropic-organization-id"] == "org-1"
    assert headers["anthropic-workspace-id"] == "wrkspc_1"
    assert headers["request-id"].startswith("req_")
    assert headers["date"] == "Fri, 20 Nov 2026 00:00:00 GMT"
