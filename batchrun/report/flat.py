"""One job with its answer as a flat row: the columns of `results`, of exports and of frames."""

from __future__ import annotations

import json
from typing import Any

from batchrun.core.figures import decimal_string
from batchrun.core.states import OUT
from batchrun.queue.jobrows import ResultRow

COLUMNS = (
    "id",
    "state",
    "text",
    "json",
    "stop_reason",
    "model",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cost",
    "attempts",
    "latency_s",
    "request_id",
    "error",
    "message",
    "file",
    "line",
    "metadata",
)
"""`cost` is what the answer cost, in dollars as a decimal string; `latency_s` is None for answers of a batch; `error`
and `message` say why there is none; `metadata` is what the job file gave along."""


def flat(row: ResultRow) -> dict[str, Any]:
    """*row* by `COLUMNS`; None where there is nothing."""
    answer, attempt = parsed(row), row.attempt
    usage = attempt.usage if attempt else None
    text = text_of(answer)
    ok = attempt is not None and answer is not None
    return {
        "id": row.job.key,
        "state": "sent" if row.job.state in OUT else row.job.state.value,
        "text": text,
        "json": json_of(answer, text),
        "stop_reason": row.answer.stop_reason if row.answer else None,
        "model": (answer.get("model") if answer else None) or row.job.model,
        "input_tokens": usage.input if usage else None,
        "output_tokens": usage.output if usage else None,
        "cache_read_tokens": usage.cache_read if usage else None,
        "cost": decimal_string(attempt.cost) if attempt and attempt.cost is not None else None,
        "attempts": row.job.attempts,
        "latency_s": attempt.seconds if attempt else None,
        "request_id": attempt.request_id if attempt else None,
        "error": None if ok else row.job.error,
        "message": (attempt.message or None) if attempt and not ok else None,
        "file": row.job.file,
        "line": row.job.line,
        "metadata": json.loads(row.metadata) if row.metadata is not None else None,
    }


def parsed(row: ResultRow) -> dict[str, Any] | None:
    """The message; None where there is no answer. A body that is no JSON object stands as a message without content."""
    if row.answer is None:
        return None
    try:
        message = json.loads(row.answer.body, parse_constant=_nothing)
    except (ValueError, RecursionError):
        message = None
    return message if isinstance(message, dict) else {}


def _nothing(_: str) -> None:
    """NaN and Infinity are no JSON; whoever put them into a message meant no number."""


def _blocks(message: dict[str, Any] | None, kind: str) -> list[dict[str, Any]]:
    content = (message or {}).get("content")
    blocks = content if isinstance(content, list) else []
    return [block for block in blocks if isinstance(block, dict) and block.get("type") == kind]


def text_of(message: dict[str, Any] | None) -> str | None:
    """The text blocks one after the other; None where there are none."""
    texts = [text for block in _blocks(message, "text") if isinstance(text := block.get("text"), str)]
    return "".join(texts) if texts else None


def json_of(message: dict[str, Any] | None, text: str | None) -> Any:
    """The answer as JSON: its text if that is an object or a list, else the input of its only tool call; else None."""
    if text is not None and text.lstrip()[:1] in {"{", "["}:
        try:
            return json.loads(text, parse_constant=_no_json)
        except (ValueError, RecursionError):
            pass
    calls = _blocks(message, "tool_use")
    return calls[0].get("input") if len(calls) == 1 else None


def _no_json(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are no JSON, and would make an export that nobody can read
