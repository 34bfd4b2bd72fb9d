"""The simulator: one request in, one response out; what it answers follows from the plan, the seed and the request."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batchrun.core.ports import Clock
from batchrun.errors import UsageError
from batchrun.simulator import answers, calls, catalogue, effects, entrance, failures, rules, submission, tokens
from batchrun.simulator.account import Account
from batchrun.simulator.batches import Batches
from batchrun.simulator.cache import Cache, Intake
from batchrun.simulator.calls import Asked
from batchrun.simulator.colleague import Arrivals
from batchrun.simulator.effects import Effect, Kind, Script, Stage
from batchrun.simulator.envelope import Envelope
from batchrun.simulator.failures import Failure, invalid, not_found
from batchrun.simulator.ledger import Entry, Ledger
from batchrun.simulator.messages import Call, Messages
from batchrun.simulator.models import Model, published
from batchrun.simulator.plan import Money, Plan
from batchrun.simulator.processing import Processing
from batchrun.simulator.register import Register, remember
from batchrun.simulator.shelf import Shelf
from batchrun.simulator.wire import Broken, Request, Response

LARGEST_BODY = 32 * 1024 * 1024
"""Bytes; over it the edge answers 413 (errors page, 2026-09)."""

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
MODELS = "/v1/models"


class Simulator:
    """The API under one plan. Belongs to one event loop; `ledger` and `shelf` may hold what an earlier one did."""

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        dice: random.Random,
        ledger: Ledger | None = None,
        *,
        shelf: Shelf | None = None,
        models: Mapping[str, Model] | None = None,
    ) -> None:
        self.ledger = Ledger() if ledger is None else ledger
        self.clock = clock
        self._dice = dice
        self._salt = dice.getrandbits(32)
        self._models = published() if models is None else models
        self._born = clock.steady()
        self._seen = Counter(
            (entry.endpoint, entry.prompt) for entry in self.ledger.entries if entry.status is not None
        )
        self.shelf = Shelf() if shelf is None else shelf
        remember(self.shelf, self.ledger)
        self._account = Account(plan, clock, self.ledger)
        self._cache = Cache()
        self._register = Register(
            plan=plan,
            clock=clock,
            ledger=self.ledger,
            shelf=self.shelf,
            processing=Processing(
                plan=plan,
                account=self._account,
                ledger=self.ledger,
                shelf=self.shelf,
                models=self._models,
                salt=self._salt,
            ),
            arrivals=Arrivals(dice=random.Random(f"{self._salt} {len(self.shelf.batches)}")),  # noqa: S311  # no secret
            salt=self._salt,
        )
        self._calls = calls.counted(self.ledger)
        self.change(plan)

    @property
    def plan(self) -> Plan:
        return self._plan

    def change(self, plan: Plan) -> None:
        """Go by another plan for all requests that come from now on; what was spent and used stays."""
        self._plan = plan
        self._account.change(plan)
        self._envelope = Envelope(
            plan=plan, clock=self.clock, dice=self._dice, account=self._account, ledger=self.ledger
        )
        self._messages = Messages(
            plan=plan,
            clock=self.clock,
            account=self._account,
            ledger=self.ledger,
            cache=self._cache,
            envelope=self._envelope,
        )
        self._register.change(plan)
        self._batches = Batches(
            plan=plan,
            clock=self.clock,
            account=self._account,
            ledger=self.ledger,
            shelf=self.shelf,
            envelope=self._envelope,
            register=self._register,
            calls=self._calls,
        )

    def use(self, model: str, *, requests: int = 0, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """Charge what another program of the same organisation uses of *model*'s limits."""
        lane = self._account.lane_of(model)
        self._account.use(lane, requests=requests, input_tokens=input_tokens, output_tokens=output_tokens)

    def foreign_batch(self, size: int, *, minutes: float = 1.0, workspace: str | None = None) -> str:
        """A colleague creates a batch of *size* requests now. Returns its id."""
        return self._register.foreign(size, minutes * 60, created=self.clock.wall(), workspace=workspace).id

    async def delete_batch(self, id_: str) -> None:
        """A colleague deletes a batch. Raises KeyError for an unknown one."""
        await self._register.remove(self.shelf.batches[id_])

    def archive_batch(self, id_: str) -> None:
        """The results of a batch go before their time. Raises KeyError for an unknown one."""
        self._register.archive(self.shelf.batches[id_], self.clock.wall())

    async def settle(self) -> None:
        """Let the ledger know of the items of all batches that have ended, also of those that nobody looked at."""
        await self._register.settle()

    async def handle(self, request: Request) -> Response:
        """The answer to *request*, after the time it takes. Raises `Broken` where the connection fails without one."""
        large = request.too_large or len(request.body) > _largest(request.path)
        params: Any = None
        unreadable: Failure | None = None
        if request.method == "POST" and not calls.covers(request.path) and not large:
            params, unreadable = entrance.parse(request.body)
        asks = isinstance(params, dict) and "messages" in params
        entry = self.ledger.arrive(
            request_id=f"req_{self._dice.getrandbits(120):030x}",
            endpoint=f"{request.method} {request.path}",
            at=self.clock.wall(),
            prompt=answers.digest(params) if asks else None,
            mark=entrance.mark(params),
        )
        if (workspace := entrance.workspace(request, self._plan.workspaces)) is not None:
            self.ledger.note(entry, workspace=workspace)
        self._account.in_flight += 1
        try:
            if large:
                return self._envelope.edge(entry, Kind.TOO_LARGE)
            if calls.covers(request.path):
                return await self._batch_call(request, entry)
            return await self._answer(request, entry, params, unreadable)
        except BaseException as error:
            entry.error = str(error) if isinstance(error, Broken) else type(error).__name__
            self.ledger.note(entry, error=entry.error)
            self._envelope.leave(entry)
            raise
        finally:
            if request.upload is not None:
                request.upload.unlink(missing_ok=True)

    async def _batch_call(self, request: Request, entry: Entry) -> Response:
        call = calls.verb(request.method, request.path)
        if isinstance(call, Failure):
            return self._envelope.fail(entry, entrance.refusal(request) or call)
        which, id_ = call
        nth, drawn = self._batches.wished(which)
        wished = (*self._plan.effects_at(self.clock.steady() - self._born), *drawn)
        for effect in wished:
            if effect.kind.stage is Stage.EDGE:
                return self._envelope.edge(entry, effect.kind)
        refused = entrance.refusal(request) or failures.first(wished)
        if refused is not None:
            return self._envelope.fail(entry, refused)
        await self._pay()
        workspace = entry.workspace or self._plan.workspace
        return await self._batches.answer(
            Asked(request=request, entry=entry, verb=which, id=id_, workspace=workspace, nth=nth, wished=wished)
        )

    async def _pay(self) -> None:
        """Where money is short, batches cost theirs when they end, and not when somebody looks."""
        if self._plan.money != Money():
            await self._register.settle()

    async def _answer(self, request: Request, entry: Entry, params: Any, unreadable: Failure | None) -> Response:
        try:
            script = effects.marks(request.body) if request.path == MESSAGES else ()
        except UsageError as wrong:
            return self._envelope.fail(entry, invalid(f"{wrong.message}; {wrong.hint}"))
        key = (entry.endpoint, entry.prompt)
        dice = random.Random(hash((self._salt, _number(entry.prompt), self._seen[key])))  # noqa: S311  # no secret
        wished = tuple(self._wished(script, self._seen[key], dice))
        for effect in wished:
            if effect.kind.stage is Stage.EDGE:
                self._seen[key] += 1
                return self._envelope.edge(entry, effect.kind)
        refused = entrance.refusal(request) or unreadable
        if refused is not None:
            return self._envelope.fail(entry, refused)
        match request.method, request.path:
            case "POST", path if path == MESSAGES:
                return await self._send(request, entry, params, wished, dice)
            case "POST", path if path == COUNT:
                return await self._count(request, entry, params, wished)
            case "GET", path if path == MODELS or path.startswith(MODELS + "/"):
                return self._catalogue(request, entry, wished)
            case _, path if path in {MESSAGES, COUNT, MODELS}:
                return self._envelope.fail(
                    entry, Failure(status=405, type="invalid_request_error", message="Method Not Allowed")
                )
            case _:
                return self._envelope.fail(entry, not_found("Not found"))

    def _wished(self, script: Script, nth: int, dice: random.Random) -> Iterator[Effect]:
        """What is to go wrong with the *nth* request of a prompt, by its marks and by the plan."""
        yield from effects.at(script, nth)
        yield from self._plan.effects_at(self.clock.steady() - self._born)
        if self._plan.streaks is None or nth < self._plan.streaks:
            for kind, chance in self._plan.faults.items():
                if dice.random() < chance:
                    yield Effect(kind)

    def _checked(self, request: Request, params: Any, *, counting: bool) -> Model | Failure:
        return rules.check(
            params,
            models=self._models,
            version=request.headers["anthropic-version"],
            beta="anthropic-beta" in request.headers,
            counting=counting,
        )

    async def _send(
        self, request: Request, entry: Entry, params: Any, wished: Sequence[Effect], dice: random.Random
    ) -> Response:
        model = self._checked(request, params, counting=False)
        if isinstance(model, Failure):
            return self._envelope.fail(entry, model)
        lane = self._account.lane_of(model.id)
        self.ledger.note(entry, model=model.id, lane=lane)
        marked = b"cache_control" in request.body
        intake = (
            self._cache.intake(params, model, self.clock.steady())
            if marked
            else Intake(fresh=tokens.count(params, model))
        )
        whole = intake.charged + intake.read
        await self._pay()
        refused = rules.too_long(params, model, whole) or self._account.refusal(lane, intake.charged)
        if refused is not None:
            return self._envelope.fail(entry, refused)
        self._account.admit(lane, intake.charged)
        self._seen[entry.endpoint, entry.prompt] += 1
        if (failure := failures.first(wished)) is not None:
            return self._envelope.fail(entry, failure)
        self.ledger.note(entry, accepted=True, input=intake.charged)
        return await self._messages.answer(
            Call(entry=entry, params=params, model=model, lane=lane, intake=intake, effects=wished, dice=dice)
        )

    async def _count(self, request: Request, entry: Entry, params: Any, wished: Sequence[Effect]) -> Response:
        model = self._checked(request, params, counting=True)
        if isinstance(model, Failure):
            return self._envelope.fail(entry, model)
        self.ledger.note(entry, model=model.id)
        self._seen[entry.endpoint, entry.prompt] += 1
        await self._pay()
        failure = self._account.broke() or failures.first(wished)
        if failure is not None:
            return self._envelope.fail(entry, failure)
        return self._envelope.json(entry, {"input_tokens": tokens.count(params, model)})

    def _catalogue(self, request: Request, entry: Entry, wished: Sequence[Effect]) -> Response:
        self._seen[entry.endpoint, entry.prompt] += 1
        failure = failures.first(wished)
        found = failure or catalogue.answer(request.path.removeprefix(MODELS).strip("/"), request.query, self._models)
        if isinstance(found, Failure):
            return self._envelope.fail(entry, found)
        return self._envelope.json(entry, found)


def _largest(path: str) -> int:
    return submission.LARGEST if calls.covers(path) else LARGEST_BODY


def _number(prompt: str | None) -> int:
    return int(prompt, 16) if prompt is not None else 0
