"""The body of a request to OpenAI's chat completions or responses as a request to Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Path, article
from batchrun.jobfile.foreign.loss import Losses, Target
from batchrun.jobfile.foreign.openai_schema import closed
from batchrun.jobfile.foreign.openai_turns import Turns
from batchrun.jobfile.output import EFFORTS

BODY: Path = ("body",)

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"

_NOTHING: tuple[object, ...] = (None, False, [], {}, "")
_DROPPED = frozenset(
    {
        "background", "frequency_penalty", "include", "logit_bias", "logprobs", "max_tool_calls", "presence_penalty",
        "prompt_cache_key", "prompt_cache_retention", "seed", "service_tier", "store", "stream_options", "top_logprobs",
        "truncation", "verbosity",
    }
)  # fmt: skip
_REFUSED: Mapping[str, str] = {
    "audio": "the API makes no sound",
    "conversation": "write the whole conversation into the request",
    "function_call": "write `tool_choice`",
    "functions": "write `tools`",
    "prediction": "the API has no such thing",
    "previous_response_id": "write the whole conversation into the request",
    "prompt": "write the prompt itself into the request",
    "web_search_options": "add Anthropic's web search tool to the converted jobs",
}


class OpenAiRequest:
    """One body on its way; `params` grows as its members are taken."""

    def __init__(self, url: str, body: Mapping[str, Any], target: Target, losses: Losses) -> None:
        self._url = url
        self._body = body
        self._target = target
        self._losses = losses
        self.params: dict[str, Any] = {}
        self.metadata: dict[str, Any] | None = None  #: the user's own, to hand back

    def convert(self) -> dict[str, Any]:
        """The parameters of the same request here. What is wrong or lost is in the losses."""
        self._model()
        self._bound()
        turns = Turns(self._losses)
        if self._url == CHAT:
            turns.chat((*BODY, "messages"), self._body.get("messages"))
        else:
            turns.responses((*BODY, "input"), self._body.get("input"))
        instructions = self._body.get("instructions")
        system = [instructions, *turns.system] if isinstance(instructions, str) and instructions else turns.system
        if system:
            self.params["system"] = "\n\n".join(system)
        self.params["messages"] = turns.messages
        takers = _TAKERS
        for name, value in self._body.items():
            if name in _TAKEN or (name == "instructions" and self._url == RESPONSES):
                continue
            taker = takers.get(name)
            if taker is not None:
                if value is not None:
                    taker(self, (*BODY, name), value)
            elif name in _REFUSED:
                if value not in _NOTHING:
                    self._losses.refuse((*BODY, name), f"`{name}` cannot be converted", _REFUSED[name])
            elif value is not None and not (name in _DROPPED and _usual(name, value)):
                self._losses.lost((*BODY, name), f"`{shown(name)}` is left out: the API has no such parameter")
        return self.params

    def _model(self) -> None:
        name = self._body.get("model")
        given = name if isinstance(name, str) else ""
        models = self._target.models
        found = models.get(given) or models.get("") or (given if given.startswith("claude") else "")
        if not found:
            said = f"`{shown(given)}` is not a model of Anthropic's" if given else "`model` is missing"
            hint = "say which takes its place: --model claude-haiku-5-5, or --model OLD=NEW for each"
            self._losses.refuse((*BODY, "model") if "model" in self._body else BODY, said, hint, name=False)
        self.params["model"] = found

    def _bound(self) -> None:
        for name in ("max_completion_tokens", "max_output_tokens", "max_tokens"):
            value = self._body.get(name)
            if type(value) is int:
                self.params["max_tokens"] = value
                return
        if self._target.max_tokens is None:
            said = "no `max_tokens`: the API wants a bound for each answer"
            self._losses.refuse(BODY, said, "--max-tokens N sets one for all that name none", name=False)
        else:
            self.params["max_tokens"] = self._target.max_tokens

    def sampling(self, here: Path, value: Any) -> None:
        if value == 1:  # as it is without a word
            return
        name = str(here[-1])
        rules = self._target.rules
        model = rules.models.find(str(self.params["model"]))
        if rules.strict:
            self._losses.lost(here, f"`{name}` is left out: API version {rules.api_version} refuses it")
        elif model is not None and not model.sampling:
            self._losses.lost(here, f"`{name}` is left out: `{model.id}` refuses it")
        elif isinstance(value, int | float) and value > 1:
            self._losses.changed(here, f"`{name}` {article(value)} becomes 1, the most there is")
            self.params[name] = 1
        else:
            self.params[name] = value

    def stop(self, _here: Path, value: Any) -> None:
        stops = [value] if isinstance(value, str) else value
        if stops:
            self.params["stop_sequences"] = stops

    def count(self, here: Path, value: Any) -> None:
        if value != 1:
            self._losses.refuse(
                here, f"`n` is {article(value)}: a job has one answer", "write as many lines, each with its id"
            )

    def stream(self, here: Path, value: Any) -> None:
        if value:
            self._losses.lost(here, "`stream` is left out: answers are stored, not watched")

    def user(self, _here: Path, value: Any) -> None:
        self.params["metadata"] = {"user_id": str(value)}

    def kept(self, _here: Path, value: Any) -> None:
        if isinstance(value, dict) and value:
            self.metadata = value

    def modalities(self, here: Path, value: Any) -> None:
        if value != ["text"]:
            self._losses.refuse(here, "only text can be asked for", name=False)

    def reasoning(self, here: Path, value: Any) -> None:
        if not isinstance(value, dict):
            return
        for name, each in value.items():
            if name == "effort" and each is not None:
                self.effort((*here, name), each)
            elif each is not None:
                self._losses.lost((*here, name), f"`{shown(name)}` of `reasoning` is left out")

    def effort(self, here: Path, value: Any) -> None:
        model = self._target.rules.models.find(str(self.params["model"]))
        wish = "low" if value in ("minimal", "none") else value
        efforts = model.efforts if model is not None and model.efforts is not None else frozenset(EFFORTS)
        if not isinstance(wish, str) or wish not in efforts:
            whose = f"`{model.id}`" if model is not None else "the API"
            self._losses.lost(here, f"effort {article(value)} is left out: {whose} has no such effort")
            return
        if value == "none" and model is not None and model.thinking is not None and "disabled" in model.thinking:
            self.params["thinking"] = {"type": "disabled"}
            return
        if wish != value:
            self._losses.changed(here, f'effort {article(value)} becomes "low", the least there is')
        self.params.setdefault("output_config", {})["effort"] = wish

    def response_format(self, here: Path, value: Any) -> None:
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "text":
            return
        if kind == "json_object":
            self._losses.lost(
                here,
                "`json_object` is left out: the API gives JSON by a schema only",
                "the prompt has to ask for JSON, or add `output_config.format` with a schema",
            )
            return
        inner, place = (value.get("json_schema"), (*here, "json_schema")) if kind == "json_schema" else (None, here)
        if kind == "json_schema" and self._url == RESPONSES:
            inner, place = value, here
        if not isinstance(inner, dict) or not isinstance(inner.get("schema"), dict):
            self._losses.refuse(here, "this form of an answer cannot be converted", name=False)
            return
        if inner.get("strict") is not True:
            self._losses.changed(place, "the schema was a wish, and is always kept to here")
        form = {"type": "json_schema", "schema": closed((*place, "schema"), inner["schema"], self._losses)}
        self.params.setdefault("output_config", {})["format"] = form

    def text(self, here: Path, value: Any) -> None:
        for name, each in value.items() if isinstance(value, dict) else ():
            if name == "format" and each is not None:
                self.response_format((*here, name), each)
            elif each is not None and not (name == "verbosity" and each == "medium"):
                self._losses.lost((*here, name), f"`{shown(name)}` of `text` is left out")

    def tools(self, here: Path, value: Any) -> None:
        made = []
        for index, tool in enumerate(value if isinstance(value, list) else ()):
            place = (*here, index)
            inner = tool.get("function", tool) if isinstance(tool, dict) else None
            if not isinstance(tool, dict) or tool.get("type") != "function" or not isinstance(inner, dict):
                kind = tool.get("type") if isinstance(tool, dict) else tool
                said = f"a tool of type {article(kind)} cannot be converted"
                self._losses.refuse(
                    place, said, "Anthropic has server tools of its own: add them afterwards", name=False
                )
                continue
            strict = inner.get("strict") is True
            schema = inner.get("parameters") or {"type": "object", "properties": {}}
            where = (*place, *(("function",) if "function" in tool else ()), "parameters")
            one = {"name": inner.get("name"), "description": inner.get("description")}
            one["input_schema"] = closed(where, schema, self._losses) if strict else schema
            made.append(
                {name: each for name, each in one.items() if each is not None} | ({"strict": True} if strict else {})
            )
        if made:
            self.params["tools"] = made

    def tool_choice(self, here: Path, value: Any) -> None:
        words = {"auto": "auto", "none": "none", "required": "any"}
        inner = value.get("function", value) if isinstance(value, dict) else None
        if isinstance(value, str) and value in words:
            choice: dict[str, Any] = {"type": words[value]}
        elif isinstance(value, dict) and value.get("type") == "function" and isinstance(inner, dict):
            choice = {"type": "tool", "name": inner.get("name")}
        else:
            self._losses.refuse(here, "this `tool_choice` cannot be converted", name=False)
            return
        if self._body.get("tools"):
            self.params["tool_choice"] = choice | self.params.get("tool_choice", {})

    def parallel(self, _here: Path, value: Any) -> None:
        if value is False and self._body.get("tools"):
            choice = self.params.setdefault(
                "tool_choice", {"type": "auto"} if not self._body.get("tool_choice") else {}
            )
            choice["disable_parallel_tool_use"] = True


_TAKEN = frozenset({"model", "messages", "input", "max_tokens", "max_completion_tokens", "max_output_tokens"})
_TAKERS: Mapping[str, Callable[[OpenAiRequest, Path, Any], None]] = {
    "metadata": OpenAiRequest.kept,
    "modalities": OpenAiRequest.modalities,
    "n": OpenAiRequest.count,
    "parallel_tool_calls": OpenAiRequest.parallel,
    "reasoning": OpenAiRequest.reasoning,
    "reasoning_effort": OpenAiRequest.effort,
    "response_format": OpenAiRequest.response_format,
    "safety_identifier": OpenAiRequest.user,
    "stop": OpenAiRequest.stop,
    "stream": OpenAiRequest.stream,
    "temperature": OpenAiRequest.sampling,
    "text": OpenAiRequest.text,
    "tool_choice": OpenAiRequest.tool_choice,
    "tools": OpenAiRequest.tools,
    "top_p": OpenAiRequest.sampling,
    "user": OpenAiRequest.user,
}


def _usual(name: str, value: Any) -> bool:
    """Whether a parameter says what would be so without it."""
    return value in _NOTHING or value == 0 or (name == "service_tier" and value in ("auto", "default"))
