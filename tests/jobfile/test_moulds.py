"""Lines that are alike are read at once; what comes of them is what comes of each alone."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.core.job import Job
from batchrun.core.problem import Problem
from batchrun.jobfile import casting
from batchrun.jobfile.assembly import Assembly
from batchrun.jobfile.jsonl import JsonLines
from batchrun.jobfile.moulds import LESSON, Mould
from tests.examples import examples
from tests.jobfile.desk import RULES
from tests.jobfile.test_fuzz import EDITS, SEEDS, edited

REST = {"model": "claude-new-1", "max_tokens": 5}
SAID = "Sum up: it is so."


def short(n: int, **more: Any) -> Any:
    return {"id": f"doc-{n}", **REST, "prompt": f"{n} {SAID}", **more}


def batched(n: int, content: Any = None, **more: Any) -> Any:
    messages = [{"role": "user", "content": f"{n} {SAID}" if content is None else content}]
    return {"custom_id": f"doc-{n}", "params": {**REST, "messages": messages}, **more}


FORMS: dict[str, Callable[[int], Any]] = {
    "short": short,
    "a number for an id": lambda n: {**short(n), "id": n},
    "no id": lambda n: {**REST, "prompt": f"{n} {SAID}"},
    "no id, and all alike": lambda n: {**REST, "prompt": SAID},
    "id last": lambda n: {**REST, "prompt": f"{n} {SAID}", "id": str(n)},
    "as the API takes it": batched,
    "metadata": lambda n: batched(n, metadata={"row": n, "tags": ["a"] * n}),
    "metadata first": lambda n: {"metadata": {"row": n}, **short(n)},
    "a block": lambda n: batched(n, [{"type": "text", "text": f"{n} {SAID}"}]),
    "blocks": lambda n: batched(
        n, [{"type": "text", "text": "Read."}, {"type": "text", "text": f"{n}"}, {"type": "tool_use", "id": "t"}]
    ),
    "turns": lambda n: {
        "id": str(n),
        **REST,
        "messages": [
            {"role": "user", "content": "Hi."},
            {"role": "assistant", "content": "Yes?"},
            {"content": f"{n} {SAID}", "role": "user"},
        ],
    },
    "the assistant's last": lambda n: {
        "id": str(n),
        **REST,
        "model": "claude-old-1",
        "messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": f"{n}"}],
    },
    "a system prompt": lambda n: short(n, system="Be brief. " * 5),
    "a long system prompt": lambda n: short(n, system="Be brief. " * 100),
    "tools": lambda n: short(n, tools=[{"name": "t", "input_schema": {"type": "object"}}], stop_sequences=["."]),
    "escapes": lambda n: short(n, prompt=f'"{n}"\n\t\\ \U0001f600é'),
    "a text that stands twice": lambda n: short(n, system=f"{SAID}", stop_sequences=[SAID]),
}


def apart(lines: Iterable[str]) -> list[Job | Problem]:
    """What each line gives that is read alone."""
    found: list[Job | Problem] = []
    seen: Counter[str] = Counter()
    for number, line in enumerate(lines, 1):
        for item in _read("\n" * (number - 1) + line):
            if isinstance(item, Job) and item.key.startswith("content-"):
                seen[item.key] += 1
                nth = f"-{seen[item.key]}" * (seen[item.key] > 1)
                found.append(replace(item, key=item.key + nth))
            else:
                found.append(item)
    return found


def together(lines: Iterable[str]) -> list[Job | Problem]:
    return _read("\n".join(lines))


def _read(text: str) -> list[Job | Problem]:
    lines = JsonLines("jobs.jsonl", 0, Assembly(RULES))
    return list(lines.read(io.BufferedReader(io.BytesIO(text.encode()))))


@pytest.fixture
def assembled(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The ids of the jobs that were read from the start."""
    keys: list[str | None] = []
    job = Assembly.job

    def watched(self: Assembly, draft: Any, *rest: Any) -> Job | None:
        keys.append(draft.key)
        return job(self, draft, *rest)

    monkeypatch.setattr(Assembly, "job", watched)
    return keys


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_lines_that_are_alike_are_read_from_the_start_once_and_give_what_each_gives_alone(
    form: str, ascii_only: bool, assembled: list[str | None]
) -> None:
    lines = [json.dumps(FORMS[form](n), ensure_ascii=ascii_only) for n in range(30)]
    found = together(lines)
    assert len(assembled) == 1
    assert found == apart(lines)
    assert all(isinstance(item, Job) for item in found)


@pytest.mark.parametrize("last", ["7", "true", '{"a": 1}', '"b"'])
def test_an_id_that_the_api_s_own_form_does_not_take_is_not_taken_from_a_line_that_is_alike(last: str) -> None:
    lines = [json.dumps(batched(n)) for n in range(3)]
    lines[2] = lines[2].replace('"doc-2"', last)
    assert together(lines) == apart(lines)


@pytest.mark.parametrize("said", ["\ufdd0", "a"])
def test_no_text_is_taken_for_the_place_of_another(said: str) -> None:
    lines = [json.dumps(short(n, prompt=text, stop_sequences=["\ufdd0"])) for n, text in enumerate([said, "b", said])]
    assert together(lines) == apart(lines)


def test_a_mould_that_does_not_give_the_job_it_was_made_of_is_not_used(
    monkeypatch: pytest.MonkeyPatch, assembled: list[str | None]
) -> None:
    monkeypatch.setattr(casting, "blake2b", lambda text, digest_size: blake2b(b"wrong", digest_size=digest_size))
    lines = [json.dumps(short(n)) for n in range(3)]
    assert together(lines) == apart(lines)
    assert len(assembled) == 6


ALIKE = [json.dumps(short(n, metadata={"n": n}, system="Be brief.")) for n in range(3)]
ODD = {
    "an empty id": ('"doc-2"', '""'),
    "an id of blanks": ('"doc-2"', '" "'),
    "a long id": ('"doc-2"', f'"{"x" * 513}"'),
    "a control character in the id": ('"doc-2"', '"\\u0007"'),
    "half a character in the id": ('"doc-2"', '"\\ud800"'),
    "an object for an id": ('"doc-2"', "{}"),
    "true for an id": ('"doc-2"', "true"),
    "null for an id": ('"doc-2"', "null"),
    "a number for an id": ('"doc-2"', "12"),
    "a fraction for an id": ('"doc-2"', "1.5"),
    "an id that stands twice": ('"doc-2"', '"doc-2", "id": "doc-2"'),
    "no text": (f'"2 {SAID}"', '""'),
    "blanks for a text": (f'"2 {SAID}"', '" \\n "'),
    "a number for a text": (f'"2 {SAID}"', "7"),
    "half a character": (f'"2 {SAID}"', '"\\udc00"'),
    "a break in a text": (f'"2 {SAID}"', '"a\tb"'),
    "a text that does not end": (f'"2 {SAID}"', f'"2 {SAID}'),
    "an API key": (f'"2 {SAID}"', '"sk-ant-api03-abc"'),
    "a text that is too long": (f'"2 {SAID}"', f'"{"x" * 3_000_000}"'),
    "a text that may be too long": (f'"2 {SAID}"', f'"{"x" * 700_000}"'),
    "metadata that is no object": ('{"n": 2}', "[2]"),
    "metadata null": ('{"n": 2}', "null"),
    "metadata with a key twice": ('{"n": 2}', '{"n": 2, "n": 2}'),
    "metadata with NaN": ('{"n": 2}', '{"n": NaN}'),
    "metadata with a number too large": ('{"n": 2}', '{"n": 1e999}'),
    "metadata too deep": ('{"n": 2}', '{"n": ' + "[" * 300 + "]" * 300 + "}"),
    "metadata much too deep": ('{"n": 2}', '{"n": ' + "[" * 90_000 + "]" * 90_000 + "}"),
    "metadata of the API's own": ('{"n": 2}', '{"user_id": "u"}'),
    "another number": ('"max_tokens": 5', '"max_tokens": 6'),
    "true for one": ('"max_tokens": 5', '"max_tokens": true'),
    "more at the end": ('"Be brief."}', '"Be brief."} }'),
    "something between": ('"Be brief."}', '"Be brief.", "stream": true}'),
    "an end too early": ('"Be brief."}', ""),
    "another end": ('"Be brief."}', '"Be brief."]'),
}


@pytest.mark.parametrize("oddity", ODD)
def test_a_line_with_something_odd_among_lines_that_are_alike_is_read_from_the_start(oddity: str) -> None:
    before, after = ODD[oddity]
    assert ALIKE[2].count(before) == 1
    lines = [*ALIKE[:2], ALIKE[2].replace(before, after), *ALIKE[:1]]
    assert together(lines) == apart(lines)


@settings(max_examples=examples(500))
@given(st.lists(st.tuples(st.sampled_from([*SEEDS, *ALIKE]), st.just([]) | EDITS), min_size=2, max_size=6))
def test_whatever_lines_stand_in_a_file_each_gives_what_it_gives_alone(
    spoilt: list[tuple[str, list[tuple[float, int, bytes]]]],
) -> None:
    lines = [edited(seed.encode(), edits).decode(errors="replace").replace("\n", " ") for seed, edits in spoilt]
    lines.insert(0, ALIKE[0])
    assert together(lines) == apart(lines)


def test_a_file_that_takes_turns_between_a_few_kinds_is_read_as_quickly(assembled: list[str | None]) -> None:
    kinds = ["short", "metadata", "a block", "a long system prompt"]
    together(json.dumps(FORMS[kinds[n % 4]](n)) for n in range(100))
    assert len(assembled) == 4


def test_a_new_kind_of_line_is_learned_wherever_it_begins(assembled: list[str | None]) -> None:
    together(json.dumps(short(n, system=f"Be brief, {n // 100}.")) for n in range(1_000))
    assert len(assembled) == 10


def test_a_file_without_lines_that_are_alike_costs_few_lessons(monkeypatch: pytest.MonkeyPatch) -> None:
    lessons: list[str] = []
    monkeypatch.setattr(Mould, "of", lambda text, *_: lessons.append(text))
    n = 10 * LESSON
    together(json.dumps(short(n, system=f"Be brief, {n}.")) for n in range(n))
    assert len(lessons) <= 64 + 10
