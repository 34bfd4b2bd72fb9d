from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from batchrun.core.problem import Severity
from batchrun.core.tokens import weigh
from tests.jobfile.desk import GOOD, PARAMS, REST, RULES, merged, read, yaml


def anthropic(params: str, id_: str = "a") -> str:
    return f'{{"custom_id": "{id_}", "params": {params}}}'


def test_an_anthropic_line_is_sent_as_it_is_key_by_key() -> None:
    params = (
        '{"messages": [{"content": [{"text": "Hi \\u00e9 \\/ \\ud83d\\ude00", "type": "text", "zeta": 1, "alpha": 1.50}], '
        '"role": "user"}], "max_tokens": 5, "tools": [{"name": "t", "input_schema": {"type": "object", "b": 1, "a": 12345678901234567890123}}], '
        '"model": "claude-new-1", "made_up": {"y": null, "x": [1e3, -0.0, true]}}'
    )
    found = read(anthropic(params))
    assert found.codes == ["BR104"]
    assert json.dumps(merged(found.jobs[0])) == json.dumps(json.loads(params))


def test_nothing_is_added_to_an_anthropic_line() -> None:
    job = read(anthropic(PARAMS)).only_job()
    assert job.request.own == PARAMS.replace(": ", ":").replace(", ", ",")
    assert (job.request.shared, job.request.order, job.metadata) == (None, None, None)


def test_a_prompt_becomes_one_message_where_it_stood() -> None:
    job = read(f'{{"id": "a", "prompt": "Hi.", {REST}}}').only_job()
    assert job.request.own == ('{"messages":[{"role":"user","content":"Hi."}],"model":"claude-new-1","max_tokens":5}')


def test_a_short_line_takes_any_parameter() -> None:
    job = read(
        f'{{"id": "a", {REST}, "messages": [{{"role": "user", "content": "x"}}], "service_tier": "auto"}}'
    ).only_job()
    assert merged(job)["service_tier"] == "auto"
    assert "id" not in merged(job)


def test_metadata_is_handed_back_and_not_sent() -> None:
    job = read(f'{{"id": "a", {REST}, "prompt": "x", "metadata": {{"row": 3, "tags": ["é"]}}}}').only_job()
    assert job.metadata == '{"row":3,"tags":["é"]}'
    assert "metadata" not in merged(job)


def test_metadata_inside_params_is_the_apis_and_beside_them_ours() -> None:
    params = PARAMS[:-1] + ', "metadata": {"user_id": "u"}}'
    job = read(f'{{"custom_id": "a", "metadata": {{"row": 3}}, "params": {params}}}').only_job()
    assert merged(job)["metadata"] == {"user_id": "u"}
    assert job.metadata == '{"row":3}'


def test_what_a_job_weighs_is_what_is_sent() -> None:
    job = read(anthropic(PARAMS)).only_job()
    body = json.dumps(json.loads(PARAMS), separators=(",", ":"), ensure_ascii=False).encode()
    assert job.size == len(body)
    assert job.est_input == weigh(json.loads(PARAMS), len(body)).input
    assert (job.model, job.max_tokens) == ("claude-new-1", 5)
    assert job.worst is not None
    assert job.unbounded == ""


def test_a_job_without_a_known_price_says_why_its_cost_has_no_bound() -> None:
    found = read('{"id": "a", "model": "claude-unheard", "max_tokens": 5, "prompt": "x"}')
    assert [problem.severity for problem in found.problems] == [Severity.WARNING]
    assert found.jobs[0].worst is None
    assert "claude-unheard" in found.jobs[0].unbounded


SYSTEM = "You are patient. " * 40


def test_a_long_system_prompt_with_its_tools_is_cut_apart_and_put_together_again() -> None:
    params = json.loads(PARAMS) | {"system": SYSTEM, "tools": [{"name": "t", "input_schema": {"type": "object"}}]}
    order = ["tools", "max_tokens", "system", "messages", "model"]
    params = {name: params[name] for name in order}
    job = read(anthropic(json.dumps(params))).only_job()
    assert json.loads(job.request.shared or "") == {"tools": params["tools"], "system": SYSTEM}
    assert json.loads(job.request.own).keys() == {"max_tokens", "messages", "model"}
    assert job.request.order == tuple(order)
    assert json.dumps(merged(job)) == json.dumps(params)


def test_a_short_system_prompt_stays_where_it_is() -> None:
    job = read(f'{{"id": "a", "system": "Be brief.", {REST}, "prompt": "x"}}').only_job()
    assert job.request.shared is None
    assert list(merged(job)) == ["system", "model", "max_tokens", "messages"]


def test_jobs_with_the_same_system_prompt_share_one_text() -> None:
    lines = [anthropic(PARAMS[:-1] + f', "stop_sequences": ["{n}"], "system": "{SYSTEM}"}}', str(n)) for n in range(3)]
    assert len({job.request.shared for job in read("\n".join(lines)).jobs}) == 1


def digests(*lines: str) -> list[str]:
    return [job.digest.hex() for job in read("\n".join(lines)).jobs]


def test_a_digest_is_of_the_value_and_not_of_its_spelling() -> None:
    shuffled = json.dumps(dict(reversed(json.loads(PARAMS).items())), indent=None)
    escaped = PARAMS.replace("Hi.", "\\u0048i.")
    content_first = PARAMS.replace('"role": "user", "content": "Hi."', '"content": "Hi.", "role": "user"')
    assert len(set(digests(*map(anthropic, (PARAMS, shuffled, escaped, content_first)), GOOD))) == 1


@pytest.mark.parametrize(
    ("old", "new"), [("Hi.", "Hi"), ('"max_tokens": 5', '"max_tokens": 6'), ("claude-new-1", "claude-old-1")]
)
def test_another_value_has_another_digest(old: str, new: str) -> None:
    assert len(set(digests(anthropic(PARAMS), anthropic(PARAMS.replace(old, new))))) == 2


def test_a_digest_has_16_bytes_and_leaves_out_what_is_not_sent() -> None:
    line = GOOD[:-1] + ', "metadata": {"a": 1}}'
    assert len(bytes.fromhex(digests(GOOD)[0])) == 16
    assert digests(GOOD) == digests(line) == digests(GOOD.replace("good", "other"))


def test_moving_a_key_between_defaults_and_a_job_changes_nothing() -> None:
    (inside,) = yaml("  - {id: a, system: Be brief., prompt: Hi.}\n").jobs
    outside = read(f'{{"id": "a", {REST}, "system": "Be brief.", "prompt": "Hi."}}').only_job()
    overridden = yaml("  - {id: a, system: Be brief., prompt: Hi., max_tokens: 5, model: claude-new-1}\n").only_job()
    assert inside.digest == outside.digest == overridden.digest
    assert inside.size == outside.size == overridden.size


def test_an_id_is_any_text_and_a_number_is_its_digits() -> None:
    ids: list[Any] = ["a/b?c=d", "no\u00a0break", "\u200b", "https://example.org/é 1", "i" * 512, 17, -3]
    lines = [json.dumps({**json.loads(GOOD), "id": id_}) for id_ in ids]
    assert read("\n".join(lines)).keys == [str(id_) for id_ in ids]


def test_a_job_without_an_id_is_named_by_its_content_and_its_occurrence() -> None:
    def line(prompt: str) -> str:
        return f'{{{REST}, "prompt": "{prompt}"}}'

    first = read("\n".join(map(line, ["x", "y", "x", "x"]))).jobs
    assert [job.key for job in first] == [
        f"content-{first[0].digest.hex()[:12]}",
        f"content-{first[1].digest.hex()[:12]}",
        f"content-{first[0].digest.hex()[:12]}-2",
        f"content-{first[0].digest.hex()[:12]}-3",
    ]
    edited = read("\n".join(map(line, ["x", "z", "new", "x", "x"]))).keys
    assert [edited[0], edited[3], edited[4]] == [first[0].key, first[2].key, first[3].key]


def test_an_openai_line_is_told_what_makes_a_job_of_it() -> None:
    problem = read('{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}').only_problem()
    assert problem.message == "this is a line of an OpenAI batch file"
    assert "`batchrun convert openai-batch jobs.jsonl -o" in problem.hint


@pytest.mark.parametrize(
    ("misspelt", "meant"), [("promt", "prompt"), ("max_token", "max_tokens"), ("sytem", "system"), ("zzz", "")]
)
def test_a_misspelt_key_is_asked_about(misspelt: str, meant: str) -> None:
    found = read(f'{{{REST}, "prompt": "x", "{misspelt}": "y"}}')
    hints = [problem.hint for problem in found.problems if problem.code == "BR104"]
    assert hints == [f"did you mean `{meant}`?" if meant else ""]


def test_a_misspelt_model_is_asked_about() -> None:
    found = read(GOOD.replace("claude-new-1", "claude-nwe-1"))
    assert [problem.hint for problem in found.problems] == ["did you mean `claude-new-1`?"]


def test_a_paused_turn_handed_back_is_no_prefill() -> None:
    messages = '[{"role": "user", "content": "x"}, {"role": "assistant", "content": [{"type": "server_tool_use"}]}]'
    assert read(f'{{"id": "a", {REST}, "messages": {messages}}}').problems == []


def test_a_beta_for_long_answers_raises_the_most_of_max_tokens() -> None:
    line = GOOD.replace('"max_tokens": 5', '"max_tokens": 100000')
    assert read(line).codes == ["BR108"]
    assert read(line, rules=replace(RULES, betas=frozenset({"output-300k-2026-03-24"}))).keys == ["good"]
    more = GOOD.replace('"max_tokens": 5', f'"max_tokens": {2**31}').replace("new", "wide")
    assert read(more).only_problem().message == "`max_tokens` is 2,147,483,648; no model writes so much"


def test_what_the_model_takes_is_no_problem() -> None:
    good = GOOD.replace('"max_tokens": 5', '"max_tokens": 5000')
    old = good.replace("claude-new-1", "claude-old-1")
    tools = '"tools": [{"name": "t", "input_schema": {"type": "object"}}]'
    for more in (
        '"thinking": {"type": "enabled", "budget_tokens": 1024}',
        f'"tool_choice": {{"type": "any"}}, {tools}',
    ):
        assert read(old[:-1] + f", {more}}}").problems == []
    for more in (
        '"thinking": {"type": "adaptive"}',
        f'"tool_choice": {{"type": "auto"}}, {tools}',
        '"inference_geo": "us"',
    ):
        assert read(good[:-1] + f", {more}}}").problems == []
    prefill = '"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "{"}]'
    assert read(old.replace('"prompt": "Hi."', prefill)).problems == []


def test_system_may_hold_blocks_of_other_kinds() -> None:
    blocks = '[{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}, {"type": "new"}]'
    assert read(GOOD[:-1] + f', "system": {blocks}}}').problems == []


def test_what_is_new_to_us_is_let_through() -> None:
    line = (
        f'{{"id": "a", {REST}, "thinking": {{"type": "telepathic"}}, "tool_choice": {{"type": "later"}}, "system": null, '
        '"messages": [{"role": "user", "content": [{"type": "hologram", "data": {}}]}, {"role": "system", "content": "x"}]}'
    )
    assert read(line).problems == []


def test_a_mention_of_keys_is_no_key() -> None:
    assert read(GOOD.replace("Hi.", "Keys begin with sk-ant-, see `sk-ant-…`.")).problems == []
