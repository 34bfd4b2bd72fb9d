"""`batchrun results` and `batchrun export`: answers on the screen, in pipes and in files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from batchrun.cli.commands import results as command
from batchrun.cli.screen import clean
from batchrun.queue.reading import Reading
from batchrun.report.flat import COLUMNS
from tests.cli.conftest import Batchrun, screen
from tests.cli.looking import nightly
from tests.stock import Stock, message

Process = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def night(looked_at: Path) -> Path:
    with Stock(looked_at) as stock:
        nightly(stock)
    return looked_at


# -- results ----------------------------------------------------------------------------------------------------------


def test_the_screen(batchrun: Batchrun, night: Path) -> None:
    shown = batchrun("results", "--format", "text", "-s", "id:doc-1 id:doc-cut")
    assert shown.code == 0
    assert shown.out == (
        "── doc-1 ─────────────────────── claude-test-1 · end_turn · 10 → 5 tok · $0.0013\n"
        "The report number 1 argues that …\n"
        "\n"
        "── doc-cut ───────────────── claude-test-1 · max_tokens ✂ · 10 → 5 tok · $0.0013\n"
        "The committee was\n"
        "(cut off at max_tokens; all such: batchrun results nightly -s stop:max_tokens)\n"
    )
    assert shown.err == "\n2 of 2.  All of it as a file:  batchrun export nightly -o nightly-answers.jsonl\n"


def test_a_pipe_gets_json_lines_with_every_column(batchrun: Batchrun, night: Path) -> None:
    shown = batchrun("results")
    found = [json.loads(line) for line in shown.out.splitlines()]
    assert [row["id"] for row in found] == ["doc-1", "doc-2", "doc-3", "doc-4", "doc-cut", "doc-tried"]
    assert all(tuple(row) == COLUMNS for row in found)
    assert (found[5]["json"], found[5]["attempts"], found[5]["latency_s"]) == ({"score": 7}, 3, 2.1)
    assert shown.err == ""


def test_fields_reach_into_metadata_and_json(batchrun: Batchrun, night: Path) -> None:
    shown = batchrun(
        "results", "--format", "jsonl", "--fields", "id,metadata.doi,json.score", "-s", "id:doc-1 id:doc-tried"
    )
    assert [json.loads(line) for line in shown.out.splitlines()] == [
        {"id": "doc-1", "metadata.doi": "10/1", "json.score": None},
        {"id": "doc-tried", "metadata.doi": None, "json.score": 7},
    ]
    assert batchrun("results", "--fields", "txt").code == 2


def test_the_document_and_the_table(batchrun: Batchrun, night: Path) -> None:
    document = json.loads(batchrun("results", "--json", "-n", "2", "--fields", "id,cost").out)
    assert document == {
        "schema": "batchrun.results/1",
        "run": {"id": "r-2", "name": "nightly"},
        "currency": "USD",
        "results": [{"id": "doc-1", "cost": "0.0013"}, {"id": "doc-2", "cost": "0.0013"}],
    }
    assert batchrun("results", "--format", "table", "-s", "id:doc-tried").out == (
        "id         stop_reason  output_tokens    cost  text\n"
        'doc-tried  end_turn                 5  0.0013  {"score": 7}\n'
    )


def test_raw_gives_the_messages_to_the_letter(batchrun: Batchrun, looked_at: Path) -> None:
    body = '{"stop_reason": "end_turn", "content": [],\n "n": 1.50}'
    with Stock(looked_at) as stock:
        stock.job(stock.run("one"), "a", "succeeded", answer=body)
    assert batchrun("results", "--raw").out == body.replace("\n", " ") + "\n"


def test_a_person_gets_the_first_answers_and_is_told_of_the_rest(
    looked_at: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("one")
        for n in range(command.FOR_PEOPLE + 5):
            stock.job(run, f"doc-{n}", "succeeded")
    made, out, err = screen()
    call = _call(looked_at, made, monkeypatch)
    assert call("results") == 0
    assert out.getvalue().count("── doc-") == command.FOR_PEOPLE
    assert "20 of 25.  All of it as a file:  batchrun export one -o one-answers.jsonl" in err.getvalue()


def _call(path: Path, made: object, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The program on a screen of our own."""
    from batchrun.cli import main
    from batchrun.cli.call import Call

    monkeypatch.setattr(Call, "screen", made)
    monkeypatch.chdir(path.parent)
    return lambda *args: main.run(["--color", "never", *args])


def test_answers_are_neutralised_on_a_terminal_and_whole_in_a_pipe(
    looked_at: Path, batchrun: Batchrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "red \x1b[31m\u202e\x9b back\n\tsecond line"
    with Stock(looked_at) as stock:
        run = stock.run("one")
        stock.job(run, f"key{evil}", "succeeded", answer=message(evil, model=f"m{evil}", stop=f"s{evil}"))
    assert json.loads(batchrun("results").out)["text"] == evil
    for args in (
        ["results"],
        ["results", "--raw"],
        ["results", "--format", "table"],
        ["results", "--json"],
        ["results", "--format", "csv"],
        ["export"],
        ["export", "--format", "csv"],
        ["export", "--format", "anthropic"],
        ["show", f"r-1:key{evil}"],
        ["show", f"r-1:key{evil}", "--json"],
        ["show", f"r-1:key{evil}", "--request"],
    ):
        with monkeypatch.context() as patch:
            made, out, err = screen()
            assert _call(looked_at, made, patch)(*args) == 0, args
        written = out.getvalue() + err.getvalue()
        assert not {"\x1b", "\u202e", "\x9b"} & set(written), args
    assert clean(evil, lines=True) in batchrun("results", "--format", "text").out


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["-s", "id:nothing"], 5, "error: no job of nightly matches `id:nothing`\n"),
        (["-s", "state:failed"], 0, "5 jobs of nightly matched, without an answer.\n"),
        (["-s", "stat:failed"], 2, "did you mean `state`?"),
        (["nihgtly"], 2, "did you mean `nightly`?"),
        (["-n", "0"], 0, ""),
    ],
)
def test_nothing_to_see_says_why(batchrun: Batchrun, night: Path, args: list[str], code: int, said: str) -> None:
    shown = batchrun("results", *args)
    assert (shown.code, shown.out) == (code, "")
    assert said in shown.err


def test_a_run_without_answers_leads_to_its_status(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        stock.job(stock.run("one"), "a")
    shown = batchrun("results")
    assert (shown.code, shown.out, shown.err) == (0, "", "No answers of one yet.  batchrun status one\n")


@pytest.mark.parametrize("args", [["results"], ["errors"], ["show", "a"], ["log"], ["export"]])
def test_without_a_queue_there_is_a_hint_and_the_exit_code_of_a_mistake(batchrun: Batchrun, args: list[str]) -> None:
    shown = batchrun(*args)
    assert (shown.code, shown.out) == (2, "")
    assert "there is no queue at" in shown.err
    assert "batchrun submit FILE" in shown.err


def test_a_reader_that_goes_away_ends_it_quietly(looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("one")
        for n in range(300):
            stock.job(run, f"doc-{n}", "succeeded", answer=message("x" * 2_000))
    for args in (["results"], ["export"], ["export", "--format", "csv"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-m", "batchrun", *args],
            cwd=looked_at.parent,
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writer)
        assert (done.returncode, done.stderr) == (141, b""), args


# -- export -----------------------------------------------------------------------------------------------------------


def test_an_export_has_every_finished_job_in_the_order_of_the_file(batchrun: Batchrun, night: Path) -> None:
    shown = batchrun("export")
    found = [json.loads(line) for line in shown.out.splitlines()]
    with Reading.open(night) as reading:
        expected = reading.rows(
            "SELECT key FROM jobs WHERE run = 2 AND state IN ('succeeded', 'failed', 'cancelled') ORDER BY seq"
        )
    assert [row["id"] for row in found] == [key for (key,) in expected]
    assert shown.err == "6 answers, 5 failed of nightly\n8 jobs are not finished and not in it\n"


def test_an_export_to_a_file_is_whole_and_has_a_label(batchrun: Batchrun, night: Path) -> None:
    shown = batchrun("export", "nightly", "-o", "out.jsonl")
    assert (shown.code, shown.out) == (0, "")
    assert shown.err == "✓ out.jsonl   6 answers, 5 failed of nightly\n8 jobs are not finished and not in it\n"
    written = (night.parent / "out.jsonl").read_bytes()
    assert written.decode() == batchrun("export").out
    assert json.loads((night.parent / "out.jsonl.meta.json").read_text()) == {
        "schema": "batchrun.export/1",
        "batchrun": "0.1.0",
        "written": "2026-11-20T12:51:00Z",
        "run": {"id": "r-2", "name": "nightly", "created": "2026-11-20T12:00:00Z", "done": None},
        "files": ["jobs.jsonl"],
        "source_digest": None,
        "select": None,
        "format": "jsonl",
        "fields": list(COLUMNS),
        "currency": "USD",
        "rows": 11,
        "counts": {"succeeded": 6, "failed": 5, "cancelled": 0},
        "not_finished": 8,
        "incomplete": True,
        "sha256": hashlib.sha256(written).hexdigest(),
    }
    assert sorted(one.name for one in night.parent.iterdir()) == ["batchrun.db", "out.jsonl", "out.jsonl.meta.json"]


def test_an_export_replaces_an_older_one(batchrun: Batchrun, night: Path) -> None:
    batchrun("export", "-o", "out.csv", "-s", "id:doc-1")
    older = (night.parent / "out.csv").read_text()
    assert batchrun("export", "-o", "out.csv", "-q").err == ""
    assert (night.parent / "out.csv").read_text().startswith(older)
    assert (night.parent / "out.csv").read_text() != older


def test_an_export_does_not_replace_what_is_no_export(batchrun: Batchrun, night: Path) -> None:
    (night.parent / "out.csv").write_text("mine")
    shown = batchrun("export", "-o", "out.csv")
    assert shown.code == 2
    assert shown.err == (
        "error: out.csv is there already and no export of batchrun\n"
        "hint: -o names another file; --force replaces it all the same\n"
    )
    assert (night.parent / "out.csv").read_text() == "mine"
    assert batchrun("export", "-o", "out.csv", "--force").code == 0
    assert (night.parent / "out.csv").read_text().startswith("id,state,text")
    assert batchrun("export", "-o", "out.csv").code == 0


@pytest.mark.parametrize("label", ["mine", '{"schema": "mine"}', "[]", b"\xff"])
def test_a_label_that_is_none_says_nothing_and_is_not_replaced(
    batchrun: Batchrun, night: Path, label: str | bytes
) -> None:
    beside = night.parent / "out.csv.meta.json"
    beside.write_bytes(label.encode() if isinstance(label, str) else label)
    assert "out.csv.meta.json is there already" in batchrun("export", "-o", "out.csv").err
    (night.parent / "out.csv").write_text("mine")
    assert "out.csv is there already" in batchrun("export", "-o", "out.csv").err
    assert [(night.parent / "out.csv").read_text(), beside.read_bytes()] == [
        "mine",
        label if isinstance(label, bytes) else label.encode(),
    ]


@pytest.mark.parametrize("way", ["jobs.jsonl", "./jobs.jsonl", "link.jsonl", "hard.jsonl"])
def test_answers_never_take_the_place_of_the_job_file(batchrun: Batchrun, night: Path, way: str) -> None:
    jobs = night.parent / "jobs.jsonl"
    jobs.write_text("the jobs")
    (night.parent / "link.jsonl").symlink_to("jobs.jsonl")
    (night.parent / "hard.jsonl").hardlink_to(jobs)
    (night.parent / f"{Path(way).name}.meta.json").write_text('{"schema": "batchrun.export/1"}')  # says nothing here
    shown = batchrun("export", "nightly", "-o", way)
    assert shown.code == 2
    assert f"{Path(way)} is a job file of this run; its answers would take its place" in shown.err
    assert jobs.read_text() == "the jobs"
    assert batchrun("export", "nightly", "-o", way, "--force").code == 0


def test_a_job_file_that_is_away_leaves_its_place_free(batchrun: Batchrun, night: Path) -> None:
    (night.parent / "link.jsonl").symlink_to("jobs.jsonl")
    for way in ("jobs.jsonl", "link.jsonl"):
        assert "is a job file of this run" in batchrun("export", "nightly", "-o", way).err
    assert not (night.parent / "jobs.jsonl").exists()


@pytest.mark.parametrize("flags", [[], ["--force"]])
def test_answers_never_take_the_place_of_the_queue(batchrun: Batchrun, night: Path, flags: list[str]) -> None:
    shown = batchrun("export", "-o", "batchrun.db", "--format", "csv", *flags)
    assert shown.code == 2
    assert "batchrun.db is the queue itself" in shown.err
    assert batchrun("status", "--format", "text").code == 0


def test_a_run_of_standard_input_has_no_file_to_spare(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        stock.job(stock.run("stdin", source='["-"]'), "a", "succeeded")
    assert batchrun("export", "-o", "stdin.jsonl").code == 0


def test_what_is_no_file_is_written_to_as_it_is(batchrun: Batchrun, night: Path) -> None:
    assert batchrun("export", "-o", "/dev/null", "--format", "csv").code == 0


def test_a_csv_has_a_column_for_each_metadata(batchrun: Batchrun, night: Path) -> None:
    batchrun("export", "-o", "out.csv", "-s", "id:doc-*")
    header, first, *_ = csv.reader(io.StringIO((night.parent / "out.csv").read_text()))
    assert header[-1] == "metadata.doi"
    assert first[-1] == "10/1"


def test_the_anthropic_form_has_errors_too(batchrun: Batchrun, night: Path) -> None:
    shown = batchrun("export", "--format", "anthropic", "-s", "id:doc-1 id:bad-0")
    one, bad = (json.loads(line) for line in shown.out.splitlines())
    assert (one["custom_id"], one["result"]["message"]["content"][0]["text"]) == (
        "doc-1",
        "The report number 1 argues that …",
    )
    assert bad["result"]["error"]["error"] == {
        "type": "invalid_request_error",
        "message": "messages.0.content: text is empty",
    }


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["-o", "out.xyz"], 2, "what format shall `out.xyz` have?"),
        (["--format", "anthropic", "--fields", "id"], 2, "its form is fixed"),
        (["-o", "missing/out.csv"], 2, "cannot write missing/out.csv: no such file or directory"),
        (["-s", "id:nothing", "-o", "out.csv"], 5, "matches `id:nothing`"),
        (["--fields", "txet"], 2, "did you mean `text`?"),
    ],
)
def test_what_cannot_be_exported_leaves_no_file(
    batchrun: Batchrun, night: Path, args: list[str], code: int, said: str
) -> None:
    shown = batchrun("export", *args)
    assert (shown.code, shown.out) == (code, "")
    assert said in shown.err
    assert [one.name for one in night.parent.iterdir()] == ["batchrun.db"]


def test_a_full_disk_is_told_and_leaves_the_old_file(night: Path, process: Process) -> None:
    (night.parent / "out.jsonl").write_text("old")
    (night.parent / "out.jsonl.meta.json").write_text('{"schema": "batchrun.export/1"}')
    code = (
        "import errno, os, sys\n"
        "from batchrun.cli import main\n"
        "def full(_): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "os.fsync = full\n"
        "sys.exit(main.run(['export', '-o', 'out.jsonl']))"
    )
    done = process(code=code)
    assert done.returncode == 3
    assert "no space left" in done.stderr
    assert (night.parent / "out.jsonl").read_text() == "old"
    assert sorted(one.name for one in night.parent.iterdir()) == ["batchrun.db", "out.jsonl", "out.jsonl.meta.json"]


def test_two_exports_are_equal(batchrun: Batchrun, night: Path) -> None:
    assert batchrun("export", "--format", "csv").out == batchrun("export", "--format", "csv").out


# -- structured answers, columns, order -------------------------------------------------------------------------------

ASKED = json.dumps(
    {
        "model": "claude-test-1",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "hi"}],
        "output_config": {
            "format": {"type": "json_schema", "schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
        },
    }
)


@pytest.fixture
def labelled(looked_at: Path) -> Path:
    with Stock(looked_at) as stock:
        run = stock.run("labels", tags='["night"]')
        for n, text in enumerate(['{"n": 7, "label": "=evil()"}', '{"n": "7"}', "Sure!", '{"n": 9, "label": "b"}']):
            job = stock.job(run, f"doc-{n}", "succeeded", own=ASKED, answer=message(text), attempts=[{}] * (n % 2 + 1))
            stock.sql.execute("UPDATE requests SET tags = ? WHERE job = ?", ('["urgent"]' if n else None, job))
        stock.job(run, "bad", "failed", error="api_error")
    return looked_at


def test_answers_that_do_not_fit_their_schema_are_marked_and_can_be_chosen(batchrun: Batchrun, labelled: Path) -> None:
    shown = batchrun("results", "-s", "valid:no", "--format", "text")
    assert '(does not fit: $.n: "7" is no integer; all such: batchrun results labels -s valid:no)' in shown.out
    assert "(does not fit: no JSON: expecting value at character 1)" in shown.out  # the command stands there once
    assert shown.out.count("-s valid:no") == 1
    found = [json.loads(line) for line in batchrun("results", "--fields", "id,valid").out.splitlines()]
    assert [row["valid"] for row in found] == [True, False, False, True]
    assert batchrun("results", "-s", "valid:yes", "--fields", "id", "--format", "tsv").out == "doc-0\ndoc-3\n"


def test_the_names_in_the_answers_become_columns(batchrun: Batchrun, labelled: Path) -> None:
    table = batchrun("results", "--unfold", "--format", "table").out.splitlines()
    assert [line.split() for line in table] == [
        ["id", "stop_reason", "valid", "json.n", "json.label"],
        ["doc-0", "end_turn", "true", "7", "=evil()"],
        ["doc-1", "end_turn", "false", "7"],
        ["doc-2", "end_turn", "false"],
        ["doc-3", "end_turn", "true", "9", "b"],
    ]
    assert batchrun("export", "-o", "out.csv", "--fields", "id,json.*,usage.output_tokens", "-s", "tag:*").code == 0
    assert (labelled.parent / "out.csv").read_text().splitlines() == [
        "id,json.n,json.label,usage.output_tokens",
        "doc-0,7,'=evil(),5",
        "doc-1,7,,5",
        "doc-2,,,5",
        "doc-3,9,b,5",
        "bad,,,",
    ]
    assert json.loads((labelled.parent / "out.csv.meta.json").read_text())["fields"][1] == "json.n"


def test_an_export_has_the_requests_and_the_attempts_that_were_asked_for(batchrun: Batchrun, labelled: Path) -> None:
    rows = [
        json.loads(line) for line in batchrun("export", "--fields", "id", "--with", "request,attempts").out.splitlines()
    ]
    assert [len(row["all_attempts"]) for row in rows] == [1, 2, 1, 2, 1]
    assert rows[1]["all_attempts"][1]["cost"] == {"amount": "0.0013", "currency": "USD"}
    assert rows[0]["request"] == json.loads(ASKED)


def test_a_parquet_file_goes_to_a_file_or_a_pipe_but_not_to_a_terminal(
    batchrun: Batchrun, labelled: Path, process: Process, terminal: Callable[..., str]
) -> None:
    from pyarrow import parquet

    assert batchrun("export", "-o", "out.parquet", "--unfold").code == 0
    file = labelled.parent / "out.parquet"
    assert file.stat().st_mode & 0o777 == 0o600
    assert parquet.read_table(file).column("id").to_pylist() == ["doc-0", "doc-1", "doc-2", "doc-3", "bad"]
    with (labelled.parent / "piped.parquet").open("wb") as pipe:
        process("export", "--format", "parquet", "--unfold", capture_output=False, stdout=pipe)
    assert (labelled.parent / "piped.parquet").read_bytes() == file.read_bytes()
    command = [sys.executable, "-m", "batchrun", "export", "--format", "parquet"]
    assert "a Parquet file is not for a terminal" in terminal(command)


def test_answers_come_in_the_order_of_a_field(batchrun: Batchrun, labelled: Path) -> None:
    def ids(*args: str) -> list[str]:
        return batchrun("results", "--fields", "id", "--format", "tsv", *args).out.split()

    assert ids("--sort", "-json.n") == ["doc-1", "doc-3", "doc-0", "doc-2"]  # text, numbers, nothing
    assert ids("--sort", "attempts") == ["doc-0", "doc-2", "doc-1", "doc-3"]
    assert ids("--sort", "-attempts", "-n", "1") == ["doc-1"]
    wrong = batchrun("results", "--sort", "atempts")
    assert (wrong.code, wrong.err.splitlines()[0]) == (2, "error: no such field `atempts`; did you mean `attempts`?")
    assert batchrun("results", "--sort", "id,cost").code == 2


def test_a_tag_that_is_no_tag_of_the_run_gets_the_one_that_was_probably_meant(
    batchrun: Batchrun, labelled: Path
) -> None:
    for words in (["results"], ["errors"], ["export"], ["retry", "--dry-run"], ["cancel", "labels", "--dry-run"]):
        shown = batchrun(*words, "-s", "tag:urgnt")
        assert shown.code == 5
        assert "matches `tag:urgnt`; did you mean `urgent`?" in shown.err, words


def test_an_export_begins_again_when_answers_come_in_that_need_another_column(
    batchrun: Batchrun, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batchrun.report.exporting import Export
    from batchrun.report.layout import Layout

    looked = Export._layout
    looks: list[Layout] = []

    def stale(self: Export) -> Layout:
        looks.append(looked(self))
        return looks[-1] if len(looks) > 1 else Layout({"id": looks[0].columns["id"]}, {"json": frozenset()})

    monkeypatch.setattr(Export, "_layout", stale)
    shown = batchrun("export", "-o", "out.jsonl", "--unfold")
    assert (shown.code, len(looks)) == (0, 2)
    assert json.loads((labelled.parent / "out.jsonl").read_text().splitlines()[0])["json.label"] == "=evil()"
