"""The door within the process: an httpx2 transport, so that the real SDK's client talks to the simulator directly.

    client = httpx2.AsyncClient(transport=InProcess(simulator))

No thread, no socket, no clock but the simulator's: it works in virtual time. What the API does with a request goes on
when the client stops waiting, as it does on a real server: the answer is made, billed and lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from typing import TypeVar

import httpx2

from batchrun.core.ports import Clock
from batchrun.simulator.api import Simulator
from batchrun.simulator.breakage import MANNERS, Manner, Raised
from batchrun.simulator.wire import Broken, How, Request, Response

T = TypeVar("T")


class InProcess(httpx2.AsyncBaseTransport):
    """Raises httpx2's own exceptions for whatever breaks a connection, and `ReadTimeout` by the simulator's clock.

    Only the read time-out of a request is kept: there is nothing to connect to and no pool to wait for. `manner` is
    the library whose exceptions it imitates.
    """

    def __init__(self, simulator: Simulator, *, manner: Manner = Manner.HTTPX2) -> None:
        self._simulator = simulator
        self._raised = MANNERS[manner]
        # A task that nobody holds may vanish; these outlive the client that asked.
        self._working: set[asyncio.Task[Response]] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        timeout = request.extensions.get("timeout", {}).get("read")
        task = asyncio.ensure_future(self._simulator.handle(_request(request, body)))
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        try:
            response = await _within(timeout, asyncio.shield(task), self._simulator.clock)
        except Broken as broken:
            task.add_done_callback(_abandon)
            error = self._raised(broken.how)
            raise error from error.__cause__
        except asyncio.CancelledError:
            task.add_done_callback(_abandon)
            raise
        return httpx2.Response(
            response.status,
            headers=_headers(response),
            stream=_Body(response, timeout, self._simulator.clock, self._raised),
            request=request,
        )


class _Body(httpx2.AsyncByteStream):
    """The body of a response on its way to the client."""

    def __init__(self, response: Response, timeout: float | None, clock: Clock, raised: Raised) -> None:
        self._response = response
        self._raised = raised
        self._timeout = timeout
        self._clock = clock
        self._whole = False
        self._over = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body = self._response.body
        if isinstance(body, bytes):
            self._whole = True
            yield body
            return
        while True:
            try:
                chunk = await _within(self._timeout, anext(body, None), self._clock)
            except Broken as broken:
                error = self._raised(broken.how)
                raise error from error.__cause__
            if chunk is None:
                self._whole = True
                return
            yield chunk

    async def aclose(self) -> None:
        if self._over:
            return
        self._over = True
        body = self._response.body
        if isinstance(body, AsyncGenerator):
            await body.aclose()
        self._response.ended(self._whole)


def _request(request: httpx2.Request, body: bytes) -> Request:
    query: dict[str, tuple[str, ...]] = {}
    for name, value in request.url.params.multi_items():
        query[name] = (*query.get(name, ()), value)
    return Request(
        method=request.method,
        path=request.url.path,
        query=query,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        origin=f"{request.url.scheme}://{request.url.netloc.decode('ascii')}",
    )


def _headers(response: Response) -> Mapping[str, str]:
    if isinstance(response.body, bytes):
        return {**response.headers, "content-length": str(len(response.body))}
    if response.length is not None:
        return {**response.headers, "content-length": str(response.length)}
    return response.headers


def _abandon(task: asyncio.Task[Response]) -> None:
    """Nobody waits for this response any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().ended(False)


async def _within(seconds: float | None, awaitable: Awaitable[T], clock: Clock) -> T:
    """What *awaitable* gives. Raises `Broken`, and cancels it, when it takes longer by *clock*."""
    if seconds is None:
        return await awaitable
    task = asyncio.ensure_future(awaitable)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Broken(How.SILENT, "time-out")
    finally:
        timer.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
