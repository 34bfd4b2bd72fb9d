from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from batchrun import errors
from batchrun.cli import lazy, main, options
from batchrun.cli.call import Call
from batchrun.cli.commands.help import EXIT_CODES, VARIABLES
from batchrun.errors import BatchrunError, Exit
from batchrun.settings import OPTIONS, OTHER_VARIABLES
from tests.cli.conftest import Batchrun

Process = Callable[..., subprocess.CompletedProcess[str]]


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make `batchrun status` raise *error*."""

    @options.command("batchrun status")
    def status(_: Call) -> Exit:
        """Fail."""
        raise error

    monkeypatch.setattr(lazy, "load", lambda name: status)


def test_without_a_command_the_program_shows_what_it_can_do(batchrun: Batchrun) -> None:
    shown = batchrun()
    assert shown.code == 0
    assert shown.out == batchrun("--help").out
    assert "Start       submit" in shown.out
    assert all(name in shown.out for name in lazy.COMMANDS)


def test_the_version_is_one_line(batchrun: Batchrun) -> None:
    shown = batchrun("--version")
    assert (shown.code, shown.out) == (0, "batchrun 0.1.0\n")


@pytest.mark.parametrize("name", list(lazy.COMMANDS))
def test_each_command_has_help_with_an_example(name: str, batchrun: Batchrun) -> None:
    command = lazy.load(name)
    assert command.help
    shown = batchrun(name, "--help")
    assert shown.code == 0
    assert "Examples:" in shown.out
    assert f"batchrun {name}" in shown.out.partition("Examples:")[2]
    assert batchrun("help", name).out == shown.out


def test_a_mistyped_command_is_refused_with_what_was_meant(batchrun: Batchrun) -> None:
    shown = batchrun("staus")
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.splitlines()[0] == "error: no such command `staus`; did you mean `status`?"


def test_a_mistyped_option_is_refused_with_what_was_meant(batchrun: Batchrun) -> None:
    shown = batchrun("help", "--quite")
    assert shown.code == 2
    assert shown.err == (
        "error: no such option `--quite`; did you mean `--quiet`?\nhint: `batchrun help --help` shows how it is used\n"
    )


def test_a_wrong_value_names_the_option(batchrun: Batchrun) -> None:
    shown = batchrun("--color", "maybe", "help")
    assert shown.code == 2
    assert shown.err.startswith("error: `--color`: `maybe` is not one of `auto`, `always`, `never`\n")


def test_flags_count_before_and_after_the_command(batchrun: Batchrun) -> None:
    before, after = batchrun("--color=always", "staus"), batchrun("help", "--color=always", "nothing")
    assert before.err.startswith("\x1b[31;1merror:\x1b[0m")
    assert after.err.startswith("\x1b[31;1merror:\x1b[0m")


@pytest.mark.parametrize(
    "error",
    [
        errors.UsageError,
        errors.SchemaError,
        errors.StoreError,
        errors.KeyRefused,
        errors.NothingMatched,
        errors.WorkerBusy,
    ],
)
def test_each_error_has_its_exit_code_and_says_the_cure(
    error: type[BatchrunError], batchrun: Batchrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, error("it does not go", hint="do this"))
    shown = batchrun("status")
    assert shown.code == error.exit
    assert shown.err == "error: it does not go\nhint: do this\n"


def test_under_json_the_last_line_on_stderr_is_the_error(batchrun: Batchrun, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = batchrun("staus", "--json")
    assert shown.code == 2
    assert json.loads(shown.err.splitlines()[-1]) == {
        "event": "error",
        "code": "usage",
        "exit": 2,
        "message": "no such command `staus`; did you mean `status`?",
        "hint": "`batchrun --help` shows how it is used",
    }


def test_the_words_of_others_cannot_move_the_cursor(batchrun: Batchrun, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, errors.StoreError("cannot open \x1b[2Jfile"))
    assert batchrun("status").err == "error: cannot open \\x1b[2Jfile\n"


def test_ctrl_c_is_130(batchrun: Batchrun, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, KeyboardInterrupt())
    assert batchrun("status").code == 130


def test_a_bug_is_three_lines_and_a_private_report_without_secrets(
    batchrun: Batchrun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    prompt = "a prompt that nobody else may ever read"
    raising(monkeypatch, ValueError(f"bad value {prompt!r} with sk-ant-api03-abcdefgh\nsecond line {prompt}"))
    shown = batchrun("status", "--db", "my-secret-place.db")
    assert shown.code == 70
    first, second, third = shown.err.splitlines()
    assert first == "error: a bug in batchrun stopped `batchrun status`: ValueError: bad value '…' with [removed]"
    assert second == "nothing that was stored is lost; the same command continues"
    (report,) = (tmp_path / "state" / "batchrun").iterdir()
    assert str(report) in third
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    page = report.read_text()
    assert "batchrun 0.1.0" in page
    assert "command: batchrun status --db …" in page
    assert "test_main.py" in page
    assert not {part for part in (prompt, "sk-ant", "my-secret-place") if part in page}


def test_the_traceback_is_shown_on_request_only(batchrun: Batchrun, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, ValueError("boom"))
    assert "Traceback" not in batchrun("status").err
    assert "Traceback" in batchrun("status", "-v").err
    monkeypatch.setenv("BATCHRUN_DEBUG", "1")
    assert "Traceback" in batchrun("status").err


def test_a_bug_is_told_even_where_no_report_can_be_written(
    batchrun: Batchrun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    raising(monkeypatch, ValueError("boom"))
    shown = batchrun("status")
    assert shown.code == 70
    assert "no report could be written" in shown.err


def test_all_exit_codes_are_explained(batchrun: Batchrun) -> None:
    assert set(EXIT_CODES) == set(Exit)
    shown = batchrun("help", "exit-codes")
    assert [int(line.split()[0]) for line in shown.out.splitlines()[:-1]] == [int(code) for code in Exit]


def test_every_variable_of_ours_is_explained_and_taken_for_known(batchrun: Batchrun) -> None:
    shown = batchrun("help", "environment").out
    assert all(f"{name} " in shown for name in OTHER_VARIABLES)
    ours = {name for name in VARIABLES if name.startswith("BATCHRUN_")}
    assert ours <= {*OTHER_VARIABLES, *(option.variable for option in OPTIONS.values())}


def test_help_on_nothing_known_is_refused(batchrun: Batchrun) -> None:
    shown = batchrun("help", "exitcodes")
    assert shown.code == 2
    assert "did you mean `exit-codes`?" in shown.err


def test_a_closed_pipe_ends_quietly(process: Process) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = process("help", "environment", stdout=writer, stderr=subprocess.PIPE, capture_output=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout_is_said(process: Process) -> None:
    with Path("/dev/full").open("w") as full:
        done = process("help", "environment", stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 3
    assert done.stderr.startswith("error: cannot write the output: no space left on device\n")
    assert "Traceback" not in done.stderr


def test_closed_streams_do_not_matter(process: Process) -> None:
    close_all = "import os, sys\nfor fd in (0, 1, 2): os.close(fd)\n"
    code = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-m', 'batchrun', 'help'], preexec_fn=lambda: exec({close_all!r})))"
    assert process(code=code).returncode == 0


def test_no_character_breaks_a_narrow_encoding(process: Process) -> None:
    done = process("help", "exit-codes\u2028é", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_ctrl_c_during_start_up_is_no_traceback(process: Process) -> None:
    code = (
        "import os, signal, sys\n"
        "from batchrun.cli import lazy, main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whoever runs the tests may ignore it
        "lazy.load = lambda name: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv = ['batchrun', 'status']\n"
        "main.main()\n"
    )
    done = process(code=code)
    assert done.returncode in {130, -signal.SIGINT}
    assert done.stderr == ""


def test_json_is_recognised_however_it_is_asked_for() -> None:
    assert main.wants_json(["status", "--json"])
    assert main.wants_json(["results", "--format", "jsonl"])
    assert main.wants_json(["results", "--format=json"])
    assert not main.wants_json(["results", "--format", "csv"])
    assert not main.wants_json(["results", "--", "--json"])


def test_options_that_commands_share_mean_the_same_everywhere() -> None:
    """A short letter never stands for two things."""
    meanings: dict[str, set[str]] = {}
    for name in lazy.COMMANDS:
        command = lazy.load(name)
        for param in command.get_params(click.Context(command)):
            if isinstance(param, click.Option):
                long = max(param.opts, key=len)
                for short in param.opts:
                    meanings.setdefault(short, set()).add(long)
    assert {short: longs for short, longs in meanings.items() if len(longs) > 1} == {}


def test_python_dash_m_runs_the_same_program(process: Process) -> None:
    assert process("--version").stdout == "batchrun 0.1.0\n"
    assert sys.executable


@pytest.mark.parametrize("value", ["yes", "on", "2"])
def test_a_variable_that_is_neither_yes_nor_no_is_refused(
    value: str, batchrun: Batchrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHRUN_SIMULATE", value)
    shown = batchrun("help")
    assert (shown.code, shown.err) == (2, f"error: BATCHRUN_SIMULATE must be 1, 0, true or false, not `{value}`\n")


def test_a_simulated_call_says_so_on_stderr(batchrun: Batchrun, monkeypatch: pytest.MonkeyPatch) -> None:
    flag = batchrun("help", "--simulate")
    monkeypatch.setenv("BATCHRUN_SIMULATE", "1")
    variable = batchrun("help")
    assert flag.err == variable.err
    assert flag.err.startswith("SIMULATED")
    assert "SIMULATED" not in flag.out
