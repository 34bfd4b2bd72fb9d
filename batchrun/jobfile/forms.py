"""The forms in which a job may be written, and the request that each of them means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batchrun.core.job import KEY_LENGTH, Nanos
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Fault, Path, article, did_you_mean
from batchrun.jobfile.json_text import compact, too_deep
from batchrun.jobfile.labels import max_cost_of, tags_of
from batchrun.jobfile.parameters import ANTHROPIC, OURS

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MOVED = frozenset(OURS)


@dataclass(slots=True, kw_only=True)
class Draft:
    """A job as it was written, before it is checked: `request` is what it means to send, in the file's order.

    `prefix` and `prompted` lead from a place in the request back to the place in what was written.
    """

    key: str | None
    request: dict[str, Any]
    faults: list[Fault]  #: mistakes of the form, each with its path in what was written
    metadata: str | None = None
    tags: str | None = None
    max_cost: Nanos | None = None
    prefix: Path = ()
    prompted: bool = False
    missing: bool = False  #: there is no request at all to look into

    def inherit(self, common: Draft) -> None:
        """Take from the defaults what this job does not say itself, of what stands beside the request."""
        self.metadata = common.metadata if self.metadata is None else self.metadata
        self.tags = common.tags if self.tags is None else self.tags
        self.max_cost = common.max_cost if self.max_cost is None else self.max_cost

    def written(self, path: Path) -> Path:
        """Where in the written job the value at *path* of the request stands."""
        if self.prompted and path[:1] == ("messages",):
            return ("prompt",)
        return self.prefix + path


def anthropic(line: Mapping[str, Any]) -> Draft:
    """A line of an Anthropic batch: `params` is the request, verbatim."""
    faults: list[Fault] = []
    params = line.get("params")
    if not isinstance(params, dict):
        said = f", not {article(params)}" if "params" in line else ""
        faults.append(
            Fault(
                code=Code.NO_PARAMS,
                path=("params",) if "params" in line else (),
                message=f"`params` must be an object with the request{said}",
                hint="or write `id` instead of `custom_id`, and the parameters beside it",
            )
        )
    key = line.get("custom_id")
    if not isinstance(key, str):
        path: Path = ("custom_id",) if "custom_id" in line else ()
        said = f", not {article(key)}" if path else ""
        faults.append(Fault(code=Code.ID, path=path, message=f"`custom_id` must be text{said}"))
        key = None
    else:
        faults += faults_of_key(key, "custom_id")
    if len(line) > 2:
        faults += _unknown_beside_params(line)
    metadata = metadata_of(line, faults)
    if not isinstance(params, dict):
        return Draft(key=key, request={}, faults=faults, missing=True)
    draft = Draft(key=key, request=params, faults=faults, metadata=metadata, prefix=("params",))
    return _labelled(draft, line)


def short(entry: Mapping[str, Any]) -> Draft:
    """A short line, or a job in YAML: the parameters, with `id`, `prompt` and `metadata` of our own among them."""
    faults: list[Fault] = []
    given = entry.get("id")
    key: str | None = None
    if isinstance(given, str) or type(given) is int:
        key = str(given)
        faults += faults_of_key(key, "id")
    elif "id" in entry:
        faults.append(Fault(code=Code.ID, path=("id",), message=f"`id` must be text, not {article(given)}"))
    metadata = metadata_of(entry, faults)
    request, prompted = _request(entry, faults)
    draft = Draft(key=key, request=request, faults=faults, metadata=metadata, prompted=prompted)
    return _labelled(draft, entry)


def defaults(section: Mapping[str, Any]) -> Draft:
    """The part that all jobs of a YAML file have in common. It has no id."""
    faults: list[Fault] = []
    if "id" in section:
        faults.append(
            Fault(code=Code.ID, path=("id",), name=True, message="`defaults` cannot have an `id`: each job has its own")
        )
    metadata = metadata_of(section, faults)
    request, prompted = _request(section, faults)
    return _labelled(Draft(key=None, request=request, faults=faults, metadata=metadata, prompted=prompted), section)


def _labelled(draft: Draft, entry: Mapping[str, Any]) -> Draft:
    """*draft* with what *entry* says of tags and of its cost."""
    if "tags" in entry:
        draft.tags = tags_of(entry["tags"], draft.faults)
    if "max_cost" in entry:
        draft.max_cost = max_cost_of(entry["max_cost"], draft.faults)
    return draft


def _request(entry: Mapping[str, Any], faults: list[Fault]) -> tuple[dict[str, Any], bool]:
    """(the request, whether its messages were written as a prompt)."""
    if "prompt" not in entry:
        return {name: value for name, value in entry.items() if name not in _MOVED}, False
    prompt = entry["prompt"]
    if "messages" in entry:
        faults.append(
            Fault(
                code=Code.PROMPT_AND_MESSAGES,
                path=("prompt",),
                name=True,
                message="`prompt` and `messages` are both given",
                hint="write one of them; `prompt` is short for one message of the user",
            )
        )
    if not isinstance(prompt, str):
        faults.append(
            Fault(
                code=Code.PROMPT,
                path=("prompt",),
                message=f"`prompt` must be text, not {article(prompt)}",
                hint="write `messages` for pictures, documents or several turns",
            )
        )
    messages = [{"role": "user", "content": prompt if isinstance(prompt, str) else "(told above)"}]
    return {
        "messages" if name == "prompt" else name: messages if name == "prompt" else value
        for name, value in entry.items()
        if name == "prompt" or not (name in _MOVED or name == "messages")
    }, True


def faults_of_key(key: str, name: str) -> tuple[Fault, ...]:
    """What is wrong with an id that stands under *name*."""
    if len(key) <= KEY_LENGTH and key.isprintable() and not key.isspace() and key:
        return ()
    if not key.strip():
        message = f"`{name}` is empty"
    elif len(key) > KEY_LENGTH:
        message = f"`{name}` has {len(key):,} characters; {KEY_LENGTH} are the most"
    elif _CONTROL.search(key):
        message = f"`{name}` holds a control character"
    elif not _encodes(key):
        message = f"`{name}` holds half a character"
    else:
        return ()
    return (Fault(code=Code.ID, path=(name,), message=message),)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def metadata_of(entry: Mapping[str, Any], faults: list[Fault]) -> str | None:
    """The JSON text that is handed back with the answer. Raises ValueError for what JSON cannot hold."""
    metadata = entry.get("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        faults.append(
            Fault(
                code=Code.METADATA,
                path=("metadata",),
                message=f"`metadata` must be an object, not {article(metadata)}",
                hint="it is handed back with the answer",
            )
        )
        return None
    if too_deep(metadata):
        faults.append(Fault(code=Code.TOO_DEEP, path=("metadata",), message="`metadata` is nested too deeply"))
        return None
    if metadata.keys() == {"user_id"} and "params" not in entry:
        faults.append(
            Fault(
                code=Code.METADATA_KEPT,
                path=("metadata",),
                name=True,
                message="`metadata` is handed back with the answer, and not sent to the API",
                hint="a line with `custom_id` and `params` sends it",
            )
        )
    text = compact(metadata)
    text.encode()
    return text


def _unknown_beside_params(line: Mapping[str, Any]) -> Iterator[Fault]:
    for name in line:
        if name not in ANTHROPIC:
            yield Fault(
                code=Code.UNKNOWN_KEY,
                path=(name,),
                name=True,
                message=f"`{shown(name)}` beside `params` is not sent",
                hint=did_you_mean(name, ANTHROPIC) or "parameters of the request stand inside `params`",
            )
