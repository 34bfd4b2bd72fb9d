"""The Message Batches API: each call made once, and whatever comes of it as a value."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal, cast
from urllib.parse import quote

import httpx2
from anthropic import AsyncAnthropic, AsyncStream, RequestOptions

from batchrun.claude.account import told
from batchrun.claude.exchange import TOTAL, TROUBLE, Exchanges, failed, json_of, unsendable
from batchrun.claude.head import Head, expected
from batchrun.claude.items import item_of
from batchrun.claude.lines import Lines
from batchrun.claude.patience import Timeout, patience
from batchrun.claude.redaction import LOOKED_AT, wording
from batchrun.claude.remotes import page_of, remote_of
from batchrun.claude.said import Asked
from batchrun.claude.translate import cut, error_event, no_message
from batchrun.claude.trouble import Kind, trouble_of
from batchrun.claude.upload import Upload
from batchrun.core.batch import Item, Page, Remote
from batchrun.core.outcome import Billed, Dropped, Misrouted, ModelUnavailable, Outcome, Refused, Reply, Unreachable
from batchrun.core.ports import Clock
from batchrun.errors import UsageError

PATH = "/v1/messages/batches"

MOST_LISTED = 1_000
"""Batches that one page may have (anthropic 2.12.0)."""

ANSWER = 600.0
"""Seconds that the answer to a create may take at least: it is read before it is answered, and may be 256 MB."""


class Batches:
    """The batches of the workspace behind *client* (see `client.build`). Is a `core.ports.BatchApi`.

    *total_timeout* is how many seconds an exchange may take, but for a create and a download, which may take as long
    as they move. *account_name* is the user's word for the account, where the API gives none.

    All addresses are under the client's own base URL: where the API says that results are is not asked, because the
    key would go there.
    """

    def __init__(
        self, client: AsyncAnthropic, clock: Clock, *, total_timeout: float = TOTAL, account_name: str = ""
    ) -> None:
        self._client = client
        self._clock = clock
        self._exchanges = Exchanges(client, clock, account_name)
        self._total = total_timeout

    async def create(self, body: bytes, *, betas: Sequence[str], headers: Mapping[str, str]) -> Remote | Outcome:
        """POST *body* as it stands, once. `core.batch.clarity` says of an outcome whether the batch may stand."""
        asked = self._exchanges.asked(headers)
        times = _patient(self._client.timeout)
        try:
            merged = self._exchanges.headers(betas, headers)
        except UsageError as error:
            return unsendable(error)
        head, upload = expected(), Upload(body, times, self._clock)
        options: RequestOptions = {
            "follow_redirects": False,
            "timeout": times,
            "headers": {**merged, "content-length": str(len(body))},
        }
        try:
            async with patience(times, self._total) as limits:
                response = await self._client.post(
                    PATH, cast_to=httpx2.Response, content=upload.pieces(limits), options=options
                )
        except TROUBLE as error:
            if head.status is None:
                return _lost_create(error, asked, upload)
            return _of_batch(failed(error, asked, head))
        value = json_of(response.content)
        return remote_of(value) or _foreign(response, value, head, asked, "batch")

    async def page(self, after: str | None = None) -> Page | Outcome:
        asked = self._exchanges.asked(free=True)
        params = {"limit": MOST_LISTED} if after is None else {"limit": MOST_LISTED, "after_id": after}
        answer = await self._free("get", PATH, asked, params)
        if not isinstance(answer, tuple):
            return answer
        response, value, head = answer
        date = told(head.headers, asked.address).server_date
        return page_of(value, date) or _foreign(response, value, head, asked, "list of batches")

    async def find(self, remote: str) -> Remote | Outcome:
        """The batch *remote*. One that the API does not know is a `Refused` of status 404."""
        return await self._batch("get", remote)

    async def cancel(self, remote: str) -> Remote | Outcome:
        return await self._batch("post", remote, "/cancel")

    async def delete(self, remote: str) -> Outcome | None:
        """None once it is deleted; the API refuses while it has not ended."""
        asked = self._exchanges.asked(free=True, body=remote)
        answer = await self._free("delete", _path(remote), asked)
        if not isinstance(answer, tuple):
            return answer
        response, value, head = answer
        if isinstance(value, dict) and value.get("type") == "message_batch_deleted":
            return None
        return _foreign(response, value, head, asked, "deletion")

    async def results(self, remote: str) -> AsyncGenerator[Item | Outcome, None]:
        """The results from the start of the file, line by line; see `core.ports.BatchApi`.

        An answer's body is the text of its message as it came. Nothing but a line is kept in memory.
        """
        asked = self._exchanges.asked(free=True, body=remote)
        head = expected()
        try:
            # Only the silence between two bytes is bounded, by the transport: a download that moves may take hours.
            response = cast(
                "httpx2.Response",
                await self._client.get(
                    _path(remote, "/results"),
                    cast_to=httpx2.Response,
                    options={"follow_redirects": False},
                    stream=True,
                    stream_cls=AsyncStream[object],
                ),
            )
        except TROUBLE as error:
            yield _of_batch(failed(error, asked, head))
            return
        try:
            async with aclosing(_lines(response, asked, head)) as lines:
                n = 0
                async for each in lines:
                    if not isinstance(each, list):
                        yield each
                        return
                    for line in each:
                        if not line.strip():
                            continue
                        item = item_of(line, asked)
                        if item is None:
                            yield _no_item(line, n, response.status_code, head, asked)
                            return
                        n += 1
                        yield item
        finally:
            if not response.is_closed:
                await response.aclose()

    async def _batch(self, method: Literal["get", "post"], remote: str, what: str = "") -> Remote | Outcome:
        asked = self._exchanges.asked(free=True, body=remote)
        answer = await self._free(method, _path(remote, what), asked)
        if not isinstance(answer, tuple):
            return answer
        response, value, head = answer
        return remote_of(value) or _foreign(response, value, head, asked, "batch")

    async def _free(
        self,
        method: Literal["get", "post", "delete"],
        path: str,
        asked: Asked,
        params: Mapping[str, object] | None = None,
    ) -> tuple[httpx2.Response, Any, Head] | Outcome:
        """The 2xx answer to one small request that costs nothing, with its JSON value (None if it has none)."""
        options: RequestOptions = {"follow_redirects": False}
        if params is not None:
            options["params"] = params
        call = cast("Callable[..., Awaitable[httpx2.Response]]", getattr(self._client, method))
        head = expected()
        try:
            async with patience(self._client.timeout, self._total):
                response = await call(path, cast_to=httpx2.Response, options=options)
        except TROUBLE as error:
            return _of_batch(failed(error, asked, head))
        return response, json_of(response.content), head


def _path(remote: str, what: str = "") -> str:
    return f"{PATH}/{quote(remote, safe='')}{what}"


def _patient(times: Timeout) -> Timeout:
    """*times* with at least `ANSWER` seconds for the answer."""
    if not isinstance(times, httpx2.Timeout):
        return times if times is None else max(times, ANSWER)
    read = times.read if times.read is None else max(times.read, ANSWER)
    return httpx2.Timeout(connect=times.connect, read=read, write=times.write, pool=times.pool)


async def _lines(response: httpx2.Response, asked: Asked, head: Head) -> AsyncGenerator[list[bytes] | Outcome, None]:
    """The lines of *response*, some at a time; an outcome at last if it broke, or if a line is too long."""
    lines = Lines()
    try:
        async for piece in response.aiter_bytes():
            if whole := lines.take(piece):
                yield whole
    except TROUBLE as error:
        yield failed(error, asked, head)
        return
    yield [lines.rest()]


def _no_item(line: bytes, n: int, status: int, head: Head, asked: Asked) -> Outcome:
    """What *line*, which is no item and comes after *n* items, says of the download: cut, or never the API's."""
    value = json_of(line)
    if isinstance(value, dict) and value.get("type") == "error":
        return _of_batch(error_event(head.headers, value, asked, began=n > 0))
    if n == 0 and value is None:
        return no_message(status, head.headers, line[:LOOKED_AT].decode(errors="replace"), asked, "result of a batch")
    return cut(f"after {n:,} results came a line that is none", Kind.CUT, asked, head.headers)


def _foreign(response: httpx2.Response, value: Any, head: Head, asked: Asked, what: str) -> Outcome:
    """What a 2xx answer means that is not *what* was asked for; if it was a create, the batch may stand."""
    outcome = no_message(response.status_code, head.headers, response.text if value is None else value, asked, what)
    if value is None and not isinstance(outcome, Misrouted):
        return outcome
    return Misrouted(reply=outcome.reply, billed=Billed.NO if asked.free else Billed.MAYBE)


def _lost_create(error: BaseException, asked: Asked, upload: Upload) -> Outcome:
    """What *error* means, before anything of an answer came, by how much of the create had left."""
    trouble = trouble_of(error)
    reply = Reply(error_type=trouble.kind, message=wording(f"{trouble.words}: {upload}", asked.secrets))
    if trouble.sent and not upload.whole:
        return Unreachable(reply=reply)
    if upload.whole and trouble.kind is Kind.UNSENDABLE:  # what could not be written had been written by then
        return Dropped(reply=reply)
    return failed(error, asked, Head())


def _of_batch(outcome: Outcome) -> Outcome:
    """*outcome* of a request that is about a batch: no model is named in it, so none is missing."""
    return Refused(reply=outcome.reply) if isinstance(outcome, ModelUnavailable) else outcome
