"""A file of another program, read to lines of a job file and to problems. Lines are read one at a time."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from batchrun.core.problem import Problem
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import KEY
from batchrun.jobfile.faults import Fault, article
from batchrun.jobfile.foreign import inspect_sample, openai_batch, promptfoo
from batchrun.jobfile.foreign.loss import Losses, Target
from batchrun.jobfile.json_places import blemishes, locate
from batchrun.jobfile.json_text import compact, read
from batchrun.jobfile.source import Source, opened, unreadable
from batchrun.jobfile.textlines import LINE_BYTES, not_utf8
from batchrun.jobfile.yaml_jobs import YAML_BYTES
from batchrun.jobfile.yaml_nodes import Node, Place
from batchrun.jobfile.yaml_reader import BREAK, parse

Made = Callable[[Mapping[str, Any], Target, Losses], dict[str, Any] | None]


class Kind(StrEnum):
    """What a file was made for."""

    OPENAI = "openai-batch"
    PROMPTFOO = "promptfoo"
    INSPECT = "inspect"


def conversion(source: Source, kind: Kind, target: Target) -> Iterator[str | Problem]:
    """The lines of the job file that *source* becomes, without line breaks, and what is wrong or lost.

    A warning comes before its line. If any problem is an error, the lines are not the whole file.
    """
    file = opened(source)
    if isinstance(file, Fault):
        yield file.at(source.name, 1)
        return
    with file.reader:
        try:
            if kind is Kind.PROMPTFOO:
                yield from _config(source.name, file.reader.read(YAML_BYTES + 1), target)
            elif kind is Kind.INSPECT and file.tap.peek(1 << 16).lstrip()[:1] == b"[":
                yield from _listed(source.name, file.reader.read(YAML_BYTES + 1), target)
            else:
                made = openai_batch.converted if kind is Kind.OPENAI else inspect_sample.converted
                yield from _lines(source.name, file.reader, made, target)
        except OSError as error:
            yield unreadable(error).at(source.name, 1)


def _lines(name: str, reader: io.BufferedReader, made: Made, target: Target) -> Iterator[str | Problem]:
    number = 0
    empty = True
    while raw := reader.readline(LINE_BYTES + 1):
        number += 1
        raw = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
        if raw.isspace() or not raw:
            continue
        empty = False
        if len(raw) > LINE_BYTES:
            while (rest := reader.readline(1 << 20)) and not rest.endswith(b"\n"):
                pass
            yield Fault(code=Code.LINE_TOO_LONG, message=f"this line has more than {LINE_BYTES:,} bytes").at(
                name, number
            )
            continue
        try:
            text = raw.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            yield not_utf8(raw, error).at(name, number, raw.decode(errors="replace").rstrip())
            continue
        value = _value(text)
        if isinstance(value, Fault):
            yield value.at(name, number, text)
            continue
        yield from _one(name, number, text, value, made, target)
    if empty:
        yield Fault(code=Code.EMPTY, message="this file holds nothing").at(name, 1)


def _one(
    name: str, number: int, text: str, value: Mapping[str, Any], made: Made, target: Target
) -> Iterator[str | Problem]:
    losses = Losses()
    line = made(value, target, losses)
    for fault in losses.faults:
        yield fault.at(name, number, text, *locate(text, fault.path, name=fault.name))
    if line is not None:
        yield compact(line)


def _value(text: str) -> dict[str, Any] | Fault:
    """The object that *text* is, or why it is none."""
    if KEY.search(text):
        return Fault(code=Code.SECRET, message="this line holds an API key", hint="take it out of the file")
    try:
        value = read(text)
        compact(value).encode()
    except json.JSONDecodeError as error:
        return Fault(code=Code.NOT_JSON, message=f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}")
    except (ValueError, RecursionError):
        found = next(iter(blemishes(text)), None)
        return Fault(code=Code.NOT_JSON if found is None else found.code, message="not JSON that can be sent")
    if not isinstance(value, dict):
        return Fault(code=Code.NOT_AN_OBJECT, message=f"a line must hold an object, not {article(value)}")
    return value


def _config(name: str, raw: bytes, target: Target) -> Iterator[str | Problem]:
    root = _tree(name, raw)
    if isinstance(root, list):
        yield from root
        return
    value, lines = root.plain(), BREAK.split(raw.decode())
    if not isinstance(value, dict) or not promptfoo.is_promptfoo(value):
        yield Fault(
            code=Code.CANNOT_CONVERT, message="this is no configuration of promptfoo", hint="it has `prompts:`"
        ).at(name, 1, lines[0])
        return
    losses = Losses()
    made = list(promptfoo.converted(value, target, losses))
    for fault in dict.fromkeys(losses.faults):
        yield _at(name, lines, fault, root.find(fault.path, name=fault.name).place)
    if not losses.refused:
        yield from map(compact, made)


def _listed(name: str, raw: bytes, target: Target) -> Iterator[str | Problem]:
    """A whole JSON list of samples."""
    root = _tree(name, raw)
    if isinstance(root, list):
        yield from root
        return
    value, lines = root.plain(), BREAK.split(raw.decode())
    for index, sample in enumerate(value if isinstance(value, list) else ()):
        losses = Losses()
        node = root.value[index]
        if not isinstance(sample, dict):
            losses.refuse((), f"a sample must be an object, not {article(sample)}", name=False)
        line = inspect_sample.converted(sample, target, losses) if isinstance(sample, dict) else None
        for fault in losses.faults:
            yield _at(name, lines, fault, node.find(fault.path, name=fault.name).place)
        if line is not None:
            yield compact(line)


def _tree(name: str, raw: bytes) -> Node | list[Problem]:
    """The tree of a YAML or JSON text, or what is wrong with it."""
    if len(raw) > YAML_BYTES:
        return [Fault(code=Code.YAML_TOO_LARGE, message=f"this file has more than {YAML_BYTES:,} bytes").at(name, 1)]
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        return [not_utf8(raw, error).at(name, 1)]
    lines = BREAK.split(text)
    if found := KEY.search(text):
        number = text.count("\n", 0, found.start()) + 1
        return [
            Fault(code=Code.SECRET, message="this line holds an API key", hint="take it out of the file").at(
                name, number
            )
        ]
    tree = parse(text)
    if tree.root is None or tree.spots:
        spots = [_at(name, lines, spot.fault, spot.place) for spot in tree.spots]
        return spots or [Fault(code=Code.EMPTY, message="this file holds nothing").at(name, 1)]
    return tree.root


def _at(name: str, lines: list[str], fault: Fault, place: Place) -> Problem:
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    return fault.at(name, place.line, line, place.column - 1, place.width)
