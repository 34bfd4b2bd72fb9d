"""The named SQL of whoever reads, said to a PostgreSQL server: the same text, but for a few words.

The text is SQLite's. What PostgreSQL says otherwise is put in its words here, once per query: a query that is new needs
a look at the list below only if it uses a word that is not on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from batchrun.core.server import without_password
from batchrun.errors import StoreError, UsageError
from batchrun.queue.server import parameters_of

_LITERAL = re.compile(r"('(?:[^']|'')*')")

_PATTERN = """replace(replace(replace(replace(replace(replace(?, '\\', '\\\\'), '%', '\\%'), '_', '\\_'), '*', '%'),
 '?', '_'), '[[]', '[')"""

_WORDS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (r"^BEGIN$", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        (r"\bCROSS JOIN (\w+ \w+) ON\b", r"JOIN \1 ON"),  # SQLite takes it as the order of its loops
        (r"\bORDER BY rowid DESC\b", "ORDER BY job DESC, n DESC"),  # of attempts, the only table asked so
        (r"\bjson_each\(([\w.]+)\) (\w)\b", r"json_array_elements_text(\1::json) \2 (value)"),
        (r"\bjson_type\(([\w.]+), '\$\.(\w+)'\)", r"(\1::json -> '\2')"),
        (
            r"\bjson_extract\(([\w.]+), '\$\.(\w+)\.(\w+)\.(\w+)'\)",
            r"(\1::json #>> '{\2,\3,\4}')",
        ),
        (r"\binstr\(([\w.]+), ('[^']*')\)", r"(strpos(\1, \2) > 0)"),
        (r"\bIS NOT (?!NULL\b|DISTINCT\b)", "IS DISTINCT FROM "),
        (r"\bIS \?", "IS NOT DISTINCT FROM ?"),
        (r"\bLIMIT \?", "LIMIT NULLIF(?, -1)"),  # SQLite's word for no limit
        (r"\bGLOB \?", lambda _: f"LIKE {_PATTERN}"),
    )
)


@lru_cache(maxsize=500)
def translated(sql: str) -> str:
    """*sql*, whose parameters are `?`, in PostgreSQL's words, with psycopg's `%s`.

    Raises UsageError for what only SQLite can do.
    """
    if "answer_fits(" in sql:
        raise UsageError(
            "`valid` cannot be chosen by where the queue is on a server",
            hint="`batchrun export FILE.jsonl` has it in each line; or --each and filter there",
        )
    for pattern, said in _WORDS:
        sql = pattern.sub(said, sql)
    return "".join(
        part.replace("%", "%%") if at % 2 else part.replace("%", "%%").replace("?", "%s")
        for at, part in enumerate(_LITERAL.split(sql))
    )


class Session:
    """As much of `sqlite3.Connection` as `queue.reading` uses. Raises StoreError if the server cannot be reached."""

    def __init__(self, url: str) -> None:
        parameters = parameters_of(url)
        import psycopg  # noqa: PLC0415  # only whoever has a server needs it
        from psycopg.types.numeric import NumericLoader  # noqa: PLC0415

        class Number(NumericLoader):
            """A sum of integers is an integer, as on SQLite."""

            def load(self, data: Any) -> Any:
                found = super().load(data)
                return int(found) if found == found.to_integral_value() and b"." not in bytes(data) else float(found)

        # Values are written into the text: a server that sees `?` alone cannot tell the type of each.
        try:
            self._connection = psycopg.connect(**parameters, autocommit=True, cursor_factory=psycopg.ClientCursor)
        except psycopg.Error as error:
            raise trouble(without_password(url), error) from None
        self._connection.adapters.register_loader("numeric", Number)
        self.errors = psycopg.Error

    def execute(self, sql: str, values: tuple[object, ...] = ()) -> Rows:
        return Rows(self._connection.execute(translated(sql), values or None))

    def close(self) -> None:
        self._connection.close()


class Rows:
    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def fetchall(self) -> list[Any]:
        return [] if self._cursor.description is None else self._cursor.fetchall()


def trouble(place: str, error: Exception) -> StoreError:
    """What a reader is told of an *error* of the driver, whose text never has a password in it."""
    said = str(error).strip().splitlines()
    return StoreError(
        f"{place}: {said[0] if said else type(error).__name__}", hint="see whether the server runs, and who may connect"
    )
