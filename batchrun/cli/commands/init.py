"""`batchrun init`: the files to start with, and what to type next."""

from __future__ import annotations

import os
from pathlib import Path

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.output import document
from batchrun.cli.screen import Mark, clean
from batchrun.errors import Exit, UsageError


@options.command("batchrun init", "batchrun init /srv/nightly --cron", "batchrun init --systemd")
@click.argument("folder", default=".", metavar="[DIR]")
@click.option("--cron", is_flag=True, help="Also lines for a crontab, with the right paths.")
@click.option("--systemd", is_flag=True, help="Also units for systemd, which hand over the key as a credential.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@options.json
def init(call: Call, folder: str, cron: bool, systemd: bool, force: bool, json: bool) -> Exit:
    """Write the files to start with into DIR: batchrun.toml, jobs.yaml, and its schema for editors.

    What is there already is left as it is.
    """
    from batchrun.library.starter import files

    place = Path(os.path.realpath(folder))
    if place.exists() and not place.is_dir():
        raise UsageError(f"{folder} is no folder")
    if not str(place).isprintable():
        raise UsageError(f"the path of {clean(folder)} cannot stand in a crontab or a unit")
    made = files(call.settings, place, cron=cron, systemd=systemd)
    written, kept = [], []
    try:
        for path, text in made.items():
            if path.exists() and not force:
                kept.append(path)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {(error.strerror or '').lower()}") from error
    screen = call.screen
    if json:
        document(screen, "init", {"written": [str(path) for path in written], "kept": [str(path) for path in kept]})
        return Exit.OK
    for path in written:
        screen.say(f"{screen.talk_mark(Mark.OK)} wrote {clean(str(path))}")
    for path in kept:
        screen.say(f"{screen.talk_mark(Mark.WARN)} left as it is: {clean(str(path))}")
    _next(call, place, cron=cron, systemd=systemd)
    return Exit.OK


def _next(call: Call, place: Path, *, cron: bool, systemd: bool) -> None:
    from batchrun.report.cures import word

    here = "" if place == Path.cwd() else f"cd {word(str(place))} && "
    screen = call.screen
    screen.say()
    screen.say(f"Try it without a key:  {clean(here)}batchrun submit jobs.yaml --simulate")
    screen.say(
        "With a key:  export ANTHROPIC_API_KEY=…, or api_key_file in batchrun.toml, then submit without --simulate"
    )
    if cron:
        screen.say(
            f"cron:  look through {clean(str(place / 'batchrun.cron'))}, then take its lines over with crontab -e"
        )
    if systemd:
        screen.say("systemd:  put the key into /etc/batchrun/key (mode 0600), then")
        screen.say(f"  sudo cp {clean(word(str(place / 'systemd')))}/* /etc/systemd/system/")
        timers = " ".join(word(path.name) for path in sorted((place / "systemd").glob("*.timer")))
        screen.say(f"  sudo systemctl daemon-reload && sudo systemctl enable --now {clean(timers)}")
