"""Files of other programs as job files: what comes along, what is told, and what stops it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest

from batchrun.core.problem import Problem, Severity
from batchrun.jobfile.foreign.conversion import Kind, conversion
from batchrun.jobfile.foreign.loss import Target
from batchrun.jobfile.source import Source
from tests.jobfile.desk import OLD_API, RULES, read

TARGET = Target(rules=RULES, models={"": "claude-thinker-1"}, max_tokens=500)
CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
HELLO = [{"role": "user", "content": "Hello."}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"


class Made:
    def __init__(self, text: str, kind: Kind, target: Target) -> None:
        items = list(conversion(Source("in", io.BytesIO(text.encode())), kind, target))
        self.lines = [json.loads(item) for item in items if isinstance(item, str)]
        self.problems = [item for item in items if isinstance(item, Problem)]
        self.errors = [problem for problem in self.problems if problem.severity is Severity.ERROR]
        self.told = [problem.message for problem in self.problems]


def openai(body: dict[str, Any], url: str = CHAT, target: Target = TARGET, **more: Any) -> Made:
    line = {"custom_id": "a", "method": "POST", "url": url, "body": {"model": "gpt-4o"} | body} | more
    return Made(json.dumps(line), Kind.OPENAI, target)


def params(body: dict[str, Any], url: str = CHAT, target: Target = TARGET, lost: int = 0) -> dict[str, Any]:
    made = openai(body, url, target)
    assert made.errors == []
    assert len(made.problems) == lost, made.told
    (line,) = made.lines
    assert read(json.dumps(line)).errors == []  # a job that batchrun itself takes
    found: dict[str, Any] = line["params"]
    return found


def test_a_plain_request_becomes_the_same_request() -> None:
    assert params({"messages": HELLO, "max_tokens": 9_0}) == {
        "model": "claude-thinker-1",
        "max_tokens": 90,
        "messages": HELLO,
    }


def test_system_and_developer_messages_become_the_system_prompt() -> None:
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
    ]
    assert params({"messages": [*talk, *HELLO]})["system"] == "Be brief.\n\nBe kind."
    made = openai({"messages": [*HELLO, *talk[:1]]})
    assert made.told == ["a message of the system moves to the system prompt, before all messages"]


def test_the_new_name_of_the_bound_counts_too_and_a_missing_one_is_asked_for() -> None:
    assert params({"messages": HELLO, "max_completion_tokens": 77})["max_tokens"] == 77
    assert params({"messages": HELLO})["max_tokens"] == 500
    (error,) = openai({"messages": HELLO}, target=replace(TARGET, max_tokens=None)).errors
    assert "--max-tokens" in error.hint


def test_models_are_told_one_by_one_or_all_at_once() -> None:
    models = {"gpt-4o": "claude-new-1", "": "claude-old-1"}
    target = replace(TARGET, models=models)
    assert params({"messages": HELLO}, target=target)["model"] == "claude-new-1"
    assert params({"model": "o3", "messages": HELLO}, target=target)["model"] == "claude-old-1"
    (error,) = openai({"messages": HELLO}, target=replace(TARGET, models={})).errors
    assert (error.code, error.message) == ("BR042", "`gpt-4o` is not a model of Anthropic's")
    kept = params({"model": "claude-new-1", "messages": HELLO}, target=replace(TARGET, models={}))
    assert kept["model"] == "claude-new-1"


def test_pictures_and_files_come_along() -> None:
    parts = [
        {"type": "text", "text": "See."},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "file", "file": {"filename": "r.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}},
    ]
    blocks = params({"messages": [{"role": "user", "content": parts}]})["messages"][0]["content"]
    assert [block["type"] for block in blocks] == ["text", "image", "image", "document"]
    assert blocks[1]["source"] == {"type": "base64", "media_type": "image/png", "data": PIXEL}
    assert blocks[3]["title"] == "r.pdf"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "image_url", "image_url": {"url": "cat.png"}},
        {"type": "hologram"},
        "text",
    ],
)
def test_a_part_that_cannot_come_along_is_an_error_at_its_place(part: Any) -> None:
    made = openai({"messages": [{"role": "user", "content": [part]}]})
    assert [problem.code for problem in made.errors] == ["BR042"]
    assert made.lines == []


def test_calls_of_tools_and_what_they_gave_belong_together() -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    talk = [
        *HELLO,
        {"role": "assistant", "content": "Well.", "tool_calls": [call, call | {"id": "t2"}]},
        {"role": "tool", "tool_call_id": "t1", "content": "one"},
        {"role": "tool", "tool_call_id": "t2", "content": "two"},
    ]
    tools = [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}},
        }
    ]
    found = params({"messages": talk, "tools": tools, "tool_choice": {"type": "function", "function": {"name": "f"}}})
    assert [block["type"] for block in found["messages"][1]["content"]] == ["text", "tool_use", "tool_use"]
    assert [block["tool_use_id"] for block in found["messages"][2]["content"]] == ["t1", "t2"]
    assert found["tools"] == [{"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}]
    assert found["tool_choice"] == {"type": "tool", "name": "f"}


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        ("auto", None, {"type": "auto"}),
        ("required", True, {"type": "any"}),
        ("none", None, {"type": "none"}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_the_choice_of_tools_is_said_in_other_words(choice: Any, parallel: Any, expected: dict[str, Any]) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    found = params({"messages": HELLO, "tools": tools, "tool_choice": choice, "parallel_tool_calls": parallel})
    assert found["tool_choice"] == expected


def test_a_schema_is_closed_and_freed_of_what_is_refused_and_both_are_told() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    found = params({"messages": HELLO, "response_format": form}, lost=2)
    made = found["output_config"]["format"]["schema"]
    assert made == {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }


def test_sampling_is_left_out_or_kept_as_the_api_version_and_the_model_take_it() -> None:
    body = {"messages": HELLO, "temperature": 1.5, "top_p": 1}
    assert "temperature" not in params(body, lost=1)
    old = replace(TARGET, rules=OLD_API, models={"": "claude-old-1"})
    made = openai(body, target=old)
    assert made.lines[0]["params"]["temperature"] == 1
    assert [problem.code for problem in made.problems] == ["BR041"]
    assert openai({"messages": HELLO, "temperature": 0.3}, target=old).lines[0]["params"]["temperature"] == 0.3


def test_nothing_is_dropped_without_a_word() -> None:
    body = {
        "messages": HELLO,
        "seed": 7,
        "logprobs": True,
        "logit_bias": {"5": 1},
        "stream": True,
        "brand_new": {"a": 1},
    }
    made = openai(body, priority=3)
    assert {name for problem in made.problems for name in body | {"priority": 3} if f"`{name}`" in problem.message} == {
        "seed", "logprobs", "logit_bias", "stream", "brand_new", "priority",
    }  # fmt: skip
    assert {problem.code for problem in made.problems} == {"BR040"}


@pytest.mark.parametrize(
    "body",
    [
        {"n": 3},
        {"functions": [{"name": "f"}]},
        {"modalities": ["text", "audio"]},
        {"tools": [{"type": "web_search"}]},
        {"messages": []},
        {"messages": [{"role": "function", "content": "x"}]},
        {"previous_response_id": "r"},
        {"response_format": {"type": "grammar"}},
    ],
)
def test_what_would_make_another_job_of_it_is_an_error(body: dict[str, Any]) -> None:
    made = openai({"messages": HELLO} | body)
    assert {problem.code for problem in made.errors} == {"BR042"}
    assert made.lines == []


def test_a_response_becomes_a_request_too() -> None:
    body = {
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Go."}]},
            {"type": "function_call", "call_id": "t1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "t1", "output": "done"},
        ],
        "max_output_tokens": 300,
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}],
        "text": {
            "format": {
                "type": "json_schema",
                "name": "x",
                "strict": True,
                "schema": {"type": "object", "additionalProperties": False},
            }
        },
        "reasoning": {"effort": "high"},
        "metadata": {"row": "7"},
    }
    made = openai(body, RESPONSES)
    assert made.problems == []
    (line,) = made.lines
    found = line["params"]
    assert line["metadata"] == {"row": "7"}
    assert (found["system"], found["max_tokens"]) == ("Be brief.", 300)
    assert [message["role"] for message in found["messages"]] == ["user", "assistant", "user"]
    assert found["output_config"]["effort"] == "high"
    assert found["output_config"]["format"]["type"] == "json_schema"
    assert openai({"input": "Hi."}, RESPONSES).lines[0]["params"]["messages"] == [{"role": "user", "content": "Hi."}]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("not json", "BR001"),
        ("[1]", "BR009"),
        ('{"url": "/v1/embeddings", "custom_id": "a", "body": {"input": "x"}}', "BR042"),
        ('{"url": "/v1/chat/completions", "body": {"model": "x", "messages": [{"role": "user", "content": "x"}]}}', "BR042"),
        ('{"url": "/v1/chat/completions", "custom_id": "", "body": {"model": "x", "messages": [{"role": "user", "content": "x"}]}}', "BR102"),
        ('{"url": "/v1/chat/completions", "custom_id": "a", "body": "x"}', "BR042"),
        ('{"url": "/v1/chat/completions", "custom_id": "sk-ant-api03-abcdefgh", "body": {}}', "BR124"),
        ("", "BR012"),
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_an_error(line: str, code: str) -> None:
    made = Made(line, Kind.OPENAI, TARGET)
    assert [problem.code for problem in made.errors] == [code]
    assert made.lines == []


PROMPTFOO = """\
prompts:
  - 'Translate {{text}} into {{ lang }}.'
  - raw: '[{"role": "system", "content": "Be {{lang}}."}, {"role": "user", "content": "{{text}}"}]'
    label: talk
providers: [openai:gpt-4o]
defaultTest: {vars: {lang: German}}
tests:
  - vars: {text: "Good \\"day\\""}
    assert: [{type: contains, value: Tag}]
  - vars: {text: [one, two], lang: French}
"""


def test_each_prompt_of_promptfoo_meets_each_test() -> None:
    made = Made(PROMPTFOO, Kind.PROMPTFOO, TARGET)
    assert made.told == ["`providers` is left out"]
    assert [line["id"] for line in made.lines] == [
        "prompt-1/test-1", "prompt-1/test-2-1", "prompt-1/test-2-2", "talk/test-1", "talk/test-2-1", "talk/test-2-2",
    ]  # fmt: skip
    assert made.lines[0]["prompt"] == 'Translate Good "day" into German.'
    assert made.lines[0]["metadata"]["assert"] == [{"type": "contains", "value": "Tag"}]
    assert (made.lines[4]["system"], made.lines[4]["messages"][0]["content"]) == ("Be French.", "one")
    assert read("\n".join(map(json.dumps, made.lines))).errors == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("prompts: ['{{ nobody }}']\n", 1),
        ('prompts: ["{{ x | upper }}"]\n', 1),
        ("prompts: [hi]\ntests: file://tests.csv\n", 2),
        ("prompts: [hi]\ntests:\n  - vars: {a: file://a.txt}\n", 3),
        ("prompts:\n  - file://prompt.txt\n", 2),
        ("providers: [x]\n", 1),
        ("prompts: [\n", 2),
    ],
)  # fmt: skip
def test_what_promptfoo_has_elsewhere_is_an_error_at_its_line(text: str, line: int) -> None:
    made = Made(text, Kind.PROMPTFOO, TARGET)
    assert made.lines == []
    assert made.errors[0].where is not None
    assert made.errors[0].where.line == line


def test_a_sample_of_inspect_keeps_its_target_for_whoever_judges() -> None:
    sample = {"id": 7, "input": "2 + 2?", "target": "B", "choices": ["3", "4"], "metadata": {"topic": "sums"}, "odd": 1}
    made = Made(json.dumps(sample), Kind.INSPECT, TARGET)
    (line,) = made.lines
    assert line["prompt"] == "2 + 2?\n\nA) 3\nB) 4"
    assert line["metadata"] == {"topic": "sums", "target": "B", "choices": ["3", "4"]}
    assert [problem.code for problem in made.problems] == ["BR041", "BR040"]
    assert read(json.dumps(line)).keys == ["7"]
    listed = Made(
        json.dumps([sample, {"input": [{"role": "user", "content": "x"}], "target": "y"}]), Kind.INSPECT, TARGET
    )
    assert len(listed.lines) == 2
    assert Made('{"input": 5}', Kind.INSPECT, TARGET).errors
    assert Made("[5]", Kind.INSPECT, TARGET).errors


def test_a_check_of_such_a_file_says_what_to_type() -> None:
    assert "batchrun convert inspect" in read('{"input": "x", "target": "y"}').only_error().hint
    assert "batchrun convert promptfoo" in read(PROMPTFOO, "promptfooconfig.yaml").only_error().hint
    assert "batchrun convert openai-batch" in read('{"custom_id": "a", "url": "/v1/x", "body": {}}').only_error().hint
