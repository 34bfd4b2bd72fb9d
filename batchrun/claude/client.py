"""The SDK's client as this program uses it: one request is one request, on a pool of the size of the window."""

from __future__ import annotations

import re
import socket
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp
import httpx2
from anthropic import AsyncAnthropic, DefaultAioHttpClient

from batchrun.claude.head import note
from batchrun.errors import KeyRefused, UsageError

BASE_URL = "https://api.anthropic.com"

Client = AsyncAnthropic
"""What `build` makes."""

KEEP_ALIVE = 4.0
"""Seconds an idle connection is kept: below the 5 s after which Node and uvicorn gateways close theirs, because a
request sent into a closing connection is lost and possibly billed."""

_ILLEGAL = re.compile(r"[^\x21-\x7e]")
_ILLEGAL_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class KeyKind(StrEnum):
    API_KEY = "api_key"
    AUTH_TOKEN = "auth_token"  # noqa: S105 - the name of a kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Everything a client needs. Times are in seconds.

    `read` is the longest silence of an answer that is not streamed, so the time a whole answer may take; in a stream
    it is the longest time without an event other than a ping. `pool` is the time to wait for a free connection.
    """

    secret: str = field(repr=False)
    kind: KeyKind = KeyKind.API_KEY
    base_url: str = BASE_URL
    api_version: str | None = None  #: the `anthropic-version` header; None for the SDK's own (2026-10-21 in SDK 2.x)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect: float = 15.0
    read: float = 600.0
    write: float = 120.0
    pool: float = 60.0
    connections: int = 64  #: as many as requests may be out at once

    @property
    def timeout(self) -> httpx2.Timeout:
        # aiohttp counts the connecting into the wait for a connection, so that may not be the shorter one.
        return httpx2.Timeout(connect=self.connect, read=self.read, write=self.write, pool=max(self.pool, self.connect))


def build(connection: Connection, http_client: httpx2.AsyncClient | None = None) -> AsyncAnthropic:
    """The client for *connection*; *http_client* takes the place of the default one.

    It never repeats a request, follows no redirect, traces nothing, and uses exactly the credential given, whatever
    key the environment holds. Proxies (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY), certificates (SSL_CERT_FILE,
    SSL_CERT_DIR) and ANTHROPIC_CUSTOM_HEADERS of the environment hold.

    Raises KeyRefused without a usable key, and UsageError for a base URL or a header that cannot be sent.
    """
    # The SDK and its transport speak of their own deprecations (models, aiohttp's BasicAuth) on stderr.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"anthropic(\.|$)")
    # A body over a megabyte is pictures or documents; it is in memory already, and the socket takes it in pieces.
    warnings.filterwarnings("ignore", "Sending a large body", category=ResourceWarning)
    secret = _secret(connection.secret)
    headers = dict(connection.headers)
    if connection.api_version is not None:
        headers["anthropic-version"] = connection.api_version
    check_headers(headers)
    http = http_client if http_client is not None else _aiohttp_client(connection)
    http.event_hooks["response"].append(note)
    return AsyncAnthropic(
        api_key=secret if connection.kind is KeyKind.API_KEY else None,
        auth_token=secret if connection.kind is KeyKind.AUTH_TOKEN else None,
        base_url=_base_url(connection.base_url),
        timeout=connection.timeout,
        max_retries=0,
        default_headers=headers,
        http_client=http,
        open_telemetry=False,
    )


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises UsageError, which names the header and not its value, for one that cannot be sent."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise UsageError(f"`{name}` cannot be the name of a header")
        if _ILLEGAL_VALUE.search(value):
            raise UsageError(f"the header `{name}` has a line break or control character in its value")


def _secret(secret: str) -> str:
    """*secret* without blanks round it; a line break at the end of a key file is the commonest mistake."""
    bare = secret.strip()
    if not bare:
        raise KeyRefused("the API key is empty", "set ANTHROPIC_API_KEY")
    if _ILLEGAL.search(bare):
        raise KeyRefused("the API key contains blanks, line breaks or letters that no key has", "copy it again")
    return bare


def _base_url(text: str) -> str:
    """*text* without a `/v1` at its end: the SDK adds it."""
    bare = text.strip().rstrip("/").removesuffix("/v1")
    try:
        url = httpx2.URL(bare)
    except httpx2.InvalidURL as error:
        raise UsageError(f"the base URL cannot be read: {error}", f"write it like {BASE_URL}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise UsageError("the base URL needs http:// or https:// and a host", f"write it like {BASE_URL}")
    if url.userinfo:
        raise UsageError("the base URL holds a user or password, which would take the place of the key")
    return bare


def _aiohttp_client(connection: Connection) -> httpx2.AsyncClient:
    client = DefaultAioHttpClient(
        timeout=connection.timeout,
        follow_redirects=False,
        limits=httpx2.Limits(
            max_connections=connection.connections,
            max_keepalive_connections=connection.connections,
            keepalive_expiry=KEEP_ALIVE,
        ),
    )
    _keep_idle_connections_alive(client)
    return client


def _keep_idle_connections_alive(client: httpx2.AsyncClient) -> None:
    """Have the sockets of *client* probe a silent peer, as those of the SDK's other transport do.

    An answer that is not streamed may be silent for minutes, and routers forget silent connections (AWS: 350 s): its
    end would never arrive. Without the attributes below (another SDK), the sockets are as the SDK makes them.
    """
    transports = [getattr(client, "_transport", None), *getattr(client, "_mounts", {}).values()]
    for transport in transports:
        if hasattr(transport, "client") and hasattr(transport, "ssl_context") and hasattr(transport, "limits"):
            transport.client = lambda transport=transport: _session(transport)


def _session(transport: Any) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=transport.limits.max_connections,
        keepalive_timeout=transport.limits.keepalive_expiry,
        ssl=transport.ssl_context,
        socket_factory=probing_socket,
    )
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def probing_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for one item of `getaddrinfo` that asks a silent peer each minute whether it is there."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL"):  # TCP_KEEPALIVE is macOS' name for the first
        option = getattr(socket, name, None)
        if option is not None:
            made.setsockopt(socket.IPPROTO_TCP, option, 60)
    return made
