"""`batchrun db`: where the database is, how large, whether it is sound; copies of it, and putting one in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.confirm import confirmed
from batchrun.cli.output import Format, at, chosen, document, rows
from batchrun.cli.screen import Mark, Screen, clean
from batchrun.core.figures import count, hour
from batchrun.core.server import is_server, without_password
from batchrun.errors import Exit, UsageError
from batchrun.settings.database import exists

if TYPE_CHECKING:
    from batchrun.queue.extent import ServerExtent

ACTIONS = ("info", "path", "check", "backup", "restore", "release", "vacuum", "migrate", "copy")

OF_FILES = {
    "backup": "`pg_dump` copies one on a server, also while workers go on; see docs/howto/postgres.md",
    "restore": "`pg_restore` does it on a server; read docs/howto/postgres.md first, for what was bought since",
    "release": "one on a server is never held back after a restore",
    "vacuum": "a server does that by itself (autovacuum)",
}
"""What a server has its own tools for, and which."""


@options.command(
    "batchrun db backup /backups/",
    "batchrun db check",
    "batchrun db restore /backups/batchrun-20261128T020000Z.backup",
    "batchrun db vacuum",
    "batchrun db copy postgresql://batchrun@db.example/batchrun",
    'sqlite3 "$(batchrun db path)"',
)
@click.argument("what", type=click.Choice(ACTIONS), default="info", metavar="[ACTION]")
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--force", is_flag=True, help="With backup: replace a file that is there.")
@options.yes
@options.formats(Format.TABLE, Format.JSON, Format.TSV)
def db(call: Call, what: str, file: str | None, force: bool, yes: bool, format: Format | None) -> Exit:  # noqa: A002  # the flag's name
    """Look after the database: info, path, check, backup, restore, release, vacuum, migrate, copy.

    `backup [FILE|FOLDER]` copies it while a worker goes on, and checks the copy. `restore FILE` puts a copy in its
    place, keeps the old one beside it, and sends nothing until it is known from Anthropic's list of batches what was
    bought since the copy was made: that is taken back. Realtime requests are in no list; those answered since are
    bought again. `release` sends at once all the same. `vacuum` gives back the room of what was deleted. `copy URL`
    copies the queue out of its file to a PostgreSQL server; the file can only be looked at from then on.
    """
    if file is not None and what not in {"backup", "restore", "copy"}:
        raise UsageError(f"`db {what}` takes no file")
    if force and what != "backup":
        raise UsageError("`--force` belongs to `db backup`")
    if is_server(call.settings.db) and what in OF_FILES:
        raise UsageError(f"`db {what}` is for a queue in a file", hint=OF_FILES[what])
    form = chosen(format, call.screen)
    match what:
        case "path":
            return _path(call, form)
        case "info":
            return _info(call, form)
        case "check":
            return _check(call, form)
        case "backup":
            return _backup(call, file, form, force=force)
        case "restore":
            return _restore(call, file, form, yes=yes)
        case "release":
            return _release(call, yes=yes)
        case "vacuum":
            return _vacuum(call, form)
        case "copy":
            return _copy(call, file, form, yes=yes)
        case _:
            return _migrate(call)


def _path(call: Call, form: Format) -> Exit:
    path = call.settings.db
    if form is Format.JSON:
        document(call.screen, "db_path", {"path": path, "exists": exists(path)})
    else:
        call.screen.line(path)
    return Exit.OK


def _info(call: Call, form: Format) -> Exit:
    from batchrun.queue.extent import extent, extent_of_server

    with call.reading() as reading:
        if reading.on_server:
            return _info_of_server(call, extent_of_server(reading), form)
        found = extent(reading)
    facts: dict[str, Any] = {
        "path": str(found.path),
        "size": found.size,
        "log": found.log,
        "page_size": found.page,
        "pages": found.pages,
        "unused_pages": found.unused,
        "disk_free": found.free,
        "schema": found.schema,
        "sqlite": found.sqlite,
        "simulated": found.simulated,
        "created": at(found.created),
        "queue": found.queue,
        "rewound": at(found.rewound),
    }
    screen = call.screen
    if form is Format.JSON:
        document(screen, "db", facts | {"rows": found.rows})
        return Exit.OK
    facts |= {f"rows.{name}": n for name, n in found.rows.items()}
    rows(
        screen,
        form,
        "db",
        ({"name": name, "value": value} for name, value in facts.items()),
        columns=("name", "value"),
    )
    if found.unused * 4 > found.pages:
        screen.say(f"{_size(found.unused * found.page)} of it is unused: {clean(call.typed('batchrun db vacuum'))}")
    _rewound_words(call, at(found.rewound))
    return Exit.OK


def _info_of_server(call: Call, found: ServerExtent, form: Format) -> Exit:
    facts: dict[str, Any] = {
        "path": found.place,
        "size": found.size,
        "schema": found.schema,
        "postgresql": found.postgresql,
        "simulated": found.simulated,
        "created": at(found.created),
        "queue": found.queue,
    }
    if form is Format.JSON:
        document(call.screen, "db", facts | {"rows": found.rows})
        return Exit.OK
    facts |= {f"rows.{name}": n for name, n in found.rows.items()}
    lines = ({"name": name, "value": value} for name, value in facts.items())
    rows(call.screen, form, "db", lines, columns=("name", "value"))
    return Exit.OK


def _rewound_words(call: Call, since: str | None) -> None:
    if since is not None:
        call.screen.say(
            f"Restored {since}: nothing is sent until `{clean(call.typed('batchrun run'))}` knows what it bought."
        )


def _check(call: Call, form: Format) -> Exit:
    from batchrun.queue.checking import check

    screen = call.screen
    with call.reading() as reading:
        checked = check(reading)
    wrong = [one for one in checked if one.found]
    records = [
        {
            "name": one.name,
            "ok": not one.found,
            "says": one.says,
            "found": list(one.found),
            "cure": one.cure if one.found else None,
        }
        for one in checked
    ]
    if form is Format.JSON:
        document(screen, "db_check", {"ok": not wrong, "checks": records})
    elif form is Format.TSV:
        rows(screen, form, "db_check", records, columns=("name", "ok", "says", "found", "cure"))
    else:
        for one in checked:
            screen.line(f"{screen.mark(Mark.FAIL if one.found else Mark.OK)} {one.name}: {one.says}")
            for text in one.found:
                screen.line(f"    {clean(text)}")
            if one.found:
                screen.line(f"    cure: {clean(call.typed(one.cure))}")
    if wrong:
        screen.must_say(f"{count(len(wrong), 'check')} failed")
        return Exit.FAILED_JOBS
    return Exit.OK


def _backup(call: Call, file: str | None, form: Format, *, force: bool) -> Exit:
    from batchrun.library import care

    with call.reading():
        pass  # says whether the queue is a simulated one
    copy = care.backup(call.settings, file, force=force)
    screen = call.screen
    if form is Format.JSON:
        document(
            screen,
            "db_backup",
            {"path": str(copy.path), "size": copy.size, "runs": copy.runs, "jobs": copy.jobs, "made": at(copy.made)},
        )
        return Exit.OK
    screen.line(clean(str(copy.path)))
    screen.say(
        f"{_ok(screen)} {count(copy.runs, 'run')}, {count(copy.jobs, 'job')}, {_size(copy.size)}; the copy is sound"
    )
    return Exit.OK


def _restore(call: Call, file: str | None, form: Format, *, yes: bool) -> Exit:
    from batchrun.library import care

    if file is None:
        raise UsageError("which backup? `db restore FILE`")
    screen = call.screen
    copy = care.restorable(call.settings, file)
    made = "a time that it does not tell" if copy.made is None else hour(copy.made, call.now)
    words = f"{file}, of {made}: {count(copy.runs, 'run')}, {count(copy.jobs, 'job')}"
    refusal = UsageError(f"this replaces {call.settings.db} by {words}; pass --yes")
    if not yes:
        screen.must_say(clean(f"This is {words}."))
    if not confirmed(screen, f"Put it in the place of {clean(call.settings.db)}?", yes=yes, refusal=refusal):
        screen.must_say("Nothing was changed.")
        return Exit.USAGE
    aside = care.restore(call.settings, copy)
    if form is Format.JSON:
        facts = {
            "path": call.settings.db,
            "from": file,
            "made": at(copy.made),
            "replaced": str(aside) if aside else None,
        }
        document(screen, "db_restore", facts | {"runs": copy.runs, "jobs": copy.jobs})
        return Exit.OK
    screen.say(f"{_ok(screen)} restored {clean(words)}")
    if aside is not None:
        screen.say(f"The replaced database is {clean(str(aside))}; look at it with --db, never run it.")
    run = clean(call.typed("batchrun run"))
    screen.say(f"Nothing is sent until it is known what was bought since, at least a quarter of an hour:  {run}")
    return Exit.OK


def _release(call: Call, *, yes: bool) -> Exit:
    from batchrun.library import care

    screen = call.screen
    with call.reading():
        pass
    refusal = UsageError("what was bought since the backup may be paid twice; pass --yes")
    question = "Send at once, and perhaps pay twice for what was bought since the backup?"
    if not confirmed(screen, question, yes=yes, refusal=refusal):
        screen.must_say("Nothing was changed.")
        return Exit.USAGE
    if care.release(call.settings):
        screen.say(f"{_ok(screen)} jobs are sent again:  {clean(call.typed('batchrun run'))}")
    else:
        screen.say("This queue was not restored from a backup, or knows all that it bought: nothing to release.")
    return Exit.OK


def _vacuum(call: Call, form: Format) -> Exit:
    from batchrun.library import care

    with call.reading():
        pass
    before, after = care.vacuum(call.settings)
    if form is Format.JSON:
        document(call.screen, "db_vacuum", {"before": before, "after": after})
    else:
        call.screen.say(f"{_ok(call.screen)} {_size(before)} → {_size(after)}")
    return Exit.OK


def _copy(call: Call, url: str | None, form: Format, *, yes: bool) -> Exit:
    from batchrun.library import care

    if url is None:
        raise UsageError("whereto? `db copy postgresql://USER@HOST/NAME`")
    screen, place = call.screen, without_password(url)
    refusal = UsageError(f"this seals {call.settings.db}, which can only be looked at afterwards; pass --yes")
    question = f"Copy {clean(call.settings.db)} to {clean(place)}, and seal the file?"
    if not confirmed(screen, question, yes=yes, refusal=refusal):
        screen.must_say("Nothing was changed.")
        return Exit.USAGE
    moved = care.copy(call.settings, url)
    facts = {"path": call.settings.db, "to": place, "runs": moved.runs, "jobs": moved.jobs, "rows": moved.rows}
    if form is Format.JSON:
        document(screen, "db_copy", facts)
        return Exit.OK
    what = f"{count(moved.runs, 'run')}, {count(moved.jobs, 'job')}"
    words = "is there already" if moved.again else "every row is the same"
    screen.say(f"{_ok(screen)} {what} at {clean(place)}; {words}")
    screen.say(f"{clean(call.settings.db)} is sealed. From now on:  batchrun --db '{clean(place)}' status")
    return Exit.OK


def _migrate(call: Call) -> Exit:
    with call.reading():  # brings an older one up to date
        pass
    from batchrun.queue.schema import VERSION

    call.screen.say(f"{_ok(call.screen)} {clean(call.settings.db)} has schema {VERSION}, this program's")
    return Exit.OK


def _ok(screen: Screen) -> str:
    return screen.talk_mark(Mark.OK)


def _size(n: int) -> str:
    for unit, size in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} B"
