"""The door over loopback: the simulated API as an HTTP server, for the real program and for anybody's tests.

Besides the API it serves `GET /_simulator/ledger` (`?since=N` leaves out the first N entries),
`GET | PUT /_simulator/plan`, where a PUT changes the top-level settings it names and leaves the others, and
`GET | POST /_simulator/batches`, where a POST of `{"size": N, "minutes": M}` is a colleague's create.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import random
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from batchrun.clock import SystemClock
from batchrun.core.ports import Clock
from batchrun.errors import UsageError
from batchrun.simulator import calls, planfile, submission
from batchrun.simulator.api import LARGEST_BODY, Simulator
from batchrun.simulator.ledger import Ledger
from batchrun.simulator.plan import Plan
from batchrun.simulator.shelf import Shelf
from batchrun.simulator.wire import Broken, How, Request, Response

PRIVATE = "/_simulator/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that takes requests until it is closed."""

    host: str
    port: int
    runner: web.ServerRunner

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    async def close(self) -> None:
        """Take no more requests and break what is in flight."""
        await self.runner.cleanup()


async def run(
    plan: Plan,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[str], None] | None = None,
    *,
    clock: Clock | None = None,
    ledger: Ledger | None = None,
    shelf: Shelf | None = None,
    remote: bool = False,
) -> None:
    """Serve *plan* until cancelled; *ready* gets the base URL once requests are taken. Raises UsageError."""
    dice = random.Random(plan.seed)  # noqa: S311  # simulation, not secrecy
    simulator = Simulator(plan, clock or SystemClock(), dice, ledger, shelf=shelf)
    served = await serve(simulator, host, port, remote=remote)
    try:
        if ready is not None:
            ready(served.url)
        await asyncio.Event().wait()
    finally:
        await served.close()


async def serve(simulator: Simulator, host: str = "127.0.0.1", port: int = 0, *, remote: bool = False) -> Served:
    """Bind and serve *simulator*; port 0 takes a free one.

    Raises UsageError for a host that other machines can reach unless *remote* is true, and for a port that is taken.
    """
    if not remote and not _is_loopback(host):
        raise UsageError(f"{host} can be reached from other machines", "bind to 127.0.0.1, or ask for it")
    # On a drop the handler goes on by itself, as a real server does: what was accepted is made and billed.
    runner = web.ServerRunner(web.Server(_Door(simulator).handle, access_log=None), shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except OSError as error:
        await runner.cleanup()
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return Served(host=host, port=runner.addresses[0][1], runner=runner)


class _Door:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = await _request(request, self._simulator.shelf)
        if request.path.startswith(PRIVATE):
            return await self._private(request, asked.body)
        try:
            response = await self._simulator.handle(asked)
        except Broken as broken:
            return _broken(request, broken)
        answer = _answer(response)
        if asked.too_large:
            answer.force_close()
        delivered = False
        try:
            await answer.prepare(request)
            if not isinstance(response.body, bytes):
                async for chunk in response.body:
                    await answer.write(chunk)
            await answer.write_eof()
            delivered = True
        except Broken:
            # Closing sends what is written first: the client gets half an answer, and then the end.
            if request.transport is not None:
                request.transport.close()
        except ConnectionError:
            pass  # the client has gone
        finally:
            if isinstance(response.body, AsyncGenerator):
                await response.body.aclose()
            response.ended(delivered)
        return answer

    async def _private(self, request: web.BaseRequest, body: bytes) -> web.Response:
        match request.method, request.path.removeprefix(PRIVATE):
            case "GET", "ledger":
                since = request.query.get("since", "0")
                if not since.isdecimal():
                    return _json({"error": "since is a number of entries"}, 400)
                return _json({"entries": [asdict(entry) for entry in self._simulator.ledger.entries[int(since) :]]})
            case "GET", "batches":
                await self._simulator.settle()
                return _json({"batches": [lot.plain() for lot in self._simulator.ledger.lots.values()]})
            case "POST", "batches":
                try:
                    wish = json.loads(body)
                    size, minutes = int(wish["size"]), float(wish.get("minutes", 1.0))
                except (ValueError, TypeError, KeyError, AttributeError):
                    return _json({"error": "not a batch", "hint": '{"size": 100, "minutes": 1}'}, 400)
                return _json({"id": self._simulator.foreign_batch(size, minutes=minutes)})
            case "GET", "plan":
                return _json(planfile.dump(self._simulator.plan))
            case "PUT", "plan":
                try:
                    self._simulator.change(planfile.load(json.loads(body), self._simulator.plan))
                except UsageError as wrong:
                    return _json({"error": wrong.message, "hint": wrong.hint}, 400)
                except ValueError as wrong:
                    return _json({"error": f"not JSON: {wrong}"}, 400)
                return _json(planfile.dump(self._simulator.plan))
            case _:
                return _json({"error": "not found"}, 404)


async def _request(request: web.BaseRequest, shelf: Shelf) -> Request:
    """The request with its body, but for one that is too large. That of a batch goes to the disk as it comes."""
    upload = shelf.upload() if request.method == "POST" and request.path == calls.PATH else None
    most = LARGEST_BODY if upload is None else submission.LARGEST
    chunks: list[bytes] = []
    size = 0
    try:
        with shelf.create(upload) if upload is not None else nullcontext() as file:
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > most:
                    break
                if file is None:
                    chunks.append(chunk)
                else:
                    file.write(chunk)
    except BaseException:
        if upload is not None:
            upload.unlink()  # whoever sent it has gone: nothing was accepted
        raise
    query: dict[str, tuple[str, ...]] = {}
    if request.query_string:
        for name, value in request.query.items():
            query[name] = (*query.get(name, ()), value)
    return Request(
        method=request.method,
        path=request.path,
        query=query,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=chunks[0] if len(chunks) == 1 else b"".join(chunks),
        upload=upload,
        too_large=size > most,
        origin=f"{request.scheme}://{request.host}",
    )


def _answer(response: Response) -> web.StreamResponse:
    if isinstance(response.body, bytes):
        return web.Response(status=response.status, headers=response.headers, body=response.body)
    answer = web.StreamResponse(status=response.status, headers=response.headers)
    if response.length is not None:
        answer.content_length = response.length
    return answer


def _broken(request: web.BaseRequest, broken: Broken) -> web.StreamResponse:
    """End the connection without a word."""
    transport = request.transport
    if transport is not None and broken.how is How.CLOSED:
        transport.close()
    elif transport is not None:
        # Closed with bytes to linger for no time, a connection is reset instead of ended.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=json.dumps(value).encode(), content_type="application/json")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
