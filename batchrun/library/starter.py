"""The files to start with: settings, a first job file with its schema, and what cron and systemd need."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchrun.library.schemas import schema_of
from batchrun.settings import OPTIONS, Settings

SCHEMA = "jobs.schema.json"

_EXAMPLES: Mapping[str, Any] = {
    "db": "batchrun.db",
    "max_cost": 50,
    "api_version": "2023-06-01",
    "api_key_file": "key",
    "api_key_command": "pass show anthropic",
    "env_file": ".env",
    "log_file": "batchrun.log",
    "account": "mine",
    "hours": "22:00-06:00 Europe/Berlin",
    "confirm_likely": 5,
    "confirm_most": 25,
}
"""Values for settings that have no default, or one that is not written as it is kept."""

JOBS = f"""\
# yaml-language-server: $schema={SCHEMA}
#
#   batchrun check  jobs.yaml              are there mistakes?
#   batchrun submit jobs.yaml --simulate   the whole way without a key, and without cost
#   batchrun submit jobs.yaml              the real thing: less than a cent

version: 1
defaults:
  model: claude-haiku-5-5
  max_tokens: 256
jobs:
  - id: hello
    prompt: Say hello in three languages.
  - id: sorted
    system: Answer with a JSON array and nothing else.
    prompt: "Sort by size: whale, mouse, dog."
"""

CRON = """\
# Take these lines over with `crontab -e`. What they say comes as mail; nothing is said when all is well.
0 22 * * *    cd {folder} && {program} submit jobs.yaml --name "nightly-$(date +\\%F)" --yes --max-cost 50 --quiet
*/10 * * * *  cd {folder} && {program} run --once --quiet
0 7 * * *     cd {folder} && {program} status last --check --quiet || {program} errors last --format text
"""

SERVICE = """\
[Unit]
Description=batchrun: {what} in {plain}

[Service]
Type=oneshot
WorkingDirectory={folder}
LoadCredential=key:/etc/batchrun/key
Environment=BATCHRUN_API_KEY_FILE=%d/key
ExecStart={command}
SuccessExitStatus=75
TimeoutStartSec=2h
KillSignal=SIGTERM
"""

TIMER = """\
[Unit]
Description=batchrun: {what} in {plain}

[Timer]
OnCalendar={when}
Persistent=true
{more}
[Install]
WantedBy=timers.target
"""


def files(settings: Settings, folder: Path, *, cron: bool, systemd: bool) -> dict[Path, str]:
    """What `init` writes into *folder*, by path."""
    made = {
        folder / "batchrun.toml": settings_file(),
        folder / "jobs.yaml": JOBS,
        folder / SCHEMA: json.dumps(schema_of("jobs", settings.tables().models), indent=2, ensure_ascii=False) + "\n",
    }
    if cron:
        words = {"folder": shlex.quote(str(folder)), "program": shlex.join(program())}
        made[folder / "batchrun.cron"] = CRON.format(**{name: word.replace("%", r"\%") for name, word in words.items()})
    if systemd:
        made |= {folder / "systemd" / name: text for name, text in units(folder).items()}
    return made


def settings_file() -> str:
    """Every setting, commented out, with what it means and what holds without it."""
    lines = ["# Settings of batchrun for this folder and those below. `batchrun config show --origin` says what holds."]
    for name, option in OPTIONS.items():
        value = _EXAMPLES.get(name, option.default)
        if isinstance(value, float):
            value = int(value) if value.is_integer() else value
        lines += ["", *textwrap.wrap(option.help, 96, initial_indent="# ", subsequent_indent="# ")]
        lines.append(f"#{name} = {json.dumps(value if value is not None else option.metavar, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def units(folder: Path) -> dict[str, str]:
    """Two services and their timers, by file name: the submit each night, and a pass each ten minutes."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.name) or "jobs"
    plain = str(folder).replace("%", "%%")
    call = shlex.join(program())
    submit = f'{call} submit jobs.yaml --name "nightly-$(date +%F)" --yes --max-cost 50 --quiet'
    made = {}
    for short, what, line, when, more in (
        ("submit", "the jobs of the night", submit, "22:00", ""),
        ("run", "whatever is due", f"{call} run --once --quiet", "*:0/10", "RandomizedDelaySec=30\n"),
    ):
        quoted = line.replace("\\", "\\\\").replace("'", "\\'").replace("%", "%%").replace("$", "$$")
        service = SERVICE.format(what=what, plain=plain, folder=plain, command=f"/bin/sh -c '{quoted}'")
        made[f"batchrun-{name}-{short}.service"] = service
        made[f"batchrun-{name}-{short}.timer"] = TIMER.format(what=what, plain=plain, when=when, more=more)
    return made


def program() -> list[str]:
    """How this program is called from anywhere."""
    beside = Path(sys.executable).with_name("batchrun")
    found = str(beside) if beside.exists() else shutil.which("batchrun")
    return [found] if found is not None else [sys.executable, "-m", "batchrun"]
