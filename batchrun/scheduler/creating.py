"""Batches are sent: written down, sent once, and whatever came of it written down."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from batchrun.core.batch import MOST_BYTES, Clarity, Intent, Line, Packing, Remote, clarity
from batchrun.core.claim import Claim, Finish, OpenRun
from batchrun.core.events import BatchTurned, Event, Turn
from batchrun.core.figures import count
from batchrun.core.job import Millis, RunId, WorkerId
from batchrun.core.outcome import Outcome, Refused
from batchrun.core.packing import BYTES, MOST, body, draw
from batchrun.core.ports import BatchApi, BatchStore, Clock, Dice
from batchrun.core.retry import Fail
from batchrun.scheduler.ending import said
from batchrun.scheduler.purse import Purse
from batchrun.scheduler.terms import Terms

PROMPT = 5.0
"""Seconds within which a batch leaves after it was written that it is leaving; a machine that slept has to ask anew."""

TOO_LARGE = 413

OF_THE_CONTENT = frozenset({400, 413, 422})
"""Statuses that speak of the requests in a batch, or of its size."""

ALONE = 3
"""Requests in a row that are refused one by one, after which their run pauses: it is not them."""

_CULPRIT = re.compile(r"\brequests\.([0-9]+)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What is known to have been listed, and the server's clock then: what is sent later is listed above it."""

    newest: str | None
    date: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What one try to send a batch came to."""

    run: OpenRun
    model: str
    began: float  #: steady time
    n: int = 0  #: jobs that are out now
    remote: Remote | None = None
    outcome: Outcome | None = None  #: what the API said instead of a batch
    claim: Claim | None = None  #: one job of it, on whose behalf the API spoke
    penniless: bool = False
    crowded: bool = False  #: no size is free until an unclear batch is resolved
    hopeless: bool = False  #: what the API refuses is not one request or the size: a person has to see to it


class Creating:
    """Sends batches of one account. Remembers how large the API lets them be, for each run and model."""

    def __init__(
        self,
        *,
        store: BatchStore,
        api: BatchApi,
        clock: Clock,
        dice: Dice,
        terms: Terms,
        who: Callable[[], WorkerId],
        purse: Purse,
        may_send: Callable[[], bool],
        emit: Callable[[Event], None],
    ) -> None:
        self._store = store
        self._api = api
        self._clock = clock
        self._dice = dice
        self._terms = terms
        self._who = who
        self._purse = purse
        self._may_send = may_send
        self._emit = emit
        self._most: dict[tuple[RunId, str], int] = {}  # requests, after a refusal that names none
        self._alone: Counter[RunId] = Counter()  # refusals in a row that a single request is to blame for
        self._bytes: dict[tuple[RunId, str], int] = {}  # after a 413

    async def send(self, run: OpenRun, model: str, queued: int, account: int, mark: Mark) -> Created:
        """The next batch of *run* and *model*, of which *queued* jobs may go in batches.

        Cancelled while the request is out, it leaves the batch *sending*: nobody knows whether it stands.
        """
        key, began, now = (run.id, model), self._clock.steady(), self._clock.wall()
        packing = Packing(
            account=account,
            token=_token(self._dice),
            n=draw(run.jobs, queued, self._dice.random(), self._most.get(key, MOST)),
            bytes=self._bytes.get(key, BYTES),
            watermark=mark.newest,
            date=mark.date,
            percent=self._terms.batch_percent,
        )
        async with self._purse.turn:
            intended = await self._store.intend(run.id, model, packing, self._who(), now, self._purse.left())
            intent = intended.intent
            if intent is not None:
                self._purse.hold(intent.id, intent.worst)
        if intent is None:
            return Created(run=run, model=model, began=began, penniless=intended.penniless, crowded=intended.crowded)
        lines = await self._store.lines(intent)
        sent = body(intent, lines)
        why = self._unsendable(intent, lines, sent)
        if why is None:
            about = self._clock.steady()
            if not await self._store.sending(intent, self._clock.wall(), len(sent)):
                why = "its run was cancelled before it was sent"
            elif self._clock.steady() - about > PROMPT or not self._may_send():
                why = "it was not sent in time"
        if why is not None:
            if await self._store.reject(intent.id, self._clock.wall(), why):
                self._purse.drop(intent.id)
            return Created(run=run, model=model, began=began)
        began = self._clock.steady()
        answer = await self._api.create(sent, betas=intent.betas, headers=intent.headers)
        if isinstance(answer, Remote):
            self._alone.pop(run.id, None)
            await self._store.submitted(intent.id, answer, self._clock.wall())
            self._tell(Turn.SUBMITTED, intent, f"{count(intent.n, 'job')} sent as one batch", answer.id)
            return Created(run=run, model=model, began=began, n=intent.n, remote=answer)
        out = await self._refused(intent, lines, answer, len(sent))
        return Created(
            run=run,
            model=model,
            began=began,
            n=out,
            outcome=answer,
            claim=self._claim(intent, lines[0]),
            hopeless=_hopeless(answer) or self._alone[run.id] >= ALONE,
        )

    def _unsendable(self, intent: Intent, lines: Sequence[Line], sent: bytes) -> str | None:
        if len(lines) != intent.n:
            return "some of its jobs found their answers meanwhile"
        if len(sent) > MOST_BYTES:
            self._bytes[intent.run, intent.model] = MOST_BYTES // 2
            return f"its body of {len(sent):,} bytes is more than a batch may have"
        return None if self._may_send() else "the program was stopped before it was sent"

    async def _refused(self, intent: Intent, lines: Sequence[Line], answer: Outcome, size: int) -> int:
        """Write down what *answer* means; how many of its jobs are out all the same."""
        words = said(answer.reply)
        match clarity(answer):
            case Clarity.REFUSED:
                culprit = self._culprit(intent, lines, answer, size)
                finish = None if culprit is None else self._finish(intent, culprit, answer)
                if await self._store.reject(intent.id, self._clock.wall(), words, finish):
                    self._purse.drop(intent.id)
                    self._tell(Turn.REJECTED, intent, f"a batch of {count(intent.n, 'job')} was refused {words}")
                return 0
            case Clarity.ANSWERED:
                await self._store.unclear(intent.id, words, answered=True)
            case Clarity.UNCLEAR:
                await self._store.unclear(intent.id, words, answered=False)
            case never:
                assert_never(never)
        self._tell(Turn.UNCLEAR, intent, f"it is not known whether a batch of {count(intent.n, 'job')} arrived {words}")
        return intent.n

    def _culprit(self, intent: Intent, lines: Sequence[Line], answer: Outcome, size: int) -> Line | None:
        """The request that is to blame for a refusal, if one is known; else the next batch is half as large."""
        key = intent.run, intent.model
        if not isinstance(answer, Refused) or _hopeless(answer):
            return None
        named = _CULPRIT.search(answer.reply.message)
        if named is not None and int(named[1]) < len(lines):
            return lines[int(named[1])]
        if len(lines) == 1:
            self._alone[intent.run] += 1
            self._bytes.pop(key, None)
            self._most.pop(key, None)  # whoever is to blame is found: the others go as before
            return lines[0]
        self._most[key] = max(1, len(lines) // 2)
        if answer.reply.status == TOO_LARGE:
            self._bytes[key] = max(1, size // 2)
        return None

    def _finish(self, intent: Intent, line: Line, answer: Outcome) -> Finish:
        now = self._clock.wall()
        return Finish(
            claim=self._claim(intent, line),
            outcome=answer,
            decision=Fail("the same request would be refused again"),
            sent=now,
            ended=now,
            due=None,
            cost=None,
        )

    def _claim(self, intent: Intent, line: Line) -> Claim:
        return Claim(
            job=line.job,
            run=intent.run,
            key="",
            model=intent.model,
            attempt=line.attempt,
            tries=0,
            worker=intent.worker,
            body="",
            est_input=0,
            max_tokens=0,
            worst=line.worst,
            claimed=self._clock.wall(),
            batch=intent.id,
        )

    def _tell(self, turn: Turn, intent: Intent, message: str, remote: str | None = None) -> None:
        self._emit(
            BatchTurned(
                at=self._clock.wall(),
                turn=turn,
                batch=intent.id,
                run=intent.run,
                n=intent.n,
                message=message,
                remote=remote,
            )
        )


def _hopeless(answer: Outcome) -> bool:
    """Whether *answer* refuses batches as such: headers that cannot be sent, an address that knows none."""
    return isinstance(answer, Refused) and answer.reply.status not in OF_THE_CONTENT


_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _token(dice: Dice) -> str:
    """Eight letters that no other batch has."""
    return "".join(_LETTERS[int(dice.random() * len(_LETTERS))] for _ in range(8))
