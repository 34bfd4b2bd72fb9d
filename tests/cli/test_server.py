"""The same commands where the queue is on a PostgreSQL server say the same as where it is in a file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from batchrun.queue import copying
from tests.cli.conftest import Batchrun
from tests.postgres import Server

QUIET = ("--simulate", "--progress", "none", "-q")

JOBS = "".join(
    json.dumps({"id": f"job-{n}", "model": "claude-haiku-4-5", "max_tokens": 64, "prompt": f"Say {n}.", "tags": [tag]})
    + "\n"
    for n, tag in enumerate(["odd_one", "odd-one", "even", "even"])
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server.started() as server:
        yield server


@pytest.fixture
def both(batchrun: Batchrun, server: Server, tmp_path: Path, swift: None) -> tuple[Batchrun, list[str]]:
    """The program, and where one run of the same jobs is done: in a file and on a server."""
    server.drop()
    places = [str(tmp_path / "here.db"), server.url]
    (tmp_path / "jobs.jsonl").write_text(JOBS)
    for place in places:
        assert batchrun("--db", place, *QUIET, "submit", "jobs.jsonl", "--mode", "realtime").code == 0
    return batchrun, places


@pytest.mark.parametrize(
    "args",
    [
        ("results", "last", "--format", "jsonl"),
        ("results", "last", "-s", "tag=odd_*", "--format", "jsonl"),
        ("results", "last", "-s", "id!=job-?,model=claude-*", "--format", "jsonl"),
        ("results", "last", "-s", "id=job-[1]", "--format", "jsonl"),
        ("errors", "last", "--json"),
    ],
    ids=" ".join,
)
def test_what_is_shown_is_the_same(both: tuple[Batchrun, list[str]], args: tuple[str, ...]) -> None:
    batchrun, places = both
    shown = [batchrun("--db", place, *QUIET, *args) for place in places]
    told = []
    for one in shown:
        found = [json.loads(line) for line in one.out.splitlines()]
        told.append([(row.get("id"), row.get("state"), row.get("text"), row.get("tags")) for row in found])
    assert shown[0].code == shown[1].code
    assert told[0] == told[1]


def test_every_command_that_looks_works_and_shows_no_password(
    both: tuple[Batchrun, list[str]], tmp_path: Path, server: Server
) -> None:
    batchrun, _ = both
    url = server.url.replace("postgres:@", "postgres:s3cret@")
    for args in (
        ("status",),
        ("status", "last", "--json"),
        ("show", "job-1"),
        ("log",),
        ("batches",),
        ("wait",),
        ("estimate", "jobs.jsonl"),
        ("export", "last", "-o", "out.jsonl"),
        ("report", "last"),
        ("db",),
        ("db", "path"),
        ("db", "check"),
        ("config",),
        ("runs", "tag", "last", "+seen"),
        ("retry", "last"),
    ):
        shown = batchrun("--db", url, "--simulate", *args)
        assert shown.code == 0, (args, shown)
        assert "s3cret" not in shown.out + shown.err
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 4
    assert "s3cret" not in "".join(path.read_text() for path in tmp_path.glob("*.html"))


@pytest.mark.parametrize("what", ["backup", "vacuum", "release", "restore"])
def test_what_is_for_files_says_so(batchrun: Batchrun, server: Server, what: str) -> None:
    shown = batchrun("--db", server.url, "--simulate", "db", what)
    assert shown.code == 2
    assert f"`db {what}` is for a queue in a file" in shown.err


def test_a_server_that_holds_another_program_is_left_alone(batchrun: Batchrun, server: Server) -> None:
    server.drop("CREATE TABLE theirs (x integer)")
    for args in (("status",), ("run",)):
        shown = batchrun("--db", server.url, "--simulate", *args)
        assert shown.code == 2
        assert "another program" in shown.err


# -- out of a file ----------------------------------------------------------------------------------------------------


@pytest.fixture
def filled(batchrun: Batchrun, server: Server, tmp_path: Path, swift: None) -> Batchrun:
    """A queue in a file, with answers and jobs that are still to be sent; and an empty server."""
    server.drop()
    (tmp_path / "jobs.jsonl").write_text(JOBS)
    assert batchrun("--db", "here.db", *QUIET, "submit", "jobs.jsonl", "--mode", "realtime").code == 0
    (tmp_path / "more.jsonl").write_text(JOBS)
    assert batchrun("--db", "here.db", *QUIET, "submit", "more.jsonl", "--mode", "realtime", "--no-run").code == 0
    return batchrun


def test_a_copy_has_every_row_and_goes_on_where_the_file_stood(
    filled: Batchrun, server: Server, tmp_path: Path
) -> None:
    shown = filled("--db", "here.db", "--simulate", "db", "copy", server.url, "--yes", "--json")
    assert shown.code == 0, shown
    assert json.loads(shown.out)["jobs"] == 8
    there = ("--db", server.url, *QUIET)
    before = filled("--db", "here.db", *QUIET, "results", "jobs", "--format", "jsonl")
    assert filled(*there, "results", "jobs", "--format", "jsonl").out == before.out != ""
    assert filled(*there, "db", "check").code == 0
    assert filled(*there, "run").code == 0
    assert len(filled(*there, "results", "more", "--format", "jsonl").out.splitlines()) == 4
    (tmp_path / "third.jsonl").write_text(JOBS)  # takes new ids for its run and its jobs
    assert filled(*there, "submit", "third.jsonl", "--mode", "realtime").code == 0
    assert filled(*there, "db", "check").code == 0


def test_the_file_is_sealed_and_names_the_new_place(filled: Batchrun, server: Server) -> None:
    assert filled("--db", "here.db", "--simulate", "db", "copy", server.url, "--yes").code == 0
    for args in (("run",), ("submit", "more.jsonl"), ("cancel", "more", "--yes")):
        shown = filled("--db", "here.db", "--simulate", *args)
        assert shown.code == 2, args
        assert "has moved to postgresql://" in shown.err
    assert filled("--db", "here.db", "--simulate", "status").code == 0
    again = filled("--db", "here.db", "--simulate", "db", "copy", server.url, "--yes")
    assert again.code == 0
    assert "is there already" in again.err


def test_nothing_is_copied_into_a_queue_in_use_nor_while_something_is_being_sent(
    filled: Batchrun, server: Server, tmp_path: Path
) -> None:
    copy = ("--db", "here.db", "--simulate", "db", "copy", server.url, "--yes")
    with closing(sqlite3.connect(tmp_path / "here.db", isolation_level=None)) as file:
        file.execute("UPDATE attempts SET outcome = NULL, ended = NULL WHERE job = 1")
        shown = filled(*copy)
        assert shown.code == 2
        assert "1 request may be on their way" in shown.err
        file.execute("UPDATE attempts SET outcome = 'ok', ended = 1 WHERE job = 1")
    assert filled("--db", server.url, *QUIET, "submit", "jobs.jsonl", "--mode", "realtime").code == 0
    shown = filled(*copy)
    assert shown.code == 2
    assert "is a queue in use" in shown.err
    assert filled("--db", "here.db", *QUIET, "run").code == 0  # the file is not sealed


def test_a_copy_that_differs_is_none(filled: Batchrun, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    real = copying._Sum.add_all
    monkeypatch.setattr(copying._Sum, "add_all", lambda self, rows: real(self, [*rows][1:]))
    shown = filled("--db", "here.db", "--simulate", "db", "copy", server.url, "--yes")
    assert shown.code == 3
    assert "differs from the file" in shown.err
    assert filled("--db", "here.db", *QUIET, "run").code == 0
