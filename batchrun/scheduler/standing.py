"""The pauses that stand while a pass works: who may send nothing, who may send one probe, and what answers change."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from batchrun.core.claim import Claim
from batchrun.core.events import Event, Paused, Probed
from batchrun.core.job import JobId, Millis, RunId
from batchrun.core.outcome import Reply
from batchrun.core.pause import Pause, PauseScope
from batchrun.core.ports import Store


class Standing:
    """Pauses of one account, its models and the runs; in memory as in the database."""

    def __init__(self, store: Store, account: int, fingerprint: str) -> None:
        self._store = store
        self._account = str(account)
        self._fingerprint = fingerprint
        self._pauses: dict[tuple[PauseScope, str], Pause] = {}
        self._probing: dict[tuple[PauseScope, str], tuple[JobId, Pause]] = {}  # which job is out to ask, about what

    def account_is(self, account: int) -> None:
        """The API has said that the account is another one than was thought."""
        self._account = str(account)

    async def read(self) -> None:
        """Take over what the database says now: somebody may have paused or resumed by hand."""
        self._pauses = {(pause.scope, pause.subject): pause for pause in await self._store.pauses()}

    def _keys(self, run: RunId, model: str) -> list[tuple[PauseScope, str]]:
        return [
            (PauseScope.ACCOUNT, self._account),
            (PauseScope.MODEL, f"{self._account}:{model}"),
            (PauseScope.RUN, str(run)),
        ]

    def over(self, run: RunId, model: str) -> Pause | None:
        """The widest pause that keeps jobs of *run* and *model* from being sent."""
        return next((self._pauses[key] for key in self._keys(run, model) if key in self._pauses), None)

    def may_send(self, run: RunId, model: str, now: Millis) -> int | None:
        """How many jobs may be out: None for any number, 1 for a probe, 0 for none."""
        most: int | None = None
        for key in self._keys(run, model):
            pause = self._pauses.get(key)
            if pause is None:
                continue
            if key in self._probing or not self._due(pause, now):
                return 0
            most = 1
        return most

    def _due(self, pause: Pause, now: Millis) -> bool:
        # Another key than the one that was refused is news worth one call, whatever the clock says.
        new_key = pause.scope is PauseScope.ACCOUNT and pause.hint not in ("", self._fingerprint)
        return new_key or pause.probe_due(now)

    def probe(self, claim: Claim) -> None:
        """*claim* goes out to ask whether the pauses over it are over; it is freed when it ends, however it ends."""
        for key in self._keys(claim.run, claim.model):
            if key in self._pauses:
                self._probing[key] = claim.job, self._pauses[key]

    def free(self, claim: Claim) -> None:
        """*claim* is at its end: whatever it asked about may be asked about again."""
        self._probing = {key: asked for key, asked in self._probing.items() if asked[0] != claim.job}

    def asks(self, claim: Claim, scope: PauseScope) -> bool:
        """Whether *claim* is the probe of a pause of this scope."""
        return any(key[0] is scope and job == claim.job for key, (job, _) in self._probing.items())

    async def answered(self, claim: Claim, now: Millis, *, scopes: Container[PauseScope]) -> list[Event]:
        """The API served *claim*: the pauses of these scopes that it asked about are over.

        What a person paused meanwhile is not what it asked about.
        """
        lifted: list[Event] = []
        asked = [(key, pause) for key, (job, pause) in self._probing.items() if job == claim.job and key[0] in scopes]
        for key, pause in asked:
            if key in self._pauses and await self._store.lift(pause):
                del self._pauses[key]
                lifted.append(Probed(at=now, scope=pause.scope, subject=pause.subject, lifted=True))
        return lifted

    async def pause(
        self, scope: PauseScope, *, claim: Claim, reason: str, reply: Reply, until: Millis | None, now: Millis
    ) -> list[Event]:
        """Write the pause that an answer asked for, or renew it; nothing happens if it stands and nobody probed."""
        index = {PauseScope.ACCOUNT: 0, PauseScope.MODEL: 1, PauseScope.RUN: 2}[scope]
        key = self._keys(claim.run, claim.model)[index]
        standing = self._pauses.get(key)
        probed = key in self._probing and self._probing[key][0] == claim.job
        if standing is not None and not probed:
            return []
        new = Pause(
            scope=scope,
            subject=key[1],
            reason=reason,
            message=reply.message,
            since=now,
            until=until,
            hint=self._fingerprint,
        )
        if standing is not None:
            new = replace(new, since=standing.since, probes=standing.probes + 1, probed=now)
        if not await self._store.pause(new):
            await self.read()  # somebody has paused it by hand meanwhile
            return []
        self._pauses[key] = new
        events: list[Event] = []
        if standing is not None:
            events.append(Probed(at=now, scope=scope, subject=key[1], lifted=False))
        events.append(
            Paused(
                at=now,
                scope=scope,
                subject=key[1],
                reason=reason,
                message=reply.message,
                until=until,
                request_id=reply.request_id,
            )
        )
        return events
