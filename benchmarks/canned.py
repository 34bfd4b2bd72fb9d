"""An API that gives everybody the same answer at once, so that only the client is measured.

    python -m benchmarks.canned ANSWER_BYTES DELAY_SECONDS

It prints its base URL and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

MODEL = "claude-haiku-5-5"

_HEADERS = {
    "content-type": "application/json",
    "date": "Fri, 20 Nov 2026 12:00:00 GMT",
    "request-id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    "anthropic-organization-id": "00000000-0000-4000-8000-000000000001",
    "anthropic-ratelimit-requests-limit": "4000000",
    "anthropic-ratelimit-requests-remaining": "3999999",
    "anthropic-ratelimit-requests-reset": "2026-11-20T12:00:00Z",
    "anthropic-ratelimit-input-tokens-limit": "4000000000",
    "anthropic-ratelimit-input-tokens-remaining": "3999999000",
    "anthropic-ratelimit-input-tokens-reset": "2026-11-20T12:00:00Z",
    "anthropic-ratelimit-output-tokens-limit": "4000000000",
    "anthropic-ratelimit-output-tokens-remaining": "3999999000",
    "anthropic-ratelimit-output-tokens-reset": "2026-11-20T12:00:00Z",
}


def message(size: int) -> bytes:
    """A message as the API answers it, of about *size* bytes."""
    usage = {
        "input_tokens": 300,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": size // 4,
        "service_tier": "standard",
    }
    value = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": "word " * (size // 5)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    return json.dumps(value).encode()


def _response(body: bytes) -> bytes:
    lines = [f"{name}: {value}" for name, value in {**_HEADERS, "content-length": str(len(body))}.items()]
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode() + body


class Canned(asyncio.Protocol):
    """One connection. Reads no more of a request than its length."""

    def __init__(self, answer: bytes, models: bytes, delay: float) -> None:
        self._answer = answer
        self._models = models
        self._delay = delay
        self._got = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        while (end := self._got.find(b"\r\n\r\n")) >= 0:
            head = self._got[:end].lower()
            _, found, rest = head.partition(b"\r\ncontent-length:")
            whole = end + 4 + (int(rest.partition(b"\r\n")[0]) if found else 0)
            if len(self._got) < whole:
                return
            self._got = self._got[whole:]
            if head.startswith(b"get "):
                self._transport.write(self._models)
            elif self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._write)
            else:
                self._write()

    def _write(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._answer)


async def _serve(size: int, delay: float) -> None:
    loop = asyncio.get_running_loop()
    answer, models = _response(message(size)), _response(b'{"data": [], "has_more": false}')
    server = await loop.create_server(lambda: Canned(answer, models, delay), "127.0.0.1", 0, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def canned(size: int = 1000, delay: float = 0.0) -> Iterator[str]:
    """The base URL of such a server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.canned", str(size), str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
