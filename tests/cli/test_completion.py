from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from batchrun.cli import completing
from tests.cli.conftest import Batchrun
from tests.cli.looking import nightly
from tests.cli.test_startup import HEAVY, imported
from tests.stock import Stock

Offer = Callable[[str], list[str]]


@pytest.fixture
def offered(batchrun: Batchrun, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """What a shell offers behind `batchrun ` and these words, of which the last is not finished."""

    def offer(line: str) -> list[str]:
        monkeypatch.setenv("_BATCHRUN_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", f"batchrun {line}")
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" "))))
        shown = batchrun()
        assert shown.err == ""
        return [text.partition(",")[2] for text in shown.out.splitlines()]

    return offer


@pytest.fixture
def stocked(tmp_path: Path) -> None:
    with Stock(tmp_path / "batchrun.db") as stock:
        nightly(stock)


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("stat", ["status"]),
        ("status ni", ["nightly"]),
        ("status la", ["last"]),
        ("results nightly -s st", ["state:", "stop:"]),
        ("results nightly -s state:f", ["state:failed"]),
        ("results nightly -s state:failed,error:over", ["state:failed,error:overloaded_error"]),
        ("show doc-t", ["doc-tried"]),
        ("pause --model claude", ["claude-test-1"]),
        ("submit x.jsonl --mode re", ["realtime"]),
        ("status --format j", ["json", "jsonl"]),
        ("runs pr", ["prune"]),
        ("runs rm sm", ["small"]),
    ],
)
def test_names_and_choices_are_offered(offered: Offer, line: str, wanted: list[str]) -> None:
    assert offered(line) == wanted


@pytest.mark.parametrize(
    "line", ["status ni", "results -s error:", "show d", "--db /nowhere/x.db status n", "nonsense x"]
)
def test_without_a_queue_nothing_is_offered_and_nothing_fails(offered: Offer, tmp_path: Path, line: str) -> None:
    assert offered(line) == []
    assert list(tmp_path.glob("*.db")) == []


@pytest.mark.parametrize("shell", completing.SHELLS)
def test_each_shell_has_a_script(batchrun: Batchrun, shell: str) -> None:
    shown = batchrun("completion", shell)
    assert shown.code == 0
    assert "_BATCHRUN_COMPLETE" in shown.out


def test_an_unknown_shell_is_named(batchrun: Batchrun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert "no completion for the shell `tcsh`" in batchrun("completion").err


def test_completing_imports_nothing_heavy(stocked: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_BATCHRUN_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "batchrun status ni")
    monkeypatch.setenv("COMP_CWORD", "2")
    code, modules = imported([], tmp_path)
    assert code == 0
    assert modules & HEAVY == set()
