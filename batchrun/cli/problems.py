"""How mistakes are shown: place, thing, source line with a caret, cure; alike ones folded into one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from batchrun.cli.output import columns_of
from batchrun.cli.screen import Screen, Tone, clean
from batchrun.core.figures import count
from batchrun.core.problem import Problem, Severity

if TYPE_CHECKING:
    from batchrun.jobfile.problems import Group, Problems

SHOWN = 3
"""Of more than four alike problems, how many are shown before the rest is folded into a line."""

Style = Callable[..., str]
Typed = Callable[[str], str]


def lines(problems: Problems, style: Style, typed: Typed = str) -> Iterator[str]:
    """The lines that tell of *problems*, an empty one after each; *typed* makes of a command the one to type."""
    for group in problems.groups:
        for problem in _shown(group):
            yield from _told(problem, style, typed)
            yield ""
        if _more(group):
            yield f"… {_folded(group)}; --all shows each"
            yield ""
    if problems.unlisted:
        yield f"… and {count(problems.unlisted, 'more error')}: too many to list"
        yield ""


def _shown(group: Group) -> Sequence[Problem]:
    """All that were kept, or the first of them: a fold hides more than one problem."""
    return group.kept if group.count == len(group.kept) else group.kept[:SHOWN]


def _more(group: Group) -> int:
    return group.count - len(_shown(group))


def show(problems: Problems, screen: Screen, *, to_stdout: bool = False) -> None:
    """Write *problems* to stderr, even when quiet; or to stdout, where they are what was asked for."""
    style, write = (screen.style, screen.line) if to_stdout else (screen.talk_style, screen.must_say)
    for line in lines(problems, style, screen.typed):
        write(line)


def summary(problems: Problems) -> str:
    """How many there are: "2 errors and 1 warning in 2 files"; "no problems"."""
    parts = [count(problems.errors, "error")] if problems.errors else []
    parts += [count(problems.warnings, "warning")] if problems.warnings else []
    where = f" in {problems.files:,} files" if problems.files > 1 else ""
    return " and ".join(parts) + where if parts else "no problems"


def record(problem: Problem) -> dict[str, Any]:
    """A problem in JSON."""
    where = problem.where
    return {
        "code": problem.code,
        "severity": problem.severity.value,
        "file": where.file if where else None,
        "line": where.line if where else None,
        "column": where.column if where else None,
        "message": problem.message,
        "hint": problem.hint,
    }


def records(problems: Problems) -> dict[str, Any]:
    """All of them in JSON: counts, and those that were kept of each kind."""
    return {
        "errors": problems.errors,
        "warnings": problems.warnings,
        "problems": [record(problem) for group in problems.groups for problem in _shown(group)],
        "more": [_rest(group) for group in problems.groups if _more(group)],
        "unlisted": problems.unlisted,
    }


def _rest(group: Group) -> dict[str, Any]:
    first, last = _lines(group)
    return {
        "code": group.code,
        "severity": group.severity.value,
        "file": group.file or None,
        "count": _more(group),
        "first_line": first,
        "last_line": last,
    }


def _lines(group: Group) -> tuple[int | None, int | None]:
    """Of those that are folded."""
    hidden = [kept.where.line for kept in group.kept[len(_shown(group)) :] if kept.where]
    hidden += [group.folded] if group.folded is not None else []
    return min(hidden, default=None), group.last


def _told(problem: Problem, style: Style, typed: Typed) -> Iterator[str]:
    error = problem.severity is Severity.ERROR
    label = style(f"{problem.severity.value}:", Tone.BAD if error else Tone.WARN, Tone.BOLD)
    where = f" {style(clean(str(problem.where)), Tone.HINT)}:" if problem.where else ""
    yield f"{label}{where} {clean(problem.message)}   {style(problem.code, Tone.DIM)}"
    if problem.source and problem.where:
        yield from _source(problem, style)
    if problem.hint:
        yield f"{style('hint:', Tone.HINT)} {clean(typed(problem.hint))}"


def _folded(group: Group) -> str:
    more = f"and {_more(group):,} more {group.code}"
    first, last = _lines(group)
    if first is None or last is None:
        return more
    return f"{more} in {clean(group.file)} ({f'line {last:,}' if first == last else f'lines {first:,}–{last:,}'})"


def _source(problem: Problem, style: Style) -> Iterator[str]:
    assert problem.where is not None
    number = f"{problem.where.line:>5}"
    yield f"{style(f'{number} |', Tone.DIM)} {clean(problem.source)}"
    before, marked = problem.source[: problem.mark], problem.source[problem.mark : problem.mark + problem.width]
    if marked:
        gutter = style(f"{'':>{len(number)}} |", Tone.DIM)
        carets = "^" * columns_of(clean(marked))
        yield f"{gutter} {'':>{columns_of(clean(before))}}{style(carets, Tone.BAD)}"
