"""One job with its answer as a flat row: the columns of `results`, of exports, of frames and of the report.

The one place where their names stand. Only what is asked for is worked out: an answer is read as JSON once, and only if
a column needs it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from batchrun.core.figures import decimal_string, moment
from batchrun.core.job import Millis
from batchrun.core.message import Structured, json_of, parsed, structured, text_of, tool_calls_of
from batchrun.core.states import OUT
from batchrun.queue.jobrows import AttemptRow, ResultRow


class Kind(StrEnum):
    """What the values of a column are, where one is there."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "true or false"
    DOLLARS = "dollars"  #: a decimal string
    TEXTS = "list of texts"
    MOMENT = "time in UTC"
    JSON = "JSON"  #: any JSON value


class Seen:
    """A row being looked at."""

    def __init__(self, row: ResultRow) -> None:
        self.row = row

    @cached_property
    def message(self) -> dict[str, Any] | None:
        """The message; None where there is no answer."""
        return parsed(self.row.answer.body) if self.row.answer else None

    @cached_property
    def text(self) -> str | None:
        return text_of(self.message)

    @cached_property
    def structured(self) -> Structured | None:
        """None where no schema was asked for, or no answer came."""
        if self.message is None or self.row.schema is None:
            return None
        return structured(self.message, self.text, self.row.schema)

    @property
    def json(self) -> Any:
        return json_of(self.message, self.text) if self.structured is None else self.structured.value

    @property
    def answered(self) -> bool:
        return self.row.attempt is not None and self.row.answer is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    kind: Kind
    read: Callable[[Seen], Any]
    words: str  #: what it holds; in Markdown


def _usage(name: str) -> Callable[[Seen], Any]:
    def read(seen: Seen) -> Any:
        usage = seen.row.attempt.usage if seen.row.attempt else None
        return getattr(usage, name) if usage else None

    return read


def _cost(seen: Seen) -> str | None:
    attempt = seen.row.attempt
    return decimal_string(attempt.cost) if attempt and attempt.cost is not None else None


def _message(seen: Seen) -> str | None:
    attempt = seen.row.attempt
    return (attempt.message or None) if attempt and not seen.answered else None


def _attempt(seen: Seen, name: str) -> Any:
    return getattr(seen.row.attempt, name) if seen.row.attempt else None


def _usages(seen: Seen) -> dict[str, int] | None:
    return usage_record(seen.row.attempt) if seen.row.attempt else None


ALL: Mapping[str, Column] = {
    "id": Column(kind=Kind.TEXT, read=lambda seen: seen.row.job.key, words="the job's id in its file"),
    "state": Column(
        kind=Kind.TEXT,
        read=lambda seen: "sent" if seen.row.job.state in OUT else seen.row.job.state.value,
        words="`succeeded`, `failed` or `cancelled`",
    ),
    "text": Column(kind=Kind.TEXT, read=lambda seen: seen.text, words="the text of the answer, its blocks joined"),
    "json": Column(
        kind=Kind.JSON,
        read=lambda seen: seen.json,
        words="the answer as JSON: its text if that is JSON, else the input of its only tool call",
    ),
    "valid": Column(
        kind=Kind.FLAG,
        read=lambda seen: seen.structured.fits if seen.structured else None,
        words="whether the answer is JSON that fits the schema of `output_config.format`; empty where it had none",
    ),
    "why_invalid": Column(
        kind=Kind.TEXT,
        read=lambda seen: seen.structured.why if seen.structured else None,
        words="where and why it does not fit: `$.age: -1 is less than 0`",
    ),
    "tool_calls": Column(
        kind=Kind.JSON,
        read=lambda seen: tool_calls_of(seen.message) or None,
        words="the calls of tools: a list of `id`, `name` and `input`",
    ),
    "stop_reason": Column(
        kind=Kind.TEXT,
        read=lambda seen: seen.row.answer.stop_reason if seen.row.answer else None,
        words="`end_turn`, `max_tokens` (cut off), `refusal`, `tool_use`, …",
    ),
    "model": Column(
        kind=Kind.TEXT,
        read=lambda seen: (seen.message.get("model") if seen.message else None) or seen.row.job.model,
        words="the model that answered; without an answer the one that was asked",
    ),
    "input_tokens": Column(kind=Kind.INTEGER, read=_usage("input"), words="tokens in, without those of the cache"),
    "output_tokens": Column(kind=Kind.INTEGER, read=_usage("output"), words="tokens out"),
    "cache_read_tokens": Column(kind=Kind.INTEGER, read=_usage("cache_read"), words="tokens read from the cache"),
    "cost": Column(kind=Kind.DOLLARS, read=_cost, words="US dollars; empty where the price is not known"),
    "attempts": Column(kind=Kind.INTEGER, read=lambda seen: seen.row.job.attempts, words="how often it was sent"),
    "latency_s": Column(
        kind=Kind.NUMBER,
        read=lambda seen: seen.row.attempt.seconds if seen.row.attempt else None,
        words="seconds from sending to the whole answer; empty for answers of a batch",
    ),
    "request_id": Column(
        kind=Kind.TEXT, read=lambda seen: _attempt(seen, "request_id"), words="the id that support asks for"
    ),
    "error": Column(
        kind=Kind.TEXT,
        read=lambda seen: None if seen.answered else seen.row.job.error,
        words="the class of the error of a job without an answer",
    ),
    "message": Column(kind=Kind.TEXT, read=_message, words="what the API said of it"),
    "file": Column(kind=Kind.TEXT, read=lambda seen: seen.row.job.file, words="the job file as it was named"),
    "line": Column(kind=Kind.INTEGER, read=lambda seen: seen.row.job.line, words="the job's line in it"),
    "tags": Column(kind=Kind.TEXTS, read=lambda seen: list(seen.row.tags), words="tags of the job and of its run"),
    "metadata": Column(
        kind=Kind.JSON,
        read=lambda seen: json.loads(seen.row.metadata) if seen.row.metadata is not None else None,
        words="what the job file gave along",
    ),
    # What follows is wide: only where it is asked for.
    "request": Column(
        kind=Kind.JSON,
        read=lambda seen: json.loads(seen.row.request) if seen.row.request is not None else None,
        words="what was sent",
    ),
    "response": Column(kind=Kind.JSON, read=lambda seen: seen.message, words="the whole message that came back"),
    "usage": Column(
        kind=Kind.JSON,
        read=_usages,
        words="all tokens: `input_tokens`, `output_tokens`, `thinking_tokens`, `cache_read_tokens`, "
        "`cache_write_5m_tokens`, `cache_write_1h_tokens`",
    ),
    "via": Column(kind=Kind.TEXT, read=lambda seen: _attempt(seen, "via"), words="`realtime` or `batch`"),
    "batch": Column(kind=Kind.TEXT, read=lambda seen: _attempt(seen, "batch"), words="the batch, as `msgbatch_…`"),
    "ended": Column(
        kind=Kind.MOMENT,
        read=lambda seen: _moment(_attempt(seen, "ended")),
        words="when the attempt ended, in UTC",
    ),
    "all_attempts": Column(
        kind=Kind.JSON,
        read=lambda seen: [attempt_record(one) for one in seen.row.tried or ()],
        words="every attempt with its request ids, status, times, tokens and cost",
    ),
}

COLUMNS = tuple(ALL)[: list(ALL).index("metadata") + 1]
"""What a row has unless columns are chosen."""

WITH: Mapping[str, str] = {
    "request": "request",
    "response": "response",
    "usage": "usage",
    "attempts": "all_attempts",
}
"""What `--with` adds: its word, and the column."""


def flat(row: ResultRow, names: Iterable[str] = COLUMNS) -> dict[str, Any]:
    """*row* by the columns *names* of `ALL`, as JSON values; None where there is nothing."""
    seen = Seen(row)
    return {name: ALL[name].read(seen) for name in names}


def needed(paths: Iterable[str]) -> tuple[str, ...]:
    """The columns that dotted *paths* begin with, each once."""
    return tuple(dict.fromkeys(path if path in ALL else path.partition(".")[0] for path in paths))


def _moment(millis: Millis | None) -> str | None:
    return None if millis is None else moment(millis)


def usage_record(attempt: AttemptRow) -> dict[str, int] | None:
    """An attempt's tokens, by the names of the columns; None where no answer told them."""
    usage = attempt.usage
    if usage is None:
        return None
    return {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "thinking_tokens": usage.thinking,
        "cache_read_tokens": usage.cache_read,
        "cache_write_5m_tokens": usage.cache_write_5m,
        "cache_write_1h_tokens": usage.cache_write_1h,
    }


def attempt_record(one: AttemptRow) -> dict[str, Any]:
    """An attempt as JSON."""
    return {
        "n": one.n,
        "via": one.via,
        "batch": one.batch,
        "batch_id": None if one.batch_id is None else f"b-{one.batch_id}",
        "batch_state": None if one.batch_state is None else one.batch_state.value,
        "claimed": _moment(one.claimed),
        "sent": _moment(one.sent),
        "ended": _moment(one.ended),
        "outcome": one.outcome,
        "status": one.status,
        "error_type": one.error_type,
        "error_code": one.error_code,
        "message": one.message or None,
        "request_id": one.request_id,
        "other_ids": list(one.other_ids),
        "latency_s": one.seconds,
        "usage": usage_record(one),
        "cost": None if one.cost is None else {"amount": decimal_string(one.cost), "currency": "USD"},
        "billed": one.billed,
    }
