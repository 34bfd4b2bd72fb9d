"""`batchrun schema`: JSON Schemas, for editors and for programs that write job files."""

from __future__ import annotations

import json

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.errors import Exit


@options.command(
    "batchrun schema jobs > .vscode/batchrun-jobs.json",
    "batchrun schema line > line.json",
    "batchrun schema settings > batchrun-toml.json",
)
@click.argument("what", metavar="WHAT", type=click.Choice(["jobs", "line", "settings"]))
def schema(call: Call, what: str) -> Exit:
    """Write a JSON Schema (2020-12): of a job file in YAML (jobs), of one JSON line, or of batchrun.toml (settings).

    An editor with a language server for YAML takes it from a comment in the first line of a job file:
    `# yaml-language-server: $schema=PATH`. It knows forms, not models: `batchrun check` knows both.
    """
    from batchrun.library.schemas import schema_of

    call.screen.line(json.dumps(schema_of(what, call.settings.tables().models), indent=2, ensure_ascii=False))
    return Exit.OK
