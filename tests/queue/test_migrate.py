"""The tables: made at once or not at all, never another program's, and just as the code knows them."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from batchrun.errors import SchemaError, UsageError, WorkerBusy
from batchrun.queue import migrate
from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.locks import Locks
from batchrun.queue.schema import VERSION
from batchrun.queue.tables import metadata
from batchrun.queue.views import VIEWS
from tests.queue.desk import card
from tests.stock import old_queue


def test_the_migrations_make_just_the_tables_that_the_code_knows(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def _texts(connection: sa.Connection) -> dict[str, list[str]]:
    """What SQLite holds of each table and index: its parts in order, without white space and quotes."""
    rows = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type IN ('table', 'index')"
        " AND name NOT IN ('alembic_version', 'sqlite_sequence')"
    )
    return {name: sorted(_parts("".join(text.split()).replace('"', ""))) for name, text in rows}


def _parts(text: str) -> list[str]:
    """*text* cut at the commas that stand in one pair of brackets."""
    parts, depth = [""], 0
    for c in text:
        depth += {"(": 1, ")": -1}.get(c, 0)
        if c == "," and depth == 1:
            parts.append("")
        else:
            parts[-1] += c
    return [part.removesuffix(")") if part.count(")") > part.count("(") else part for part in parts]


def test_checks_and_partial_indexes_too(engine: sa.Engine) -> None:
    direct = sa.create_engine("sqlite://")
    with direct.begin() as connection:
        metadata.create_all(connection)
        wanted = _texts(connection)
    direct.dispose()
    with engine.begin() as connection:
        assert _texts(connection) == wanted


def test_the_views_are_there_and_can_be_read(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA trusted_schema = ON")  # as in every tool that does not forbid it
        for name, _select in VIEWS:
            assert connection.exec_driver_sql(f"SELECT * FROM {name}").all() == []


def test_a_queue_knows_its_token_and_what_it_is_for(tmp_path: Path) -> None:
    tokens = set()
    for name, simulated in (("a.db", False), ("b.db", True)):
        engine = open_queue(tmp_path / name, simulated)
        with engine.begin() as connection:
            rows = {row.key: row.value for row in connection.exec_driver_sql("SELECT key, value FROM meta")}
        close_queue(engine)
        assert rows["simulated"] == str(int(simulated))
        assert len(rows["queue"]) == 8
        assert rows["queue"].isalnum()
        assert rows["queue"] == rows["queue"].lower()
        tokens.add(rows["queue"])
    assert len(tokens) == 2


def test_answers_of_the_simulator_and_of_claude_never_mix(tmp_path: Path) -> None:
    close_queue(open_queue(tmp_path / "real.db"))
    close_queue(open_queue(tmp_path / "simulated.db", simulated=True))
    with pytest.raises(UsageError, match="for the real API"):
        open_queue(tmp_path / "real.db", simulated=True)
    with pytest.raises(UsageError, match="is a simulated one"):
        open_queue(tmp_path / "simulated.db")
    for name in ("real.db", "simulated.db"):
        close_queue(open_queue(tmp_path / name, simulated=None))


def test_a_queue_that_is_current_is_opened_without_alembic(tmp_path: Path) -> None:
    path = tmp_path / "batchrun.db"
    close_queue(open_queue(path))
    code = (
        "import sys; from batchrun.queue.connect import open_queue; open_queue(sys.argv[1]).dispose();"
        "print([name for name in ('alembic', 'mako') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_a_newer_schema_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "batchrun.db"
    close_queue(open_queue(path))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0009'")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SchemaError, match=f"batchrun.db has schema 0009, this batchrun .* knows {VERSION}") as caught:
        open_queue(path)
    assert "pip install -U batchrun" in caught.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize("table", ["things", "meta", "alembic_version"])
@pytest.mark.parametrize("log", ["delete", "wal"])
def test_another_programs_database_is_not_touched(tmp_path: Path, table: str, log: str) -> None:
    path = tmp_path / "theirs.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode={log}")
    connection.execute(f"CREATE TABLE {table} (id INTEGER)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="of another program"):
        open_queue(path)
    assert path.read_bytes() == before


def test_another_alembic_application_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('0001');"
        "CREATE TABLE meta (key TEXT, value TEXT);"
    )
    connection.close()
    with pytest.raises(SchemaError, match="of another program"):
        open_queue(path)


def test_a_failing_migration_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = tmp_path / "migrations"
    (scripts / "versions").mkdir(parents=True)
    for name in ("env.py", "versions/0001_queue.py"):
        (scripts / name).write_bytes((migrate.scripts() / name).read_bytes())
    (scripts / "versions" / "0002_broken.py").write_text(
        "from alembic import op\nrevision = '0002'\ndown_revision = '0001'\n"
        "def upgrade():\n    op.execute('CREATE TABLE half (id INTEGER)')\n    raise RuntimeError('on the way')\n"
    )
    path = tmp_path / "batchrun.db"
    monkeypatch.setattr(migrate, "scripts", lambda: scripts)
    with pytest.raises(RuntimeError, match="on the way"):
        open_queue(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    monkeypatch.undo()
    close_queue(open_queue(path))


OPEN = "import sys; from batchrun.queue.connect import open_queue; sys.stdin.read(); open_queue(sys.argv[1]).dispose()"


def _with_attempts(path: Path) -> None:
    """An old queue with a run of two jobs; three of their attempts may have been billed, and one run without any."""
    old_queue(path)
    connection = sqlite3.connect(path)
    for run in (1, 2):
        connection.execute(
            "INSERT INTO runs (id, name, state, mode, source, created) VALUES (?, ?, 'open', 'auto', '[]', 1)",
            (run, f"run {run}"),
        )
    for job in (1, 2):
        connection.execute(
            "INSERT INTO jobs (id, run, seq, line, key, model, state, size, est_input, max_tokens, digest)"
            " VALUES (?, 1, ?, 1, ?, 'm', 'queued', 1, 1, 1, x'00')",
            (job, job, f"k{job}"),
        )
    attempts = [
        (1, 1, "unknown", "maybe", None, 700),
        (1, 2, "ok", "yes", 50, 700),
        (2, 1, "error", "maybe", None, None),
        (2, 2, "unknown", "maybe", None, 30),
    ]
    connection.executemany(
        "INSERT INTO attempts (job, n, via, claimed, ended, outcome, billed, cost, worst)"
        " VALUES (?, ?, 'realtime', 1, 2, ?, ?, ?, ?)",
        attempts,
    )
    connection.commit()
    connection.close()


def test_an_old_queue_learns_what_its_runs_were_possibly_billed_for(tmp_path: Path) -> None:
    path = tmp_path / "batchrun.db"
    _with_attempts(path)
    engine = open_queue(path)
    with engine.begin() as connection:
        rows = connection.exec_driver_sql("SELECT id, possibly, possibly_cost FROM runs ORDER BY id").all()
        assert rows == [(1, 3, 730), (2, 0, 0)]
        wanted = _texts(connection)
    close_queue(engine)
    engine = open_queue(tmp_path / "new.db")
    with engine.begin() as connection:
        assert _texts(connection) == wanted
    close_queue(engine)


def test_an_old_queue_stays_as_it_is_while_somebody_works_with_it(tmp_path: Path) -> None:
    path = tmp_path / "batchrun.db"
    old_queue(path)
    locks = Locks(path)
    locks.hold_run(card(4127), exclusive=True)
    with pytest.raises(
        WorkerBusy, match=r"has schema 0001, and a worker of an older batchrun .*: pid 4127 on host here"
    ):
        open_queue(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
    connection.close()
    locks.close()
    close_queue(open_queue(path))


def test_processes_that_create_it_at_once_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "batchrun.db"
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, str(path)], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(6)
    ]
    for process in processes:  # all have started; now they go
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    told = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 6, b"".join(told)
    engine = open_queue(path)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM meta WHERE key = 'queue'").scalar() == 1
    close_queue(engine)


def test_the_newest_migration_is_the_version_that_the_code_knows() -> None:
    names = sorted(path.name for path in (migrate.scripts() / "versions").glob("[0-9]*.py"))
    assert names[-1].startswith(f"{VERSION}_")
