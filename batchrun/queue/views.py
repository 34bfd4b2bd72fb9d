"""The views: a documented interface for SQL tools, in words that both databases take, but for one.

Within one schema version columns may be added, never renamed or removed. What the names mean:

* `…_ms` are milliseconds since 1970-01-01 UTC;
* `…_nanos` are exact: US dollars times 10^9; `…_usd` are the same in dollars (a float on SQLite, numeric on
  PostgreSQL), good for looking and summing up to a few millions;
* `state` has `sent` for what is perhaps at Anthropic; `exact_state` has the two states behind it;
* `file` counts the files of the run's `source` (a JSON list) from 0, `line` the lines from 1;
* `id` is the job's id in its file, as everywhere else; `key` is the same;
* `tags` are JSON lists: those of a job, and in `v_runs` those of a run;
* `body` is the message exactly as received, as JSON text: `body ->> '$.content[0].text'` in SQLite,
  `body::jsonb #>> '{content,0,text}'` in PostgreSQL; `v_texts` has its blocks of text, joined.

docs/reference/sql.md tells of every column; a test keeps it whole.
"""

from __future__ import annotations

_SECONDS = "CASE WHEN a.via = 'realtime' THEN (a.ended - a.sent) / 1000.0 END"

_RUNS = """
SELECT 'r-' || r.id AS run, r.name, r.state, r.mode, r.priority, r.deadline AS deadline_ms, r.account AS account_id,
       r.account_name AS account, r.source,
       COALESCE(c.queued, 0) AS queued, COALESCE(c.waiting, 0) AS waiting, COALESCE(c.sent, 0) AS sent,
       COALESCE(c.held, 0) AS held, COALESCE(c.blocked, 0) AS blocked, COALESCE(c.succeeded, 0) AS succeeded,
       COALESCE(c.failed, 0) AS failed, COALESCE(c.cancelled, 0) AS cancelled, COALESCE(c.total, 0) AS total,
       r.spent AS spent_nanos, r.spent / 1e9 AS spent_usd, r.reserved AS reserved_nanos,
       r.reserved / 1e9 AS reserved_usd, r.budget AS budget_nanos, r.budget / 1e9 AS budget_usd,
       r.created AS created_ms, r.done AS done_ms, r.cancelled AS cancelled_ms, r.tags
FROM runs r
LEFT JOIN (
    SELECT run, SUM(n) AS total,
           SUM(CASE WHEN state = 'queued' THEN n ELSE 0 END) AS queued,
           SUM(CASE WHEN state = 'waiting' THEN n ELSE 0 END) AS waiting,
           SUM(CASE WHEN state IN ('running', 'in_batch') THEN n ELSE 0 END) AS sent,
           SUM(CASE WHEN state = 'held' THEN n ELSE 0 END) AS held,
           SUM(CASE WHEN state = 'blocked' THEN n ELSE 0 END) AS blocked,
           SUM(CASE WHEN state = 'succeeded' THEN n ELSE 0 END) AS succeeded,
           SUM(CASE WHEN state = 'failed' THEN n ELSE 0 END) AS failed,
           SUM(CASE WHEN state = 'cancelled' THEN n ELSE 0 END) AS cancelled
    FROM run_counts GROUP BY run
) c ON c.run = r.id
"""

_JOBS = """
SELECT j.id AS job_id, 'r-' || j.run AS run, r.name AS run_name, j.key, j.seq, r.source, j.file, j.line, j.model,
       CASE WHEN j.state IN ('running', 'in_batch') THEN 'sent' ELSE j.state END AS state,
       j.state AS exact_state, j.attempt AS attempts, j.tries, j.due AS due_ms, j.size AS bytes,
       j.est_input, j.max_tokens, j.error, j.finished AS finished_ms, q.metadata, j.key AS id, q.tags
FROM jobs j
JOIN runs r ON r.id = j.run
LEFT JOIN requests q ON q.job = j.id
"""

_RESULTS = f"""
SELECT j.id AS job_id, 'r-' || j.run AS run, r.name AS run_name, j.key, j.seq, r.source, j.file, j.line,
       s.attempt, a.via, j.model, s.stop_reason, s.body, a.input AS input_tokens, a.output AS output_tokens,
       a.thinking AS thinking_tokens, a.cache_read AS cache_read_tokens, a.cache_write_5m AS cache_write_5m_tokens,
       a.cache_write_1h AS cache_write_1h_tokens, a.cost AS cost_nanos, a.cost / 1e9 AS cost_usd, a.request_id,
       a.sent AS sent_ms, a.ended AS ended_ms, s.received AS received_ms, q.metadata, j.key AS id,
       j.attempt AS attempts, {_SECONDS} AS latency_s, q.tags
FROM results s
JOIN jobs j ON j.id = s.job
JOIN runs r ON r.id = j.run
JOIN attempts a ON a.job = s.job AND a.n = s.attempt
LEFT JOIN requests q ON q.job = s.job
WHERE s.winning = 1
"""

_IN_SQLITE = """CASE WHEN json_valid(s.body) THEN (
           SELECT group_concat(CASE WHEN c.type = 'object' THEN CASE WHEN json_extract(c.value, '$.type') = 'text'
                               THEN json_extract(c.value, '$.text') END END, '')
           FROM json_each(s.body, '$.content') c) END"""

# Which has no NUL in any text: an answer that says one has no text here.
_IN_POSTGRES = r"""CASE WHEN s.body IS JSON OBJECT AND strpos(s.body, '\u0000') = 0 THEN (
           SELECT string_agg(CASE WHEN json_typeof(c.value) = 'object' THEN CASE WHEN c.value ->> 'type' = 'text'
                             THEN c.value ->> 'text' END END, '' ORDER BY c.at)
           FROM json_array_elements(CASE WHEN json_typeof(s.body::json -> 'content') = 'array'
                                    THEN s.body::json -> 'content' END) WITH ORDINALITY c (value, at)) END"""

# Apart, because a connection with `trusted_schema = OFF` takes no JSON functions in a view (SQLite 3.40).
_TEXTS = """
SELECT j.id AS job_id, 'r-' || j.run AS run, r.name AS run_name, j.key AS id, j.seq, j.model, s.stop_reason,
       {text} AS text,
       a.output AS output_tokens, a.cost / 1e9 AS cost_usd, q.tags, q.metadata
FROM results s
JOIN jobs j ON j.id = s.job
JOIN runs r ON r.id = j.run
JOIN attempts a ON a.job = s.job AND a.n = s.attempt
LEFT JOIN requests q ON q.job = s.job
WHERE s.winning = 1
"""

_ATTEMPTS = f"""
SELECT a.job AS job_id, 'r-' || j.run AS run, r.name AS run_name, j.key, a.n AS attempt, a.via,
       a.batch AS batch_id, b.remote_id AS batch, j.model,
       a.claimed AS claimed_ms, a.sent AS sent_ms, a.ended AS ended_ms, a.outcome, a.status, a.error_type, a.error_code,
       a.message, a.request_id, a.other_ids, a.input AS input_tokens, a.output AS output_tokens,
       a.thinking AS thinking_tokens, a.cache_read AS cache_read_tokens, a.cache_write_5m AS cache_write_5m_tokens,
       a.cache_write_1h AS cache_write_1h_tokens, a.cost AS cost_nanos, a.cost / 1e9 AS cost_usd,
       a.worst AS worst_nanos, a.worst / 1e9 AS worst_usd, a.billed, s.winning, j.key AS id, {_SECONDS} AS latency_s
FROM attempts a
JOIN jobs j ON j.id = a.job
JOIN runs r ON r.id = j.run
LEFT JOIN batches b ON b.id = a.batch
LEFT JOIN results s ON s.job = a.job AND s.attempt = a.n
"""

_ERRORS = """
SELECT j.id AS job_id, 'r-' || j.run AS run, r.name AS run_name, j.key, j.seq, r.source, j.file, j.line, j.model,
       j.state, j.error, a.n AS attempt, a.via, a.status, a.error_type, a.error_code, a.message, a.request_id,
       a.ended AS ended_ms, j.tries, j.finished AS finished_ms, j.key AS id, q.tags, q.metadata
FROM jobs j
JOIN runs r ON r.id = j.run
LEFT JOIN attempts a ON a.job = j.id AND a.n = j.attempt
LEFT JOIN requests q ON q.job = j.id
WHERE j.state IN ('failed', 'held')
"""

_BATCHES = """
SELECT 'b-' || b.id AS batch_id, b.remote_id AS batch, 'r-' || b.run AS run, r.name AS run_name, b.state, b.model,
       b.n AS jobs, b.bytes, b.intended AS intended_ms, b.sent AS sent_ms, b.submitted AS submitted_ms,
       b.ended AS ended_ms, b.expires AS expires_ms, b.processing, b.counts, b.cancel_reason, b.message,
       b.reserved AS reserved_nanos, b.reserved / 1e9 AS reserved_usd
FROM batches b
JOIN runs r ON r.id = b.run
"""

_COSTS = """
SELECT 'r-' || j.run AS run, r.name AS run_name, j.model, a.via, COUNT(*) AS attempts,
       COALESCE(SUM(a.input), 0) AS input_tokens, COALESCE(SUM(a.output), 0) AS output_tokens,
       COALESCE(SUM(a.thinking), 0) AS thinking_tokens, COALESCE(SUM(a.cache_read), 0) AS cache_read_tokens,
       COALESCE(SUM(a.cache_write_5m), 0) AS cache_write_5m_tokens,
       COALESCE(SUM(a.cache_write_1h), 0) AS cache_write_1h_tokens,
       COALESCE(SUM(a.cost), 0) AS cost_nanos, COALESCE(SUM(a.cost), 0) / 1e9 AS cost_usd,
       COALESCE(SUM(CASE WHEN a.billed = 'maybe' THEN a.worst END), 0) AS maybe_nanos,
       COALESCE(SUM(CASE WHEN a.billed = 'maybe' THEN a.worst END), 0) / 1e9 AS maybe_usd,
       SUM(CASE WHEN a.billed = 'yes' AND a.cost IS NULL THEN 1 ELSE 0 END) AS unpriced
FROM attempts a
JOIN jobs j ON j.id = a.job
JOIN runs r ON r.id = j.run
GROUP BY j.run, r.name, j.model, a.via
"""

VIEWS: tuple[tuple[str, str], ...] = (
    ("v_runs", _RUNS.strip()),
    ("v_jobs", _JOBS.strip()),
    ("v_results", _RESULTS.strip()),
    ("v_texts", _TEXTS.format(text=_IN_SQLITE).strip()),
    ("v_attempts", _ATTEMPTS.strip()),
    ("v_errors", _ERRORS.strip()),
    ("v_costs", _COSTS.strip()),
    ("v_batches", _BATCHES.strip()),
)
"""Name and SELECT, in an order in which they can be created, as SQLite takes them."""


def views_for(dialect: str) -> tuple[tuple[str, str], ...]:
    """The same for the database that SQLAlchemy calls *dialect*."""
    if dialect == "sqlite":
        return VIEWS
    texts = _TEXTS.format(text=_IN_POSTGRES).strip()
    return tuple((name, texts if name == "v_texts" else select) for name, select in VIEWS)
