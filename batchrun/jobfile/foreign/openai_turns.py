"""An OpenAI conversation as messages and a system prompt: `messages` of chat completions, `input` of responses."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Path, article
from batchrun.jobfile.foreign.loss import Losses
from batchrun.jobfile.foreign.openai_content import Content, content_of

_SYSTEM = ("system", "developer")
_MESSAGE = ("role", "content", "tool_calls", "tool_call_id", "type")


@dataclass(slots=True)
class Turns:
    """A conversation as it is put together."""

    losses: Losses
    system: list[str] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    def chat(self, here: Path, messages: Any) -> None:
        """Take `messages` of chat completions."""
        if not isinstance(messages, list) or not messages:
            self.losses.refuse(here, "`messages` is missing, or no list with a message", name=False)
            return
        for index, message in enumerate(messages):
            if isinstance(message, dict):
                self._message((*here, index), message)
            else:
                self.losses.refuse((*here, index), f"a message must be an object, not {article(message)}", name=False)

    def responses(self, here: Path, given: Any) -> None:
        """Take `input` of responses."""
        if isinstance(given, str):
            self.messages.append({"role": "user", "content": given})
            return
        if not isinstance(given, list) or not given:
            self.losses.refuse(here, "`input` is missing, or neither text nor a list with an item", name=False)
            return
        for index, item in enumerate(given):
            self._item((*here, index), item)

    def _item(self, here: Path, item: Any) -> None:
        kind = item.get("type", "message") if isinstance(item, dict) else None
        if kind == "message":
            self._message(here, item)
        elif kind == "function_call":
            self._add("assistant", [self._call(here, item.get("call_id"), item.get("name"), item.get("arguments"))])
        elif kind == "function_call_output":
            self._add(
                "user", [_result(item.get("call_id"), content_of((*here, "output"), item.get("output"), self.losses))]
            )
        elif kind == "reasoning":
            self.losses.lost(here, "thoughts of another model are left out")
        else:
            said = f"an item of type `{shown(str(kind))}`" if isinstance(item, dict) else f"{article(item)} as an item"
            self.losses.refuse(here, f"{said} cannot be converted", name=False)

    def _message(self, here: Path, message: dict[str, Any]) -> None:
        role, content = message.get("role"), message.get("content")
        for name, value in message.items():
            if name not in _MESSAGE and value not in (None, []):
                self._rest((*here, name), name)
        if role in _SYSTEM:
            self._system((*here, "content"), content)
        elif role == "tool":
            self._add(
                "user", [_result(message.get("tool_call_id"), content_of((*here, "content"), content, self.losses))]
            )
        elif role == "user":
            self._add("user", content_of((*here, "content"), content, self.losses))
        elif role == "assistant":
            self._assistant(here, content, message.get("tool_calls"))
        else:
            self.losses.refuse(
                (*here, "role"), f"a message of the role {article(role)} cannot be converted", name=False
            )

    def _rest(self, here: Path, name: str) -> None:
        if name in ("function_call", "audio"):
            self.losses.refuse(here, f"`{name}` of a message cannot be converted")
        else:
            self.losses.lost(here, f"`{shown(name)}` of this message is left out")

    def _system(self, here: Path, content: Any) -> None:
        found = content_of(here, content, self.losses)
        texts = [found] if isinstance(found, str) else [str(block.get("text", "")) for block in found]
        if not isinstance(found, str) and any(block["type"] != "text" for block in found):
            self.losses.refuse(here, "a system prompt takes text only", name=False)
        if self.messages:
            self.losses.changed(here, "a message of the system moves to the system prompt, before all messages")
        self.system += [text for text in texts if text]

    def _assistant(self, here: Path, content: Any, calls: Any) -> None:
        found = "" if content is None else content_of((*here, "content"), content, self.losses)
        if not isinstance(calls, list) or not calls:
            self._add("assistant", found)
            return
        blocks: list[dict[str, Any]] = [{"type": "text", "text": found}] if isinstance(found, str) and found else []
        blocks += found if isinstance(found, list) else []
        for index, call in enumerate(calls):
            function = call.get("function") if isinstance(call, dict) else None
            place = (*here, "tool_calls", index)
            if not isinstance(function, dict):
                self.losses.refuse(place, "only calls of functions can be converted", name=False)
                continue
            blocks.append(self._call(place, call.get("id"), function.get("name"), function.get("arguments")))
        self._add("assistant", blocks)

    def _call(self, here: Path, id_: Any, name: Any, arguments: Any) -> dict[str, Any]:
        try:
            given = json.loads(arguments) if isinstance(arguments, str) and arguments else {}
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            self.losses.refuse(here, "the arguments of this call are no JSON object", name=False)
            given = {}
        return {"type": "tool_use", "id": str(id_), "name": str(name), "input": given}

    def _add(self, role: str, content: Content) -> None:
        """What tools gave back, and what was said with a call, belongs into one message."""
        last = self.messages[-1] if self.messages else None
        if (
            last is not None
            and last["role"] == role
            and isinstance(last["content"], list)
            and isinstance(content, list)
        ):
            last["content"] = [*last["content"], *content]
        else:
            self.messages.append({"role": role, "content": content})


def _result(id_: Any, content: Content) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": str(id_), "content": content}
