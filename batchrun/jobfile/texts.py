"""A request as text: member by member, in its own order and as it is compared, each value written once if it can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from batchrun.jobfile.json_text import canonical, compact
from batchrun.jobfile.parameters import PARAMETERS

Member = tuple[str, str]
"""The text of one member (`"model":"claude-haiku-5-5"`) as it is sent, and as it is compared."""

_NAMES = {name: f'"{name}":' for name in PARAMETERS}


def members_of(request: Mapping[str, Any]) -> dict[str, Member]:
    """The members of *request* by their names, in its order. Raises ValueError for an infinite number.

    Most requests are a few texts and numbers and one message: writing those by hand takes a third of the time that
    two walks through the whole value take.
    """
    members: dict[str, Member] = {}
    for name, value in request.items():
        key = _NAMES.get(name) or compact(name) + ":"
        if type(value) is str:
            text = key + compact(value)
            members[name] = (text, text)
        elif type(value) is int:
            text = key + str(value)
            members[name] = (text, text)
        elif (plain := _plain_message(value)) is not None:
            text = compact(plain)
            members[name] = (
                f'{key}[{{"role":"user","content":{text}}}]',
                f'{key}[{{"content":{text},"role":"user"}}]',
            )
        else:
            members[name] = (key + compact(value), key + canonical(value))
    return members


def sent(members: Iterable[Member]) -> str:
    """The object that has *members*, in their order."""
    return "{" + ",".join([member[0] for member in members]) + "}"


def compared(members: Mapping[str, Member]) -> str:
    """The canonical text of the object that has *members*: sorted keys, no spaces. As long as it is when sent."""
    return "{" + ",".join([members[name][1] for name in sorted(members)]) + "}"


def _plain_message(value: Any) -> str | None:
    """The text of a list that holds one message of the user and nothing else, its role first."""
    if type(value) is list and len(value) == 1 and type(message := value[0]) is dict and len(message) == 2:
        content = message.get("content")
        if type(content) is str and message.get("role") == "user" and next(iter(message)) == "role":
            return content
    return None
