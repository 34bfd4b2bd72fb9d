"""The looking commands start at once: nothing heavy is imported, neither for help nor for reading a queue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchrun.cli import lazy
from tests.cli.conftest import jobs_file

HEAVY = {
    "aiohttp",
    "aiolimiter",
    "alembic",
    "anthropic",
    "asyncio",
    "httpx2",
    "jinja2",
    "pydantic",
    "rich",
    "sqlalchemy",
    "yaml",
}
ACTING = {
    "init",
    "submit",
    "run",
    "retry",
    "cancel",
    "pause",
    "resume",
    "check",
    "convert",
    "estimate",
    "schema",
    "simulator",
    "wait",
}
LOOKING = {
    "status": ["status"],
    "watch": ["watch"],
    "results": ["results", "-n", "1"],
    "errors": ["errors"],
    "show": ["show", "doc-1"],
    "log": ["log"],
    "export": ["export", "last", "-o", "-"],
    "batches": ["batches"],
    "config": ["config", "show"],
    "db": ["db", "info"],
    "runs": ["runs"],
    "completion": ["completion", "zsh"],
    "help": ["help", "status"],
}

DRAWING = {"report": ["report", "last", "-o", "-"]}
"""Looking, but through a template."""

CODE = """
import json, sys
from batchrun.cli import main
code = main.run(sys.argv[1:])
sys.stdout.flush()
print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]), file=sys.stderr)
"""


def imported(args: list[str], folder: Path) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *args], cwd=folder, env=os.environ, capture_output=True, text=True, check=False
    )
    code, names = json.loads(done.stderr.splitlines()[-1])
    return code, set(names)


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a simulated queue that has answers and failures."""
    folder = tmp_path_factory.mktemp("worked")
    jobs_file(folder / "mixed.jsonl", ["fine", "[[simulate: 400]]"], max_tokens=1)
    subprocess.run(
        [sys.executable, "-m", "batchrun", "submit", "mixed.jsonl", "--simulate", "-q"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    return folder


def test_every_command_is_either_looking_or_acting() -> None:
    assert LOOKING.keys() | DRAWING.keys() | ACTING == set(lazy.COMMANDS)


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["help", "exit-codes"]], ids=" ".join)
def test_help_imports_nothing_heavy(args: list[str], tmp_path: Path) -> None:
    code, modules = imported(args, tmp_path)
    assert code == 0
    assert modules & (HEAVY | {"sqlite3", "tomllib"}) == set()


@pytest.mark.parametrize("name", sorted(ACTING))
def test_the_help_of_an_acting_command_imports_nothing_heavy(name: str, tmp_path: Path) -> None:
    code, modules = imported([name, "--help"], tmp_path)
    assert code == 0
    assert modules & HEAVY == set()


@pytest.mark.parametrize("name", sorted(LOOKING))
def test_a_looking_command_imports_nothing_heavy(name: str, worked: Path) -> None:
    code, modules = imported([*LOOKING[name], "--simulate"], worked)
    assert code == 0
    assert modules & HEAVY == set()


def test_a_report_imports_a_template_engine_and_nothing_else_that_is_heavy(worked: Path) -> None:
    code, modules = imported([*DRAWING["report"], "--simulate"], worked)
    assert code == 0
    assert modules & HEAVY == {"jinja2"}


def test_the_test_would_notice(worked: Path) -> None:
    """Working needs what looking must not have."""
    _, modules = imported(["run", "--simulate"], worked)
    assert modules >= {"sqlalchemy", "asyncio", "anthropic"}
