"""Files that a YAML job file names in its texts: `"@prompts/summarise.md"`. `"@@"` begins a literal @.

Only texts in quotes, written in the YAML file itself, in the fields that hold text; only files below its folder. Data
(JSON lines, what an alias or an inlined file holds) can name no file, or a row of a table could have any file sent.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import KEY, shown
from batchrun.jobfile.faults import Fault
from batchrun.jobfile.faults import Path as Steps
from batchrun.jobfile.source import DIGEST
from batchrun.jobfile.yaml_nodes import Node

INLINE_BYTES = 32 * 1024 * 1024
"""The largest file that is inlined: as large as a request may be."""
ALL_BYTES = 2 * INLINE_BYTES
"""What all inlined files of one job file may have together; they are kept in memory."""

_LITERAL = "a text that begins with @ is written with `@@`"


class Inlines:
    """The files that one job file names, each read once. `folder` is None where it has none (standard input)."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[str, str | Fault] = {}
        self._digests: dict[str, bytes] = {}
        self._bytes = 0

    def fill(self, entry: Node, value: dict[str, Any]) -> Iterator[tuple[Fault, Node]]:
        """Put the files that *entry* names into *value*, its plain value; yield what cannot be, and where."""
        for steps, node in _naming(entry):
            text = node.value[1:] if node.value.startswith("@@") else self.text(node.value[1:])
            if isinstance(text, Fault):
                yield text, node
                continue
            holder: Any = value
            for step in steps[:-1]:
                holder = holder[step]
            holder[steps[-1]] = text

    def ask(self, entry: Node) -> None:
        """Read the files that *entry* names."""
        for _steps, node in _naming(entry):
            if not node.value.startswith("@@"):
                self.text(node.value[1:])

    def text(self, name: str) -> str | Fault:
        """What the file *name* holds."""
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def digest(self) -> bytes:
        """Over the names and contents of all files that were asked for."""
        total = hashlib.blake2b(digest_size=DIGEST)
        for name in sorted(self._known):
            total.update(hashlib.blake2b(name.encode(errors="replace"), digest_size=DIGEST).digest())
            total.update(self._digests.get(name, bytes(DIGEST)))
        return total.digest()

    def _read(self, name: str) -> str | Fault:
        if self._folder is None:
            return Fault(
                code=Code.INLINE_NOWHERE,
                message=f"`@{shown(name)}` names a file, and standard input has no folder to look in",
                hint=f"give the job file by its name; {_LITERAL}",
            )
        try:
            path = (self._folder / name).resolve()
            if not path.is_relative_to(self._folder):
                return Fault(
                    code=Code.INLINE_OUTSIDE,
                    message=f"`@{shown(name)}` leads out of the folder of the job file",
                    hint="put the file below that folder",
                )
            content = self._content(path)
        except (OSError, ValueError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it cannot be read"
            return Fault(
                code=Code.INLINE_UNREADABLE,
                message=f"`@{shown(name)}`: {reason.lower()}",
                hint=f"paths begin at the folder of the job file; {_LITERAL}",
            )
        if content is None:
            return Fault(
                code=Code.INLINE_TOO_LARGE,
                message=f"`@{shown(name)}` is too large",
                hint=f"one file may have {INLINE_BYTES:,} bytes, all together {ALL_BYTES:,}",
            )
        self._digests[name] = hashlib.blake2b(content, digest_size=DIGEST).digest()
        return _decoded(name, content)

    def _content(self, path: Path) -> bytes | None:
        """The bytes of a regular file; None if they are too many. Raises OSError."""
        # No waiting on a pipe, and no link that was put there after the path was resolved.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(0, "this is not a regular file")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read(INLINE_BYTES + 1)
        finally:
            os.close(descriptor)
        self._bytes += len(content)
        return None if len(content) > INLINE_BYTES or self._bytes > ALL_BYTES else content


def _decoded(name: str, content: bytes) -> str | Fault:
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Fault(
            code=Code.INLINE_NOT_TEXT,
            message=f"`@{shown(name)}` is not UTF-8: byte 0x{content[error.start]:02x} in line {line:,}",
            hint="save it as UTF-8, for example `iconv -f LATIN1 -t UTF-8 FILE`",
        )
    if "\0" in text:
        return Fault(code=Code.INLINE_NOT_TEXT, message=f"`@{shown(name)}` is binary, not text")
    if KEY.search(text):
        return Fault(
            code=Code.SECRET,
            message=f"`@{shown(name)}` holds an API key; it would be sent and stored",
            hint="take it out of that file",
        )
    return text


def _naming(entry: Node) -> Iterator[tuple[Steps, Node]]:
    """The texts of a job, or of the defaults, that are in quotes and begin with @, with the way to each."""
    for steps, node in _texts(entry):
        if node.quoted and type(node.value) is str and node.value.startswith("@"):
            yield steps, node


def _texts(entry: Node) -> Iterator[tuple[Steps, Node]]:
    """The fields of a job, or of the defaults, that hold text, with the way to each."""
    for name in ("prompt", "system"):
        if (node := _child(entry, name)) is not None:
            yield (name,), node
            yield from _blocks((name,), node)
    messages = _child(entry, "messages")
    if messages is None or type(messages.value) is not list:
        return
    for index, message in enumerate(messages.value):
        if (content := _child(message, "content")) is not None:
            steps: Steps = ("messages", index, "content")
            yield steps, content
            yield from _blocks(steps, content)


def _blocks(steps: Steps, node: Node) -> Iterator[tuple[Steps, Node]]:
    if type(node.value) is list:
        for index, block in enumerate(node.value):
            if (text := _child(block, "text")) is not None:
                yield (*steps, index, "text"), text


def _child(node: Node, name: str) -> Node | None:
    found: Node | None = node.value.get(name) if type(node.value) is dict else None
    return found
