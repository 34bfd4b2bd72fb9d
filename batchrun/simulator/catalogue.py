"""The Models API: what is served, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchrun.simulator import paging
from batchrun.simulator.failures import Failure, invalid, not_found
from batchrun.simulator.models import Model, find

LEVELS = ("low", "medium", "high", "xhigh", "max")
KINDS = ("adaptive", "between_tools", "disabled", "enabled")
STAGES = ("active", "deprecated", "retired")


def answer(id_: str, query: Mapping[str, Sequence[str]], models: Mapping[str, Model]) -> Mapping[str, Any] | Failure:
    """One model, or a page of the list where *id_* is empty."""
    if id_:
        model = find(models, id_)
        return not_found(f"model: {id_}") if model is None else _info(model)
    return _page(query, models)


def _page(query: Mapping[str, Sequence[str]], models: Mapping[str, Model]) -> Mapping[str, Any] | Failure:
    stages = [each for name in ("lifecycle", "lifecycle[]") for each in query.get(name, ())]
    wanted = stages or STAGES[:2]
    if not set(wanted) <= set(STAGES):
        return invalid("lifecycle: Input should be 'active', 'deprecated' or 'retired'")
    rows = [model for model in models.values() if model.lifecycle in wanted]
    page = paging.page(rows, _id, query)
    return page if isinstance(page, Failure) else page.shown(_id, _info)


def _id(model: Model) -> str:
    return model.id


def _info(model: Model) -> Mapping[str, Any]:
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.name,
        "created_at": model.created,
        "lifecycle": model.lifecycle,
        "deprecated_at": model.deprecated,
        "retires_at": model.retires,
        "line": model.name.split()[1].lower(),
        "max_input_tokens": model.context,
        "max_tokens": model.max_output,
        "capabilities": _capabilities(model),
    }


def _capabilities(model: Model) -> Mapping[str, Any]:
    yes: Mapping[str, Any] = {"supported": True}
    return {
        "batch": yes,
        "citations": yes,
        "code_execution": yes,
        "context_management": yes,
        "effort": {
            "supported": bool(model.efforts),
            **{level: {"supported": level in model.efforts} for level in LEVELS},
        },
        "image_input": yes,
        "pdf_input": yes,
        "server_tools": {**yes, "code_execution": yes, "web_search": yes},
        "structured_outputs": yes,
        "thinking": {
            "supported": True,
            "types": {name: {"supported": name in model.thinking} for name in KINDS},
        },
    }
