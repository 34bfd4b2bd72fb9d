"""A job with names in it, compiled once: each text that holds `{{`, `{%` or `{#` is rendered, all else is as written.

A text that is one expression and nothing more keeps the type of its value (`max_tokens: "{{ n }}"`, `messages: "{{
turns }}"`), except where a job must have text: there a number is written out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateSyntaxError, Undefined, UndefinedError, nodes
from jinja2.meta import find_undeclared_variables

from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Path
from batchrun.jobfile.sandbox import Meter, Sandbox, TooMuch, as_text

Values = Mapping[str, Any]
_Render = Callable[[dict[str, Any]], Any]

TEXTS = frozenset({"id", "prompt", "system", "content", "text"})
"""Keys under which numbers are written out: what stands there is text, or blocks."""

_MARKED = re.compile(r"\{[{%#]")
_MISSING = re.compile(r"'([^']*)' is undefined")
_NO_ATTRIBUTE = re.compile(r"'([^']*?)(?: object)?' has no attribute '?([^']*)'?")


class Malformed(Exception):
    """A text at *path* that is no template; *line* of it, from 1."""

    def __init__(self, path: Path, message: str, line: int) -> None:
        super().__init__(message)
        self.path = path
        self.line = line


class Unrendered(Exception):
    """A template that gives nothing for a row. *missing* is the name that the row does not have; empty otherwise."""

    def __init__(self, message: str, missing: str = "") -> None:
        super().__init__(message)
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Part:
    """A value that is rendered, and the way to it."""

    path: Path
    render: _Render
    names: frozenset[str]  #: what it asks the values for


class Template:
    """The compiled form of *value*, a job as it would stand under `jobs:`. Raises Malformed."""

    def __init__(self, value: Mapping[str, Any], sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._value = dict(value)
        self.parts: list[Part] = []
        self._compile(self._value, ())
        self.moving = frozenset(part.path[0] for part in self.parts)  #: the outermost names that differ from row to row

    @property
    def names(self) -> frozenset[str]:
        """All that it asks its values for."""
        return frozenset().union(*(part.names for part in self.parts))

    def said(self, name: str) -> bool:
        """Whether the template itself says something under *name*."""
        return name in self._value

    def render(self, values: Values) -> dict[str, Any]:
        """The job for *values*; what is not rendered belongs to all jobs: do not change it. Raises Unrendered."""
        sandbox = self._sandbox
        sandbox.meter.reset()
        whole = {**sandbox.globals, **values}
        job = self._value.copy()
        try:
            for part in self.parts:
                path = part.path
                if len(path) == 1:
                    job[str(path[0])] = part.render(whole)
                else:
                    _put(job, self._value, path, part.render(whole))
        except Unrendered:
            raise
        except UndefinedError as error:
            raise _undefined(error) from None
        except TooMuch as error:
            raise Unrendered(f"the template goes too far: {error}") from None
        except RecursionError:
            raise Unrendered("the template is nested too deeply") from None
        except Exception as error:  # noqa: BLE001  # whatever an expression may raise for the values of one row
            raise Unrendered(f"the template fails: {shown(str(error) or type(error).__name__)}") from None
        return job

    def _compile(self, value: Any, path: Path) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                self._compile(inner, (*path, name))
        elif isinstance(value, list):
            for at, inner in enumerate(value):
                self._compile(inner, (*path, at))
        elif isinstance(value, str) and _MARKED.search(value):
            self.parts.append(self._part(value, path))

    def _part(self, text: str, path: Path) -> Part:
        try:
            tree = self._sandbox.parse(text)
            return Part(
                path, self._render(text, tree, writes=path[-1] in TEXTS), frozenset(find_undeclared_variables(tree))
            )
        except TemplateSyntaxError as error:
            raise Malformed(path, _worded(error), error.lineno) from None
        except RecursionError:
            raise Malformed(path, "it is nested too deeply", 1) from None

    def _render(self, text: str, tree: nodes.Template, *, writes: bool) -> _Render:
        sandbox, meter = self._sandbox, self._sandbox.meter
        pieces = _pieces(tree)
        if pieces is not None and len(pieces) == 1:
            return _valued(_found(pieces[0]), meter, writes=writes)
        if pieces is not None:
            return _strung(pieces, meter)
        if _is_expression(text, sandbox):
            bare = text.strip()[2:-2].strip("-+").strip()
            return _valued(sandbox.compile_expression(bare, undefined_to_none=False), meter, writes=writes)
        template = sandbox.from_string(text)
        root, context, blocks = template.root_render_func, sandbox.context_class, template.blocks

        def render(values: dict[str, Any]) -> str:
            return "".join(root(context(sandbox, values, None, blocks)))

        return render


class _Name(str):
    """A name between pieces of plain text."""

    __slots__ = ()


def _pieces(tree: nodes.Template) -> list[str] | None:
    """The plain texts and the names of a template that has nothing else: most of them, and ten times as quick so."""
    pieces: list[str] = []
    for output in tree.body:
        if not isinstance(output, nodes.Output):
            return None
        for node in output.nodes:
            if isinstance(node, nodes.TemplateData):
                pieces.append(node.data)
            elif isinstance(node, nodes.Name):
                pieces.append(_Name(node.name))
            else:
                return None
    return pieces if any(isinstance(piece, _Name) for piece in pieces) else None


def _found(name: str) -> Callable[[dict[str, Any]], Any]:
    def find(values: dict[str, Any]) -> Any:
        try:
            return values[name]
        except KeyError:
            raise _no(name) from None

    return find


def _strung(pieces: list[str], meter: Meter) -> _Render:
    names = [(at, str(piece)) for at, piece in enumerate(pieces) if isinstance(piece, _Name)]

    def render(values: dict[str, Any]) -> str:
        texts = pieces.copy()
        for at, name in names:
            try:
                value = values[name]
            except KeyError:
                raise _no(name) from None
            texts[at] = value if type(value) is str else as_text(value)
        text = "".join(texts)
        meter.spend(len(text))
        return text

    return render


def _valued(find: Callable[[dict[str, Any]], Any], meter: Meter, *, writes: bool) -> _Render:
    def render(values: dict[str, Any]) -> Any:
        value = find(values)
        if isinstance(value, Undefined):
            str(value)  # raises
        if isinstance(value, tuple):
            return list(value)
        if value is None or isinstance(value, bool | int | float):
            return as_text(value) if writes else value
        if isinstance(value, dict | list):
            return value
        text = str(as_text(value))
        meter.spend(len(text))
        return text

    return render


def _is_expression(text: str, sandbox: Sandbox) -> bool:
    """Whether *text* is one `{{ … }}` and nothing else but blanks."""
    bare = text.strip()
    if not (bare.startswith("{{") and bare.endswith("}}")):
        return False
    body = sandbox.parse(bare).body
    if len(body) != 1 or not isinstance(body[0], nodes.Output):
        return False
    return len(body[0].nodes) == 1 and not isinstance(body[0].nodes[0], nodes.TemplateData)


def _put(job: dict[str, Any], original: Mapping[str, Any], path: Path, value: Any) -> None:
    """Set *value* at *path* of *job*, whose lists and objects are copied on the way where they are *original*'s."""
    holder: Any = job
    before: Any = original
    for step in path[:-1]:
        before = before[step]
        if holder[step] is before:
            holder[step] = before.copy()
        holder = holder[step]
    holder[path[-1]] = value


def _no(name: str) -> Unrendered:
    return Unrendered(f"no `{shown(name)}` in this row", name)


def _undefined(error: UndefinedError) -> Unrendered:
    said = str(error)
    if missing := _MISSING.fullmatch(said):
        return _no(missing[1])
    if attribute := _NO_ATTRIBUTE.fullmatch(said):
        return Unrendered(f"what the template names has no `{shown(attribute[2])}`")
    return Unrendered(f"the template fails: {shown(said)}")


def _worded(error: TemplateSyntaxError) -> str:
    message = (error.message or "it cannot be read").rstrip(".")
    return message[:1].lower() + message[1:]
