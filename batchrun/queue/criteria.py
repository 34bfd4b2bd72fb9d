"""A selection as SQL for SQLite: a condition on `jobs j`, with its values as parameters."""

from __future__ import annotations

from dataclasses import dataclass

from batchrun.core.select import Field, Selection, Term
from batchrun.queue.jobrows import SCHEMA

_COLUMNS = {
    Field.STATE: "j.state",
    Field.ERROR: "j.error",
    Field.MODEL: "j.model",
    Field.ID: "j.key",
    Field.STOP: "(SELECT s.stop_reason FROM results s WHERE s.job = j.id AND s.winning = 1)",
    Field.ATTEMPT: "CAST(j.attempt AS TEXT)",
    Field.VALID: f"""(SELECT answer_fits(s.body, {SCHEMA}) FROM results s JOIN requests q ON q.job = s.job
                      WHERE s.job = j.id AND s.winning = 1)""",
}
_SEVERAL = {
    Field.TAG: """SELECT t.value FROM requests q, json_each(q.tags) t WHERE q.job = j.id
                  UNION ALL SELECT t.value FROM runs u, json_each(u.tags) t WHERE u.id = j.run""",
    Field.BATCH: """SELECT 'b-' || x.batch AS value FROM attempts x WHERE x.job = j.id AND x.batch IS NOT NULL
                    UNION ALL SELECT y.remote_id FROM attempts x JOIN batches y ON y.id = x.batch
                    WHERE x.job = j.id AND y.remote_id IS NOT NULL""",
}
"""Fields in which a job may have several values: what gives them as `value`."""


def answer_fits(body: str, schema: str | None) -> str | None:
    """`yes` or `no`; None where no schema was asked for, or it cannot be used. SQL calls it by its name."""
    if schema is None:
        return None
    from batchrun.core.message import parsed, structured, text_of  # noqa: PLC0415  # only where it is asked

    message = parsed(body)
    return {True: "yes", False: "no", None: None}[structured(message, text_of(message), schema).fits]


@dataclass(frozen=True, slots=True)
class Criteria:
    """`sql` stands behind WHERE or AND; the `?` in it are `values`, in order."""

    sql: str = "TRUE"
    values: tuple[str, ...] = ()
    few: bool = False  #: it names jobs by their whole keys: an index finds them, however large the run


def criteria(selection: Selection | None) -> Criteria:
    """What *selection* asks of a job; everything where there is none. Says the same as `Selection.holds`."""
    if selection is None:
        return Criteria()
    values: list[str] = []
    groups = [" AND ".join(_term(term, values) for term in terms) for terms in selection.any_of]
    few = all(any(_names_jobs(term) for term in terms) for terms in selection.any_of)
    return Criteria(f"({' OR '.join(f'({group})' for group in groups)})", tuple(values), few)


def _term(term: Term, values: list[str]) -> str:
    several = _SEVERAL.get(term.field)
    column = _COLUMNS[term.field] if several is None else "v.value"
    plain = [glob for glob in term.globs if not _is_pattern(glob)]
    patterns = [glob for glob in term.globs if _is_pattern(glob)]
    parts = []
    if plain:
        parts.append(f"{column} IN ({', '.join('?' * len(plain))})")
        values += plain
    for glob in patterns:
        parts.append(f"{column} GLOB ?")
        values.append(glob.replace("[", "[[]"))  # GLOB knows classes of characters, a selection does not
    fits = " OR ".join(parts)
    if several is not None:
        fits = f"EXISTS (SELECT 1 FROM ({several}) v WHERE {fits})"
    # Where nothing is there, it fits no pattern: NULL is as good as false, but not under NOT.
    return f"NOT COALESCE({fits}, FALSE)" if term.negated else f"({fits})"


def _names_jobs(term: Term) -> bool:
    return term.field is Field.ID and not term.negated and not _is_pattern(term.glob)


def _is_pattern(glob: str) -> bool:
    return "*" in glob or "?" in glob
