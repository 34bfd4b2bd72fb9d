"""Which columns an export has: dotted paths, and stars that stand for every name which is met in the answers.

`json.*` becomes `json.label`, `json.score` … To know them, and the kinds of their values, the rows are looked at once
before they are written; what is met then and not known is a `Newcomer`, and whoever writes begins again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from batchrun.core.suggest import did_you_mean
from batchrun.errors import UsageError
from batchrun.report.flat import ALL, COLUMNS, WITH, Kind, needed

MOST = 1_000
"""Names that a star may stand for: more are no columns, but data."""

STAR = ".*"
_LARGE = 2**63


class Newcomer(Exception):
    """A value came that the layout has no column for: it was stored after the rows were looked at."""


def reached(row: Any, path: str) -> Any:
    """What stands at the dotted *path*: names of objects, or numbers into lists; None where nothing does."""
    if isinstance(row, Mapping) and path in row:
        return row[path]
    head, dot, rest = path.partition(".")
    match row:
        case dict() if dot:
            # A name may itself hold dots: the longest one that is there counts.
            cut = len(path)
            while (cut := path.rfind(".", 0, cut)) > 0:
                if path[:cut] in row:
                    return reached(row[path[:cut]], path[cut + 1 :])
            return None
        case list() if head.isdecimal() and int(head) < len(row):
            return reached(row[int(head)], rest) if dot else row[int(head)]
        case _:
            return None


def asked(
    fields: str | None, default: Sequence[str] = COLUMNS, *, more: str | None = None, unfold: bool = False
) -> tuple[str, ...]:
    """The paths that `--fields`, `--with` and `--unfold` name. Raises UsageError for one that begins with no column."""
    paths = list(default) if fields is None else _listed("--fields", fields)
    for path in paths:
        if path not in ALL and (path == STAR[1:] or path.partition(".")[0] not in ALL):
            raise UsageError(f"no such field `{path}`{did_you_mean(path, ALL)}", hint=f"fields: {', '.join(ALL)}")
    for word in _listed("--with", more) if more is not None else ():
        if word not in WITH:
            raise UsageError(
                f"`--with {word}`: no such part{did_you_mean(word, WITH)}", hint=f"parts: {', '.join(WITH)}"
            )
        paths.append(WITH[word])
    if unfold and f"json{STAR}" not in paths:
        at = paths.index("json") if "json" in paths else len(paths)
        paths[at : at + 1] = [f"json{STAR}"]
    return tuple(dict.fromkeys(paths))


def _listed(flag: str, text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise UsageError(
            f"`{flag}` names nothing", hint=f"for example {flag} {'id,text' if flag == '--fields' else 'usage'}"
        )
    return words


class Layout:
    """Columns that are known one by one, each with its path and its kind."""

    def __init__(self, columns: Mapping[str, Kind], stars: Mapping[str, frozenset[str]] | None = None) -> None:
        """*stars*: of each path before a star, the names that have a column."""
        self.columns = dict(columns)
        self.paths = tuple(columns)
        self.needs = needed([*columns, *(stars or ())])
        """The columns of `ALL` that a row must have for it."""
        self._stars = dict(stars or {})

    def cells(self, row: Mapping[str, Any]) -> list[Any]:
        """The values of *row*, a flat one, in order. Raises Newcomer where a star would need another column."""
        for prefix, names in self._stars.items():
            value = reached(row, prefix)
            known = value.keys() <= names if isinstance(value, dict) else value is None or prefix in self.columns
            if not known:
                raise Newcomer
        return [row[path] if path in row else reached(row, path) for path in self.paths]


def plain(paths: Sequence[str]) -> Layout:
    """The layout of *paths* without stars; the kinds of what is inside of a column are not known."""
    assert not has_stars(paths)
    return Layout({path: ALL[path].kind if path in ALL else Kind.JSON for path in paths})


def has_stars(paths: Iterable[str]) -> bool:
    return any(path.endswith(STAR) for path in paths)


def looked_into(paths: Iterable[str]) -> tuple[str, ...]:
    """The columns that `surveyed` needs of each row."""
    return needed(path.removesuffix(STAR) for path in paths if path not in ALL)


def surveyed(paths: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Layout:
    """The layout of *paths* for just these flat *rows*, which have the columns that are `looked_into`."""
    kinds: dict[str, Kind | None] = {path: None for path in paths if path not in ALL and not path.endswith(STAR)}
    stars: dict[str, dict[str, Kind | None]] = {path.removesuffix(STAR): {} for path in paths if path.endswith(STAR)}
    others: set[str] = set()
    for row in rows:
        for path, kind in kinds.items():
            kinds[path] = _wider(kind, reached(row, path))
        for prefix, names in stars.items():
            value = reached(row, prefix)
            if isinstance(value, dict):
                for name, inner in value.items():
                    names[name] = _wider(names.get(name), inner)
                if len(names) > MOST:
                    raise UsageError(f"`{prefix}{STAR}` has more than {MOST:,} names", hint="name those that you want")
            elif value is not None:
                others.add(prefix)
    columns: dict[str, Kind] = {}
    for path in paths:
        prefix = path.removesuffix(STAR)
        if prefix == path:
            columns[path] = ALL[path].kind if path in ALL else kinds[path] or Kind.TEXT
            continue
        if prefix in others:  # what is no object is kept as it is
            columns.setdefault(prefix, Kind.JSON)
        for name, kind in stars[prefix].items():
            columns.setdefault(f"{prefix}.{name}", kind or Kind.TEXT)
    return Layout(columns, {prefix: frozenset(names) for prefix, names in stars.items()})


def _wider(kind: Kind | None, value: Any) -> Kind | None:
    """The kind of a column that held *kind* so far and holds *value* too."""
    match value:
        case None:
            return kind
        case bool():
            own = Kind.FLAG
        case int():
            own = Kind.INTEGER if -_LARGE <= value < _LARGE else Kind.JSON
        case float():
            own = Kind.NUMBER
        case str():
            own = Kind.TEXT
        case _:
            own = Kind.JSON
    if kind is None or kind is own:
        return own
    return Kind.NUMBER if {kind, own} == {Kind.INTEGER, Kind.NUMBER} else Kind.JSON
