"""A server on the loopback that does with a connection what a test asks for, and notes each request that came whole."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from batchrun.claude.client import Connection, build
from batchrun.claude.messages import Messages
from batchrun.core.outcome import Outcome
from tests.claude.api import KEY, StillClock, claim

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    port: int = 0
    connections: int = 0
    requests: list[str] = field(default_factory=list)  #: the heads, in lower case
    bodies: list[bytes] = field(default_factory=list)
    arrived: asyncio.Queue[None] = field(default_factory=asyncio.Queue)  #: one item for each request


@contextlib.asynccontextmanager
async def serving(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve on a free port; *behave* is called for each whole request and writes the answer, if any."""
    server = Server()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
                server.bodies.append(await reader.readexactly(length))
                server.requests.append(head)
                server.arrived.put_nowait(None)
                await behave(writer)
                if writer.is_closing():
                    break
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def answer(head: bytes, body: bytes = b"", *, length: int | None = None) -> bytes:
    """An answer whose Content-Length may lie."""
    size = len(body) if length is None else length
    return b"HTTP/1.1 " + head.replace(b"\n", b"\r\n") + b"\r\nContent-Length: %d\r\n\r\n" % size + body


def saying(*pieces: bytes, then: str = "") -> Behaviour:
    """Write *pieces*; then "close" or "reset" the connection, or leave it "open" and silent."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if then == "reset":
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if then in {"close", "reset"}:
            writer.close()

    return behave


def room(port: int, scheme: str = "http", **connection: Any) -> Messages:
    """The room with its own transport, on the loopback."""
    settings = {"secret": KEY, "base_url": f"{scheme}://127.0.0.1:{port}", **connection}
    return Messages(build(Connection(**settings)), StillClock(), 10_000)


async def sent(messages: Messages, **more: Any) -> Outcome:
    try:
        return await messages.send(claim(**more))
    finally:
        await messages.close()


def exchange(behave: Behaviour, *, max_tokens: int = 100, **connection: Any) -> tuple[Outcome, Server]:
    """Send one claim to a server that behaves so."""

    async def main() -> tuple[Outcome, Server]:
        async with serving(behave) as server:
            return await sent(room(server.port, **connection), max_tokens=max_tokens), server

    return asyncio.run(main())
