"""Looking at the queue: what is refused, what is counted, and what a look may cost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from batchrun.core.batch import BatchState
from batchrun.core.card import WorkerCard
from batchrun.core.job import Millis, RunId, WorkerId
from batchrun.core.pause import PauseScope
from batchrun.core.states import State
from batchrun.errors import Exit, SchemaError, StoreError, UsageError
from batchrun.queue.answers import answers
from batchrun.queue.locks import Locks
from batchrun.queue.reading import LATEST, MODELS, SHOWN, NoQueue, Reading, UnknownRun
from batchrun.queue.story import attempts, events, jobs_named, keys_like, request
from tests.stock import MINUTE, NOON, SECOND, Stock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batchrun.db"


# -- opening ----------------------------------------------------------------------------------------------------------


def test_a_queue_that_is_not_there_is_not_made(path: Path) -> None:
    with pytest.raises(NoQueue) as raised:
        Reading.open(path)
    assert raised.value.exit is Exit.USAGE
    assert "submit" in raised.value.hint
    assert not path.exists()


def test_an_empty_file_is_no_queue_yet(path: Path) -> None:
    path.touch()
    with pytest.raises(NoQueue):
        Reading.open(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        Reading.open(tmp_path)


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("jobs\n" * 1000)
    with pytest.raises(SchemaError, match="is no database"):
        Reading.open(path)
    assert path.read_text() == "jobs\n" * 1000


def test_a_database_of_another_program_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE notes (text)")
    other.close()
    with pytest.raises(SchemaError, match="another program"):
        Reading.open(path)


@pytest.mark.parametrize(("version", "words"), [("9999", "knows"), ("0000", "needs")])
def test_a_queue_of_another_version_is_refused_with_what_to_do(path: Path, version: str, words: str) -> None:
    with Stock(path) as stock:
        stock.sql.execute("UPDATE alembic_version SET version_num = ?", (version,))
    with pytest.raises(SchemaError) as raised:
        Reading.open(path)
    assert f"schema {version}" in raised.value.message
    assert words in raised.value.message
    assert raised.value.hint


def test_a_damaged_queue_is_told_as_such(path: Path) -> None:
    with Stock(path) as stock:
        stock.run("nightly")
    bytes_ = bytearray(path.read_bytes())
    bytes_[8192:] = b"\xff" * (len(bytes_) - 8192)
    path.write_bytes(bytes_)
    with pytest.raises(StoreError, match="damaged") as raised:
        Reading.open(path)
    assert "backup" in raised.value.hint


def test_a_path_with_odd_characters_opens(tmp_path: Path) -> None:
    path = tmp_path / "50% of? it#1.db"
    with Stock(path) as stock:
        stock.run("nightly")
    with Reading.open(path) as reading:
        assert reading.run("nightly").name == "nightly"


def test_whoever_looks_cannot_write(path: Path) -> None:
    with Stock(path) as stock:
        stock.run("nightly")
    with Reading.open(path) as reading, pytest.raises(StoreError):
        reading.rows("DELETE FROM runs")


def test_looking_leaves_no_files_behind(path: Path) -> None:
    with Stock(path) as stock:
        stock.run("nightly")
    with Reading.open(path) as reading:
        reading.overview()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_reader_between_two_pages_does_not_hold_up_the_log(path: Path) -> None:
    with Stock(path) as stock:
        run = stock.run("nightly")
        for n in range(300):
            stock.job(run, f"doc-{n}", "succeeded")
    writer = sqlite3.connect(path, isolation_level=None)
    with Reading.open(path) as reading:
        pages = answers(reading, RunId(run), answered=True)
        next(pages)
        writer.execute("UPDATE runs SET priority = priority + 1")
        busy, _, _ = writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert not busy
        assert len(list(pages)) == 299
    writer.close()


# -- runs -------------------------------------------------------------------------------------------------------------


def test_counts_are_those_of_a_scan(path: Path) -> None:
    states = list(State)
    with Stock(path) as stock:
        batch_account = stock.account()
        runs = [stock.run("one"), stock.run("two")]
        batch = stock.add(
            "batches",
            token="t",
            run=runs[0],
            account=batch_account,
            state="submitted",
            n=9,
            bytes=1,
            intended=NOON,
        )
        for n in range(60):
            state = states[n % len(states)]
            stock.job(
                runs[n % 2], f"k{n}", state.value, model=f"m{n % 3}", batch=batch if state is State.IN_BATCH else None
            )
    with Reading.open(path) as reading:
        for run in reading.overview().runs:
            scanned = dict(reading.rows("SELECT state, COUNT(*) FROM jobs WHERE run = ? GROUP BY state", run.id))
            assert {state.value: n for state, n in run.counts.items()} == scanned
            assert run.total == sum(scanned.values())
            assert run.sent == scanned.get("running", 0) + scanned.get("in_batch", 0)
            assert run.finished + run.left == run.total


def test_a_status_shows_all_that_is_open_and_the_newest_of_the_rest(path: Path) -> None:
    with Stock(path) as stock:
        first = stock.run("first")
        for n in range(2 * SHOWN):
            stock.run(f"night-{n}", state="done", done=NOON)
        newest = stock.run("newest", state="cancelled", cancelled=NOON)
    with Reading.open(path) as reading:
        seen = reading.overview()
        assert [run.id for run in seen.runs] == [*range(newest, newest - SHOWN, -1), first]
        assert seen.older == SHOWN + 1
        everything = reading.overview(every=True)
        assert len(everything.runs) == 2 * SHOWN + 2
        assert everything.older == 0


@pytest.fixture
def named(path: Path) -> Path:
    with Stock(path) as stock:
        stock.run("nightly-1")
        stock.run("nightly-2")
        stock.run("weekly")
        stock.run("r-1")
        stock.run("weekly", account_name="other")
    return path


@pytest.mark.parametrize(
    ("ref", "expected"),
    [("last", 5), ("r-3", 3), ("r-1", 1), ("nightly-2", 2), ("nightly-1", 1)],
)
def test_a_run_is_named_by_last_by_its_id_or_by_its_name(named: Path, ref: str, expected: int) -> None:
    with Reading.open(named) as reading:
        assert reading.run(ref).id == expected


def test_the_beginning_of_a_name_is_enough_if_no_other_has_it(path: Path) -> None:
    with Stock(path) as stock:
        stock.run("nightly")
        stock.run("weekly")
    with Reading.open(path) as reading:
        assert reading.run("wee").name == "weekly"


@pytest.mark.parametrize("ref", ["nightly", "weekly", ""])
def test_what_fits_several_runs_or_none_is_refused(named: Path, ref: str) -> None:
    with Reading.open(named) as reading, pytest.raises(UnknownRun) as raised:
        reading.run(ref)
    assert raised.value.exit is Exit.USAGE


def test_an_unknown_run_is_answered_with_the_nearest(named: Path) -> None:
    with Reading.open(named) as reading, pytest.raises(UnknownRun, match="did you mean `weekly`"):
        reading.run("weakly")


@pytest.mark.parametrize("ref", ["r-99", "r-" + "9" * 40, "r-¼", "%", "night_"])
def test_odd_names_find_nothing(named: Path, ref: str) -> None:
    with Reading.open(named) as reading, pytest.raises(UnknownRun):
        reading.run(ref)


def test_a_queue_without_runs_says_so(path: Path) -> None:
    Stock(path).__exit__()
    with Reading.open(path) as reading, pytest.raises(UnknownRun, match="no run yet"):
        reading.run("last")


def test_pauses_and_the_next_due_time_are_there(path: Path) -> None:
    with Stock(path) as stock:
        run = stock.run("nightly")
        stock.job(run, "a", "waiting", due=NOON + 2 * MINUTE)
        stock.job(run, "b", "waiting", due=NOON + MINUTE)
        stock.pause("account", "1", until=NOON + MINUTE, probes=2, probed=NOON)
    with Reading.open(path) as reading:
        seen = reading.overview()
    assert seen.next_due == NOON + MINUTE
    (pause,) = seen.pauses
    assert (pause.scope, pause.subject, pause.until, pause.probes) == (PauseScope.ACCOUNT, "1", NOON + MINUTE, 2)


def test_a_worker_is_shown_as_long_as_its_lock_is_held(path: Path) -> None:
    with Stock(path) as stock:
        living, _dead, gone = stock.worker(), stock.worker(), stock.worker(left=NOON)
    locks = Locks(path)
    locks.hold(WorkerId(living))
    locks.hold(WorkerId(gone))
    with Reading.open(path) as reading:
        (worker,) = reading.overview().workers
        assert (worker.id, worker.pid, worker.host) == (living, 4127, "db1")
        locks.close()
        assert reading.overview().workers == ()


def test_a_loader_that_lives_is_no_worker(path: Path) -> None:
    with Stock(path) as stock:
        loader = WorkerId(stock.worker(role="loader"))
        stock.run("nightly", state="loading", loader=loader)
    locks = Locks(path)
    locks.hold(loader)
    with Reading.open(path) as reading:
        seen = reading.overview()
        assert (seen.workers, seen.loaders, seen.runs[0].loader) == ((), frozenset({loader}), loader)
        locks.close()
        assert reading.overview().loaders == frozenset()


def test_looking_at_a_lock_does_not_take_it(path: Path) -> None:
    with Stock(path) as stock:
        worker = WorkerId(stock.worker())
    with Reading.open(path) as reading:
        reading.overview()
        locks = Locks(path)
        card = WorkerCard(pid=1, host="h", boot="b", version="1", command="c", started=NOON)
        locks.hold_run(card)
        locks.hold(worker)
        assert len(reading.overview().workers) == 1
        locks.close()


def test_the_speed_of_a_run_comes_from_its_latest_attempts(path: Path) -> None:
    with Stock(path) as stock:
        busy, idle = stock.run("busy"), stock.run("idle")
        stock.job(idle, "old", "succeeded", attempts=[{"ended": NOON - 10 * MINUTE}])
        for n in range(21):
            stock.job(busy, f"k{n}", "succeeded", attempts=[{"ended": NOON - n * SECOND}])
    with Reading.open(path) as reading:
        assert reading.speeds(NOON) == {busy: 21 / 20}
        assert reading.speeds(Millis(NOON + 10 * MINUTE)) == {}


def test_of_a_capped_run_it_is_known_what_its_cheapest_next_job_costs(path: Path) -> None:
    with Stock(path) as stock:
        capped, free, done = (stock.run(name, budget=100) for name in ("capped", "free", "done"))
        for model, worst in (("a", 7), ("a", 1), ("b", 5)):
            stock.job(capped, f"{model}{worst}", model=model, worst=worst)
        stock.job(capped, "sent", "succeeded", worst=2)
        stock.job(free, "unbounded")
        stock.job(free, "bounded", model="a", worst=3)
        stock.job(done, "sent", "succeeded", worst=2)
        stock.job(stock.run("uncapped"), "x", worst=2)
    with Reading.open(path) as reading:
        found = {run.name: run.next_worst for run in reading.overview().runs}
        assert found == {"capped": 5, "free": None, "done": None, "uncapped": None}
        assert reading.run("capped").next_worst == 5


def test_with_very_many_models_it_is_not_looked_for(path: Path) -> None:
    with Stock(path) as stock:
        run = stock.run("wide", budget=100)
        for n in range(MODELS + 1):
            stock.job(run, f"{n}", model=f"model-{n}", worst=n + 1)
    with Reading.open(path) as reading:
        assert reading.run("wide").next_worst is None


# -- what a look costs ------------------------------------------------------------------------------------------------


def _steps(path: Path, look: Callable[[Reading], object], monkeypatch: pytest.MonkeyPatch) -> int:
    """Steps of SQLite's machine for opening the queue and *look*."""
    steps = 0
    connect = sqlite3.connect

    def watched(*args: object, **options: object) -> sqlite3.Connection:
        made = connect(*args, **options)  # type: ignore[call-overload]  # as they came

        def step() -> int:
            nonlocal steps
            steps += 10
            return 0

        made.set_progress_handler(step, 10)
        return made  # type: ignore[no-any-return]  # it is one

    with monkeypatch.context() as patch:
        patch.setattr("batchrun.queue.reading.sqlite3.connect", watched)
        with Reading.open(path) as reading:
            look(reading)
    return steps


def _status(reading: Reading) -> None:
    for run in reading.overview().runs:
        reading.speeds(NOON)
        reading.error_names(run.id, 4)


def test_a_status_costs_the_same_at_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for size in (1_000, 200_000):
        path = tmp_path / f"{size}.db"
        with Stock(path) as stock:
            stock.worker()
            run = stock.run("nightly", budget=1)
            stock.many(run, size // 2, "failed", error="overloaded_error")
            stock.many(run, size // 4, "queued", first=size)
            stock.many(run, size // 4, "waiting", first=2 * size)
        found[size] = _steps(path, _status, monkeypatch)
    assert LATEST < found[1_000] <= 20_000
    assert found[200_000] <= 1.1 * found[1_000]


def test_counting_the_classes_of_few_failures_is_within_the_budget_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batchrun.cli.commands.status import COUNTED

    with Stock(path) as stock:
        stock.worker()
        run = stock.run("nightly")
        stock.many(run, COUNTED, "failed", error="overloaded_error")
        stock.many(run, 100_000, "queued", first=10_000)

    def look(reading: Reading) -> None:
        reading.overview()
        reading.speeds(NOON)
        assert reading.error_classes(RunId(run)) == [("overloaded_error", COUNTED)]

    assert COUNTED < _steps(path, look, monkeypatch) <= 20_000


def test_years_of_runs_do_not_slow_a_status(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Stock(path) as stock:
        stock.run("first")
        for n in range(3_000):
            stock.run(f"night-{n}", state="done", done=NOON)
            stock.worker(left=NOON)
    assert _steps(path, lambda reading: reading.overview(), monkeypatch) <= 20_000


# -- jobs and events --------------------------------------------------------------------------------------------------


def test_a_job_is_found_by_its_id_in_the_newest_run_or_by_a_request_id(path: Path) -> None:
    with Stock(path) as stock:
        old, new = stock.run("old"), stock.run("new")
        one = stock.job(old, "doc-1", "succeeded", attempts=[{"request_id": "req_first"}, {"request_id": "req_won"}])
        two = stock.job(new, "doc-1")
    with Reading.open(path) as reading:
        assert [job.id for job in jobs_named(reading, "doc-1")] == [two, one]
        assert [job.id for job in jobs_named(reading, "doc-1", RunId(old))] == [one]
        assert [job.id for job in jobs_named(reading, "req_first")] == [one]
        assert jobs_named(reading, "doc-2") == []
        assert [attempt.request_id for attempt in attempts(reading, jobs_named(reading, "req_won")[0].id)] == [
            "req_first",
            "req_won",
        ]


def test_a_mistyped_id_is_answered_with_near_ones(path: Path) -> None:
    with Stock(path) as stock:
        run = stock.run("nightly")
        stock.many(run, 2_000)
        stock.job(run, "summary")
    with Reading.open(path) as reading:
        assert keys_like(reading, "doc-199", RunId(run))[0] == "doc-199"
        assert keys_like(reading, "sumary", RunId(run)) == ["summary"]
        assert keys_like(reading, "zzz", RunId(run)) == []


def test_a_request_is_shown_as_it_is_sent(path: Path) -> None:
    with Stock(path) as stock:
        run = stock.run("nightly")
        job = stock.job(run, "a", own='{"max_tokens":5,"messages":[1.50]}')
        part = stock.add("shared", digest=b"1", body='{"model":"m","system":"é"}')
        stock.sql.execute(
            """UPDATE requests SET shared = ?, "order" = '["model","max_tokens","system","messages"]',
               overrides = '{"max_tokens":9}' WHERE job = ?""",
            (part, job),
        )
    with Reading.open(path) as reading:
        (found,) = jobs_named(reading, "a")
        assert request(reading, found.id) == '{"model":"m","max_tokens":9,"system":"é","messages":[1.50]}'


def test_events_come_in_order_by_run_and_by_the_last_ones(path: Path) -> None:
    with Stock(path) as stock:
        one, two = stock.run("one"), stock.run("two")
        for n in range(1_200):
            stock.event("run_done", at=NOON + n, run=(one, two, None)[n % 3], name=f"e{n}")
    with Reading.open(path) as reading:
        everything = list(events(reading))
        assert [event.detail["name"] for event in everything] == [f"e{n}" for n in range(1_200)]
        of_one = [event.detail["name"] for event in events(reading, RunId(one))]
        assert of_one == [f"e{n}" for n in range(1_200) if n % 3 != 1]
        assert [event.detail["name"] for event in events(reading, last=2)] == ["e1198", "e1199"]
        assert [event.detail["name"] for event in events(reading, RunId(one), last=3)] == of_one[-3:]
        assert len(list(events(reading, last=5_000))) == 1_200


def test_the_events_of_a_run_leave_out_passes_that_were_not_its_own(path: Path) -> None:
    with Stock(path) as stock:
        stock.event("pass_started", at=NOON - 2, name="before")
        run = stock.run("one", state="done", created=NOON, done=NOON + 5)
        for n, kind in enumerate(["pass_started", "run_done", "pass_ended", "pass_started", "pass_ended"]):
            stock.event(kind, at=NOON + 4 + n, run=run if kind == "run_done" else None, name=f"{kind} {n}")
    with Reading.open(path) as reading:
        told = ["pass_started 0", "run_done 1", "pass_ended 2"]
        assert [event.detail["name"] for event in events(reading, RunId(run))] == told
        assert [event.detail["name"] for event in events(reading, RunId(run), last=2)] == told[1:]


def test_a_status_costs_the_same_however_many_batches_are_out_and_names_the_unclear_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for n in (500, 2_000):
        path = tmp_path / f"{n}.db"
        with Stock(path) as stock:
            run = stock.run("nightly", mode="batch")
            for _ in range(n):
                stock.batch(run)
            stock.batch(run, "unclear")
        found[n] = _steps(path, lambda reading: reading.overview(), monkeypatch)
        with Reading.open(path) as reading:
            assert reading.overview().batches[0].batch.state is BatchState.UNCLEAR
    assert found[2_000] <= found[500] + 100
    assert found[500] <= 20_000
