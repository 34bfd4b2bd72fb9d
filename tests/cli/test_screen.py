from __future__ import annotations

import pytest

from batchrun.cli.screen import Mark, Screen, attended, clean, colored, drawn_bar
from tests.cli.conftest import Pipe, Terminal, screen


@pytest.mark.parametrize(
    ("choice", "environ", "tty", "expected"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("auto", {"CLICOLOR": "0"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
    ],
)
def test_colour_follows_the_flag_then_the_environment_then_the_terminal(
    choice: str, environ: dict[str, str], tty: bool, expected: bool
) -> None:
    assert colored(choice, environ, tty=tty) is expected


@pytest.mark.parametrize(
    ("environ", "tty", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"CI": "true"}, True, False),
        ({"CI": "false"}, True, True),
        ({"FORCE_COLOR": "1"}, False, False),
    ],
)
def test_a_bar_is_drawn_only_where_somebody_watches(environ: dict[str, str], tty: bool, expected: bool) -> None:
    assert attended(environ, tty=tty) is expected


def test_what_a_terminal_would_obey_is_made_visible() -> None:
    assert clean("a\x1b[2Jb") == "a\\x1b[2Jb"
    assert clean("\x9b31m") == "\\x9b31m"
    assert clean("user\u202egnp.exe") == "user\\u202egnp.exe"
    assert clean("a\r\nb\tc") == "a\\r\\nb\\tc"
    assert clean("a\r\nb\tc", lines=True) == "a\\r\nb\tc"
    assert clean("tag\U000e0041") == "tag\\U000e0041"


def test_ordinary_text_of_any_script_is_left_alone() -> None:
    text = "naïve 日本語 עברית 👩‍🔬 – “ok”"
    assert clean(text) == text


def test_quiet_keeps_talk_back_but_not_what_must_be_said() -> None:
    shown, _, err = screen(quiet=True)
    shown.say("talk")
    shown.warn("careful")
    assert err.getvalue() == "warning: careful\n"


def test_a_simulated_screen_says_so_once_and_on_stderr() -> None:
    shown, out, err = screen()
    shown.mark_simulated()
    shown.mark_simulated()
    assert out.getvalue() == ""
    assert err.getvalue().count("SIMULATED") == 1


def test_symbols_become_words_without_utf8() -> None:
    class Latin(Pipe):
        @property
        def encoding(self) -> str:  # type: ignore[override]  # another one on purpose
            return "latin-1"

    shown = Screen(color="never", environ={}, out=Latin(), err=Latin())
    assert [shown.mark(mark) for mark in Mark] == ["ok", "warn", "fail"]
    assert shown.bar(0.5, 4) == "##--"


def test_a_bar_shows_what_is_done_and_what_is_out() -> None:
    assert drawn_bar(0.5, 10) == "█████░░░░░"
    assert drawn_bar(0.5, 10, started=0.2) == "█████▒▒░░░"
    assert drawn_bar(0.0, 10, started=0.001) == "▒░░░░░░░░░"
    assert drawn_bar(1.0, 10) == "██████████"
    assert drawn_bar(0.999, 10)[-1] == "░"


def test_the_width_comes_from_columns_and_is_80_without() -> None:
    assert Screen(environ={"COLUMNS": "47"}, out=Terminal(), err=Terminal()).width == 47
    assert Screen(environ={"COLUMNS": "wide"}, out=Terminal(), err=Terminal()).width == 80
