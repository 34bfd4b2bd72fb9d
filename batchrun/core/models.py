"""What is known of each model: its sizes, what it refuses, and when it retires; dated data, never the last word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model as the table has it. None where the table does not say.

    The booleans say what a request may contain without being refused (400). They speak of the model; an API version
    may refuse more (2026-10-21 refuses sampling parameters on every model).
    """

    id: str
    context: int | None = None  #: tokens of input and output together
    max_output: int | None = None  #: the largest `max_tokens`
    batch_output: int | None = None  #: the same in a batch with the beta `output-300k-2026-03-24`
    prefill: bool = True  #: the last message may be the assistant's
    sampling: bool = True  #: `temperature`, `top_p`, `top_k` may differ from their defaults
    forced_tool: bool = True  #: `tool_choice` may be `any` or `tool`
    thinking: frozenset[str] | None = None  #: values `thinking.type` may have
    thinks: bool = False  #: thinks unless `thinking` says that it shall not; its thoughts count towards `max_tokens`
    efforts: frozenset[str] | None = None  #: values `output_config.effort` may have; none: it takes no effort
    thinks_at: frozenset[str] = frozenset()  #: efforts at which thinking cannot be off
    geo: bool = True  #: takes `inference_geo`
    batch: bool = True  #: served by the Message Batches API
    deprecated: bool = False
    retires: str | None = None  #: the day (YYYY-MM-DD) from which requests fail
    retired: bool = False  #: requests failed already on the table's date

    def gone(self, day: str) -> bool:
        """Whether requests fail on *day* (YYYY-MM-DD)."""
        return self.retired or (self.retires is not None and self.retires <= day)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTable:
    """All models the table has. A model that is missing may still exist: new ones appear."""

    date: str
    source: str
    models: Mapping[str, Model]

    def find(self, model_id: str) -> Model | None:
        """The model of this id, or of the id without the date at its end (`claude-haiku-4-5-20251001`)."""
        return self.models.get(model_id) or self.models.get(undated(model_id))


def undated(model_id: str) -> str:
    """*model_id* without a date of eight digits at its end."""
    if model_id[-9:-8] == "-" and model_id[-8:].isdecimal():
        return model_id[:-9]
    return model_id
