"""The looking commands start at once: nothing heavy is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"sqlalchemy", "alembic", "anthropic", "asyncio", "pydantic", "rich", "yaml", "jinja2", "aiohttp", "httpx2"}

CODE = """
import json, sys
from batchrun.cli import main
code = main.run(sys.argv[1:])
sys.stdout.flush()
print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)
sys.exit(code)
"""


def imported(args: list[str], folder: Path) -> set[str]:
    done = subprocess.run([sys.executable, "-c", CODE, *args], cwd=folder, capture_output=True, text=True, check=False)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["help", "exit-codes"], ["staus"]], ids=" ".join)
def test_help_imports_nothing_heavy(args: list[str], tmp_path: Path) -> None:
    modules = imported(args, tmp_path)
    assert modules & HEAVY == set()
    assert "sqlite3" not in modules
