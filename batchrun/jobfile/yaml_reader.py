"""YAML text read to a tree of values: JSON's types only, no duplicate keys, bounded in every direction.

It is built from PyYAML's events and not by its composer: that one recurses in C, and a text of 100,000 brackets ends
the process (PyYAML 6.0.3). Types are those of YAML 1.2's core schema: `no` and `2026-11-20` are texts.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import NoReturn

import yaml
from yaml.reader import ReaderError

from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Fault
from batchrun.jobfile.json_text import DEPTH, is_whole
from batchrun.jobfile.yaml_nodes import Node, Place, Spot, Tree

NODES = 1_000_000
"""Values that a file may have, counting what an alias names once for each time it is named."""
EXPANDED = 1 << 30
"""Characters of text that a file may have, counted in the same way."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"

_LINES = "JSON lines are read one at a time, and may be of any number"
_CURES = {
    "mapping values are not allowed": "a text with `: ` in it needs quotes, or a block (`|`) of its own",
    "did not find expected key": "look at the indentation; a text with quotes or `: ` in it needs quotes round it",
    "did not find expected '-' indicator": "the items of a list begin with `- ` in the same column",
    "unexpected end of stream": "a quote or bracket is not closed",
    "tab character": "indent with spaces",
    "escape code": "write the character itself",
}
BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
"""What ends a line in YAML."""

_REFUSED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_TYPED = frozenset("-+.0123456789tTfF")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_RADIX = re.compile(r"0o[0-7]{1,1000}|0x[0-9a-fA-F]{1,1000}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def parse(text: str) -> Tree:
    """The tree of *text*. Raises nothing: what is wrong with it is in its `spots`."""
    builder = _Builder()
    try:
        return _built(builder, text)
    except _TooDeep as error:
        # libyaml itself gives up (PyYAML 6.0.4: at a thousand) before it tells of what was too deep for us.
        return _built(_Builder(), text[: error.index])


def _built(builder: _Builder, text: str) -> Tree:
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except _Stop:
        builder.tree.root = None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        if mark is not None and mark.index < len(text) and "nesting depth" in (getattr(error, "problem", None) or ""):
            raise _TooDeep(mark.index) from None
        builder.tree.root = None
        builder.tree.spots.append(_syntax(error, text))
    return builder.tree


class _TooDeep(Exception):
    """What begins at *index* is deeper than the parser goes."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index


class _Stop(Exception):
    """Reading on makes no sense; the reason is among the spots."""


class _Builder:
    """Puts events together to a tree, with its own stack."""

    def __init__(self) -> None:
        self.tree = Tree()
        self._open: list[Node] = []
        self._keys: list[Node | None] = []  # the key whose value comes next, for each open node
        self._anchors: dict[str, Node] = {}
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self._add(self._scalar(event), event.anchor)
            case yaml.AliasEvent():
                self._add(self._alias(event), None)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._begin(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._keys.pop()
                self._add(self._open.pop(), None)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(event, Code.NOT_YAML, "a second document begins here", "a job file is one document")
            case _:
                pass

    def _begin(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        is_map = isinstance(event, yaml.MappingStartEvent)
        node = Node({} if is_map else [], _place(event), names={} if is_map else None)
        if len(self._open) >= DEPTH:
            self._stop(event, Code.TOO_DEEP, f"nested more than {DEPTH} times")
        self._open.append(node)
        self._keys.append(None)
        if event.tag and event.tag not in {"!", _CORE + ("map" if is_map else "seq")}:
            self._fault(node, Code.NOT_JSON_TYPE, f"JSON has no type `{shown(event.tag)}`", "remove the tag")
        if event.anchor:
            self._anchors[event.anchor] = node

    def _alias(self, event: yaml.AliasEvent) -> Node:
        name = event.anchor or ""
        node = self._anchors.get(name)
        if node is None:
            self._stop(event, Code.NOT_YAML, f"there is no anchor `&{shown(name)}` above")
        if any(node is outer for outer in self._open):
            self._stop(event, Code.NOT_YAML, f"`*{shown(name)}` stands inside what it names")
        return node

    def _add(self, node: Node, anchor: str | None) -> None:
        """Give a complete *node* to the one that is open."""
        if anchor:
            self._anchors[anchor] = node
        if not self._open:
            self.tree.root = node
            return
        outer, key = self._open[-1], self._keys[-1]
        if type(outer.value) is dict:
            if key is None:
                self._keys[-1] = self._key(node)
                return
            self._keys[-1] = None
            if key.text in outer.value:
                self._fault(key, Code.KEY_TWICE, f"the key `{shown(key.text)}` stands twice", "remove one of them")
            outer.value[key.text] = node
            if outer.names is not None:
                outer.names[key.text] = key
        else:
            outer.value.append(node)
        outer.weight += node.weight
        outer.length += node.length
        outer.depth = max(outer.depth, node.depth + 1)
        outer.sound = outer.sound and node.sound
        if outer.weight > NODES or outer.length > EXPANDED:
            self._stop(outer, Code.YAML_TOO_LARGE, f"more than {NODES:,} values or {EXPANDED:,} characters", _LINES)
        if len(self._open) + node.depth > DEPTH:
            self._stop(outer, Code.TOO_DEEP, f"nested more than {DEPTH} times")

    def _key(self, node: Node) -> Node:
        if type(node.value) is dict or type(node.value) is list:
            self._fault(node, Code.NOT_JSON_TYPE, "a key must be text, not a list or a mapping")
        elif node.text == "<<" and not node.quoted:
            self._fault(node, Code.NOT_JSON_TYPE, "merge keys (`<<`) are not part of YAML 1.2", "write `defaults`")
        return node

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        text: str = event.value
        quoted = event.style in {"'", '"'}
        node = Node(text, _place(event), text, quoted=quoted, length=len(text))
        tag = (event.tag or "").removeprefix(_CORE)
        if tag in {"", "!"}:
            if not event.style and tag == "":
                self._resolve(node)
        elif tag in {"null", "bool", "int", "float"}:
            self._resolve(node)
            if type(node.value) is str:
                self._fault(node, Code.NOT_JSON_TYPE, f"`{shown(text)}` is no `{tag}`")
            elif tag == "float" and type(node.value) is int:
                node.value = float(node.value)
        elif tag != "str":
            self._fault(node, Code.NOT_JSON_TYPE, f"JSON has no type `{shown(tag)}`", "remove the tag")
        return node

    def _resolve(self, node: Node) -> None:
        """Give a plain scalar the type that YAML 1.2's core schema gives it."""
        text = node.text
        if text in _NULL:
            node.value = None
        elif text[0] not in _TYPED:
            return
        elif text in _BOOL:
            node.value = _BOOL[text]
        elif _INT.fullmatch(text):
            if is_whole(text):
                node.value = int(text)
            else:
                self._fault(node, Code.TOO_MANY_DIGITS, f"a number of {len(text):,} digits", "put it in quotes")
        elif _RADIX.fullmatch(text):
            node.value = int(text, 0)
        elif _INFINITE.fullmatch(text):
            self._fault(node, Code.NO_JSON_NUMBER, f"JSON has no number `{shown(text)}`", "put a text in quotes")
        elif _FLOAT.fullmatch(text):
            if isfinite(value := float(text)):
                node.value = value
            else:
                self._fault(node, Code.NO_JSON_NUMBER, f"JSON has no number `{shown(text)}`")

    def _fault(self, node: Node, code: Code, message: str, hint: str = "") -> None:
        """A mistake that does not end the reading; all that is open is unsound by it."""
        node.sound = False
        for outer in self._open:
            outer.sound = False
        fault = Fault(code=code, message=message, hint=hint)
        self.tree.spots.append(Spot(fault, node.place))

    def _stop(self, at: Node | yaml.Event, code: Code, message: str, hint: str = "") -> NoReturn:
        place = at.place if isinstance(at, Node) else _place(at)
        self.tree.spots.append(Spot(Fault(code=code, message=message, hint=hint), place))
        raise _Stop


def _place(event: yaml.Event) -> Place:
    start, end = event.start_mark, event.end_mark
    if start is None or end is None:
        return Place(1, 1)
    return Place(start.line + 1, start.column + 1, max(1, end.column - start.column) if end.line == start.line else 1)


def _syntax(error: yaml.YAMLError, text: str) -> Spot:
    """What is wrong with the grammar, in words, and where."""
    if isinstance(error, ReaderError):
        return _control(text)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = getattr(error, "problem", None) or "it cannot be read"
    if "cannot start any token" in problem:
        lines = BREAK.split(text)
        char = lines[line - 1][column - 1 : column] if line <= len(lines) else ""
        if char == "\t":
            problem, hint = "a tab, where only spaces may indent", "indent with spaces"
        else:
            problem = f"`{shown(char)}` cannot begin a plain text"
            hint = f'put it in quotes: `"{shown(char)}…"`'
    else:
        hint = next((cure for sign, cure in _CURES.items() if sign in problem), "")
    return Spot(Fault(code=Code.NOT_YAML, message=f"not valid YAML: {problem}", hint=hint), Place(line, column))


def _control(text: str) -> Spot:
    """The first character that no YAML text may hold; the place that PyYAML tells is one in bytes or in characters."""
    found = _REFUSED.search(text)
    lines = BREAK.split(text[: found.start()] if found else "")
    fault = Fault(
        code=Code.NOT_YAML,
        message="not valid YAML: a control character",
        hint="remove it, or write it as an escape in double quotes",
    )
    return Spot(fault, Place(len(lines), len(lines[-1]) + 1))
