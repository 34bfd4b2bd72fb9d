"""How mistakes are shown: place, thing, source line with a caret, cure; alike ones folded into one line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from batchrun.cli.output import columns_of
from batchrun.cli.screen import Screen, Tone, clean
from batchrun.core.figures import count
from batchrun.core.problem import Problem, Severity

SHOWN = 3
"""How many alike problems of one file are shown before the rest is folded."""

Style = Callable[..., str]


def lines(problems: Sequence[Problem], style: Style, *, everything: bool = False) -> Iterator[str]:
    """The lines that tell of *problems*, errors and warnings in the order of the file, groups together."""
    for group in _groups(problems):
        shown = group if everything or len(group) <= SHOWN + 1 else group[:SHOWN]
        for problem in shown:
            yield from _told(problem, style)
            yield ""
        if len(shown) < len(group):
            yield f"… {_folded(group[len(shown) :])}; --all shows each"
            yield ""


def show(problems: Sequence[Problem], screen: Screen, *, everything: bool = False, to_stdout: bool = False) -> None:
    """Write *problems* to stderr, or to stdout where they are what was asked for."""
    style, write = (screen.style, screen.line) if to_stdout else (screen.talk_style, screen.must_say)
    for line in lines(problems, style, everything=everything):
        write(line)


def summary(problems: Sequence[Problem]) -> str:
    """How many there are: "2 errors and 1 warning in 2 files"; "no problems"."""
    if not problems:
        return "no problems"
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    parts = [count(errors, "error")] if errors else []
    if len(problems) > errors:
        parts.append(count(len(problems) - errors, "warning"))
    files = {problem.where.file for problem in problems if problem.where is not None}
    where = f" in {len(files):,} files" if len(files) > 1 else ""
    return " and ".join(parts) + where


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


def _groups(problems: Iterable[Problem]) -> list[list[Problem]]:
    groups: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        groups.setdefault((problem.code, problem.where.file if problem.where else ""), []).append(problem)
    return list(groups.values())


def _told(problem: Problem, style: Style) -> Iterator[str]:
    error = problem.severity is Severity.ERROR
    label = style(f"{problem.severity.value}:", Tone.BAD if error else Tone.WARN, Tone.BOLD)
    where = f" {style(clean(str(problem.where)), Tone.HINT)}:" if problem.where else ""
    yield f"{label}{where} {clean(problem.message)}   {style(problem.code, Tone.DIM)}"
    if problem.source and problem.where:
        yield from _source(problem, style)
    if problem.hint:
        yield f"{style('hint:', Tone.HINT)} {clean(problem.hint)}"


def _folded(rest: Sequence[Problem]) -> str:
    first = rest[0]
    if first.where is None:
        return f"and {len(rest):,} more {first.code}"
    numbers = [problem.where.line for problem in rest if problem.where]
    return f"and {len(rest):,} more {first.code} in {clean(first.where.file)} (lines {min(numbers):,}–{max(numbers):,})"


def _source(problem: Problem, style: Style) -> Iterator[str]:
    assert problem.where is not None
    number = f"{problem.where.line:>5}"
    yield f"{style(f'{number} |', Tone.DIM)} {clean(problem.source)}"
    before, marked = problem.source[: problem.mark], problem.source[problem.mark : problem.mark + problem.width]
    if marked:
        gutter = style(f"{'':>{len(number)}} |", Tone.DIM)
        carets = "^" * columns_of(clean(marked))
        yield f"{gutter} {'':>{columns_of(clean(before))}}{style(carets, Tone.BAD)}"
