"""What a client sees when a connection fails, in the exceptions of the two libraries the SDK can work with.

Observed with httpx2 2.16, aiohttp 3.14 and anthropic 2.11 on loopback connections. Mind the second table: over aiohttp
a connection that fails *after* the request was sent is a `ConnectError` too, and only its cause tells the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import assert_never

import aiohttp
import httpx2
from aiohttp.client_reqrep import ConnectionKey

from batchrun.simulator.wire import How

Raised = Callable[[How], httpx2.TransportError]


class Manner(StrEnum):
    HTTPX2 = "httpx2"
    AIOHTTP = "aiohttp"


def _httpx2(how: How) -> httpx2.TransportError:
    match how:
        case How.NOT_REACHED:
            return httpx2.ConnectError("All connection attempts failed")
        case How.RESET:
            return httpx2.ReadError("")
        case How.CLOSED:
            return httpx2.RemoteProtocolError("Server disconnected without sending a response.")
        case How.CUT:
            return httpx2.RemoteProtocolError("peer closed connection without sending complete message body")
        case How.SILENT:
            return httpx2.ReadTimeout("")
        case _:
            assert_never(how)


def _aiohttp(how: How) -> httpx2.TransportError:
    match how:
        case How.NOT_REACHED:
            where = ConnectionKey("api.anthropic.com", 443, True, True, None, None, None)
            cause = aiohttp.ClientConnectorError(where, ConnectionRefusedError(111, "Connect call failed"))
            return _caused(httpx2.ConnectError, cause)
        case How.RESET:
            return _caused(httpx2.ConnectError, aiohttp.ClientOSError(104, "Connection reset by peer"))
        case How.CLOSED:
            return _caused(httpx2.ConnectError, aiohttp.ServerDisconnectedError())
        case How.CUT:
            return _caused(httpx2.ReadError, aiohttp.ClientPayloadError("Response payload is not completed"))
        case How.SILENT:
            return _caused(httpx2.ReadTimeout, aiohttp.SocketTimeoutError("Timeout on reading data from socket"))
        case _:
            assert_never(how)


def _caused(kind: type[httpx2.TransportError], cause: Exception) -> httpx2.TransportError:
    error = kind(str(cause))
    error.__cause__ = cause
    return error


MANNERS: Mapping[Manner, Raised] = {Manner.HTTPX2: _httpx2, Manner.AIOHTTP: _aiohttp}
