"""Each setting has one winner, and says where it came from; all that is wrong is told at once, with its place."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from batchrun.core.figures import DOLLAR
from batchrun.errors import UsageError
from batchrun.settings import OPTIONS, OTHER_VARIABLES, Settings, load


class Machine:
    """A machine with a home, a project and a system file, on which nothing is set."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.project = self.home / "project"
        self.system = root / "etc" / "config.toml"
        self.project.mkdir(parents=True)
        self.system.parent.mkdir()
        self.environ: dict[str, str] = {"HOME": str(self.home)}

    def write(self, path: Path | str, text: str) -> Path:
        whole = self.project / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_text(text)
        return whole

    @property
    def user_file(self) -> Path:
        return self.home / ".config" / "batchrun" / "config.toml"

    def load(self, flags: Mapping[str, object] | None = None, *, folder: Path | None = None, **more: Any) -> Settings:
        return load(flags, environ=self.environ, folder=folder or self.project, system_file=self.system, **more)

    def mistakes(self, flags: Mapping[str, object] | None = None, **more: Any) -> str:
        with pytest.raises(UsageError) as caught:
            self.load(flags, **more)
        return caught.value.message


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("HOME", str(made.home))
    return made


def test_on_a_fresh_machine_every_setting_has_its_default(machine: Machine) -> None:
    settings = machine.load()
    for name, option in OPTIONS.items():
        assert settings.origin_of(name) == "default"
        if name != "db":
            assert getattr(settings, name) == option.default
    assert settings.warnings == ()
    assert settings.files == ()


def test_every_option_is_an_attribute_and_every_attribute_of_the_first_ones_an_option() -> None:
    names = [field.name for field in fields(Settings)]
    assert names[: len(OPTIONS)] == list(OPTIONS)


def test_every_default_is_a_value_its_reader_would_give(machine: Machine) -> None:
    for option in OPTIONS.values():
        if option.default is not None and option.name not in {"confirm_likely", "confirm_most"}:
            assert option.read(option.default) == option.default
    assert machine.load().confirm_most == 25 * DOLLAR


def test_the_nearest_word_wins(machine: Machine) -> None:
    machine.system.write_text("concurrency = 1\ntier = 'start'\nmode = 'batch'\ntries = 2\ngrace = 1\n")
    machine.write(machine.user_file, "concurrency = 2\ntier = 'build'\nmode = 'auto'\ntries = 3\n")
    machine.write("batchrun.toml", "concurrency = 3\ntier = 'scale'\nmode = 'realtime'\n")
    machine.environ |= {"BATCHRUN_CONCURRENCY": "4", "BATCHRUN_TIER": "1"}
    settings = machine.load({"concurrency": 5, "tier": None})
    assert (settings.concurrency, settings.origin_of("concurrency")) == (5, "--concurrency")
    assert (settings.tier, settings.origin_of("tier")) == ("1", "BATCHRUN_TIER")
    assert (settings.mode, settings.origin_of("mode")) == ("realtime", "./batchrun.toml:3")
    assert (settings.tries, settings.origin_of("tries")) == (3, "~/.config/batchrun/config.toml:4")
    assert (settings.grace, settings.origin_of("grace")) == (1.0, f"{machine.system}:5")
    assert settings.files == ("./batchrun.toml", "~/.config/batchrun/config.toml", str(machine.system))


def test_an_empty_variable_counts_as_unset(machine: Machine) -> None:
    machine.environ["BATCHRUN_TIER"] = ""
    assert machine.load().origin_of("tier") == "default"


def test_the_project_s_file_is_found_from_a_folder_below(machine: Machine) -> None:
    machine.write("batchrun.toml", "# mine\n\ntier = 3\n")
    below = machine.project / "a" / "b"
    below.mkdir(parents=True)
    settings = machine.load(folder=below)
    assert (settings.tier, settings.origin_of("tier")) == ("3", "~/project/batchrun.toml:3")


def test_the_nearest_of_several_project_files_counts_alone(machine: Machine) -> None:
    machine.write("batchrun.toml", "tier = 'scale'\ntries = 9\n")
    machine.write("a/pyproject.toml", "[project]\nname = 'x'\n\n[tool.batchrun]\ntier = 'build'\n")
    settings = machine.load(folder=machine.project / "a")
    assert (settings.tier, settings.origin_of("tier")) == ("build", "./pyproject.toml:5")
    assert settings.tries == 5


def test_beside_each_other_the_own_file_beats_the_table_in_pyproject(machine: Machine) -> None:
    machine.write("pyproject.toml", "[tool.batchrun]\ntier = 'build'\n")
    machine.write("batchrun.toml", "tier = 'scale'\n")
    assert machine.load().tier == "scale"


def test_a_pyproject_that_does_not_speak_of_us_is_passed_over(machine: Machine) -> None:
    machine.write("batchrun.toml", "tier = 'scale'\n")
    machine.write("a/pyproject.toml", "this is not even [ TOML")
    assert machine.load(folder=machine.project / "a").tier == "scale"


@pytest.mark.parametrize("text", ["tool = 3\n", "[tool]\nbatchrun = 3\n"])
def test_a_table_of_ours_that_is_none_is_a_mistake(machine: Machine, text: str) -> None:
    machine.write("pyproject.toml", text)
    assert machine.mistakes(config_file="pyproject.toml") == "./pyproject.toml: `[tool.batchrun]` must be a table"


def test_xdg_config_home_moves_the_user_s_file(machine: Machine) -> None:
    machine.write(machine.home / "xdg" / "batchrun" / "config.toml", "tries = 7\n")
    machine.environ["XDG_CONFIG_HOME"] = str(machine.home / "xdg")
    assert machine.load().tries == 7


def test_a_file_that_is_named_is_the_only_one_read(machine: Machine) -> None:
    machine.write("batchrun.toml", "tier = 'scale'\ntries = 9\n")
    machine.write(machine.user_file, "grace = 1\n")
    machine.write("other.toml", "tier = 'build'\n")
    settings = machine.load(config_file="other.toml")
    assert (settings.tier, settings.tries, settings.grace) == ("build", 5, 60.0)
    assert settings.files == ("./other.toml",)


def test_no_file_is_read_if_none_is_wanted(machine: Machine) -> None:
    machine.write("batchrun.toml", "tier = ")
    assert machine.load(no_config=True).tier == "auto"


def test_a_named_file_must_exist(machine: Machine) -> None:
    assert "other.toml" in machine.mistakes(config_file="other.toml")


def test_all_mistakes_are_told_at_once_each_with_its_place(machine: Machine) -> None:
    machine.write("batchrun.toml", 'teir = 3\nconcurrency = "lots"\n\n[limits."opus-5"]\nrequest = 5\n')
    machine.write(machine.user_file, "[colour]\nx = 1\n")
    machine.environ["BATCHRUN_GRACE"] = "soon"
    lines = machine.mistakes({"mode": "fast"}).splitlines()
    assert lines == [
        "--mode: `mode` must be one of auto, batch, realtime, not `fast`",
        "./batchrun.toml:2: `concurrency` must be a whole number from 1 to 1,000, not `lots`",
        "BATCHRUN_GRACE: `grace` must be a time, such as 90, 90s, 5m or 1h30m, not `soon`",
        "./batchrun.toml:5: unknown key `request`; did you mean `requests`?",
        "./batchrun.toml:1: unknown setting `teir`; did you mean `tier`?",
        "~/.config/batchrun/config.toml:1: unknown setting `colour`; did you mean `color`?",
        "6 problems in the settings; nothing was done",
    ]


def test_a_value_that_another_one_hides_is_not_complained_of(machine: Machine) -> None:
    machine.write("batchrun.toml", "tier = 'platinum'\n")
    assert machine.load({"tier": "build"}).tier == "build"


def test_broken_toml_names_line_and_column(machine: Machine) -> None:
    machine.write("batchrun.toml", "tier = 'build'\nmode = \n")
    assert machine.mistakes().startswith("./batchrun.toml:2:8: not valid TOML: ")


def test_a_file_that_is_not_text_is_a_mistake_and_not_a_crash(machine: Machine) -> None:
    (machine.project / "batchrun.toml").write_bytes(b"tier = '\xff'\n")
    assert machine.mistakes() == "./batchrun.toml: not UTF-8 text"


def test_an_unknown_variable_is_a_warning_with_a_suggestion(machine: Machine) -> None:
    machine.environ |= {"BATCHRUN_TEIR": "3", "BATCHRUN_API_KEY": "sk-ant-secret", "OTHER_TEIR": "x"}
    assert machine.load().warnings == (
        "unknown variable BATCHRUN_API_KEY; did you mean `BATCHRUN_API_KEY_FILE`?",
        "unknown variable BATCHRUN_TEIR; did you mean `BATCHRUN_TIER`?",
    )


def test_variables_of_one_call_are_known(machine: Machine) -> None:
    machine.environ |= dict.fromkeys(OTHER_VARIABLES, "1")
    assert machine.load().warnings == ()


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("max_cost", "50", 50 * DOLLAR),
        ("max_cost", "0.25", DOLLAR // 4),
        ("max_cost", "$1,000", 1_000 * DOLLAR),
        ("grace", "90", 90.0),
        ("grace", "1m30s", 90.0),
        ("total_timeout", "2h", 7_200.0),
        ("concurrency", "1_000", 1_000),
        ("stream_above", "8,192", 8_192),
        ("api_version", "2023-06-01", "2023-06-01"),
        ("on_crash", "hold", "hold"),
        ("account", "Zürich", "Zürich"),
    ],
)
def test_values_are_read_as_people_write_them(machine: Machine, name: str, raw: str, value: object) -> None:
    machine.environ[f"BATCHRUN_{name.upper()}"] = raw
    assert getattr(machine.load(), name) == value


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("max_cost", "-1"),
        ("max_cost", "lots"),
        ("max_cost", "10000000000"),
        ("max_cost", "1e400"),
        ("concurrency", "0"),
        ("concurrency", "1001"),
        ("concurrency", "1.5"),
        ("grace", "-1"),
        ("grace", "2h"),
        ("grace", "30 years"),
        ("grace", "1h 30m"),
        ("read_timeout", "0"),
        ("api_version", "latest"),
        ("tier", "5"),
        ("tries", "0"),
    ],
)
def test_what_makes_no_sense_is_refused(machine: Machine, name: str, raw: str) -> None:
    machine.environ[f"BATCHRUN_{name.upper()}"] = raw
    assert machine.mistakes().startswith(f"BATCHRUN_{name.upper()}: `{name}` must be ")


@pytest.mark.parametrize("line", ["concurrency = true", "mode = 1.5", "grace = true", "max_cost = true", "account = 3"])
def test_toml_values_of_the_wrong_kind_are_refused(machine: Machine, line: str) -> None:
    machine.write("batchrun.toml", line)
    assert machine.mistakes().startswith("./batchrun.toml:1: ")


def test_toml_numbers_are_taken_exactly(machine: Machine) -> None:
    machine.write("batchrun.toml", "max_cost = 0.1\ngrace = 1.5\ntier = 3\n")
    settings = machine.load()
    assert (settings.max_cost, settings.grace, settings.tier) == (DOLLAR // 10, 1.5, "3")


def test_the_line_of_a_key_is_found_behind_texts_of_several_lines(machine: Machine) -> None:
    text = 'account = """\ntier = 1\n[limits]\n"""\n"tier" = 2 # two\n[limits]\n"opus-5" . requests = 7\n'
    machine.write("batchrun.toml", text)
    settings = machine.load()
    assert settings.origin_of("tier") == "./batchrun.toml:5"
    assert settings.rows == {"limits": {"opus-5": {"requests": 7}}}


# Paths


def test_a_path_in_a_file_starts_from_that_file_s_folder(machine: Machine) -> None:
    machine.write("batchrun.toml", 'db = "data/queue.db"\nlog_file = "~/batchrun.log"\n')
    below = machine.project / "a"
    below.mkdir()
    settings = machine.load(folder=below)
    assert settings.db == str(machine.project / "data" / "queue.db")
    assert settings.log_file == str(machine.home / "batchrun.log")


def test_a_path_in_a_flag_or_variable_starts_from_the_working_folder(machine: Machine) -> None:
    machine.environ["BATCHRUN_LOG_FILE"] = "../x.log"
    settings = machine.load({"db": "q.db"})
    assert settings.db == str(machine.project / "q.db")
    assert settings.log_file == str(machine.home / "x.log")


def test_an_empty_path_is_a_mistake(machine: Machine) -> None:
    machine.write("batchrun.toml", 'db = ""\n')
    assert "`db` must not be empty" in machine.mistakes()


def test_the_database_is_the_nearest_one_above(machine: Machine) -> None:
    below = machine.project / "a" / "b"
    below.mkdir(parents=True)
    assert machine.load(folder=below).db == str(below / "batchrun.db")
    (machine.project / "batchrun.db").touch()
    assert machine.load(folder=below).db == str(machine.project / "batchrun.db")


def test_a_url_is_left_as_it_is_unless_it_only_names_a_file(machine: Machine) -> None:
    assert machine.load({"db": "postgresql://db/queue"}).db == "postgresql://db/queue"
    assert machine.load({"db": "sqlite:///q.db"}).db == str(machine.project / "q.db")
    assert machine.load({"db": "sqlite:////srv/q.db"}).db == "/srv/q.db"
    assert machine.load({"db": "sqlite:///q.db?mode=ro"}).db == "sqlite:///q.db?mode=ro"


def test_a_simulated_run_keeps_off_the_real_database(machine: Machine) -> None:
    machine.write("batchrun.toml", 'db = "real.db"\n')
    settings = machine.load(simulate=True)
    assert (settings.db, settings.origin_of("db")) == (str(machine.project / "batchrun-simulated.db"), "default")
    machine.environ["BATCHRUN_DB"] = "real.db"
    assert machine.load(simulate=True).db == settings.db
    assert machine.load({"db": "own.db"}, simulate=True).db == str(machine.project / "own.db")


def test_a_user_without_a_home_can_work_too(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    del machine.environ["HOME"]
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: (_ for _ in ()).throw(KeyError(uid)))
    assert machine.load({"log_file": "~/x.log"}).tier == "auto"


# The address


@pytest.mark.parametrize(
    ("raw", "address"),
    [
        ("https://gateway.example", "https://gateway.example"),
        ("https://gateway.example/", "https://gateway.example"),
        (" https://gateway.example/claude ", "https://gateway.example/claude"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_address_is_taken_without_the_slash_at_its_end(machine: Machine, raw: str, address: str) -> None:
    machine.environ["ANTHROPIC_BASE_URL"] = raw
    settings = machine.load()
    assert (settings.base_url, settings.origin_of("base_url")) == (address, "ANTHROPIC_BASE_URL")
    assert settings.warnings == ()


@pytest.mark.parametrize("end", ["/v1", "/v1/", "/v1/messages", "/v1/messages/batches"])
def test_a_v1_at_the_end_of_an_address_is_taken_off_with_a_warning(machine: Machine, end: str) -> None:
    machine.environ["BATCHRUN_BASE_URL"] = f"https://gateway.example{end}"
    settings = machine.load()
    assert settings.base_url == "https://gateway.example"
    assert settings.warnings == (
        "BATCHRUN_BASE_URL: the base URL ends in /v1, which is added to it anyway; using https://gateway.example",
    )


def test_a_key_that_would_travel_in_the_clear_is_a_warning(machine: Machine) -> None:
    machine.environ["BATCHRUN_BASE_URL"] = "http://gateway.example"
    assert machine.load().warnings == (
        "BATCHRUN_BASE_URL: the key goes to gateway.example without encryption (http://)",
    )
    assert machine.load(simulate=True).warnings == ()  # nothing goes there


def test_our_own_variable_wins_over_the_sdk_s(machine: Machine) -> None:
    machine.environ |= {"ANTHROPIC_BASE_URL": "https://a.example", "BATCHRUN_BASE_URL": "https://b.example"}
    assert machine.load().base_url == "https://b.example"


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ("gateway.example", "begin with https://"),
        ("gateway.example:8000", "begin with https://"),
        ("ftp://gateway.example", "begin with https://"),
        ("https://me:hunter22@gateway.example", "user or password"),
        ("https://hunter22@gateway.example", "user or password"),
        ("https://", "name a host"),
        ("https://gateway.example:notaport", "address"),
        ("https://gateway .example", "blanks"),
        ("https://gateway.example/?key=hunter22", "? or #"),
        ("https://gateway.example/#", "? or #"),
    ],
)
def test_an_address_that_cannot_work_is_refused_without_showing_it(machine: Machine, raw: str, word: str) -> None:
    machine.environ["BATCHRUN_BASE_URL"] = raw
    message = machine.mistakes()
    assert word in message
    assert "hunter22" not in message


# Files of variables, of others, and with keys in them


def test_a_file_of_variables_fills_what_the_environment_leaves_open(machine: Machine) -> None:
    machine.write(
        ".env",
        "# mine\nexport BATCHRUN_TIER=build\nBATCHRUN_TRIES = '7' # seven\nBATCHRUN_GRACE=1 # one\n"
        'OTHER=1\nANTHROPIC_API_KEY="sk-ant-0123456789abcdefx3Qa"\nnonsense\n',
    )
    machine.write("batchrun.toml", 'env_file = ".env"\ntier = "scale"\n')
    machine.environ["BATCHRUN_TRIES"] = "8"
    settings = machine.load()
    assert (settings.tier, settings.origin_of("tier")) == ("build", "BATCHRUN_TIER (./.env:2)")
    assert (settings.tries, settings.grace) == (8, 1.0)
    assert str(settings.credential()) == "…x3Qa from ANTHROPIC_API_KEY (./.env:6)"


def test_any_variable_of_the_environment_wins_over_a_file_of_variables(machine: Machine) -> None:
    machine.write(".env", "BATCHRUN_BASE_URL=https://file.example\n")
    machine.environ["ANTHROPIC_BASE_URL"] = "https://environment.example"
    assert machine.load({"env_file": ".env"}).base_url == "https://environment.example"


def test_no_file_of_variables_is_read_unasked(machine: Machine) -> None:
    machine.write(".env", "BATCHRUN_TIER=build\n")
    assert machine.load().tier == "auto"


def test_a_missing_file_of_variables_is_a_mistake(machine: Machine) -> None:
    assert "./.env" in machine.mistakes({"env_file": ".env"})


def test_a_key_in_a_settings_file_is_refused_without_showing_it(machine: Machine) -> None:
    machine.write("batchrun.toml", 'tier = 1\napi_key = "sk-ant-secret"\n')
    message = machine.mistakes()
    assert message.startswith("./batchrun.toml:2: a key has no place")
    assert "secret" not in message


@pytest.mark.parametrize("name", ["api_key_command", "api_key_file", "base_url", "env_file"])
def test_a_stranger_s_file_may_not_say_where_keys_come_from_or_go_to(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    machine.write(".env", "")
    value = "https://evil.example" if name == "base_url" else ".env"
    machine.write("batchrun.toml", f'tier = 3\n{name} = "{value}"\n')
    monkeypatch.setattr("batchrun.settings.files._trusted", lambda: {os.geteuid() + 1})
    assert machine.load(config_file="batchrun.toml").tier == "3"  # named by the user, so it is meant
    assert machine.mistakes() == (f"./batchrun.toml:2: `{name}` is not taken from a file that belongs to another user")


def test_a_stranger_s_file_may_say_everything_else(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("batchrun.toml", "tier = 3\n")
    monkeypatch.setattr("batchrun.settings.files._trusted", lambda: {os.geteuid() + 1})
    assert machine.load().tier == "3"


# Screens


def test_a_value_is_shown_as_a_person_reads_it(machine: Machine) -> None:
    settings = machine.load({"max_cost": 50, "db": "postgresql://me:hunter22@db/queue"})
    shown = {name: settings.shown(name) for name in OPTIONS}
    assert shown["max_cost"] == "50 USD"
    assert shown["grace"] == "60 s"
    assert shown["api_version"] == ""
    assert "hunter22" not in shown["db"]


def test_no_key_is_in_the_settings_when_they_are_printed(machine: Machine) -> None:
    machine.environ["ANTHROPIC_API_KEY"] = "sk-ant-0123456789abcdefx3Qa"
    settings = machine.load()
    assert settings.credential().secret.endswith("x3Qa")
    assert "x3Qa" not in repr(settings)
    assert "x3Qa" not in repr(settings.variables)


def test_settings_are_read_without_loading_what_a_status_cannot_afford(machine: Machine) -> None:
    code = "import batchrun.settings, sys; batchrun.settings.load(); print(*sys.modules)"
    environ = {**os.environ, "HOME": str(machine.home)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=machine.project, env=environ
    )
    heavy = {"asyncio", "pydantic", "sqlalchemy", "anthropic", "yaml", "tomllib", "subprocess", "importlib.resources"}
    assert heavy.isdisjoint(done.stdout.split())
