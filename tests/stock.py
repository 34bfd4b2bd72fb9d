"""Queues with chosen contents, for tests of everything that only looks. Rows go in by SQL, counts are kept true."""

from __future__ import annotations

import functools
import json
import sqlite3
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from batchrun.core.job import Millis
from batchrun.queue import migrate
from batchrun.queue.connect import close_queue, engine_of, open_queue
from batchrun.queue.place import place_of

NOON = Millis(1_795_176_000_000)  # 2026-11-20T12:00:00Z
SECOND = 1_000
MINUTE = 60 * SECOND


@functools.cache
def _template(simulated: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "batchrun.db"
        close_queue(open_queue(path, simulated))
        return path.read_bytes()


def old_queue(path: Path, version: str = "0001") -> None:
    """An empty queue as the batchrun of the schema *version* made it."""
    from alembic import command
    from alembic.config import Config

    engine = engine_of(place_of(path))
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(migrate.scripts()))
        command.upgrade(config, version)
        for key, value in (("queue", "abcdefgh"), ("created", "1"), ("simulated", "0"), ("jobs", "0")):
            connection.exec_driver_sql("INSERT INTO meta VALUES (?, ?)", (key, value))
    close_queue(engine)


def message(text: str, *, stop: str = "end_turn", model: str = "claude-test-1", **more: Any) -> str:
    """A message as the API answers it."""
    return json.dumps(
        {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": text}],
            "stop_reason": stop,
            "usage": {"input_tokens": 10, "output_tokens": 5},
            **more,
        },
        ensure_ascii=False,
    )


class Stock:
    """A queue being filled. Leave the `with` before somebody looks."""

    def __init__(self, path: Path, *, simulated: bool = False) -> None:
        self.path = path
        path.write_bytes(_template(simulated))
        path.chmod(0o600)
        self.sql = sqlite3.connect(path, isolation_level=None)
        self.sql.execute("PRAGMA foreign_keys = ON")
        self.sql.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sql.execute("DELETE FROM run_counts")
        self.sql.execute(
            "INSERT INTO run_counts (run, model, state, n) SELECT run, model, state, COUNT(*) FROM jobs GROUP BY 1, 2, 3"
        )
        self.sql.execute(
            "UPDATE runs SET possibly = found.n, possibly_cost = found.cost FROM ("
            " SELECT j.run, COUNT(*) AS n, SUM(COALESCE(a.worst, a.cost, 0)) AS cost"
            " FROM attempts a JOIN jobs j ON j.id = a.job WHERE a.billed = 'maybe' GROUP BY j.run"
            ") found WHERE found.run = runs.id"
        )
        self.sql.execute("COMMIT")
        self.sql.close()

    def add(self, table: str, **values: Any) -> int:
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        found = self.sql.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values())).lastrowid
        assert found is not None
        return found

    def run(self, name: str, **values: Any) -> int:
        row: dict[str, Any] = {"state": "open", "mode": "realtime", "source": '["jobs.jsonl"]', "created": NOON}
        return self.add("runs", name=name, **(row | values))

    def account(self, organization: str = "org", **values: Any) -> int:
        return self.add("accounts", origin="https://api.test", organization=organization, created=NOON, **values)

    def worker(self, **values: Any) -> int:
        row = {"role": "worker", "pid": 4127, "host": "db1", "boot": "b", "version": "1", "command": "batchrun run"}
        return self.add("workers", **(row | {"started": NOON} | values))

    def job(
        self,
        run: int,
        key: str,
        state: str = "queued",
        *,
        attempts: Iterable[dict[str, Any]] = (),
        answer: str | None = None,
        own: str = '{"model":"claude-test-1","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}',
        metadata: str | None = None,
        **values: Any,
    ) -> int:
        """A job with its request, its attempts (the last one wins if there is an *answer*) and its answer."""
        tried = list(attempts)
        if not tried and state in {"succeeded", "failed"}:
            tried = [{}]
        (seq,) = self.sql.execute("SELECT COALESCE(MAX(seq), 0) + 1 FROM jobs WHERE run = ?", (run,)).fetchone()
        row: dict[str, Any] = {
            "run": run,
            "seq": seq,
            "line": seq,
            "key": key,
            "model": "claude-test-1",
            "state": state,
            "attempt": len(tried),
            "tries": len(tried),
            "size": 100,
            "est_input": 10,
            "max_tokens": 5,
            "digest": b"0" * 16,
        }
        if state in {"succeeded", "failed", "cancelled"}:
            row["finished"] = NOON
        if state == "waiting":
            row["due"] = NOON + MINUTE
        if state == "running":
            row["owner"] = self.sql.execute("SELECT MIN(id) FROM workers").fetchone()[0] or self.worker()
        job = self.add("jobs", **(row | values))
        self.add("requests", job=job, own=own, metadata=metadata)
        for n, attempt in enumerate(tried, 1):
            self.attempt(job, n, ok=state == "succeeded" and n == len(tried), **attempt)
        if state == "succeeded":
            body = message("fine") if answer is None else answer
            stop = json.loads(body)["stop_reason"]
            self.add(
                "results", job=job, attempt=len(tried), winning=1, body=body, stop_reason=stop, received=NOON + SECOND
            )
        return job

    def batch(self, run: int, state: str = "submitted", *, n: int = 200, **values: Any) -> int:
        """A batch sent at noon; one that is known to stand has a remote id."""
        account = self.sql.execute("SELECT MIN(id) FROM accounts").fetchone()[0] or self.account()
        (number,) = self.sql.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM batches").fetchone()
        row: dict[str, Any] = {
            "token": f"token{number}",
            "run": run,
            "account": account,
            "state": state,
            "n": n,
            "bytes": 1000 * n,
            "intended": NOON,
            "sent": NOON,
            "watermark_date": NOON,
            "model": "claude-test-1",
        }
        if state in {"submitted", "collecting", "done", "gone"}:
            row |= {"remote_id": f"msgbatch_{number:02}", "processing": "in_progress", "submitted": NOON}
            row |= {"created": NOON, "expires": NOON + 24 * 60 * MINUTE}
        return self.add("batches", **(row | values))

    def many(self, run: int, n: int, state: str = "queued", *, error: str = "", first: int = 1) -> None:
        """*n* jobs in one statement; those that are final have an attempt."""
        final = state in {"succeeded", "failed", "cancelled"}
        self.sql.execute(
            """
            WITH RECURSIVE numbers(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM numbers WHERE i < ?)
            INSERT INTO jobs (run, seq, line, key, model, state, attempt, tries, due, owner, size, est_input,
                              max_tokens, digest, finished, error)
            SELECT ?, i, i, 'doc-' || i, 'claude-test-1', ?, ?, ?, ?, NULL, 100, 10, 5, x'00', ?, ? FROM numbers
            """,
            (
                first,
                first + n - 1,
                run,
                state,
                int(final),
                int(final),
                NOON if state == "waiting" else None,
                NOON if final else None,
                error or None,
            ),
        )
        if final:
            self.sql.execute(
                """
                INSERT INTO attempts (job, n, via, claimed, sent, ended, outcome, status, message)
                SELECT id, 1, 'realtime', ?, ?, ?, 'error', 529, 'Overloaded' FROM jobs WHERE run = ? AND seq >= ?
                """,
                (NOON, NOON, NOON, run, first),
            )

    def attempt(self, job: int, n: int, *, ok: bool, **values: Any) -> None:
        row: dict[str, Any] = {"via": "realtime", "claimed": NOON, "sent": NOON, "ended": NOON + 2 * SECOND}
        row |= {"outcome": "ok" if ok else "error", "billed": "yes" if ok else "no", "request_id": f"req_{job}_{n}"}
        if ok:
            row |= {"status": 200, "input": 10, "output": 5, "cost": 1_300_000}
        self.add("attempts", job=job, n=n, **(row | values))

    def event(
        self, kind: str, at: int = NOON, *, run: int | None = None, lane: str | None = None, **detail: Any
    ) -> int:
        return self.add("events", at=at, kind=kind, run=run, lane=lane, detail=json.dumps(detail))

    def pause(self, scope: str, subject: str, reason: str = "credit", **values: Any) -> int:
        row = {"message": "Your credit balance is too low", "since": NOON}
        return self.add("pauses", scope=scope, subject=subject, reason=reason, **(row | values))
