"""What jobs are checked against."""

from __future__ import annotations

from dataclasses import dataclass

from batchrun.core.models import ModelTable
from batchrun.core.pricing import PriceTable
from batchrun.jobfile.codes import Code

WITHOUT_SAMPLING = "2026-10-21"
"""The first API version that refuses sampling parameters, documents of the assistant and citations on the user's text
(migration page, 2026-10)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    api_version: str  #: the `anthropic-version` header that will be sent, YYYY-MM-DD
    models: ModelTable
    prices: PriceTable
    today: str  #: YYYY-MM-DD, for models that retire
    betas: frozenset[str] = frozenset()  #: beta features the run asks for
    ignored: frozenset[Code] = frozenset()  #: what is not to be told; each of `codes.IGNORABLE`

    @property
    def strict(self) -> bool:
        """Whether the API version is one that refuses sampling parameters."""
        return self.api_version >= WITHOUT_SAMPLING
