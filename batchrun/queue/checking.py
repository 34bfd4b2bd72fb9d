"""Whether a queue is sound: as SQLite sees it, and by its own invariants, each a query that finds what breaks it."""

from __future__ import annotations

from dataclasses import dataclass

from batchrun.queue.reading import Reading

SAMPLE = 5
"""Findings of one kind that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """`sql` gives one row, one column in words, for each thing that breaks it."""

    name: str
    says: str
    sql: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    name: str
    says: str
    found: tuple[str, ...]  #: nothing: it holds
    cure: str


_RESTORE = "keep a copy of the file with its -wal, then `batchrun db restore` a backup"
_REPORT = "no answer is lost by it; send this line to the makers of batchrun"

_CHARGE = """
CASE WHEN a.outcome IS NULL OR a.billed = 'no' THEN 0 WHEN a.billed = 'yes' AND a.cost IS NOT NULL THEN a.cost
     ELSE COALESCE(a.worst, a.cost, 0) END
"""

_MONEY = f"""
SELECT r.id, r.name, r.spent, r.reserved, r.possibly, COALESCE(m.spent, 0) AS s, COALESCE(m.reserved, 0) AS o,
       COALESCE(m.possibly, 0) AS p,
       EXISTS (SELECT 1 FROM batches b JOIN candidates c ON c.batch = b.id WHERE b.run = r.id AND c.verdict = 'ours'
               AND c.remote_id <> COALESCE(b.remote_id, '')) AS twice
FROM runs r LEFT JOIN (
    SELECT j.run, SUM({_CHARGE}) AS spent, SUM(CASE WHEN a.outcome IS NULL THEN COALESCE(a.worst, 0) ELSE 0 END) AS reserved,
           SUM(CASE WHEN a.billed = 'maybe' THEN 1 ELSE 0 END) AS possibly
    FROM attempts a JOIN jobs j ON j.id = a.job GROUP BY j.run
) m ON m.run = r.id
WHERE r.name NOT LIKE '~~%'
"""  # noqa: E501  # one line of SQL

INVARIANTS = (
    Invariant(
        name="counts",
        says="each run's counts are those of its jobs",
        sql="""
SELECT 'run r-' || COALESCE(s.run, c.run) || ': ' || COALESCE(c.n, 0) || ' counted as ' || COALESCE(s.state, c.state)
       || ', and there are ' || COALESCE(s.n, 0)
FROM (SELECT run, model, state, n FROM run_counts WHERE n <> 0) c
LEFT JOIN (SELECT run, model, state, COUNT(*) AS n FROM jobs GROUP BY 1, 2, 3) s
  ON s.run = c.run AND s.model = c.model AND s.state = c.state
WHERE s.n IS NOT c.n AND c.run NOT IN (SELECT id FROM runs WHERE name LIKE '~~%')
UNION ALL
SELECT 'run r-' || s.run || ': 0 counted as ' || s.state || ', and there are ' || s.n
FROM (SELECT run, model, state, COUNT(*) AS n FROM jobs GROUP BY 1, 2, 3) s
LEFT JOIN run_counts c ON s.run = c.run AND s.model = c.model AND s.state = c.state AND c.n <> 0
WHERE c.n IS NULL
""",
        cure=_REPORT,
    ),
    Invariant(
        name="spent",
        says="what each run has spent is what its attempts cost",
        sql=f"SELECT 'run ' || name || ': ' || spent || ' nano-dollars booked, its attempts make ' || s FROM ({_MONEY})"
        " WHERE spent < s OR (spent > s AND NOT twice)",
        cure=_REPORT,
    ),
    Invariant(
        name="reserved",
        says="what each run has reserved is the worst case of what is out",
        sql=f"SELECT 'run ' || name || ': ' || reserved || ' reserved, ' || o || ' out (nano-dollars)' FROM ({_MONEY})"
        " WHERE reserved <> o",
        cure=_REPORT,
    ),
    Invariant(
        name="possibly billed",
        says="each run counts the attempts that may have been billed",
        sql=f"SELECT 'run ' || name || ': ' || possibly || ' counted, there are ' || p FROM ({_MONEY})"
        " WHERE possibly <> p",
        cure=_REPORT,
    ),
    Invariant(
        name="answers",
        says="a job has a result exactly if it succeeded",
        sql="""
SELECT 'job ' || j.key || ' of r-' || j.run || ' is ' || j.state FROM jobs j
WHERE (j.state = 'succeeded') <> EXISTS (SELECT 1 FROM results s WHERE s.job = j.id AND s.winning = 1)
""",
        cure=_RESTORE,
    ),
    Invariant(
        name="requests",
        says="each job has its request",
        sql="SELECT 'job ' || key || ' of r-' || run FROM jobs"
        " WHERE NOT EXISTS (SELECT 1 FROM requests q WHERE q.job = jobs.id)",
        cure=_RESTORE,
    ),
    Invariant(
        name="batches",
        says="jobs in a batch are in one that is out or unclear",
        sql="SELECT 'job ' || j.key || ' is in b-' || b.id || ', which is ' || b.state FROM jobs j"
        " JOIN batches b ON b.id = j.batch"
        " WHERE b.state NOT IN ('intent', 'sending', 'unclear', 'submitted', 'collecting')",
        cure="`batchrun log` tells what became of the batch; " + _REPORT,
    ),
    Invariant(
        name="attempts",
        says="no attempt is newer than its job knows",
        sql="SELECT 'job ' || j.key || ' of r-' || j.run FROM attempts a JOIN jobs j ON j.id = a.job"
        " WHERE a.n > j.attempt AND j.state NOT IN ('running', 'in_batch')",
        cure=_REPORT,
    ),
    Invariant(
        name="ids",
        says="no job has an id that will be given away again",
        sql="SELECT 'the last id is said to be ' || value || ', and there is a higher one' FROM meta"
        " WHERE key = 'jobs' AND CAST(value AS BIGINT) < (SELECT MAX(id) FROM jobs)",
        cure="`batchrun submit` puts it right by itself",
    ),
)


# Runs called `~~…` are being removed (`queue.removing`): their jobs go before their counts and sums.


def check(reading: Reading) -> list[Checked]:
    """Each thing that was looked at, at one moment; it reads the whole file."""
    with reading.moment():
        checked = [] if reading.on_server else _check_file(reading)  # a server looks after its files itself
        for one in INVARIANTS:
            found = tuple(str(text) for (text,) in reading.rows(f"{one.sql} LIMIT {SAMPLE}"))
            checked.append(Checked(name=one.name, says=one.says, found=found, cure=one.cure))
    return checked


def _check_file(reading: Reading) -> list[Checked]:
    integrity = tuple(text for (text,) in reading.rows(f"PRAGMA integrity_check({SAMPLE})") if text != "ok")
    keys = reading.rows("PRAGMA foreign_key_check")[:SAMPLE]
    return [
        Checked(name="integrity", says="SQLite finds the file sound", found=integrity, cure=_RESTORE),
        Checked(
            name="references",
            says="nothing refers to what is not there",
            found=tuple(f"row {row} of {table} refers to {parent}" for table, row, parent, _ in keys),
            cure=_RESTORE,
        ),
    ]
