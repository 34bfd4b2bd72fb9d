"""A selection as SQL for SQLite: a condition on `jobs j`, with its values as parameters."""

from __future__ import annotations

from dataclasses import dataclass

from batchrun.core.select import Field, Selection, Term

_COLUMNS = {
    Field.STATE: "j.state",
    Field.ERROR: "j.error",
    Field.MODEL: "j.model",
    Field.ID: "j.key",
    Field.STOP: "(SELECT s.stop_reason FROM results s WHERE s.job = j.id AND s.winning = 1)",
}


@dataclass(frozen=True, slots=True)
class Criteria:
    """`sql` stands behind WHERE or AND; the `?` in it are `values`, in order."""

    sql: str = "1"
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
    column = _COLUMNS[term.field]
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
    # Where nothing is there, it fits no pattern: NULL is as good as false, but not under NOT.
    return f"NOT COALESCE({fits}, 0)" if term.negated else f"({fits})"


def _names_jobs(term: Term) -> bool:
    return term.field is Field.ID and not term.negated and not _is_pattern(term.glob)


def _is_pattern(glob: str) -> bool:
    return "*" in glob or "?" in glob
