from __future__ import annotations

import io
import sys

import pytest

from batchrun.cli.confirm import confirmed
from batchrun.errors import UsageError
from tests.cli.conftest import Terminal, screen

REFUSAL = UsageError("this may cost up to $163", hint="pass --yes")


def asked(monkeypatch: pytest.MonkeyPatch, typed: str, *, yes: bool = False) -> tuple[bool, str, str]:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    shown, out, err = screen()
    return confirmed(shown, "Submit?", yes=yes, refusal=REFUSAL), out.getvalue(), err.getvalue()


@pytest.mark.parametrize("typed", ["y\n", "Y\n", "yes\n", " yes \n"])
def test_yes_is_yes(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, typed) == (True, "", "Submit? [y/N] ")


@pytest.mark.parametrize("typed", ["n\n", "\n", "no\n", "yesterday\n"])
def test_anything_else_is_no(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, typed) == (False, "", "Submit? [y/N] ")


def test_the_end_of_the_input_is_no_and_ends_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, "") == (False, "", "Submit? [y/N] \n")


def test_the_flag_answers_without_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, "", yes=True) == (True, "", "")


@pytest.mark.parametrize("stdin", [io.StringIO("y\n"), None])
def test_without_a_person_nobody_is_asked(stdin: io.StringIO | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    shown, _, err = screen()
    with pytest.raises(UsageError) as caught:
        confirmed(shown, "Submit?", yes=False, refusal=REFUSAL)
    assert caught.value is REFUSAL
    assert err.getvalue() == ""


def test_a_question_that_nobody_would_see_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    shown, _, _ = screen(tty=False)
    with pytest.raises(UsageError):
        confirmed(shown, "Submit?", yes=False, refusal=REFUSAL)
