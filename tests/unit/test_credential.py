"""The key: found in one order, checked before anything is sent, shown by its last four characters at most."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from batchrun.errors import Exit, KeyRefused
from batchrun.settings import Credential, load

KEY = "sk-ant-api03-0123456789abcdefx3Qa"
OTHER = "sk-ant-api03-9876543210fedcbaZ9zZ"


def credential(folder: Path, flags: dict[str, object] | None = None, **environ: str) -> Credential:
    found = load(flags, environ={"HOME": str(folder), **environ}, folder=folder, no_config=True)
    return found.credential(environ)


def refused(folder: Path, flags: dict[str, object] | None = None, **environ: str) -> KeyRefused:
    with pytest.raises(KeyRefused) as caught:
        credential(folder, flags, **environ)
    assert caught.value.exit is Exit.KEY
    return caught.value


def printing(text: str) -> str:
    return f"{sys.executable} -c \"print('{text}')\""


def test_the_sdk_s_variable_gives_the_key(tmp_path: Path) -> None:
    found = credential(tmp_path, ANTHROPIC_API_KEY=KEY)
    assert (found.secret, found.kind, found.origin) == (KEY, "api_key", "ANTHROPIC_API_KEY")


def test_a_token_is_known_as_a_token(tmp_path: Path) -> None:
    found = credential(tmp_path, ANTHROPIC_AUTH_TOKEN=KEY)
    assert (found.secret, found.kind) == (KEY, "auth_token")


def test_a_file_comes_before_a_command_before_a_key_before_a_token(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}file\n")
    ways: dict[str, Any] = {
        "BATCHRUN_API_KEY_FILE": str(tmp_path / "key"),
        "BATCHRUN_API_KEY_COMMAND": printing(f"{KEY}command"),
        "ANTHROPIC_API_KEY": f"{KEY}variable",
        "ANTHROPIC_AUTH_TOKEN": f"{KEY}token",
    }
    for name, end in zip(list(ways), ("file", "command", "variable", "token"), strict=True):
        assert credential(tmp_path, **ways).secret == f"{KEY}{end}"
        del ways[name]


def test_the_line_break_at_the_end_of_a_file_is_not_part_of_the_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f" {KEY}\r\n\n")
    found = credential(tmp_path, {"api_key_file": "key"})
    assert found.secret == KEY
    assert found.origin == str(tmp_path / "key")


def test_no_key_at_all_names_all_the_ways_to_give_one(tmp_path: Path) -> None:
    error = refused(tmp_path, ANTHROPIC_API_KEY="")
    for way in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "api_key_file", "api_key_command", "--simulate"):
        assert way in error.hint


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (" \n", "is empty"),
        (f"{KEY}\n{OTHER}", "has several lines"),
        (f"{KEY} {OTHER}", "has a blank in it"),
        (f"{KEY}\t{OTHER}", "has a blank in it"),
        (f"{KEY}\u00a0{OTHER}", "has a blank in it"),
        (f"{KEY}…x3Qa", "not ASCII"),
        (f"{KEY}\x1b[0m", "control characters"),
        (f"{KEY}\x7f", "control characters"),
        (f'"{KEY}"', "stands in quotes"),
        (f"'{KEY}", "stands in quotes"),
        ("k" * 5_000, "too long"),
    ],
)
def test_what_cannot_be_a_key_is_refused_without_showing_it(tmp_path: Path, raw: str, words: str) -> None:
    (tmp_path / "key").write_bytes(raw.encode())
    for error in (refused(tmp_path, {"api_key_file": "key"}), refused(tmp_path, ANTHROPIC_API_KEY=raw)):
        assert words in error.message
        assert "0123456789" not in error.message + error.hint


def test_a_key_file_that_cannot_be_read_is_named_with_where_it_was_named(tmp_path: Path) -> None:
    error = refused(tmp_path, BATCHRUN_API_KEY_FILE="nowhere", ANTHROPIC_API_KEY=KEY)
    assert error.message == (
        f"cannot read the key file `{tmp_path / 'nowhere'}` (BATCHRUN_API_KEY_FILE): no such file or directory"
    )
    assert "is a directory" in refused(tmp_path, {"api_key_file": "."}).message


def test_a_binary_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00k")
    assert "not ASCII" in refused(tmp_path, {"api_key_file": "key"}).message


def test_a_command_prints_the_key_and_is_not_run_by_a_shell(tmp_path: Path) -> None:
    found = credential(tmp_path, {"api_key_command": f'printf "%s;x\n" {KEY}'})
    assert found.secret == f"{KEY};x"
    assert found.origin == "`printf …`"


def test_a_command_gets_nothing_of_standard_input(tmp_path: Path) -> None:
    code = f"import sys; print('{KEY}' + str(len(sys.stdin.read())))"
    command = f'{sys.executable} -c "{code}"'
    assert credential(tmp_path, {"api_key_command": command}).secret == f"{KEY}0"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-program-anywhere", "no such file"),
        (f"{sys.executable} -c \"import sys; print('{KEY}'); sys.exit(3)\"", "exit code 3"),
        ('say "never closed', "quotes do not close"),
        ("  ", "empty"),
        ("true", "is empty"),
    ],
)
def test_a_command_that_gives_no_key_says_why_and_nothing_of_what_it_printed(
    tmp_path: Path, command: str, words: str
) -> None:
    error = refused(tmp_path, {"api_key_command": command}, PATH="/usr/bin:/bin")
    assert words in error.message
    assert KEY not in error.message + error.hint


def test_a_command_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, timeout: float, **__: Any) -> Any:
        raise subprocess.TimeoutExpired("pass", timeout)

    monkeypatch.setattr(subprocess, "run", run)
    assert "within 60 seconds" in refused(tmp_path, {"api_key_command": "pass show anthropic"}).message


def test_a_credential_never_shows_itself(tmp_path: Path) -> None:
    found = credential(tmp_path, ANTHROPIC_API_KEY=KEY)
    assert found.ending == "…x3Qa"
    assert str(found) == "…x3Qa from ANTHROPIC_API_KEY"
    for text in (repr(found), f"{found!r:>10}", str([found])):
        assert KEY not in text
        assert "0123456789" not in text


def test_of_a_short_secret_not_even_the_end_is_shown(tmp_path: Path) -> None:
    assert str(credential(tmp_path, ANTHROPIC_API_KEY="hunter2")) == "… from ANTHROPIC_API_KEY"
