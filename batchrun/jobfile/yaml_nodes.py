"""YAML as a tree of values, each with its place in the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from batchrun.jobfile.faults import Fault, Path


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column from 1, and how many characters are marked; 1 where it goes over several lines."""

    line: int
    column: int
    width: int = 1


@dataclass(slots=True)
class Node:
    """One value and where it stands. `value` holds Nodes if it is a list or dict.

    `quoted`: a text in quotes, and `text` what a scalar is written as. `names` are the keys of a dict with their
    places. `weight`, `length` and `depth` bound what the value expands to.
    """

    value: Any
    place: Place
    text: str = ""
    quoted: bool = False
    names: dict[str, Node] | None = None  #: None but for a dict
    weight: int = 1
    length: int = 0
    depth: int = 1
    sound: bool = True  #: False if a fault was found in it

    def plain(self) -> Any:
        """The JSON value."""
        if type(self.value) is dict:
            return {name: node.plain() for name, node in self.value.items()}
        if type(self.value) is list:
            return [node.plain() for node in self.value]
        return self.value

    def find(self, path: Path, *, name: bool = False) -> Node:
        """The node at *path*, or with *name* its key; where the path ends nowhere, the last node on the way."""
        node: Node = self
        key: Node = self
        for step in path:
            if type(node.value) is dict and step in node.value:
                key = (node.names or {}).get(str(step), node)
                node = node.value[step]
            elif type(node.value) is list and isinstance(step, int) and step < len(node.value):
                node = key = node.value[step]
            else:
                return node
        return key if name else node


@dataclass(frozen=True, slots=True)
class Spot:
    """A fault and the place of it."""

    fault: Fault
    place: Place


@dataclass(slots=True)
class Tree:
    """What a text holds. `root` is None where a fault ended the reading, or nothing is there."""

    root: Node | None = None
    spots: list[Spot] = field(default_factory=list)
