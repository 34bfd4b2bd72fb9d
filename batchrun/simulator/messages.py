"""The Messages API: a checked request becomes an answer, whole or streamed, with its usage, time and price."""

from __future__ import annotations

import json
import math
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.core.job import Nanos
from batchrun.core.ports import Clock
from batchrun.simulator import answers, mishaps, stream
from batchrun.simulator.account import Account
from batchrun.simulator.answers import Answer
from batchrun.simulator.cache import Cache, Intake
from batchrun.simulator.effects import Effect, Kind, Stage
from batchrun.simulator.envelope import Envelope
from batchrun.simulator.failures import FAILURES
from batchrun.simulator.ledger import Entry, Ledger
from batchrun.simulator.models import Model
from batchrun.simulator.plan import Plan
from batchrun.simulator.wire import Broken, How, Response

SLICES = 8
"""Into how many parts the making of an answer is cut at most, so that its tokens are charged as they are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One accepted request on its way to an answer."""

    entry: Entry
    params: Mapping[str, Any]
    model: Model
    lane: str
    intake: Intake
    effects: Sequence[Effect]
    dice: random.Random

    def effect(self, kind: Kind) -> Effect | None:
        return next((effect for effect in self.effects if effect.kind is kind), None)

    def cost(self, output: int) -> Nanos:
        return cost(self.model, self.intake, output)

    @property
    def message(self) -> str:
        """The id of its answer."""
        return "msg_01" + self.entry.request_id[-22:]


@dataclass(slots=True, kw_only=True)
class Made:
    """How far the making of one answer has come."""

    call: Call
    answer: Answer
    tokens: int = 0
    whole: bool = False


@dataclass(slots=True, kw_only=True)
class Messages:
    """Answers calls under one plan. Raises `Broken` where the connection is to fail without an answer."""

    plan: Plan
    clock: Clock
    account: Account
    ledger: Ledger
    cache: Cache
    envelope: Envelope

    async def answer(self, call: Call) -> Response:
        assert call.entry.prompt is not None
        answer = answers.compose(call.params, call.entry.prompt, call.model, self.plan.length, call.effects)
        made = Made(call=call, answer=answer)
        await self._sleep(self._first(call))
        self.cache.keep(call.intake, self.clock.steady())
        if call.params.get("stream"):
            return self.envelope.respond(
                call.entry,
                self._streamed(made),
                content_type="text/event-stream; charset=utf-8",
                ended=lambda delivered: self._leave(made, delivered),
            )
        await self._work(made)
        made.whole = True
        self._bill(made)
        after = next((effect for effect in call.effects if effect.kind.stage is Stage.AFTER), None)
        if after is None:
            return self._whole(made, self._body(made))
        return self._spoiled(made, after)

    def _spoiled(self, made: Made, after: Effect) -> Response:
        entry = made.call.entry
        body = self._body(made)
        if after.kind is Kind.LOSE:
            raise Broken(How.CLOSED, after.kind)
        if (failure := mishaps.told_late(after)) is not None:
            return self.envelope.fail(entry, failure)
        made.whole = False
        half = body[: len(body) // 2]
        if after.kind is Kind.SHORT:
            return self._whole(made, half)
        return self._whole(made, mishaps.broken(half, after, self.clock), len(body))

    def _whole(self, made: Made, body: bytes | AsyncIterator[bytes], length: int | None = None) -> Response:
        return self.envelope.respond(
            made.call.entry,
            body,
            ended=lambda delivered: self.ledger.note(made.call.entry, delivered=delivered and made.whole),
            length=length,
        )

    async def _streamed(self, made: Made) -> AsyncIterator[bytes]:
        after = next((effect for effect in made.call.effects if effect.kind.stage is Stage.AFTER), None)
        if after is not None and after.kind is Kind.LOSE:
            await self._work(made)
            raise Broken(How.CUT, after.kind)
        done = 0.0
        for event, share in stream.events(self._message(made)):
            if share:
                await self._sleep(self.plan.pace.per_token * made.answer.output * share)
                done += share
                self._produce(made, round(made.answer.output * done))
            if after is not None and done >= 0.5:
                if mishaps.told_late(after) is not None:
                    yield stream.frame(_error_event(made.call.entry.request_id))
                    return
                if after.kind is Kind.SHORT:
                    return
                await mishaps.break_off(after, self.clock)
            yield stream.frame(event)
        made.whole = True

    def _leave(self, made: Made, delivered: bool) -> None:
        """A stream is over, or its reader has gone: what was made until then is billed."""
        self._bill(made)
        self.ledger.note(made.call.entry, delivered=delivered and made.whole)

    async def _work(self, made: Made) -> None:
        seconds = self.plan.pace.per_token * made.answer.output
        slices = max(1, min(SLICES, math.floor(seconds)))
        for nth in range(1, slices + 1):
            await self._sleep(seconds / slices)
            self._produce(made, made.answer.output * nth // slices)

    def _produce(self, made: Made, until: int) -> None:
        if until > made.tokens:
            self.account.produce(made.call.lane, until - made.tokens)
            made.tokens = until

    def _bill(self, made: Made) -> None:
        cost = made.call.cost(made.tokens)
        self.account.pay(cost)
        self.ledger.note(made.call.entry, billed=True, output=made.tokens, cost=cost)

    def _body(self, made: Made) -> bytes:
        return json.dumps(self._message(made), separators=(",", ":"), ensure_ascii=False).encode()

    def _message(self, made: Made) -> Mapping[str, Any]:
        return message(made.call.message, made.call.model, made.call.intake, made.answer)

    def _first(self, call: Call) -> float:
        slow = call.effect(Kind.SLOW)
        extra = 0.0 if slow is None else mishaps.SLOW if slow.seconds is None else slow.seconds
        pace = self.plan.pace
        return extra + (pace.first * math.exp(call.dice.gauss(0.0, pace.spread)) if pace.first else 0.0)

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await self.clock.sleep(seconds)


def cost(model: Model, intake: Intake, output: int) -> Nanos:
    """The price of an answer of *output* tokens, at the price of the Messages API."""
    prices = model.prices
    return Nanos(
        intake.fresh * prices.input
        + intake.read * prices.read
        + intake.write_5m * prices.write_5m
        + intake.write_1h * prices.write_1h
        + output * prices.output
    )


def message(id_: str, model: Model, intake: Intake, answer: Answer, tier: str = "standard") -> Mapping[str, Any]:
    """The Message object."""
    return {
        "id": id_,
        "type": "message",
        "role": "assistant",
        "model": model.id,
        "content": list(answer.content),
        "stop_reason": answer.stop_reason,
        "stop_sequence": answer.stop_sequence,
        "stop_details": answer.stop_details,
        "usage": {
            "input_tokens": intake.fresh,
            "cache_creation_input_tokens": intake.write_5m + intake.write_1h,
            "cache_read_input_tokens": intake.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": intake.write_5m,
                "ephemeral_1h_input_tokens": intake.write_1h,
            },
            "output_tokens": answer.output,
            "output_tokens_details": {"thinking_tokens": answer.thinking},
            "service_tier": tier,
            "inference_geo": "global",
        },
    }


def _error_event(request_id: str) -> Mapping[str, Any]:
    body: Mapping[str, Any] = json.loads(FAILURES[Kind.OVERLOADED].body(request_id))
    return body
