"""The simulator: one request in, one response out; what it answers follows from the plan, the seed and the request."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from batchrun.core.ports import Clock
from batchrun.errors import UsageError
from batchrun.simulator import answers, catalogue, effects, rules, tokens
from batchrun.simulator.account import Account
from batchrun.simulator.cache import Cache, Intake
from batchrun.simulator.effects import Effect, Kind, Script, Stage
from batchrun.simulator.envelope import Envelope
from batchrun.simulator.failures import FAILURES, Failure, invalid, not_found
from batchrun.simulator.ledger import Entry, Ledger
from batchrun.simulator.messages import Call, Messages
from batchrun.simulator.models import Model, published
from batchrun.simulator.plan import VERSIONS, Plan
from batchrun.simulator.wire import Broken, Request, Response

LARGEST_BODY = 32 * 1024 * 1024
"""Bytes; over it the edge answers 413 (errors page, 2026-09)."""

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
MODELS = "/v1/models"


class Simulator:
    """The API under one plan. Belongs to one event loop; `ledger` may hold what an earlier one did."""

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        dice: random.Random,
        ledger: Ledger | None = None,
        *,
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
        self._account = Account(plan, clock, self.ledger)
        self._cache = Cache()
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

    def use(self, model: str, *, requests: int = 0, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """Charge what another program of the same organisation uses of *model*'s limits."""
        lane = self._account.lane_of(model)
        self._account.use(lane, requests=requests, input_tokens=input_tokens, output_tokens=output_tokens)

    async def handle(self, request: Request) -> Response:
        """The answer to *request*, after the time it takes. Raises `Broken` where the connection fails without one."""
        params, unreadable = _parse(request)
        readable = isinstance(params, dict)
        entry = self.ledger.arrive(
            request_id=f"req_{self._dice.getrandbits(120):030x}",
            endpoint=f"{request.method} {request.path}",
            at=self.clock.wall(),
            prompt=answers.digest(params) if readable and "messages" in params else None,
            mark=_mark(params) if readable else None,
        )
        self._account.in_flight += 1
        try:
            return await self._answer(request, entry, params, unreadable)
        except BaseException as error:
            entry.error = str(error) if isinstance(error, Broken) else type(error).__name__
            self.ledger.note(entry, error=entry.error)
            self._envelope.leave(entry)
            raise

    async def _answer(self, request: Request, entry: Entry, params: Any, unreadable: Failure | None) -> Response:
        if len(request.body) > LARGEST_BODY:
            return self._envelope.edge(entry, Kind.TOO_LARGE)
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
        refused = self._refused(request) or unreadable
        if refused is not None:
            return self._envelope.fail(entry, refused)
        match request.method, request.path:
            case "POST", path if path == MESSAGES:
                return await self._send(request, entry, params, wished, dice)
            case "POST", path if path == COUNT:
                return self._count(request, entry, params, wished)
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

    def _refused(self, request: Request) -> Failure | None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        key = request.headers.get("x-api-key") or (bearer if scheme == "Bearer" else "")
        if not key:
            return Failure(status=401, type="authentication_error", message="x-api-key header is required")
        if key.startswith("bad"):
            return FAILURES[Kind.KEY]
        version = request.headers.get("anthropic-version")
        if version is None:
            return invalid("anthropic-version: header is required")
        if version not in VERSIONS:
            return invalid(f"anthropic-version: {version!r} is not a valid version")
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method == "POST" and content_type != "application/json":
            return invalid("content-type: should be `application/json`")
        return None

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
        refused = rules.too_long(params, model, whole) or self._account.refusal(lane, intake.charged)
        if refused is not None:
            return self._envelope.fail(entry, refused)
        self._account.admit(lane, intake.charged)
        self._seen[entry.endpoint, entry.prompt] += 1
        if (failure := _first_failure(wished)) is not None:
            return self._envelope.fail(entry, failure)
        self.ledger.note(entry, accepted=True, input=intake.charged)
        return await self._messages.answer(
            Call(entry=entry, params=params, model=model, lane=lane, intake=intake, effects=wished, dice=dice)
        )

    def _count(self, request: Request, entry: Entry, params: Any, wished: Sequence[Effect]) -> Response:
        model = self._checked(request, params, counting=True)
        if isinstance(model, Failure):
            return self._envelope.fail(entry, model)
        self.ledger.note(entry, model=model.id)
        self._seen[entry.endpoint, entry.prompt] += 1
        failure = self._account.broke() or _first_failure(wished)
        if failure is not None:
            return self._envelope.fail(entry, failure)
        return self._envelope.json(entry, {"input_tokens": tokens.count(params, model)})

    def _catalogue(self, request: Request, entry: Entry, wished: Sequence[Effect]) -> Response:
        self._seen[entry.endpoint, entry.prompt] += 1
        failure = _first_failure(wished)
        found = failure or catalogue.answer(request.path.removeprefix(MODELS).strip("/"), request.query, self._models)
        if isinstance(found, Failure):
            return self._envelope.fail(entry, found)
        return self._envelope.json(entry, found)


def _first_failure(wished: Sequence[Effect]) -> Failure | None:
    effect = next((each for each in wished if each.kind.stage is Stage.API), None)
    if effect is None:
        return None
    failure = FAILURES[effect.kind]
    return failure if effect.seconds is None else replace(failure, retry_after=effect.seconds)


def _parse(request: Request) -> tuple[Any, Failure | None]:
    """The value of a JSON body, and why the API cannot read it."""
    if request.method != "POST" or len(request.body) > LARGEST_BODY:
        return None, None
    try:
        params = json.loads(request.body, parse_constant=_no_constant)
        if b"\\ud" in request.body or b"\\uD" in request.body:
            json.dumps(params, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        return None, invalid(f"The request body is not valid JSON: {error}")
    return params, None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _mark(params: Mapping[str, Any]) -> str | None:
    metadata = params.get("metadata")
    mark = metadata.get("user_id") if isinstance(metadata, dict) else None
    return mark if isinstance(mark, str) else None


def _number(prompt: str | None) -> int:
    return int(prompt, 16) if prompt is not None else 0
