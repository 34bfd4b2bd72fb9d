"""`batchrun retry`: put failed jobs back, and send them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.output import document
from batchrun.cli.screen import Mark, clean
from batchrun.cli.work import at_rest, held, start
from batchrun.core.figures import count, hour
from batchrun.core.states import State
from batchrun.errors import Exit, UsageError
from batchrun.report import batches
from batchrun.report.cures import word

if TYPE_CHECKING:
    from batchrun.core.select import Selection
    from batchrun.library.wishes import Returned


@options.command(
    "batchrun retry --dry-run",
    "batchrun retry nightly -s error:overloaded",
    "batchrun retry nightly --include refused --set max_tokens=2048",
)
@options.run
@options.select
@click.option("--include", type=click.Choice(["refused"]), help="Also those that were refused as they are.")
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="Set a parameter of each of them anew.")
@click.option("--no-run", is_flag=True, help="Only put back; `batchrun run` sends.")
@options.setting("max_cost", "What this call may spend at most.")
@options.dry_run
@options.json
def retry(
    call: Call,
    run: str,
    select: Selection | None,
    include: str | None,
    sets: Sequence[str],
    no_run: bool,
    dry_run: bool,
    json: bool,
    **flags: str | None,
) -> Exit:
    """Put failed jobs back into the queue, each with all its tries, and send them here and now.

    By default all that failed, but not those that were refused: the same request would be refused again. With -s
    exactly the jobs it names, cancelled and held ones too. Jobs that have their answer are never put back.
    """
    from batchrun.library import wishes

    settings = call.settings_with(**flags)
    with call.reading():
        pass  # says whether the queue is a simulated one
    members = dict(_member(text) for text in sets)
    done = wishes.retry(settings, run, select, refused=include == "refused", members=members, dry=dry_run)
    ask = select is None and (dry_run or no_run or not done.queued)  # else the pass says it in the end
    if dry_run:
        if json:
            document(call.screen, "retry", {"dry_run": True, **_record(done)})
        else:
            _told(call, done, dry=True, ask=ask)
        return Exit.OK
    _told(call, done, dry=False, ask=ask)
    if not done.queued:
        return at_rest(call, settings, done.run, _record(done), json=json)
    return start(call, settings, done.run.ref, _record(done), only_stored=no_run, max_cost=settings.max_cost, json=json)


def _member(text: str) -> tuple[str, str]:
    """NAME=VALUE as a parameter and the JSON text of its value; what is no JSON is text."""
    from json import dumps, loads

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"`--set {text}` is not NAME=VALUE", hint="for example --set max_tokens=2048")
    try:
        return name, dumps(loads(value), allow_nan=False)
    except ValueError:
        return name, dumps(value)


def _told(call: Call, done: Returned, *, dry: bool, ask: bool) -> None:
    screen, n = call.screen, done.queued
    if dry and n:
        screen.line(f"Would put back {count(n, 'job')} of run {clean(done.run.name)}{_kinds(done.back)}")
    elif n:
        screen.say(f"{screen.talk_mark(Mark.OK)} {count(n, 'job')} put back{_kinds(done.back)}")
    else:
        to_do = done.run.left - done.run.n(State.HELD)
        look = clean(call.typed(f"batchrun status {word(done.run.name)}"))
        screen.say("Nothing to retry." + (f" {count(to_do, 'job')} still to do:  {look}" if to_do else ""))
    if done.refused:
        screen.say(
            f"Not {done.refused.total():,} refused{_kinds(done.refused)}: the same request would be refused again; "
            f"correct the file and submit it, or add --include refused"
        )
    if ask and done.run.n(State.HELD):
        screen.say(held(call, done.run))
    if done.left[State.IN_BATCH]:
        _say_batches(call, done)
    others = {state: n for state, n in done.left.items() if state is not State.IN_BATCH}
    for state, left in sorted(others.items()):
        screen.say(f"Not {left:,} chosen that {'have their answer' if state is State.SUCCEEDED else f'are {state}'}")


def _say_batches(call: Call, done: Returned) -> None:
    """Why jobs that are in batches are not put back, and until when."""
    n = done.left[State.IN_BATCH]
    with call.reading() as reading:
        rows = [row for row in reading.overview().batches if row.batch.run == done.run.id]
    call.screen.say(f"Not {count(n, 'job')} chosen that {'is' if n == 1 else 'are'} out in batches of this run:")
    for row in rows:
        jobs = count(row.batch.n, "job")
        since = f"{batches.ref(row)} ({jobs}) {batches.word(row)} since {hour(row.since, call.now)}"
        call.screen.say(clean(f"  {batches.unclear(row, call.now) if batches.is_unclear(row) else since}"))


def _kinds(errors: Counter[str]) -> str:
    named = [f"{n:,} {clean(error)}" for error, n in errors.most_common(4) if error]
    return f" ({', '.join(named)}{', …' if len(errors) > 4 else ''})" if named else ""


def _record(done: Returned) -> dict[str, Any]:
    return {
        "run": {"id": done.run.ref, "name": done.run.name},
        "put_back": done.queued,
        "by_error": dict(done.back),
        "refused": done.refused.total(),
        "left": {state.value: n for state, n in done.left.items()},
    }
