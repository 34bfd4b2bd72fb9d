"""The six calls of the Message Batches API: which one a request is, and what the plan wants to go wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from batchrun.simulator.batchplan import Verb
from batchrun.simulator.effects import Effect, Kind, Stage
from batchrun.simulator.failures import Failure, not_found
from batchrun.simulator.ledger import Entry, Ledger
from batchrun.simulator.wire import Request

PATH = "/v1/messages/batches"

NOT_ALLOWED = Failure(status=405, type="invalid_request_error", message="Method Not Allowed")


def verb(method: str, path: str) -> tuple[Verb, str] | Failure:
    """Which call it is, and of which batch."""
    match method, path.removeprefix(PATH).strip("/").split("/"):
        case "POST", [""]:
            return Verb.CREATE, ""
        case "GET", [""]:
            return Verb.LIST, ""
        case "GET", [id_]:
            return Verb.GET, id_
        case "DELETE", [id_] if id_:
            return Verb.DELETE, id_
        case "POST", [id_, "cancel"]:
            return Verb.CANCEL, id_
        case "GET", [id_, "results"]:
            return Verb.RESULTS, id_
        case _, [_] | [_, "cancel" | "results"]:
            return NOT_ALLOWED
        case _:
            return not_found("Not found")


def covers(path: str) -> bool:
    """Whether a path is one of this API."""
    return path == PATH or path.startswith(PATH + "/")


def counted(ledger: Ledger) -> Counter[Verb]:
    """How often each call came."""
    found = (verb(*entry.endpoint.split(" ", 1)) for entry in ledger.entries if PATH in entry.endpoint)
    return Counter(each[0] for each in found if not isinstance(each, Failure))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call that reached the API."""

    request: Request
    entry: Entry
    verb: Verb
    id: str
    workspace: str
    nth: int
    wished: Sequence[Effect]

    @property
    def after(self) -> Effect | None:
        return next((effect for effect in self.wished if effect.kind.stage is Stage.AFTER), None)

    def effect(self, kind: Kind) -> Effect | None:
        return next((effect for effect in self.wished if effect.kind is kind), None)
