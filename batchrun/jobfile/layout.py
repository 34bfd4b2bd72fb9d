"""How an input is laid out, told by its first bytes; the suffix of its name only where those leave it open."""

from __future__ import annotations

import codecs
import json
import re
import shlex
from enum import Enum, auto
from pathlib import PurePath
from typing import Any

from batchrun.jobfile.codes import Code
from batchrun.jobfile.compressed import bare
from batchrun.jobfile.csvrows import columns_of, is_table
from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Fault, listed
from batchrun.jobfile.parameters import ANTHROPIC, SHORT

HEAD = 1 << 16
"""Bytes that are looked at."""


class Layout(Enum):
    JSON_LINES = auto()
    JSON_LIST = auto()  #: a list of jobs
    REQUESTS = auto()  #: the body of a batch: `{"requests": [ … ]}`
    YAML = auto()


_SIGNS = (
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet", "a job file is plain text"),
    (b"PAR1", "a Parquet file", "its rows are data for a template: --data FILE, or --prompt '…'"),
    (b"SQLite format 3\0", "a SQLite database", "a job file is plain text"),
    (b"%PDF-", "a PDF", "a job file is plain text"),
)
_YAML_KEY = re.compile(r"""(?:[A-Za-z_][\w-]*|"[^"]*"|'[^']*')[ \t]*:(?:\s|$)""")
REQUESTS = re.compile(r'\s*\{\s*"requests"\s*:\s*\[')
"""How the body of a batch begins."""
_OBJECT = re.compile(r"^\{.*[^\s{]", re.MULTILINE)
"""A line that is more than an opening brace."""
TABLES = frozenset({".csv", ".tsv", ".tab"})
_TELLING = frozenset({"text", "prompt", "content", "question", "body", "review", "abstract", "message", "input"})
"""Columns that are likely to hold what is asked about."""
_WANTED = "a job file is JSON objects, one in each line or in a list, or YAML with `version: 1` and `jobs:`"


def layout_of(head: bytes, name: str) -> Layout | Fault:
    """The layout of a file that begins with *head* (HEAD bytes, or all it has)."""
    if not head.removeprefix(codecs.BOM_UTF8).strip():
        return Fault(code=Code.EMPTY, message="this file is empty") if len(head) < HEAD else Layout.JSON_LINES
    if (fault := not_text(head)) is not None:
        return fault
    text = head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    first, _, rest = text.partition("\n")
    goes_on = _OBJECT.search(rest) is not None
    suffix = PurePath(bare(name)).suffix.lower()
    if suffix in TABLES and not text.startswith(("{", "[")):
        return table(first, name, tabs=suffix != ".csv")
    yaml, lines = suffix in {".yaml", ".yml"}, suffix in {".jsonl", ".ndjson", ".json"}
    if not goes_on and (b"\0" in head or not (yaml or lines or text.startswith("{") or _is_utf8(head))):
        return Fault(code=Code.BINARY, message="this is not text in UTF-8", hint=_WANTED)
    if REQUESTS.match(text) and not yaml:
        return Layout.REQUESTS
    if text.startswith("{"):
        return _braced(first, yaml=yaml, whole=goes_on or not rest)
    if text.startswith("[") and not yaml:
        return _bracketed(first, goes_on=goes_on, sure=suffix in {".jsonl", ".ndjson"})
    keyed = _is_yaml(text)
    if goes_on and (lines or not (keyed or yaml)):
        return Layout.JSON_LINES
    if keyed or yaml:
        return Layout.YAML
    if lines:
        return Layout.JSON_LINES
    if is_table(text.splitlines()[:3]):
        return table(first, name, tabs=False)
    return Fault(code=Code.UNKNOWN_SHAPE, message="this is neither JSON lines nor YAML with jobs", hint=_WANTED)


def table(first: str, name: str, *, tabs: bool) -> Fault:
    """What to type instead for a table whose header is *first*."""
    columns = columns_of(first.removeprefix("\ufeff").rstrip("\r"), tabs=tabs)
    text = next((column for column in columns if column.lower() in _TELLING), columns[-1] if columns else "text")
    put = shown(text) if text.isidentifier() else f"row['{shown(text)}']"
    submit = f"batchrun submit {shlex.quote(name)}"
    return Fault(
        code=Code.TABLE,
        message=f"this is a table with the columns {listed(columns)}; a prompt makes jobs of its rows",
        hint=f'`{submit} --prompt "… {{{{ {put} }}}}" --model claude-haiku-5-5 --max-tokens 256`',
    )


def not_text(head: bytes) -> Fault | None:
    """Why a file that begins with *head* is no text in UTF-8, where its first bytes say so."""
    for sign, what, hint in _SIGNS:
        if head.startswith(sign):
            return Fault(code=Code.BINARY, message=f"this is {what}, not a job file", hint=hint)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and b"\0" in head:
        return Fault(code=Code.BINARY, message="this is text in UTF-16", hint="`iconv -f UTF-16 -t UTF-8 FILE`")
    return None


def _bracketed(first: str, *, goes_on: bool, sure: bool) -> Layout:
    """The layout of a text that begins with a bracket: one bad line among good ones, or a JSON list of jobs.

    *goes_on*: other lines look like objects; *sure*: the name says that it is JSON lines.
    """
    if first.strip() != "[" and (sure or (goes_on and _value(first) is not None)):
        return Layout.JSON_LINES
    return Layout.JSON_LIST


def _braced(first: str, *, yaml: bool, whole: bool) -> Layout | Fault:
    """The layout of a text whose first line begins with a brace: YAML may begin so, and JSON over several lines.

    *whole*: other lines look like objects, or there are none.
    """
    value = _value(first)
    if yaml and not (isinstance(value, dict) and not (ANTHROPIC | SHORT).isdisjoint(value)):
        return Layout.YAML
    if first.strip() == "{" and not whole:
        return Fault(
            code=Code.UNKNOWN_SHAPE,
            message="this is JSON over several lines; the jobs must stand one in each line",
            hint="`jq -c . FILE > jobs.jsonl`, or a list round them: `[ … ]`",
        )
    return Layout.JSON_LINES


def _value(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_yaml(text: str) -> bool:
    """Whether the first line that says anything is a key, a list item, or what only YAML begins with."""
    for line in text.splitlines():
        if line.startswith(("---", "%YAML", "- ")) or _YAML_KEY.match(line):
            return True
        if line.strip() and not line.lstrip().startswith("#"):
            return False
    return False


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
