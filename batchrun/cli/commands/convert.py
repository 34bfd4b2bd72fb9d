"""`batchrun convert`: files made for other programs, as job files."""

from __future__ import annotations

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.output import document
from batchrun.cli.screen import Mark, clean
from batchrun.core.figures import count
from batchrun.errors import Exit, UsageError


@options.command(
    "batchrun convert openai-batch old.jsonl -o jobs.jsonl --model claude-haiku-5-5",
    "batchrun convert openai-batch old.jsonl -o jobs.jsonl --model gpt-4o=claude-sonnet-5-5 --model claude-haiku-5-5",
    "batchrun convert promptfoo promptfooconfig.yaml -o jobs.jsonl --model claude-haiku-5-5 --max-tokens 1024",
    "batchrun convert inspect dataset.jsonl -o - --model claude-haiku-5-5 --max-tokens 64 | batchrun check -",
)
@click.argument("kind", metavar="KIND", type=click.Choice(["openai-batch", "promptfoo", "inspect"]))
@click.argument("file", metavar="IN")
@click.option("-o", "--output", metavar="OUT", required=True, help="The job file to write; - is stdout.")
@click.option(
    "--model",
    "models",
    metavar="NEW|OLD=NEW",
    multiple=True,
    help="The model of all jobs, or of those that name the model OLD. May be said several times.",
)
@click.option(
    "--max-tokens", type=click.IntRange(1), metavar="N", help="The bound of answers whose request names none."
)
@click.option("--force", is_flag=True, help="Replace OUT, if it is there.")
@click.option("--all", "everything", is_flag=True, help="Show each problem, also alike ones.")
@options.json
def convert(
    call: Call,
    kind: str,
    file: str,
    output: str,
    models: tuple[str, ...],
    max_tokens: int | None,
    force: bool,
    everything: bool,
    json: bool,
) -> Exit:
    """Turn a file made for another program into a job file of JSON lines.

    KIND is openai-batch (lines for chat completions and responses), promptfoo (a configuration: each prompt with each
    test) or inspect (a dataset: JSON lines or a JSON list). IN may be - for standard input.

    What does not come along, or means something else, is told with its place; what would make another job of it is an
    error, and then nothing is written.
    """
    from batchrun.cli import problems
    from batchrun.jobfile.foreign.conversion import Kind
    from batchrun.library import conversion

    if json and output == "-":
        raise UsageError("--json and the job file would both be on stdout", hint="-o names a file")
    screen = call.screen
    wish = conversion.Wish(
        kind=Kind(kind),
        file=file,
        output=output,
        models=conversion.parsed_models(models),
        max_tokens=max_tokens,
        force=force,
        everything=everything,
    )
    made = conversion.convert(call.settings, wish)
    found = made.problems
    if json:
        document(screen, "convert", {"file": file, "output": output, "jobs": made.jobs} | problems.records(found))
    else:
        problems.show(found, screen)
    if found.errors or not made.jobs:
        screen.must_say(f"Nothing was written: {problems.summary(found)}")
        return Exit.USAGE
    where = "" if output == "-" else f" to {clean(output)}"
    screen.say(f"{screen.talk_mark(Mark.OK)} wrote {count(made.jobs, 'job')}{where}; {problems.summary(found)}")
    if output != "-":
        screen.say(f"Look at them:  batchrun check {clean(output)}")
    return Exit.OK
