"""Whatever a file holds: nothing is raised, a bad line gives no job, and the lines beside it are read all the same."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.jobfile.desk import GOOD, HEAD, PARAMS, REST, merged, read
from tests.jobfile.test_json import VALUES

ANTHROPIC = f'{{"custom_id": "a", "params": {PARAMS}}}'
SEEDS = [
    GOOD,
    ANTHROPIC,
    f'{{"id": "a", {REST}, "messages": [{{"role": "user", "content": [{{"type": "text", "text": "x"}}]}}], "metadata": {{"a": 1}}}}',
    f'{{"id": "a", {REST}, "system": [{{"type": "text", "text": "é"}}], "thinking": {{"type": "adaptive"}}, "prompt": "\\ud83d\\ude00"}}',
]
PIECES = [
    b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"NaN", b"1e999", b"null", b"true", b"-1", b'"id"', b'"params"',
    b'"messages"', b'"role"', b"\\ud800", b"\xff", b"\0", b"\r", b'"stream": 1,', b"[[[[", b"\xc3", b" ", b"\t", b"9" * 400,
    b'"prompt": 5,', b'"max_tokens": [1],', b'"model": {},', b'"content": null,', b'"type": [],', b'"system": {},',
]  # fmt: skip
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES) | st.binary(max_size=4)),
    min_size=1,
    max_size=4,
)


def edited(text: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for where, cut, piece in edits:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + cut :]
    return text


def strict(line: bytes) -> Any:
    """The value of *line* by the standard library; None if it is no JSON value that can be sent."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def never(name: str) -> None:
        raise AssertionError(name)

    try:
        value = json.loads(line.decode(), object_pairs_hook=unique, parse_constant=never)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, AssertionError, RecursionError):
        return None
    return value


def request_of(line: dict[str, Any]) -> Any:
    """The request that a good line means."""
    if "params" in line:
        return line["params"]
    request = {name: value for name, value in line.items() if name not in {"id", "metadata"}}
    if "prompt" in line:
        request = {
            "messages" if name == "prompt" else name: [{"role": "user", "content": value}]
            if name == "prompt"
            else value
            for name, value in request.items()
        }
    return request


@settings(max_examples=examples(600))
@given(st.sampled_from(SEEDS), EDITS, st.sampled_from(["jobs.jsonl", "-"]))
def test_a_spoilt_line_gives_a_true_job_or_none_and_leaves_its_neighbours_alone(
    seed: str, edits: list[tuple[float, int, bytes]], name: str
) -> None:
    line = edited(seed.encode(), edits).replace(b"\n", b" ")
    found = read(b"\n".join([GOOD.encode(), line, GOOD.encode()]), name)
    neighbours = [job for job in found.jobs if job.where.line != 2]
    assert [(job.key, job.where.line) for job in neighbours] == [("good", 1), ("good", 3)]
    assert all(problem.where is not None and problem.where.line == 2 for problem in found.problems)
    spoilt = [job for job in found.jobs if job.where.line == 2]
    if not line.strip():
        assert (spoilt, found.problems) == ([], [])
    elif found.errors:
        assert spoilt == []
    else:
        (job,) = spoilt
        value = strict(line.strip())
        assert isinstance(value, dict)
        assert json.dumps(merged(job)) == json.dumps(request_of(value))
    for problem in found.problems:
        assert problem.where is not None
        assert problem.where.column <= len(line.decode(errors="replace")) + 1


@settings(max_examples=examples(300))
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4), st.permutations(["model", "max_tokens", "messages"]))
def test_any_request_comes_through_with_its_keys_in_order(extra: dict[str, Any], order: list[str]) -> None:
    params = extra | {name: json.loads(PARAMS)[name] for name in order}
    for name in ("temperature", "top_p", "top_k", "stream", "system", "headers"):
        params.pop(name, None)
    for ascii_only in (True, False):
        found = read(json.dumps({"custom_id": "a", "params": params}, ensure_ascii=ascii_only))
        assert found.errors == []
        (job,) = found.jobs
        assert json.dumps(merged(job)) == json.dumps(params)
        assert job.size == len(json.dumps(params, ensure_ascii=False, separators=(",", ":")).encode())


@settings(max_examples=examples(300))
@given(st.binary(max_size=300), st.sampled_from(["jobs.jsonl", "jobs.yaml", "jobs.json", "jobs", "-"]))
def test_random_bytes_give_problems_and_no_job(content: bytes, name: str) -> None:
    found = read(content, name)
    assert found.jobs == []
    assert found.errors


YAML = (
    HEAD + 'jobs:\n  - id: a\n    prompt: |\n      One\n      two.\n  - &b {id: b, prompt: "x", metadata: {n: 1}}\n'
    "  - id: c\n    messages:\n      - role: user\n        content: [{type: text, text: 'x'}]\n"
)
YAML_PIECES = [
    b"\t", b": ", b"- ", b"&a ", b"*a ", b"*b", b"!!set ", b"!x ", b"? ", b"|\n", b">-\n", b"\n", b"\n  ", b"{", b"}", b"[", b"]",
    b'"', b"'", b"#", b"@", b"%", b"---\n", b"...\n", b"<<: ", b".inf", b"~", b"\xff", b"\0", b"\x85", b'"\\ud800"', b"0x" + b"f" * 5000,
    b'"@x"', b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"1e999",
]  # fmt: skip


@settings(max_examples=examples(600))
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(YAML_PIECES)), min_size=1, max_size=4),
    st.sampled_from(["jobs.yaml", "-"]),
)
def test_spoilt_yaml_raises_nothing_and_broken_yaml_gives_no_job(
    edits: list[tuple[float, int, bytes]], name: str
) -> None:
    content = edited(YAML.encode(), edits)
    found = read(content, name)
    if "BR020" in found.codes:
        assert found.jobs == []
    for job in found.jobs:
        assert merged(job)["messages"]
        assert job.model == merged(job)["model"]
