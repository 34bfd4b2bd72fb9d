"""One job on a page: its row, its attempts, what was asked and what was answered, as plain texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.core.figures import count, dollars, span
from batchrun.core.message import parsed, text_of
from batchrun.core.states import OUT, State
from batchrun.queue.jobrows import AttemptRow, ResultRow
from batchrun.report.untrusted import ANSWER, REQUEST, Stamp, cut, stamp

PARSED = 2_000_000
"""Characters of a request up to which it is taken apart; of a larger one only the beginning is shown."""

ONE_LINE = 120
"""Characters of parameters that stand in one line."""

ATTEMPTS = 20
"""Attempts of a job that are shown: the last ones."""

GOOD_ENDS = frozenset({"end_turn", "stop_sequence", "tool_use"})
CUT_ENDS = frozenset({"max_tokens", "model_context_window_exceeded"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A number as it is shown and as it is sorted by; both empty where it is not known."""

    words: str = ""
    v: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    title: str
    text: str
    cut: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    n: int
    at: Stamp | None
    via: str
    outcome: str
    message: str
    took: str
    tokens: str
    cost: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    key: str
    kind: str  #: which of the counts it belongs to
    state: str
    tone: str
    model: str
    via: str
    attempts: int
    input: Cell
    output: Cell
    took: Cell
    cost: Cell
    note: str
    place: str
    metadata: str
    tried: tuple[Tried, ...]
    request: tuple[Part, ...]
    answer: Part | None


def kind_of(state: State, stop_reason: str | None) -> str:
    """The count on the page that a job belongs to."""
    match state:
        case State.SUCCEEDED if stop_reason in CUT_ENDS:
            return "cut"
        case State.SUCCEEDED if stop_reason == "refusal":
            return "refused"
        case State.SUCCEEDED | State.FAILED | State.HELD | State.CANCELLED:
            return state.value
        case _:
            return "left"


_TONES = {"succeeded": "good", "failed": "bad", "cut": "warn", "refused": "warn", "held": "warn"}
_WORDS = {"cut": "cut off", "refused": "refused"}


def job_view(row: ResultRow, tried: Sequence[AttemptRow], request: str) -> JobView:
    """*row* with all its attempts and its request as JSON text."""
    job, attempt = row.job, row.attempt
    stop = row.answer.stop_reason if row.answer else None
    kind = kind_of(job.state, stop)
    usage = attempt.usage if attempt else None
    whole = f"All of it: batchrun show r-{job.run}:{job.key}"
    cost = [one.cost for one in tried if one.cost is not None]
    return JobView(
        key=job.key,
        kind=kind,
        state=_WORDS.get(kind, "sent" if job.state in OUT else job.state.value),
        tone=_TONES.get(kind, ""),
        model=job.model,
        via=attempt.via if attempt else "",
        attempts=len(tried),
        input=_number(usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h if usage else None),
        output=_number(usage.output if usage else None),
        took=_took(attempt),
        cost=Cell(words=dollars(sum(cost)), v=str(sum(cost))) if cost else Cell(),  # type: ignore[arg-type]  # sums of Nanos
        note=(stop or "") if row.answer else _error(row),
        place=job.place,
        metadata=cut(row.metadata or "", REQUEST, "")[0],
        tried=tuple(_tried(one) for one in tried[-ATTEMPTS:]),
        request=tuple(_request(request, whole)),
        answer=_answer(row, whole),
    )


def _number(n: int | None) -> Cell:
    return Cell() if n is None else Cell(words=f"{n:,}", v=str(n))


def _took(attempt: AttemptRow | None) -> Cell:
    seconds = attempt.seconds if attempt else None
    return Cell() if seconds is None else Cell(words=_seconds(seconds), v=f"{seconds:.3f}")


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else span(seconds)


def _error(row: ResultRow) -> str:
    attempt = row.attempt
    status = f"{attempt.status} " if attempt and attempt.status is not None and row.job.error else ""
    return f"{status}{row.job.error or ''}"


def _tried(one: AttemptRow) -> Tried:
    usage = one.usage
    match one.outcome:
        case None:
            outcome = "out"
        case "ok":
            outcome = "answered"
        case "released":
            outcome = "given back; it never left"
        case "unknown":
            outcome = "no answer came"
        case _:
            parts = (one.status, one.error_code or one.error_type or "error")
            outcome = " ".join(str(part) for part in parts if part is not None)
    if one.billed == "maybe":
        outcome += "; possibly billed"
    return Tried(
        n=one.n,
        at=stamp(one.ended or one.sent or one.claimed),
        via=f"{one.via} b-{one.batch_id}" if one.batch_id is not None else one.via,
        outcome=outcome,
        message=cut(one.message, 500, "")[0] if one.outcome != "ok" else "",
        took=_seconds(one.seconds) if one.seconds is not None else "",
        tokens=f"{usage.input + usage.cache_read:,} → {usage.output:,}" if usage and one.outcome == "ok" else "",
        cost=dollars(one.cost) if one.cost is not None else "",
        ids=tuple(id_ for id_ in (one.request_id, *one.other_ids) if id_),
    )


def _request(text: str, whole: str) -> list[Part]:
    """The texts that were asked, one by one, and the rest of the request as JSON."""
    if len(text) > PARSED:
        return [_part("request", text, whole)]
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        return [_part("request", text, whole)]
    parts = []
    rest = dict(request) if isinstance(request, dict) else {}
    system = _plain(rest.get("system"))
    if system is not None:
        del rest["system"]
        parts.append(_part("system", system, whole))
    messages = rest.get("messages")
    said = [_said(one) for one in messages] if isinstance(messages, list) else [None]
    if all(said):
        del rest["messages"]
        parts += [_part(role, words, whole) for role, words in filter(None, said)]
    short = json.dumps(rest, ensure_ascii=False)
    words = short if len(short) <= ONE_LINE else json.dumps(rest, ensure_ascii=False, indent=1)
    return [*parts, _part("parameters", words, whole)]


def _said(message: Any) -> tuple[str, str] | None:
    """Role and text of a message that is nothing but text."""
    if not isinstance(message, dict) or message.keys() != {"role", "content"}:
        return None
    words = _plain(message["content"])
    return None if words is None else (str(message["role"]), words)


def _plain(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(one, dict) and one.keys() == {"type", "text"} for one in content):
        return "\n\n".join(str(one["text"]) for one in content)
    return None


def _answer(row: ResultRow, whole: str) -> Part | None:
    if row.answer is None:
        return None
    message = parsed(row.answer.body)
    text = text_of(message)
    title = f"answer, {row.answer.stop_reason}"
    blocks = message.get("content")
    other = [one for one in blocks if not _is_text(one)] if isinstance(blocks, list) else []
    if text is None or other:
        kinds = count(len(other), "block") if text is not None else ""
        title = f"{title}, with {kinds} that {'is' if len(other) == 1 else 'are'} not text" if kinds else title
        text = "\n\n".join(filter(None, [text, *(json.dumps(one, ensure_ascii=False, indent=1) for one in other)]))
    return _part(title, text or "(nothing)", whole, most=ANSWER)


def _is_text(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "text"


def _part(title: str, text: str, whole: str, *, most: int = REQUEST) -> Part:
    shown, note = cut(text, most, whole)
    return Part(title=title, text=shown, cut=note)
