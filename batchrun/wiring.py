"""The one place that knows them all: settings → queue, way to Claude, scheduler. What is heavy is imported late."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import shlex
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from batchrun import __version__
from batchrun.clock import SystemClock, boot_id
from batchrun.core.account import Account, fingerprint, origin_of
from batchrun.core.claim import WorkerCard
from batchrun.core.events import Trouble
from batchrun.core.job import Nanos, RunId
from batchrun.core.ports import BatchApi, Clock, Sink, TokenCounter, Transport
from batchrun.core.secrets import redacted
from batchrun.core.server import is_server
from batchrun.errors import Exit
from batchrun.settings import Credential, Settings

if TYPE_CHECKING:
    from batchrun.claude.client import Client
    from batchrun.core.hook import Pending
    from batchrun.queue.presence import Presence
    from batchrun.queue.writing import Writer
    from batchrun.scheduler.hooks import Hooks
    from batchrun.scheduler.shutdown import Shutdown
    from batchrun.scheduler.terms import Ended, Terms
    from batchrun.settings.tables import Tables
    from batchrun.simulator.shelf import Shelf

T = TypeVar("T")

SPARE_FILES = 64
"""File descriptors that are not connections: the database, its locks, logs, standard streams."""

LAST_WISH = 2
"""Signals that stop in order: the first drains, the second gives up what is in flight."""

SIMULATED_URL = "http://simulated.invalid"
NO_KEY = "no-key-for-the-simulated-api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one call of `run` wants beyond the settings."""

    only: RunId | None = None
    once: bool = False
    exclusive: bool = False  #: only while nobody else drains this queue
    detach: bool = False  #: end once everything is sent, though batches are out
    patient: bool = False  #: stay until nothing is left, though another worker looks after what is out
    max_cost: Nanos | None = None
    seconds: float | None = None  #: the time given: after it the pass drains and ends with `over`
    over: Exit = Exit.PENDING
    until: Callable[[], bool] | None = None  #: asked each second: once it says so, the pass drains and ends well


def card() -> WorkerCard:
    """Who this process is, for the message that says who works."""
    return WorkerCard(
        pid=os.getpid(),
        host=socket.gethostname(),
        boot=boot_id(),
        version=__version__,
        command=redacted(shlex.join(["batchrun", *sys.argv[1:]]))[:200],
        started=SystemClock().wall(),
    )


def run_pass(settings: Settings, wish: Wish, sink: Sink, *, ready: Callable[[], None] | None = None) -> Ended:
    """Do whatever is due, in this process and in front, until it is done or something says stop.

    The first SIGINT or SIGTERM drains, the second stops. Raises WorkerBusy if another worker is, or this one wants to
    be, alone, KeyRefused without a usable key, UsageError for settings that make no sense, StoreError if the database
    gives up. *ready* is called once the work begins.
    """
    from batchrun.queue.connect import open_queue, presence_of
    from batchrun.queue.writing import Writer

    credential = None if settings.simulate else settings.credential()
    tables = settings.tables()
    engine = open_queue(settings.db, simulated=settings.simulate)
    locks = presence_of(engine)
    try:
        locks.hold_run(card(), exclusive=wish.exclusive)  # before anything heavy is imported
    except BaseException:
        engine.dispose()
        raise

    def trouble(code: str, message: str) -> None:
        sink.emit(Trouble(at=SystemClock().wall(), code=code, message=message))

    try:
        return asyncio.run(_pass(settings, wish, sink, credential, tables, Writer(engine, trouble), locks, ready))
    finally:
        locks.close()
        engine.dispose()


async def _pass(
    settings: Settings,
    wish: Wish,
    sink: Sink,
    credential: Credential | None,
    tables: Tables,
    writer: Writer,
    locks: Presence,
    ready: Callable[[], None] | None,
) -> Ended:
    from batchrun.queue.batchstore import QueueBatches
    from batchrun.queue.store import QueueStore
    from batchrun.scheduler.run import Pass
    from batchrun.scheduler.shutdown import Limit, Shutdown

    clock = SystemClock()
    shutdown = Shutdown()
    limit = Limit(clock, shutdown, seconds=wish.seconds, until=wish.until)
    watching = asyncio.create_task(limit.watch())
    hooks = _hooks(settings, writer, sink, clock)
    telling = asyncio.create_task(hooks.watch())
    try:
        with _signals(shutdown, writer) as received:
            async with _transport(settings, credential, tables, clock) as (transport, api):
                if ready is not None:
                    ready()
                ended = await Pass(
                    store=QueueStore(writer, locks, exclusive=wish.exclusive),
                    batches=QueueBatches(writer),
                    transport=transport,
                    api=api,
                    clock=clock,
                    dice=random.SystemRandom(),
                    sink=sink,
                    terms=_terms(settings, wish, credential, tables),
                    shutdown=shutdown,
                ).run()
                hooks.close()
                await telling
    finally:
        watching.cancel()
        telling.cancel()
        await writer.close()
    if ended.exit is not Exit.INTERRUPTED:
        return ended
    if received:
        return ended if received[0] is signal.SIGINT else replace(ended, exit=Exit.TERMINATED)
    if not (limit.reached or limit.message):
        return ended
    hint = "the rest is queued: `batchrun run` goes on" if wish.over is Exit.DURATION and not limit.reached else ""
    return replace(ended, exit=Exit.OK if limit.reached else wish.over, message=limit.message, hint=hint)


def _hooks(settings: Settings, writer: Writer, sink: Sink, clock: Clock) -> Hooks:
    """What tells the user's commands. Whatever becomes of them, the work goes on."""
    import json

    from batchrun.command import told
    from batchrun.core.hook import Hook
    from batchrun.queue.hooks import QueueHooks
    from batchrun.queue.reading import Reading
    from batchrun.report.happenings import record
    from batchrun.scheduler.hooks import Hooks

    named = {Hook.DONE: settings.on_done, Hook.PAUSE: settings.on_pause, Hook.ALERT: settings.on_alert}
    commands = {hook: command for hook, command in named.items() if command is not None}

    async def call(pending: Pending) -> tuple[int | None, str]:
        with Reading.open(Path(settings.db)) as reading:
            line = json.dumps(record(reading, pending), ensure_ascii=False)
        return await asyncio.to_thread(told, commands[pending.happening.hook], f"{line}\n".encode())

    return Hooks(store=QueueHooks(writer), call=call, wanted=commands.keys(), clock=clock, tell=sink.emit)


def ask(settings: Settings, question: Callable[[BatchApi], Awaitable[T]]) -> T:
    """Ask the API about batches, beside any worker. Raises KeyRefused without a usable key, UsageError."""
    credential = None if settings.simulate else settings.credential()

    async def asked() -> T:
        async with _transport(settings, credential, settings.tables(), SystemClock()) as (_, api):
            return await question(api)

    return asyncio.run(asked())


def ask_counter(settings: Settings, question: Callable[[TokenCounter], Awaitable[T]]) -> T:
    """Ask the API how many tokens requests have: free, paced, and beside any worker. Raises as `ask` does."""
    credential = None if settings.simulate else settings.credential()

    async def asked() -> T:
        from batchrun.claude.counting import PER_SECOND, Counting

        clock = SystemClock()
        async with _client(settings, credential, settings.tables(), clock) as client:
            pace = None if settings.simulate else PER_SECOND
            return await question(Counting(client, clock, per_second=pace, account_name=settings.account))

    return asyncio.run(asked())


def _terms(settings: Settings, wish: Wish, credential: Credential | None, tables: Tables) -> Terms:
    from batchrun.scheduler.terms import Terms

    base_url = SIMULATED_URL if credential is None else settings.base_url
    origin = origin_of(base_url)
    secret = NO_KEY if credential is None else credential.secret
    return Terms(
        card=card(),
        fingerprint=fingerprint(f"{origin} {secret}"),
        stand_in=Account(origin=origin, name=settings.account),
        limits=tables.limits,
        tier=settings.tier,
        custom=tables.custom,
        most=_connections(settings.concurrency),
        cost=lambda model, usage: tables.prices.cost(model, usage, batch=False),
        batch_cost=lambda model, usage: tables.prices.cost(model, usage, batch=True),
        largest=lambda model: None if (found := tables.models.find(model)) is None else found.max_output,
        batch_percent=tables.prices.batch_percent,
        batch_queue=_batch_queue(settings, tables),
        detach=wish.detach,
        grace=settings.grace,
        only=wish.only,
        patient=wish.patient,
        once=wish.once,
        max_cost=wish.max_cost,
    )


def _batch_queue(settings: Settings, tables: Tables) -> int | None:
    limits = tables.limits.batches.get(settings.tier)
    return None if limits is None else limits.queued


def _connections(wanted: int) -> int:
    """As many requests at once as *wanted* and the process's file descriptors allow; raises the soft limit for it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < need:
        soft = need if hard == resource.RLIM_INFINITY else min(need, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(1, min(wanted, soft - SPARE_FILES))
    return wanted


@contextmanager
def _signals(shutdown: Shutdown, writer: Writer) -> Iterator[list[signal.Signals]]:
    """Let SIGINT, SIGTERM and SIGHUP ask for a stop while the pass works; yields what came, in order.

    Python hears signals in the main thread alone: in another one, whoever started it hears them.
    """
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def ask(which: signal.Signals) -> None:
        received.append(which)
        shutdown.ask()
        if len(received) > LAST_WISH:
            writer.give_up()  # a full disk is waited for, but not against the user's third wish

    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for which in watched:
        loop.add_signal_handler(which, ask, which)
    try:
        yield received
    finally:
        for which in watched:
            loop.remove_signal_handler(which)


@asynccontextmanager
async def _transport(
    settings: Settings, credential: Credential | None, tables: Tables, clock: Clock
) -> AsyncIterator[tuple[Transport, BatchApi]]:
    """The ways to Claude, for single requests and for batches, or to the simulator in this process."""
    from batchrun.claude.batches import Batches
    from batchrun.claude.messages import Messages

    async with _client(settings, credential, tables, clock) as client:
        transport = Messages(
            client,
            clock,
            settings.stream_above,
            total_timeout=settings.total_timeout,
            account_name=settings.account,
        )
        yield transport, Batches(client, clock, account_name=settings.account)


@asynccontextmanager
async def _client(
    settings: Settings, credential: Credential | None, tables: Tables, clock: Clock
) -> AsyncIterator[Client]:
    """The SDK's client, of the API or of the simulator in this process; closed at the end."""
    import httpx2

    from batchrun.claude.client import Connection, KeyKind, build

    http_client: httpx2.AsyncClient | None = None
    if credential is None:
        from batchrun.simulator.api import Simulator
        from batchrun.simulator.batchplan import BatchPlan
        from batchrun.simulator.inprocess import InProcess
        from batchrun.simulator.plan import Plan

        plan = Plan(
            limits=tables.limits.tiers[settings.tier],
            pools=tables.limits.pools,
            # Seconds instead of an hour: who tries the program wants to see the end.
            batches=BatchPlan(minutes=0.05, canceling=1.0, limits=tables.limits.batches.get(settings.tier)),
        )
        dice = random.Random(plan.seed)  # noqa: S311  # the same answers each time, and nothing secret
        http_client = httpx2.AsyncClient(transport=InProcess(Simulator(plan, clock, dice, shelf=_shelf(settings))))
        connection = Connection(secret=NO_KEY, base_url=SIMULATED_URL, api_version=settings.api_version)
    else:
        connection = Connection(
            secret=credential.secret,
            kind=KeyKind(credential.kind),
            base_url=settings.base_url,
            api_version=settings.api_version,
            connect=settings.connect_timeout,
            read=settings.read_timeout,
            connections=settings.concurrency,
        )
    client = build(connection, http_client)
    try:
        yield client
    finally:
        await client.close()


def _shelf(settings: Settings) -> Shelf:
    """Where the simulated API keeps its batches: beside the database, for they outlive this process as it does.

    Beside a server there is no place: then they are in the working folder.
    """
    from batchrun.simulator.shelf import Shelf

    if is_server(settings.db):
        return Shelf(Path("batchrun-simulated-api").absolute())
    return Shelf(Path(f"{os.path.realpath(settings.db)}-api"))
