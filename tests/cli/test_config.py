from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import Batchrun


def test_each_setting_is_shown_with_where_it_came_from(
    batchrun: Batchrun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "batchrun.toml").write_text("# mine\ntries = 7\n")
    monkeypatch.setenv("BATCHRUN_TIER", "build")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-api03-" + "x" * 40 + "3Qa")
    shown = batchrun("config", "show", "--origin", "--json")
    assert shown.code == 0
    document = json.loads(shown.out)
    assert document["schema"] == "batchrun.config/1"
    rows = {row["name"]: (row["value"], row["origin"]) for row in document["settings"]}
    assert rows["tries"] == ("7", "./batchrun.toml:2")
    assert rows["tier"] == ("build", "BATCHRUN_TIER")
    assert rows["mode"] == ("auto", "default")
    assert rows["ANTHROPIC_API_KEY"] == ("…x3Qa", "ANTHROPIC_API_KEY")
    assert "sk-ant" not in shown.out + shown.err


def test_config_alone_shows_the_settings(batchrun: Batchrun) -> None:
    assert batchrun("config").out == batchrun("config", "show").out
    assert "tier\tauto\n" in batchrun("config").out


def test_a_global_flag_is_an_origin_too(batchrun: Batchrun, tmp_path: Path) -> None:
    shown = batchrun("config", "show", "--origin", "--db", "other.db", "--format", "tsv")
    assert f"db\t{tmp_path / 'other.db'}\t--db\n" in shown.out


def test_the_files_that_are_read_are_listed(batchrun: Batchrun, tmp_path: Path) -> None:
    nothing = batchrun("config", "path")
    assert (nothing.code, nothing.out) == (0, "")
    (tmp_path / "batchrun.toml").touch()
    assert batchrun("config", "path").out == "./batchrun.toml\n"
    assert batchrun("config", "path", "--no-config").out == ""


def test_a_broken_settings_file_is_told_with_its_place(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "batchrun.toml").write_text("teir = 'build'\ntries = 0\n")
    shown = batchrun("config")
    assert shown.code == 2
    assert "./batchrun.toml:1: unknown setting `teir`; did you mean `tier`?" in shown.err
    assert "./batchrun.toml:2: `tries` must be a whole number" in shown.err


@pytest.mark.parametrize(("table", "first"), [("prices", "model"), ("limits", "lane"), ("models", "model")])
def test_the_dated_tables_can_be_read(table: str, first: str, batchrun: Batchrun) -> None:
    document = json.loads(batchrun("config", "show", table, "--json").out)
    assert document["schema"] == f"batchrun.{table}/1"
    assert document["date"]
    assert document["source"].startswith("http")
    assert all(first in row for row in document[table])
    assert "As of" in batchrun("config", "show", table).err


def test_a_table_has_no_path(batchrun: Batchrun) -> None:
    assert batchrun("config", "path", "prices").code == 2


def test_colour_can_be_a_setting(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "batchrun.toml").write_text("color = 'always'\n")
    assert "\x1b[1m" in batchrun("config", "--format", "table").out
    assert "\x1b[1m" not in batchrun("config", "--format", "table", "--color", "never").out


def test_the_simulator_tells_its_address_and_serves(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text("seed = 7\n")
    command = [sys.executable, "-m", "batchrun", "simulator", "--plan", "plan.toml"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        url = running.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}/_simulator/plan") as answer:
            assert json.load(answer)["seed"] == 7
        running.send_signal(signal.SIGINT)
        said = running.stderr.read()
    assert running.returncode == 130
    assert "Traceback" not in said
    assert f"ANTHROPIC_BASE_URL={url}" in said


def test_a_wrong_plan_is_refused(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text("sede = 7\n")
    shown = batchrun("simulator", "--plan", "plan.toml")
    assert shown.code == 2
    assert "`sede` is not a setting of a plan" in shown.err
