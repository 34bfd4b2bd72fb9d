"""The documents say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from batchrun.errors import Exit
from docs.generate import DOCS, PAGES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_fresh(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `make docs`"


def blocks(heading: str) -> list[str]:
    """The fenced sh blocks of a section of the README."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("heading", ["Try it", "Test it"])
def test_the_readme_has_one_command_to_try_and_one_to_test(heading: str) -> None:
    (block,) = blocks(heading)
    assert block.count("\n") == 1


def test_the_readme_begins_with_trying_and_testing() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", readme, re.MULTILINE)[:2] == ["Try it", "Test it"]


def test_the_guide_has_a_row_with_the_cure_for_every_exit_code() -> None:
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    table = guide.partition("\n## When it stops\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    told = {int(code): row[2:] for row in rows for code in row[1].rstrip(" |").split(", ")}
    assert sorted(told) == sorted(Exit)
    assert all(told[code] for code in Exit if code is not Exit.OK)


def test_every_link_within_the_documents_leads_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
