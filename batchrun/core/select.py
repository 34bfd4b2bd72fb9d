"""What `--select` means: terms `field:glob`, a comma for and, a space for or, `~` for not.

    state:failed,error:overloaded* tag:urgent       failed by overload, or urgent whatever became of it

In a glob `*` stands for anything and `?` for one character; all else stands for itself, capitals included. A value
with spaces, commas or quotes goes into double quotes, where a backslash keeps the next character as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from batchrun.core.states import OUT, State
from batchrun.core.suggest import did_you_mean
from batchrun.errors import UsageError


class Field(StrEnum):
    """What a job can be selected by."""

    STATE = "state"  #: one of `State`, or "sent" for those perhaps at Anthropic
    ERROR = "error"  #: class of its last error; "overloaded" also finds "overloaded_error"
    MODEL = "model"
    ID = "id"  #: its key
    STOP = "stop"  #: the stop_reason of its result
    TAG = "tag"  #: one of its tags, or of its run's
    BATCH = "batch"  #: a batch that it was sent in at any time: b-12, or msgbatch_…
    ATTEMPT = "attempt"  #: how many attempts it has had
    VALID = "valid"  #: whether its answer fits the schema that was asked for: yes or no


Value = str | tuple[str, ...] | None
"""What a job has in a field: one word, several, or none."""

Facts = Mapping[Field, Value]


@dataclass(frozen=True, slots=True)
class Term:
    field: Field
    glob: str  #: as typed, without quotes
    negated: bool = False

    @property
    def globs(self) -> tuple[str, ...]:
        """The patterns of which one must fit (before negation): states by their names, errors with and without end."""
        match self.field:
            case Field.STATE:
                return tuple(sorted(state.value for state in _states(self.glob)))
            case Field.ERROR if not self.glob.endswith(("_error", "*")):
                return (self.glob, f"{self.glob}_error")
            case _:
                return (self.glob,)

    def holds(self, value: Value) -> bool:
        """Whether a job with *value* in this field is meant; None (no error, no result) fits no pattern.

        Of several values one that fits is enough; with `~` none may.
        """
        values = (value,) if isinstance(value, str) else value or ()
        fits = any(_pattern(glob).fullmatch(one) for glob in self.globs for one in values)
        return fits is not self.negated


@dataclass(frozen=True, slots=True)
class Selection:
    """A job is meant if all terms of any one of `any_of` hold."""

    any_of: tuple[tuple[Term, ...], ...]
    text: str

    def holds(self, job: Facts) -> bool:
        return any(all(term.holds(job.get(term.field)) for term in terms) for terms in self.any_of)

    @property
    def fields(self) -> frozenset[Field]:
        return frozenset(term.field for terms in self.any_of for term in terms)


def parse(text: str, *, answers: bool = True) -> Selection:
    """Read *text*. Raises UsageError with the place, the reason and what was probably meant.

    Without *answers* it is meant for jobs that have none: what is asked of an answer is a mistake.
    """
    any_of: list[tuple[Term, ...]] = []
    for group in _split(text, " \t\n"):
        words = _split(group, ",")
        if not all(words):
            raise UsageError(f"`--select {text}`: nothing stands on one side of a comma", hint=_HINT)
        any_of.append(tuple(_term(word) for word in words))
    if not any_of:
        raise UsageError("`--select` is empty", hint=_HINT)
    selection = Selection(tuple(any_of), text)
    if not answers and Field.VALID in selection.fields:
        raise UsageError(
            "`valid:` is asked of answers, and jobs that have theirs are left alone here",
            hint="`batchrun results` and `batchrun export` know it",
        )
    return selection


_HINT = "write field:value, for example `state:failed,error:overloaded*`"
_FIELDS = f"fields: {', '.join(Field)}"
_VALID = ("yes", "no")
_WORDS: Mapping[str, frozenset[State]] = {**{s.value: frozenset({s}) for s in State}, "sent": OUT}


def _split(text: str, separators: str) -> list[str]:
    """*text* cut at separators outside of quotes; the quotes stay. Spaces in a row are one, commas are not."""
    pieces, piece, quoted, kept = [], "", False, False
    for c in text:
        if kept:
            piece, kept = piece + c, False
        elif c in separators and not quoted:
            pieces.append(piece)
            piece = ""
        else:
            quoted ^= c == '"'
            kept = quoted and c == "\\"
            piece += c
    if quoted:
        raise UsageError(f"`--select {text}`: a quote is not closed", hint=_HINT)
    pieces.append(piece)
    return pieces if "," in separators else [p for p in pieces if p]


def _term(word: str) -> Term:
    negated = word.startswith("~")
    name, colon, raw = word.removeprefix("~").partition(":")
    if name not in set(Field):
        raise UsageError(_unknown(word, name, colon), hint=_FIELDS)
    value = _unquoted(raw)
    if not value:
        raise UsageError(f"`{word}` names no value", hint=_HINT)
    term = Term(Field(name), value, negated)
    if term.field is Field.STATE and not _states(value):
        raise UsageError(f"no such state `{value}`{did_you_mean(value, _WORDS)}", hint=f"states: {', '.join(_WORDS)}")
    if term.field is Field.VALID and not any(_pattern(value).fullmatch(one) for one in _VALID):
        meant = did_you_mean(value, _VALID)
        raise UsageError(f"`valid:{value}` is neither yes nor no{meant}", hint="valid:no does not fit its schema")
    if term.field is Field.ATTEMPT and not (value.strip("*?") or "0").isdecimal():
        raise UsageError(f"`attempt:{value}` is no number", hint="attempt:1 had one attempt, ~attempt:1 none or more")
    return term


def _unknown(word: str, name: str, colon: str) -> str:
    if colon:
        return f"no such field `{name}`{did_you_mean(name, Field)}"
    if word in _WORDS:
        return f"`{word}` has no field; did you mean `state:{word}`?"
    if re.fullmatch(r"b-\d+|msgbatch_\w+", word):
        return f"`{word}` has no field; did you mean `batch:{word}`?"
    return f"`{word}` has no field; did you mean `id:{word}`?"


def _unquoted(raw: str) -> str:
    value, quoted, kept = "", False, False
    for c in raw:
        if kept:
            value, kept = value + c, False
        elif quoted and c == "\\":
            kept = True
        elif c == '"':
            quoted = not quoted
        else:
            value += c
    return value


def _states(glob: str) -> frozenset[State]:
    pattern = _pattern(glob)
    return frozenset(state for word, states in _WORDS.items() if pattern.fullmatch(word) for state in states)


@lru_cache(maxsize=64)
def _pattern(glob: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in glob)
    return re.compile("".join(parts), re.DOTALL)
