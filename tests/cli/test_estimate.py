"""What `estimate` shows: both ways, model by model, and where its numbers come from."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from batchrun.cli.commands import estimate
from batchrun.cli.sidebyside import table
from batchrun.core.outcome import Outcome, Refused, Reply, Unreachable
from batchrun.library import counting
from tests.cli.conftest import Batchrun, jobs_file, screen


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Jobs of two models: sixty of one and ten of the other."""
    jobs = [("claude-haiku-5-5", n) for n in range(60)] + [("claude-sonnet-5", n) for n in range(10)]
    lines = [json.dumps({"id": f"{m}-{n}", "model": m, "max_tokens": 100, "prompt": f"Say {n}."}) for m, n in jobs]
    path = tmp_path / "two.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


class Counter:
    """Counts three tokens for each that was estimated, but for what it was told to refuse."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refuse: str = "", then: Outcome | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self._refuse, self._then = refuse, then

        def ask(_: object, question: Any) -> Any:
            import asyncio

            return asyncio.run(question(self))

        monkeypatch.setattr(counting, "ask_counter", ask)

    async def count_tokens(self, request: dict[str, Any], **_: object) -> int | Outcome:
        self.asked.append(request)
        if self._then is not None:
            return self._then
        if self._refuse and self._refuse in json.dumps(request):
            return Refused(reply=Reply(message="tools.0: unknown"))
        return 300


def test_each_model_is_shown_both_ways_and_nothing_is_added(batchrun: Batchrun, two: Path) -> None:
    shown = batchrun("estimate", "two.jsonl", "--format", "table")
    assert shown.code == 0
    head, haiku, sonnet, total = shown.out.splitlines()[:4]
    assert " ".join(head.split()) == "model jobs in out in batches in realtime"
    assert "x / y   likely / at most" in shown.err
    assert haiku.startswith("claude-haiku-5-5    60")
    assert sonnet.startswith("claude-sonnet-5     10")
    assert total.startswith("total               70")
    assert "mode    batch (half the price, and there is no deadline)" in shown.err
    assert "requests a minute are the limit" in shown.err
    assert "--exact counts it" in shown.err
    assert not (two.parent / "batchrun.db").exists()


@pytest.mark.parametrize(
    ("width", "head"), [(100, "model jobs in out in batches in realtime"), (60, "model jobs in batches in realtime")]
)
def test_on_a_narrow_terminal_costs_stay_whole_and_tokens_give_way(
    batchrun: Batchrun, two: Path, monkeypatch: pytest.MonkeyPatch, width: int, head: str
) -> None:
    found: list[Any] = []
    monkeypatch.setattr(estimate, "table", lambda _, outlook: found.append(outlook))
    batchrun("estimate", "two.jsonl", "--format", "table")
    shown, out, _ = screen(width=width)
    table(shown, found[0])
    assert " ".join(out.getvalue().splitlines()[0].split()) == head
    assert "…" not in out.getvalue()


def test_the_document_and_the_rows_say_the_same(batchrun: Batchrun, two: Path) -> None:
    made = json.loads(batchrun("estimate", "two.jsonl", "--json").out)
    assert made["schema"] == "batchrun.estimate/1"
    assert [model["jobs"] for model in made["models"]] == [60, 10]
    assert made["total"]["jobs"] == 70
    assert made["total"]["input_tokens"] == sum(model["input_tokens"] for model in made["models"])
    found = list(csv.DictReader(io.StringIO(batchrun("estimate", "two.jsonl", "--format", "csv").out)))
    assert [row["model"] for row in found] == ["claude-haiku-5-5", "claude-sonnet-5"]
    batch, realtime = (float(made["total"][f"{way}_likely"]["amount"]) for way in ("batch", "realtime"))
    assert 0.45 * realtime < batch < 0.6 * realtime  # the pilots go in realtime


def test_exact_counts_and_weighs_by_what_was_counted(
    batchrun: Batchrun, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter(monkeypatch)
    made = json.loads(batchrun("estimate", "two.jsonl", "--exact", "--json").out)
    assert len(counter.asked) == 70
    assert made["total"]["input_tokens"] == 70 * 300
    assert made["counted"] == {
        "requests": 70,
        "jobs": 70,
        "error": 0.0,
        "refused": [],
        "more_refused": 0,
        "broken_off": False,
    }


def test_a_sample_tells_the_others_with_its_error(
    batchrun: Batchrun, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "SAMPLE", 5)
    counter = Counter(monkeypatch)
    shown = batchrun("estimate", "two.jsonl", "--exact", "--tier", "start")
    assert len(counter.asked) == 10
    assert "input   10 of 70 jobs counted by the API, the others by them: ±" in shown.err
    assert len(Counter(monkeypatch).asked) == 0
    counter = Counter(monkeypatch)
    batchrun("estimate", "two.jsonl", "--exact=all")
    assert len(counter.asked) == 70


def test_a_request_that_the_api_would_refuse_is_named(
    batchrun: Batchrun, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Counter(monkeypatch, refuse="Say 7.")
    shown = batchrun("estimate", "two.jsonl", "--exact")
    assert shown.code == 0
    assert "refused claude-haiku-5-5-7 (two.jsonl:8:1): tools.0: unknown" in shown.err


def test_without_an_answer_from_the_api_there_is_no_exact_estimate(
    batchrun: Batchrun, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Counter(monkeypatch, then=Unreachable(reply=Reply(message="no route to host")))
    shown = batchrun("estimate", "two.jsonl", "--exact")
    assert (shown.code, shown.out) == (3, "")
    assert "the API counts no tokens" in shown.err
    assert "estimate without --exact" in shown.err


def test_what_is_left_of_a_run_and_what_its_answers_were_like(
    batchrun: Batchrun, tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs_file(tmp_path / "first.jsonl", [f"Say {n}." for n in range(30)])
    assert batchrun("submit", "first.jsonl", "--simulate", "--quiet").code == 0
    jobs_file(tmp_path / "next.jsonl", [f"Tell {n}." for n in range(60)])
    batchrun("submit", "next.jsonl", "--simulate", "--no-run")
    made = json.loads(batchrun("estimate", "next", "--simulate", "--json").out)
    assert (made["run"], made["name"], made["total"]["jobs"]) == ("r-2", "next", 60)
    seen = made["measured"]["claude-haiku-5-5"]
    assert (seen["answers"], seen["runs"]) == (30, 1)
    assert made["total"]["output_tokens_likely"] == round(60 * seen["output_tokens"])
    shown = batchrun("estimate", "next", "--simulate")
    assert "output  from 30 answers of 1 run" in shown.err
    assert "corrected by what answers had (`claude-haiku-5-5` ×" in shown.err
    counter = Counter(monkeypatch)
    assert batchrun("estimate", "next", "--simulate", "--exact").code == 0
    assert len(counter.asked) == 60
    done = batchrun("estimate", "first", "--simulate")
    assert (done.code, "nothing is left of run first" in done.err) == (2, True)


def test_a_name_of_nothing_and_a_file_with_faults(batchrun: Batchrun, tmp_path: Path) -> None:
    shown = batchrun("estimate", "nothing")
    assert shown.code == 2
    assert "there is no file `nothing`, and there is no queue at " in shown.err
    (tmp_path / "bad.jsonl").write_text('{"id": "a", "prompt": "x"}\n')
    shown = batchrun("estimate", "bad.jsonl", "--exact")
    assert (shown.code, shown.out) == (2, "")
    assert "bad.jsonl:1:" in shown.err
    assert "nothing is estimated" in shown.err
