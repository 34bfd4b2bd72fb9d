"""What the command line says of templates: variables, data, or a whole template in flags."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchrun.jobfile.json_text import canonical
from batchrun.jobfile.source import DIGEST, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """`sets` win over all other variables. With `template` the inputs themselves are the data, without it `data` takes
    the place of what a job file names.
    """

    sets: Mapping[str, Any] = field(default_factory=dict)
    template: Mapping[str, Any] | None = None
    data: Sequence[Source] = ()

    def digest(self) -> bytes:
        """Over all of it but the content of `data`; empty where nothing is given."""
        if not self.sets and self.template is None:
            return b""
        text = canonical([dict(self.sets), None if self.template is None else dict(self.template)])
        return hashlib.blake2b(text.encode(errors="replace"), digest_size=DIGEST).digest()


NOTHING = Given()


def variable(text: str) -> tuple[str, Any]:
    """The name and value of `--set name=value`. Raises ValueError with the end of a sentence.

    A value is JSON where that says just the same: `5` is a number and `true` is true, but `1.10` and `007` are texts.
    """
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name.isidentifier():
        raise ValueError("must be a name and a value, such as audience=editor")
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return name, value
    if isinstance(read, int | bool | float) and json.dumps(read) != value:
        return name, value
    return name, read
