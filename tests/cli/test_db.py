"""`batchrun db`: copies that are whole, what is wrong found by name, and a queue that went back in time says so."""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from batchrun.queue.locks import Locks
from batchrun.wiring import card
from tests.cli.conftest import Batchrun, jobs_file
from tests.cli.looking import nightly
from tests.stock import Stock

QUIET = ("--simulate", "--progress", "none", "-q")


@pytest.fixture
def stocked(batchrun: Batchrun, tmp_path: Path) -> Batchrun:
    with Stock(tmp_path / "batchrun.db") as stock:
        nightly(stock)
    return batchrun


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".db-locks"}


def test_a_backup_is_one_whole_file_for_its_owner_alone_made_while_a_worker_holds_the_queue(
    stocked: Batchrun, tmp_path: Path
) -> None:
    locks = Locks(tmp_path / "batchrun.db")
    locks.hold_run(card(), exclusive=True)
    with closing(sqlite3.connect(tmp_path / "batchrun.db", isolation_level=None)) as worker:
        worker.execute("PRAGMA journal_mode = WAL")
        worker.execute("UPDATE runs SET priority = 7")
        worker.execute("BEGIN IMMEDIATE")  # in the middle of something
        worker.execute("UPDATE runs SET priority = 8")
        shown = stocked("db", "backup", "copy.db")
        worker.execute("ROLLBACK")
    locks.close()
    assert (shown.code, shown.out) == (0, "copy.db\n")
    assert "2 runs, 22 jobs" in shown.err
    copy = tmp_path / "copy.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as look:
        assert set(look.execute("SELECT priority FROM runs")) == {(7,)}
        assert look.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert not [name for name in names(tmp_path) if name.startswith((".copy", "copy.db-"))]


def test_a_backup_never_stands_over_the_queue_or_another_file(stocked: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "is there already" in stocked("db", "backup", "mine.txt").err
    assert "is the queue itself" in stocked("db", "backup", "batchrun.db", "--force").err
    assert (tmp_path / "mine.txt").read_text() == "mine"
    (tmp_path / "folder").mkdir()
    path = Path(stocked("db", "backup", "folder").out.strip())
    assert path.parent.name == "folder"
    assert stocked("db", "backup", str(path), "--force").code == 0


@pytest.mark.usefixtures("swift")
def test_a_restored_queue_keeps_the_old_one_aside_is_marked_and_sends_nothing_yet(
    batchrun: Batchrun, tmp_path: Path
) -> None:
    jobs_file(tmp_path / "jobs.jsonl", ["one", "two"])
    batchrun("submit", "jobs.jsonl", "--no-run", *QUIET)
    assert batchrun("db", "backup", "early.backup", "--simulate").code == 0
    batchrun("run", *QUIET)
    refused = batchrun("db", "restore", "early.backup", "--simulate")
    assert refused.code == 2
    assert "pass --yes" in refused.err
    document = json.loads(batchrun("db", "restore", "early.backup", "--simulate", "--yes", "--json").out)
    assert (document["schema"], document["jobs"]) == ("batchrun.db_restore/1", 2)
    old = json.loads(batchrun("status", "--db", document["replaced"], "--json").out)
    assert old["runs"][0]["counts"]["succeeded"] == 2
    ended = batchrun("run", "--once", "--simulate")
    assert ended.code == 0
    assert "nothing is sent until it is known what it bought since" in ended.err
    status = json.loads(batchrun("status", "--simulate", "--json").out)
    assert status["rewound"] is not None
    assert status["runs"][0]["counts"]["queued"] == 2
    assert "what was bought since" in batchrun("status", "--format", "text", "jobs", "--simulate").out.replace(
        "\n  ", " "
    )
    (tmp_path / "more.jsonl").write_text((tmp_path / "jobs.jsonl").read_text().replace("doc", "new"))
    batchrun("submit", "more.jsonl", "--no-run", *QUIET)
    with closing(sqlite3.connect(tmp_path / "batchrun-simulated.db")) as look:
        assert look.execute("SELECT MAX(id) FROM jobs").fetchone()[0] > 1_000_000_000
    assert batchrun("db", "release", "--simulate", "--yes").code == 0
    batchrun("run", *QUIET)
    assert json.loads(batchrun("status", "jobs", "--simulate", "--json").out)["runs"][0]["counts"]["succeeded"] == 2


def test_nothing_is_restored_while_a_worker_lives_or_another_program_looks(stocked: Batchrun, tmp_path: Path) -> None:
    stocked("db", "backup", "copy.db")
    before = (tmp_path / "batchrun.db").read_bytes()
    locks = Locks(tmp_path / "batchrun.db")
    locks.hold_run(card(), exclusive=True)
    assert stocked("db", "restore", "copy.db", "--yes").code == 75
    locks.close()
    with closing(sqlite3.connect(tmp_path / "batchrun.db", isolation_level=None)) as reader:
        reader.execute("PRAGMA journal_mode = WAL")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM runs").fetchone()
        shown = stocked("db", "restore", "copy.db", "--yes")
    assert shown.code == 75
    assert "is open in another program" in shown.err
    assert len(before) == len((tmp_path / "batchrun.db").read_bytes())
    assert not [name for name in names(tmp_path) if "replaced" in name or ".part" in name]


def test_what_is_no_sound_queue_is_not_restored(stocked: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all" * 100)
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE other (id)")
    stocked("db", "backup", "copy.db")
    damaged = bytearray((tmp_path / "copy.db").read_bytes())
    damaged[len(damaged) // 2 :] = b"\x99" * (len(damaged) - len(damaged) // 2)
    (tmp_path / "damaged.db").write_bytes(damaged)
    for file in ("text.db", "other.db", "damaged.db", "missing.db", "batchrun.db"):
        shown = stocked("db", "restore", file, "--yes")
        assert shown.code in {2, 3}, file
    assert "is a queue for the real API" in stocked("db", "restore", "copy.db", "--yes", "--simulate").err
    assert not [name for name in names(tmp_path) if "replaced" in name]


def test_a_damaged_queue_is_set_aside_with_its_log(stocked: Batchrun, tmp_path: Path) -> None:
    stocked("db", "backup", "copy.db")
    (tmp_path / "batchrun.db").write_bytes(b"broken" * 4_000)
    shown = stocked("db", "restore", "copy.db", "--yes")
    assert shown.code == 0, shown.err
    assert json.loads(stocked("db", "info", "--json").out)["rows"]["jobs"] == 22
    (aside,) = [name for name in names(tmp_path) if "replaced" in name]
    assert (tmp_path / aside).read_bytes().startswith(b"broken")


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("counts", "UPDATE run_counts SET n = n + 1 WHERE state = 'queued'"),
        ("counts", "DELETE FROM run_counts WHERE state = 'held'"),
        ("spent", "UPDATE runs SET spent = 1"),
        ("reserved", "UPDATE runs SET reserved = 7"),
        ("possibly billed", "UPDATE runs SET possibly = possibly + 1"),
        ("answers", "UPDATE results SET winning = 0 WHERE job = (SELECT MAX(job) FROM results)"),
        ("requests", "DELETE FROM requests WHERE job = 1"),
        ("references", "PRAGMA foreign_keys = OFF; DELETE FROM runs WHERE id = 1"),
        ("ids", "UPDATE meta SET value = '1' WHERE key = 'jobs'"),
    ],
)
def test_what_is_wrong_is_found_by_name_with_its_cure(stocked: Batchrun, tmp_path: Path, name: str, sql: str) -> None:
    with closing(sqlite3.connect(tmp_path / "batchrun.db")) as connection:
        # The stock has invented sums: make them true first.
        connection.executescript(
            "UPDATE runs SET reserved = 0, spent = (SELECT COALESCE(SUM(CASE WHEN a.billed = 'no' OR a.outcome IS NULL"
            " THEN 0 WHEN a.billed = 'yes' AND a.cost IS NOT NULL THEN a.cost ELSE COALESCE(a.worst, a.cost, 0) END), 0)"
            " FROM attempts a JOIN jobs j ON j.id = a.job WHERE j.run = runs.id);"
            "UPDATE meta SET value = '1000' WHERE key = 'jobs'"
        )
    sound = stocked("db", "check", "--json")
    assert [one["name"] for one in json.loads(sound.out)["checks"] if not one["ok"]] == []
    assert sound.code == 0
    with closing(sqlite3.connect(tmp_path / "batchrun.db")) as connection:
        connection.executescript(sql)
    shown = stocked("db", "check", "--json")
    assert shown.code == 1
    wrong = [one for one in json.loads(shown.out)["checks"] if not one["ok"]]
    assert name in {one["name"] for one in wrong}
    assert all(one["found"] and one["cure"] for one in wrong)


def test_a_vacuum_gives_back_room_and_needs_that_nobody_works(stocked: Batchrun, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "batchrun.db")) as connection:
        connection.execute("INSERT INTO shared (digest, body) VALUES (x'00', ?)", ("x" * 1_000_000,))
        connection.execute("DELETE FROM shared WHERE digest = x'00'")
        connection.commit()
    assert "db vacuum" in stocked("db", "info", "--format", "table").err
    document = json.loads(stocked("db", "vacuum", "--json").out)
    assert document["after"] < document["before"] - 900_000
    locks = Locks(tmp_path / "batchrun.db")
    locks.hold_run(card(), exclusive=True)
    assert stocked("db", "vacuum").code == 75
    locks.close()


def test_the_path_is_told_without_a_queue(batchrun: Batchrun, tmp_path: Path) -> None:
    assert batchrun("db", "path").out == f"{tmp_path / 'batchrun.db'}\n"
    assert batchrun("db").code == 2
