"""What becomes of the items of one batch: the same whoever looks, and whenever."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.errors import UsageError
from batchrun.simulator import answers, effects, messages, rules, tokens
from batchrun.simulator.account import Account
from batchrun.simulator.batch import DAY, Batch
from batchrun.simulator.batchplan import Broke
from batchrun.simulator.cache import Cache, Intake
from batchrun.simulator.effects import Effect, Kind, Script, Stage
from batchrun.simulator.failures import FAILURES, Failure, invalid
from batchrun.simulator.ledger import Ledger
from batchrun.simulator.models import Model
from batchrun.simulator.plan import Plan

LARGEST = 32 * 1024 * 1024
"""Bytes of one request; more is an item that errored."""

TOO_LARGE = Failure(status=413, type="request_too_large", message="Request exceeds the maximum size")
UNKNOWN = "deferred"
"""A type of result that no client has heard of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one item. `result` is what its line says; None where no line appears."""

    outcome: str
    result: Mapping[str, Any] | None
    prompt: str | None = None
    marked: bool = False
    output: int = 0
    cost: int = 0


class Items:
    """The items of one batch that has ended, asked for one after the other."""

    def __init__(
        self, batch: Batch, plan: Plan, account: Account, ledger: Ledger, models: Mapping[str, Model], salt: int
    ) -> None:
        self._batch = batch
        self._plan = plan
        self._account = account
        self._ledger = ledger
        self._models = models
        self._dice = random.Random(f"{salt} {batch.number}")  # noqa: S311  # simulation, not secrecy
        self._cache = Cache()
        self._seen: Counter[str] = Counter()
        self._spent = 0
        self._bought = 0

    def done(self, index: int, raw: bytes) -> Done:
        """What becomes of the item whose request is *raw*."""
        batch, plan = self._batch, self._plan.batches
        # All is drawn for each item, whatever becomes of it: the fate of one must not hang on that of another.
        finishes = batch.created + batch.lasts * self._dice.random()
        hit = self._dice.random() < plan.cache_hits
        drawn = tuple(Effect(kind) for kind, share in plan.items.items() if self._dice.random() < share)
        if finishes > batch.ends:
            outcome = "expired" if batch.ends >= batch.created + DAY else "canceled"
            return Done(outcome=outcome, result={"type": outcome})
        params = json.loads(raw)["params"]
        model = self._checked(params, raw)
        if isinstance(model, Failure):
            return self._errored(index, model)
        prompt = answers.digest(params)
        try:
            script = effects.marks(raw) if b"[[simulate:" in raw else ()
        except UsageError as wrong:
            return self._errored(index, invalid(f"{wrong.message}; {wrong.hint}"), prompt)
        wished = (*self._marked(script, prompt), *drawn)
        intake = self._intake(params, raw, model, hit=hit)
        refused = rules.too_long(params, model, intake.charged + intake.read) or self._failed(wished)
        if refused is not None:
            return self._errored(index, refused, prompt, marked=bool(script))
        if any(effect.kind is Kind.EXPIRED for effect in wished):
            return Done(outcome="expired", result={"type": "expired"}, prompt=prompt, marked=bool(script))
        answer = answers.compose(params, prompt, model, self._plan.length, wished)
        cost = messages.cost(model, intake, answer.output) // 2
        self._spent += cost
        self._bought += 1
        message = messages.message("msg_01" + self._name(index, 22), model, intake, answer, tier="batch")
        kinds = {effect.kind for effect in wished}
        result: Mapping[str, Any] | None = {"type": "succeeded", "message": message}
        if Kind.NO_LINE in kinds:
            result = None
        elif Kind.ODD_TYPE in kinds:
            result = {"type": UNKNOWN}
        return Done(
            outcome="succeeded", result=result, prompt=prompt, marked=bool(script), output=answer.output, cost=cost
        )

    def _checked(self, params: Mapping[str, Any], raw: bytes) -> Model | Failure:
        if len(raw) > LARGEST:
            return TOO_LARGE
        for name in ("stream", "speed"):
            if params.get(name):
                return invalid(f"{name}: not supported in a batch")
        if params.get("max_tokens") == 0:
            return invalid("max_tokens: Input should be greater than or equal to 1 in a batch")
        return rules.check(params, models=self._models, version=self._batch.version, beta=self._batch.beta)

    def _intake(self, params: Mapping[str, Any], raw: bytes, model: Model, *, hit: bool) -> Intake:
        if b"cache_control" not in raw:
            return Intake(fresh=tokens.count(params, model))
        intake = (self._cache if hit else Cache()).intake(params, model, 0.0)
        self._cache.keep(intake, 0.0)
        return intake

    def _marked(self, script: Script, prompt: str) -> Sequence[Effect]:
        if not script:
            return ()
        nth = self._ledger.marked[prompt] + self._seen[prompt]
        self._seen[prompt] += 1
        return effects.at(script, nth)

    def _failed(self, wished: Sequence[Effect]) -> Failure | None:
        for effect in wished:
            if effect.kind is Kind.TOO_LARGE:
                return TOO_LARGE
            if effect.kind.stage is Stage.API:
                return FAILURES[effect.kind]
        if self._plan.batches.broke is Broke.ERRORED:
            return self._account.broke(self._spent, self._bought)
        return None

    def _errored(self, index: int, failure: Failure, prompt: str | None = None, *, marked: bool = False) -> Done:
        error = json.loads(failure.body("req_" + self._name(index, 30)))
        return Done(outcome="errored", result={"type": "errored", "error": error}, prompt=prompt, marked=marked)

    def _name(self, index: int, size: int) -> str:
        return hashlib.sha256(f"{self._batch.id} {index}".encode()).hexdigest()[:size]


def line(custom_id: str, result: Mapping[str, Any]) -> bytes:
    """A line of the results."""
    value = {"custom_id": custom_id, "result": result}
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
