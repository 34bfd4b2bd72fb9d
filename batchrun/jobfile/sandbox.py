"""Jinja's sandbox, made smaller: a template gives the same text each time, and soon, whatever stands in it.

What could run without end or give text without measure is not there (macros, imports, recursion, chance), and the rest
is metered: steps of loops, the length of texts, the size of numbers. Data are values only; they are never a template.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, nodes
from jinja2.defaults import DEFAULT_NAMESPACE
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.visitor import NodeTransformer

from batchrun.jobfile.json_text import compact

STEPS = 20_000
"""Steps of all loops in the template of one job."""
CHARACTERS = 34 * 1024 * 1024
"""Characters of one text, and of all output for one job: somewhat more than the largest request the API takes."""
SECONDS = 10.0
"""How long the loops of one job may take."""
DIGITS = 10_000
"""Bits of a whole number that is raised to a power or multiplied."""
WIDTH = 10_000
"""The largest number that is given to a function or a format."""

_STATEMENTS = (
    *(nodes.Template, nodes.Output, nodes.For, nodes.If, nodes.Assign, nodes.AssignBlock, nodes.With),
    nodes.FilterBlock,
)
_FILTERS = frozenset(
    {
        *("abs", "attr", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "groupby"),
        *("int", "items", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse"),
        *("round", "select", "selectattr", "sort", "string", "striptags", "sum", "title", "trim", "truncate", "unique"),
        *("upper", "urlencode", "wordcount", "wordwrap"),
    }
)
_GLOBALS = frozenset({"dict", "cycler", "joiner"})
_NUMBER = re.compile(r"\*|\d{4,}")


class TooMuch(Exception):
    """What a template asks for goes beyond its measure."""


class Meter:
    """What the template of one job has used."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.steps = 0
        self.characters = 0
        self.until: float | None = None

    def step(self, characters: int) -> None:
        now = time.monotonic()
        if self.until is None:
            self.until = now + SECONDS
        self.steps += 1
        if self.steps > STEPS or now > self.until:
            raise TooMuch(f"its loops take more than {STEPS:,} steps, or {SECONDS:.0f} seconds")
        self.spend(characters)

    def spend(self, characters: int) -> None:
        self.characters += characters
        if self.characters > CHARACTERS:
            raise TooMuch(f"it gives more than {CHARACTERS:,} characters")


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of all templates of one file."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self) -> None:
        self.meter = Meter()
        super().__init__(
            undefined=StrictUndefined,
            finalize=self._written,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=0,
        )
        known: Mapping[str, Any] = FILTERS
        self.filters = {name: known[name] for name in _FILTERS if name in known}
        self.filters |= {
            "center": lambda text, width=80: str(text).center(_narrow(width)),
            "format": _format,
            "indent": self._indent,
            "join": self._join,
            "replace": lambda text, old, new, count=-1: _replace(as_text(text), as_text(old), as_text(new), count),
            "tojson": compact,
            "_joined": lambda parts: _joined([as_text(part) for part in parts]),
            "_metered": self._metered,
        }
        self.globals = {name: DEFAULT_NAMESPACE[name] for name in _GLOBALS} | {"range": safe_range}

    def _written(self, value: Any) -> Any:
        """How the value of an expression stands in a text."""
        text = value if type(value) is str else as_text(value)
        self.meter.spend(len(text))
        return text

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        return _Metering().visit(tree)  # type: ignore[no-any-return]

    def getattr(self, obj: Any, attribute: str) -> Any:
        """What a row holds goes before what a dict can do: `{{ row.items }}` is a column."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def wrap_str_format(self, value: Any) -> None:
        """Nothing: `is_safe_attribute` refuses it."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Widths that stand in a text are known too late."""
        if isinstance(obj, str) and attr in {"format", "format_map"}:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        for each in (*args, *kwargs.values()):
            if isinstance(each, int) and obj is not safe_range:
                _narrow(each)
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        if isinstance(owner, str) and name == "replace":
            return _replace(owner, *args, **kwargs)
        if isinstance(owner, str) and name == "join":
            return _joined([as_text(each) for each in args[0]], owner)
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        match operator:
            case "%" if isinstance(left, str):
                return _format(left, *(right if isinstance(right, tuple) else (right,)))
            case "*":
                _product(left, right)
                _product(right, left)
            case "**":
                if not (abs(right) <= 1 or _bits(left) * abs(right) <= DIGITS):
                    raise TooMuch(f"`**` with a number of more than {DIGITS:,} bits")
            case "+" if isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
                _short(len(left) + len(right))
            case _:
                pass
        return super().call_binop(context, operator, left, right)

    def _metered(self, items: Iterable[Any], characters: int) -> Iterator[Any]:
        for item in items:
            self.meter.step(characters)
            yield item

    def _join(self, items: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
        if attribute is not None:
            items = (self.getitem(item, attribute) for item in items)
        return _joined([as_text(item) for item in items], as_text(d))

    def _indent(self, text: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
        said = as_text(text)
        with_what = width if isinstance(width, str) else " " * _narrow(width)
        _short(len(said) + (said.count("\n") + 1) * len(with_what))
        lines = said.split("\n")
        return "\n".join(
            with_what + line if (at or first) and (line or blank) else line for at, line in enumerate(lines)
        )


class _Metering(NodeTransformer):
    """Lets through what a template may hold, and puts a meter to its loops and to what they put together."""

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        if isinstance(node, nodes.Stmt | nodes.Template) and not isinstance(node, _STATEMENTS):
            word = type(node).__name__.lower().removesuffix("block")
            raise TemplateSyntaxError(f"`{{% {word} %}}` cannot stand in a template of jobs", node.lineno)
        if isinstance(node, nodes.NSRef):
            raise TemplateSyntaxError("a variable is set once, not changed (`namespace`)", node.lineno)
        return super().generic_visit(node, *args, **kwargs)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  # jinja2's name
        if node.recursive:
            raise TemplateSyntaxError("`recursive` cannot stand in a template of jobs", node.lineno)
        self.generic_visit(node)
        said = sum(len(data.data) for body in node.body for data in body.find_all(nodes.TemplateData))
        node.iter = _filtered(node.iter, "_metered", nodes.Const(said))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "_joined")


def _filtered(node: Any, name: str, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


def as_text(value: Any) -> str:
    """A value as it stands in a text: null is nothing, and what is neither text nor number is JSON."""
    if value is None:
        return ""
    if type(value) is bool or isinstance(value, dict | list | tuple):
        return compact(value)
    if isinstance(value, str | int | float | Undefined):
        return str(value)
    raise TypeError(f"a `{type(value).__name__}` is no text")


def _joined(parts: list[str], between: str = "") -> str:
    _short(sum(map(len, parts)) + len(between) * len(parts))
    return between.join(parts)


def _replace(text: str, old: str, new: str, count: int = -1, /) -> str:
    times = text.count(old) if count < 0 else min(count, text.count(old))
    _short(len(text) + times * len(new))
    return text.replace(old, new, count)


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    text = as_text(value)
    if _NUMBER.search(text):
        raise TooMuch("a format with a width of more than three digits")
    return text % (kwargs or args)


def _product(left: Any, right: Any) -> None:
    if isinstance(left, str | list | tuple) and isinstance(right, int):
        _short(len(left) * max(0, right))
    elif isinstance(left, int) and isinstance(right, int) and _bits(left) + _bits(right) > DIGITS:
        raise TooMuch(f"a number of more than {DIGITS:,} bits")


def _bits(number: Any) -> int:
    return number.bit_length() if isinstance(number, int) else 64


def _narrow(width: Any) -> int:
    if not isinstance(width, int) or width > WIDTH:
        raise TooMuch(f"a number over {WIDTH:,} where a width or count is wanted")
    return width


def _short(length: int) -> None:
    if length > CHARACTERS:
        raise TooMuch(f"it gives more than {CHARACTERS:,} characters")
