"""What went wrong on the way: whether anything was sent, what kind of trouble it was, and what helps."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import aiohttp
import httpx2

BODY_LIMIT = 32 * 1024 * 1024
"""Bytes of a request that the Messages API takes (errors page, 2026-06)."""


class Kind(StrEnum):
    """What stands as the error's type with an attempt that got no answer."""

    DNS = "dns_failed"
    REFUSED = "connection_refused"
    TLS = "tls_failed"
    PROXY = "proxy_failed"
    CONNECT_TIMEOUT = "connect_timeout"
    POOL = "pool_timeout"
    UNSENDABLE = "not_sendable"  #: the request cannot be written: an address or a header with illegal characters
    CONNECT = "connect_failed"
    TIMEOUT = "timeout"
    CUT = "connection_lost"


HINTS = {
    Kind.DNS: "the host name was not found: check the base URL, the name service and the network",
    Kind.REFUSED: "nothing listens there, or a firewall says no: check the base URL and HTTPS_PROXY",
    Kind.TLS: "no trusted TLS connection: where a proxy inspects traffic, name its CA in SSL_CERT_FILE",
    Kind.PROXY: "the proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY did not let it through",
    Kind.CONNECT_TIMEOUT: "no connection in time: check the network, and HTTPS_PROXY if one is needed here",
    Kind.POOL: "no connection was free in time: more requests are out than connections are allowed",
    Kind.UNSENDABLE: "check the key, the base URL and the headers for characters that may not stand there",
    Kind.CONNECT: "check the network, the base URL and HTTPS_PROXY",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """`sent` is False only where it is certain that the API has seen nothing of the request."""

    kind: Kind
    sent: bool
    words: str  #: the innermost cause in its own words; may hold secrets

    def message(self, size: int, *, free: bool = False) -> str:
        """The words for a request of about *size* bytes, with the hint; a *free* one is never billed."""
        if not self.sent:
            return f"{self.words}: nothing was sent; {HINTS[self.kind]}"
        if size > BODY_LIMIT and self.kind is Kind.CUT:
            return f"{self.words}: the request has about {size:,} bytes, and the API takes {BODY_LIMIT:,}"
        return f"{self.words}: it was sent, and no whole answer came{'' if free else '; possibly billed'}"


def trouble_of(error: BaseException) -> Trouble:
    """What *error*, raised by the SDK, httpx2 or aiohttp, or by their causes, says about the request.

    The transport under the SDK reports a connection that broke after the request was sent as one that could not be
    made (and before 2.10 as a connect time-out), so aiohttp's own exceptions are asked first. What is not known to
    come before sending counts as sent: it may have been billed.
    """
    chain = list(_chain(error))
    for judge in (_of_aiohttp, _of_httpx, _of_python):
        for cause in chain:
            kind = judge(cause)
            if kind is not None:
                sent = kind in {Kind.TIMEOUT, Kind.CUT}
                if kind is Kind.CONNECT:
                    kind = _reason(chain[-1])
                return Trouble(kind=kind, sent=sent, words=_words(cause, chain[-1]))
    return Trouble(kind=Kind.CUT, sent=True, words=_words(chain[-1], error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """*error* and what it was raised from, outermost first."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__


def _of_aiohttp(cause: BaseException) -> Kind | None:
    match cause:
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return Kind.PROXY
        case aiohttp.ClientConnectorDNSError():
            return Kind.DNS
        case aiohttp.ClientConnectorError():
            return Kind.CONNECT
        case aiohttp.ConnectionTimeoutError():
            return Kind.CONNECT_TIMEOUT
        case aiohttp.ServerTimeoutError():
            return Kind.TIMEOUT
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return Kind.UNSENDABLE
        case aiohttp.ClientError():
            return Kind.CUT
        case _:
            return None


def _of_httpx(cause: BaseException) -> Kind | None:
    match cause:
        case httpx2.ProxyError():
            return Kind.PROXY
        case httpx2.PoolTimeout():
            return Kind.POOL
        case httpx2.ConnectTimeout():
            return Kind.CONNECT_TIMEOUT
        case httpx2.TimeoutException():
            return Kind.TIMEOUT
        case httpx2.ConnectError():
            return Kind.CONNECT
        case httpx2.UnsupportedProtocol() | httpx2.LocalProtocolError() | httpx2.InvalidURL():
            return Kind.UNSENDABLE
        case httpx2.RequestError():
            return Kind.CUT
        case _:
            return None


def _of_python(cause: BaseException) -> Kind | None:
    match cause:
        case TimeoutError():
            return Kind.TIMEOUT
        case ValueError():  # a header or an address that cannot be written; both are checked before sending
            return Kind.UNSENDABLE
        case _:
            return None


def _reason(cause: BaseException) -> Kind:
    """Why no connection could be made, by the innermost exception."""
    match cause:
        case socket.gaierror():
            return Kind.DNS
        case ConnectionRefusedError():
            return Kind.REFUSED
        case ssl.SSLError():
            return Kind.TLS
        case TimeoutError():
            return Kind.CONNECT_TIMEOUT
        case _:
            return Kind.CONNECT


def _words(*causes: BaseException) -> str:
    """The words of the first of *causes* that has any."""
    for cause in causes:
        text = str(cause).strip()
        if text:
            return text
    return type(causes[0]).__name__
