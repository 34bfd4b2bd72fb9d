"""Events in words for people and as records for programs."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any, assert_never

from batchrun.cli.output import amount, at
from batchrun.core.events import (
    BatchTurned,
    Draining,
    Event,
    HookCalled,
    HoursShut,
    JobAsksOn,
    JobFailed,
    JobsSent,
    JobSucceeded,
    JobWaits,
    LimitsLearned,
    PassEnded,
    PassStarted,
    Paused,
    Probed,
    Recovered,
    RunDone,
    Throttled,
    Trouble,
    Turn,
    WayChosen,
)
from batchrun.core.figures import count, dollars, moment, span
from batchrun.core.outcome import Flag
from batchrun.core.pause import STOPS, paused
from batchrun.core.usage import Usage

_EXPECTED = frozenset({Turn.SUBMITTED, Turn.COLLECTED, Turn.FOREIGN, Turn.SHORT, Turn.STRAY})


def loudness(event: Event) -> int:
    """How many -v it takes until a person sees the event: 0 for what changes the course, 2 for every attempt."""
    match event:
        case Paused() | Probed() | Trouble() | Recovered() | HoursShut():
            return 0
        case HookCalled(code=code):
            return 1 if code == 0 else 0
        case BatchTurned(turn=turn):
            return 1 if turn in _EXPECTED else 0
        case (
            PassStarted()
            | WayChosen()
            | RunDone()
            | PassEnded()
            | LimitsLearned()
            | JobFailed()
            | Draining()
            | Throttled()
        ):
            return 1
        case JobsSent() | JobSucceeded() | JobWaits() | JobAsksOn():
            return 2
        case _:
            assert_never(event)


def sentence(event: Event) -> str:  # noqa: PLR0912  # one arm for each event
    """One line in words, without the time. Holds texts of others: `clean` it."""
    match event:
        case PassStarted(runs=runs):
            return f"working on {', '.join(name for _, name in runs) or 'nothing: no run has jobs to send'}"
        case WayChosen(name=name, batch=batch, why=why, rescue=rescue):
            until = f"; what is not done by {moment(rescue)} goes in realtime" if batch and rescue is not None else ""
            return f"run {name} goes {'in batches' if batch else 'in realtime'}: {why}{until}"
        case HoursShut(name=name, until=until_, hours=hours):
            return f"run {name} waits until {moment(until_)}: it is sent {hours}"
        case Recovered(released=released, unknown=unknown):
            parts = [f"{count(released, 'job')} never left"] if released else []
            parts += [f"{count(unknown, 'request')} may have been billed"] if unknown else []
            return f"taken over from a worker that died: {', '.join(parts)}"
        case JobsSent(n=n):
            return f"{count(n, 'job')} sent"
        case JobSucceeded(key=key, cost=0, flag=Flag() as wrong):
            return f"{key} keeps the answer that was {wrong.value}: no better one came"
        case JobSucceeded():
            flag = f", {event.flag.value}" if event.flag else ""
            cost = "" if event.cost is None else f", {dollars(event.cost)}"
            return f"{event.key} succeeded{flag}: {event.usage.output:,} tokens in {event.seconds:.1f} s{cost}"
        case JobFailed():
            return f"{event.key} failed: {_said(event.status, event.error, event.message, event.request_id)}"
        case JobWaits():
            return f"{event.key} tries again in {span(event.seconds)}: {_said(event.status, event.error, '', None)}"
        case JobAsksOn(key=key, max_tokens=None, attempt=n):
            return f"{key} goes on: the model paused in attempt {n}"
        case JobAsksOn(key=key, max_tokens=room, usage=usage):
            return f"{key} is asked again with room for {room:,} tokens: its answer was cut off after {usage.output:,}"
        case Throttled(lane=lane, why=why, seconds=seconds):
            return f"{lane} rests {seconds:.1f} s ({why})"
        case LimitsLearned(lane=lane):
            told = ((event.requests, "requests"), (event.input_tokens, "input"), (event.output_tokens, "output tokens"))
            limits = ", ".join(f"{limit:,} {noun}" for limit, noun in told if limit is not None)
            return f"limits of {lane} a minute: {limits} (from {event.source})"
        case Paused():
            until = f" until {moment(event.until)}" if event.until is not None else ""
            request = f" ({event.request_id})" if event.request_id else ""
            what = paused(event.scope, event.subject)
            why = STOPS[event.reason][0] + ": " if event.reason in STOPS else ""
            return f"{what} is paused{until}: {why}{event.message}{request}"
        case Probed(scope=scope, subject=subject, lifted=lifted):
            what = paused(scope, subject)
            return f"{what} goes on: a probe was answered" if lifted else f"{what} stays paused: a probe was refused"
        case Trouble(message=message):
            return message
        case BatchTurned(batch=batch, message=message, remote=remote):
            named = f" ({remote})" if remote and remote not in message else ""
            return f"b-{batch}: {message}{named}"
        case HookCalled(hook=hook, code=code, seconds=seconds, output=output):
            how = "did not end" if code is None else f"exit code {code} in {seconds:.1f} s"
            return f"the command of on_{hook}: {how}{f': {output}' if output else ''}"
        case Draining(in_flight=n):
            return f"stopping: {n:,} in flight may finish"
        case RunDone(name=name):
            return f"run {name} is done"
        case PassEnded(why=why):
            return f"ended: {why}" if why else "ended: nothing more is due"
        case _:
            assert_never(event)


def _said(status: int | None, error: str, message: str, request_id: str | None) -> str:
    head = f"{status} {error}" if status is not None else error
    tail = f" ({request_id})" if request_id else ""
    return f"{head}: {message}{tail}" if message else head + tail


def kind(event: Event) -> str:
    """The event's name in records: `job_failed`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def record(event: Event) -> dict[str, Any]:
    """The event in JSON: `event`, `at`, and its own fields. Runs are given by id, as r-12, and by name where known."""
    made: dict[str, Any] = {"event": kind(event), "at": at(event.at)}
    for one in fields(event):
        value = getattr(event, one.name)
        match one.name:
            case "at":
                continue
            case "run":
                made["run"] = None if value is None else f"r-{value}"
            case "runs":
                made["runs"] = [{"id": f"r-{run}", "name": name} for run, name in value]
            case "job":
                made["job"] = str(value)
            case "batch":
                made["batch"] = f"b-{value}"
            case "cost":
                made["cost"] = amount(value)
            case "until" | "rescue" as name:
                made[name] = at(value)
            case "usage":
                made["usage"] = _usage(value)
            case "flag":
                made["flag"] = None if value is None else value.value
            case name:
                made[name] = round(value, 3) if isinstance(value, float) else value
    return made


def _usage(usage: Usage) -> dict[str, int]:
    return {"input": usage.input, "output": usage.output, "cache_read": usage.cache_read}
