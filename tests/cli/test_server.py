"""The same commands where the queue is on a PostgreSQL server say the same as where it is in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

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
