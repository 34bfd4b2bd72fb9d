"""Who we are to the API: asked once for each key, as patiently as the circuit asks anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from batchrun.core.account import Account
from batchrun.core.claim import KnownAccount
from batchrun.core.events import Event, Trouble
from batchrun.core.outcome import AccountStopped, Outcome
from batchrun.core.ports import Clock, Store, Transport
from batchrun.scheduler.circuit import Circuit
from batchrun.scheduler.ending import said
from batchrun.scheduler.shutdown import Shutdown, Stage
from batchrun.scheduler.terms import Terms


class Identity:
    """The account behind the key of one pass."""

    def __init__(
        self,
        *,
        store: Store,
        transport: Transport,
        clock: Clock,
        terms: Terms,
        circuit: Circuit,
        shutdown: Shutdown,
        tell: Callable[[Event], None],
    ) -> None:
        self._store = store
        self._transport = transport
        self._clock = clock
        self._terms = terms
        self._circuit = circuit
        self._shutdown = shutdown
        self._tell = tell

    async def known(self) -> KnownAccount | None:
        """The account that the key had the last time."""
        return await self._store.known_account(self._terms.fingerprint)

    async def ask(self, pause: Callable[[float], Awaitable[None]]) -> KnownAccount | Outcome:
        """Ask by a free call: a night does not end because it began with a hiccup. *pause* waits some seconds."""
        while True:
            told = await self._transport.whoami()
            if isinstance(told, Account):
                known = await self.remember(told)
                self._circuit.close(self._clock.steady())
                return known
            if isinstance(told, AccountStopped) or self._shutdown.stage is not Stage.WORKING:
                return told
            self._circuit.fail(told.reply, self._clock.steady())
            if self._circuit.exhausted:
                return told
            self.tell_circuit()
            await pause(self._circuit.rest(self._clock.steady()))

    async def remember(self, told: Account) -> KnownAccount:
        """Write down what the API told of itself; what it did not tell is stood in for."""
        account = told if told.told else replace(self._terms.stand_in, origin=told.origin)
        return await self._store.remember_account(account, self._terms.fingerprint, self._clock.wall())

    def tell_circuit(self) -> None:
        """Say once, at the first failure, that nothing gets through and that it is tried again."""
        if self._circuit.failures == 1 and not self._circuit.told and self._circuit.last is not None:
            self._circuit.told = True
            message = f"the API cannot be reached {said(self._circuit.last)}; trying again for two minutes"
            self._tell(Trouble(at=self._clock.wall(), code="unreachable", message=message))
