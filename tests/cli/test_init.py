from __future__ import annotations

import configparser
import json
import shlex
import tomllib
from pathlib import Path

import pytest

from batchrun.library import starter
from batchrun.settings import OPTIONS
from tests.cli.conftest import Batchrun


def test_the_files_to_start_with_are_written_and_work(batchrun: Batchrun, tmp_path: Path) -> None:
    shown = batchrun("init")
    assert shown.code == 0
    assert "batchrun submit jobs.yaml --simulate" in shown.err
    assert {path.name for path in tmp_path.iterdir()} == {"batchrun.toml", "jobs.yaml", "jobs.schema.json"}
    assert batchrun("check", "jobs.yaml").code == 0
    assert batchrun("config", "path").out == "./batchrun.toml\n"
    assert json.loads((tmp_path / "jobs.schema.json").read_text())["$schema"]


def test_every_setting_stands_in_the_file_and_may_be_uncommented(batchrun: Batchrun, tmp_path: Path) -> None:
    text = "\n".join(
        line.removeprefix("#") if line.startswith("#") and not line.startswith("# ") else line
        for line in starter.settings_file().splitlines()
    )
    found = tomllib.loads(text)
    assert found.keys() == OPTIONS.keys()
    for name, value in found.items():
        if OPTIONS[name].default is not None or name in starter._EXAMPLES:
            OPTIONS[name].read(value)  # raises for a value that cannot be


def test_nothing_is_overwritten_unless_forced(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text("mine")
    document = json.loads(batchrun("init", "--json").out)
    assert [Path(path).name for path in document["kept"]] == ["jobs.yaml"]
    assert (tmp_path / "jobs.yaml").read_text() == "mine"
    batchrun("init", "--force")
    assert (tmp_path / "jobs.yaml").read_text() == starter.JOBS


@pytest.mark.parametrize("name", ["plain", "two words", "50%", "it's"])
def test_cron_and_systemd_get_whole_paths_whatever_the_folder_is_called(
    batchrun: Batchrun, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name
    assert batchrun("init", str(folder), "--cron", "--systemd").code == 0
    cron = (folder / "batchrun.cron").read_text()
    assert cron.count(f"cd {shlex.quote(str(folder))}".replace("%", r"\%") + " && /") == 3
    units = sorted(path.name for path in (folder / "systemd").iterdir())
    assert [unit.rpartition("-")[2] for unit in units] == ["run.service", "run.timer", "submit.service", "submit.timer"]
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    unit.read(folder / "systemd" / units[0])
    assert unit["Service"]["WorkingDirectory"] == str(folder).replace("%", "%%")
    assert unit["Service"]["LoadCredential"] == "key:/etc/batchrun/key"
    assert unit["Service"]["ExecStart"].startswith("/bin/sh -c '/")


def test_a_file_is_no_folder(batchrun: Batchrun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert batchrun("init", "file").code == 2
