"""What does not come along when a file of another program becomes a job file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from batchrun.jobfile.codes import Code
from batchrun.jobfile.faults import Fault, Path
from batchrun.jobfile.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the jobs are to be. `models` maps the other program's names to ours; under "" is the one for all others.

    `max_tokens` is for jobs that name no bound of their own.
    """

    rules: Rules
    models: Mapping[str, str]
    max_tokens: int | None = None


@dataclass(slots=True)
class Losses:
    """Collects them, with the places they stand at."""

    faults: list[Fault] = field(default_factory=list)
    refused: bool = False  #: something was met without which the job would be another one

    def lost(self, path: Path, message: str, hint: str = "") -> None:
        """It is left out; the job works without it."""
        self.faults.append(Fault(code=Code.LOST, path=path, message=message, hint=hint, name=True))

    def changed(self, path: Path, message: str, hint: str = "") -> None:
        """It is said in another way, which does not mean quite the same."""
        self.faults.append(Fault(code=Code.SAID_OTHERWISE, path=path, message=message, hint=hint, name=True))

    def refuse(self, path: Path, message: str, hint: str = "", *, name: bool = True) -> None:
        """The job cannot be had."""
        self.refused = True
        self.faults.append(Fault(code=Code.CANNOT_CONVERT, path=path, message=message, hint=hint, name=name))
