"""One request of each kind shown to the API's own count of tokens: free, and it refuses what a batch would refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from batchrun import wiring
from batchrun.core.job import Job
from batchrun.core.outcome import AccountStopped, ModelUnavailable, Outcome, Refused, Stop
from batchrun.core.ports import TokenCounter
from batchrun.core.problem import Problem, Severity
from batchrun.errors import KeyRefused, UsageError
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import masked
from batchrun.jobfile.fileterms import FileTerms
from batchrun.jobfile.rules import Rules
from batchrun.library.probed import REFUSED, UNPROBED
from batchrun.library.request import request_of
from batchrun.settings import Settings

KINDS = 100
"""Kinds of requests that are probed at most."""

_LENGTH = 300
_CLIENT_TOOLS = ("bash_", "computer_", "memory_", "text_editor_")


def probe(settings: Settings, jobs: Sequence[Job], rules: Rules, terms: FileTerms | None) -> list[Problem]:
    """What the API says against *jobs*, one of each kind. Raises KeyRefused or UsageError if it says nothing at all."""
    said = terms or FileTerms()
    requests: list[dict[str, Any]] = [json.loads(request_of(job)) for job in jobs]

    async def ask(counter: TokenCounter) -> list[int | Outcome]:
        asked = (counter.count_tokens(one, betas=said.betas, headers=said.headers) for one in requests)
        return await asyncio.gather(*asked)

    answers = wiring.ask_counter(settings, ask)
    found = zip(jobs, requests, answers, strict=True)
    return [problem for job, request, answer in found if (problem := _judged(job, request, answer, rules)) is not None]


def _judged(job: Job, request: Mapping[str, Any], answer: int | Outcome, rules: Rules) -> Problem | None:
    match answer:
        case int():
            return _fits(job, answer, rules)
        case AccountStopped(reply=reply, stop=stop):
            message = f"the API refuses: {_words(reply.message)}"
            raise KeyRefused(message) if stop is Stop.KEY else UsageError(message)
        case Refused(reply=reply) | ModelUnavailable(reply=reply):
            if _is_odd(request):
                why = "server tools and files that lie elsewhere cannot be counted"
                return _problem(UNPROBED, job, f"{why} ({_words(reply.message)})", severity=Severity.WARNING)
            hint = "other jobs of this kind will be refused, too"
            return _problem(REFUSED, job, f"the API refuses this request: {_words(reply.message)}", hint)
        case outcome:
            said = _words(outcome.reply.message)
            return _problem(UNPROBED, job, f"no answer on this request: {said}", severity=Severity.WARNING)


def _fits(job: Job, tokens: int, rules: Rules) -> Problem | None:
    """Whether the request fits into its model's context window, now that its tokens are counted."""
    model = rules.models.find(job.model)
    if model is None or model.context is None or tokens + job.max_tokens <= model.context:
        return None
    return _problem(
        Code.OVER_CONTEXT.value,
        job,
        f"{tokens:,} tokens of input, as counted, and `max_tokens` {job.max_tokens:,} are more than the "
        f"{model.context:,} of `{model.id}`",
        "shorten the input or lower `max_tokens`",
    )


def _problem(code: str, job: Job, message: str, hint: str = "", severity: Severity = Severity.ERROR) -> Problem:
    return Problem(code=code, where=job.where, message=message, hint=hint, severity=severity)


def _is_odd(request: Mapping[str, Any]) -> bool:
    """Whether there is something in *request* that the count does not take, though the API may."""
    tools = request.get("tools")
    kinds = [tool.get("type") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    server = any(kind not in (None, "custom") and not str(kind).startswith(_CLIENT_TOOLS) for kind in kinds)
    text = json.dumps(request.get("messages"), separators=(",", ":"))
    return server or any(f'"type":"{kind}"' in text for kind in ("url", "file")) or bool(request.get("mcp_servers"))


def _words(message: str) -> str:
    short = masked(" ".join(message.split()))
    return short if len(short) <= _LENGTH else short[: _LENGTH - 1] + "…"
