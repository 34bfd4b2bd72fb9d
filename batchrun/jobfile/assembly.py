"""From a draft to a job: checked, weighed, compared by digest, and cut into what it shares and what is its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from batchrun.core.figures import dollars
from batchrun.core.job import Job, Nanos, Request, Where
from batchrun.core.problem import Severity
from batchrun.core.tokens import weigh
from batchrun.jobfile.bounds import faults_of_size, faults_of_weight
from batchrun.jobfile.checks import faults_of
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import KEY
from batchrun.jobfile.faults import Fault
from batchrun.jobfile.forms import Draft
from batchrun.jobfile.parameters import APART, PARAMETERS, SHORT
from batchrun.jobfile.rules import Rules
from batchrun.jobfile.shapes import Shapes
from batchrun.jobfile.source import DIGEST
from batchrun.jobfile.texts import Member, compared, members_of, sent

REMEMBERED = 10_000
"""Ids of jobs with an error that are remembered: more errors than anybody corrects at once."""

SHARED_FROM = 512
"""Characters of JSON from which a line's system prompt, tools and output format are stored apart from it."""


@dataclass(frozen=True, slots=True)
class Common:
    """What all jobs of a YAML file have in common, as they hold it and as it is stored."""

    request: dict[str, Any]
    members: dict[str, Member]
    text: str

    @classmethod
    def of(cls, request: dict[str, Any]) -> Common:
        """Raises ValueError for a value that cannot be sent."""
        members = members_of(request)
        text = sent(members.values())
        text.encode()
        return cls(request, members, text)


@dataclass(frozen=True, slots=True)
class Unfit:
    """A job with an error, of which only the id is known: it may stand twice all the same."""

    key: str
    where: Where
    file: int


class Measure(NamedTuple):
    """What a request weighs and costs (as in `Job`), and what is wrong with that."""

    est_input: int
    worst: Nanos | None
    unbounded: str
    faults: tuple[Fault, ...]


class Assembly:
    """Makes the jobs of one submit. It remembers how often each content came without an id (about 100 bytes each)."""

    def __init__(self, rules: Rules) -> None:
        self._given = self._rules = rules
        self._seen: dict[int, int] = {}
        self._shapes = Shapes()
        self.unfit: list[Unfit] = []  #: the first `REMEMBERED` of them

    def asks_for(self, betas: frozenset[str]) -> None:
        """The jobs that follow are sent with *betas*."""
        self._rules = replace(self._given, betas=self._given.betas | betas)

    def job(
        self, draft: Draft, where: Where, file: int, faults: list[Fault], common: Common | None = None
    ) -> Job | None:
        """The job of *draft*, or None if the draft or *faults*, to which all that is found is added, has an error.

        The paths of *faults* lead into the request.

        Raises ValueError for a value that cannot be sent (an infinite number, half a character), and only for such.
        """
        job = self._job(draft, where, file, faults, common)
        if job is None:
            self.withhold(draft.key, where, file)
        return job

    def withhold(self, key: str | None, where: Where, file: int) -> None:
        """Remember the id of a job that is not handed on, unless it must not be shown."""
        if key is not None and len(self.unfit) < REMEMBERED and not KEY.search(key):
            self.unfit.append(Unfit(key, where, file))

    def _job(self, draft: Draft, where: Where, file: int, faults: list[Fault], common: Common | None) -> Job | None:
        rules = self._rules
        if draft.missing:
            return None
        request = draft.request if common is None else {**common.request, **draft.request}
        name = request.get("model")
        model = rules.models.find(name) if isinstance(name, str) else None
        faults += faults_of(request, model, PARAMETERS if draft.prefix else SHORT, rules)
        if (faults and _has_error(faults)) or (draft.faults and _has_error(draft.faults)):
            return None
        members = members_of(draft.request)
        text = compared(members if common is None else {**common.members, **members}).encode()
        measure = bounded(self.measure(request, len(text)), draft.max_cost)
        faults += measure.faults
        if faults and _has_error(faults):
            return None
        digest = hashlib.blake2b(text, digest_size=DIGEST).digest()
        shape, realtime_only = self._shapes.of(request, model, members, members if common is None else common.members)
        return Job(
            key=self.key_of(digest) if draft.key is None else draft.key,
            where=where,
            file=file,
            model=request["model"],
            request=cut(members) if common is None else Request(own=sent(members.values()), shared=common.text),
            digest=digest,
            size=len(text),
            est_input=measure.est_input,
            max_tokens=request["max_tokens"],
            worst=measure.worst,
            unbounded=measure.unbounded,
            metadata=draft.metadata,
            tags=draft.tags,
            shape=shape,
            realtime_only=realtime_only,
        )

    def measure(self, request: Mapping[str, Any], size: int) -> Measure:
        """What *request*, in which no check found an error, weighs and costs if its compact JSON has *size* bytes.

        Of the text of a plain message nothing but its size matters.
        """
        max_tokens: int = request["max_tokens"]
        weight = weigh(request, size)
        worst, unbounded = self._rules.prices.worst_of(request, weight, max_tokens=max_tokens, batch=False)
        model = self._rules.models.find(request["model"])
        faults = (*faults_of_size(size), *faults_of_weight(weight, max_tokens, model))
        if faults and self._rules.ignored:
            faults = tuple(fault for fault in faults if fault.code not in self._rules.ignored)
        return Measure(est_input=weight.input, worst=worst, unbounded=unbounded, faults=faults)

    def key_of(self, digest: bytes) -> str:
        """A key made of the content and its occurrence: an edit of another job does not change it."""
        short = int.from_bytes(digest[:6])
        nth = self._seen[short] = self._seen.get(short, 0) + 1
        return f"content-{short:012x}" if nth == 1 else f"content-{short:012x}-{nth}"


def bounded(measure: Measure, most: Nanos | None) -> Measure:
    """*measure* of a job that says what it costs at most.

    What is said counts where nothing else is known. A bound that is computed is never below what the job can cost, so
    a lower word cannot be true, and a higher one would only reserve more.
    """
    if most is None:
        return measure
    if measure.worst is None:
        return measure._replace(worst=most, unbounded="")
    if measure.worst <= most:
        return measure
    fault = Fault(
        code=Code.OVER_MAX_COST,
        message=f"this job may cost {dollars(measure.worst)}, more than its `max_cost` of {dollars(most)}",
        hint="lower `max_tokens`, shorten it, or raise `max_cost`",
    )
    return measure._replace(faults=(*measure.faults, fault))


def _has_error(faults: list[Fault]) -> bool:
    return any((fault.severity or fault.code.severity) is Severity.ERROR for fault in faults)


def cut(members: dict[str, Member]) -> Request:
    """The request of a line: what is long and may be common to many lines is taken apart."""
    if "system" in members or "tools" in members or "output_config" in members:
        shared = sent([member for name, member in members.items() if name in APART])
        if len(shared) > SHARED_FROM:
            own = sent([member for name, member in members.items() if name not in APART])
            return Request(own=own, shared=shared, order=tuple(members))
    return Request(own=sent(members.values()))
