from __future__ import annotations

import os
from pathlib import Path

import pytest

from batchrun.core.job import Where
from batchrun.jobfile import inline
from tests.jobfile.desk import GOOD, HEAD, Found, merged, read_files


def folder(tmp_path: Path, jobs: str, **files: str) -> Found:
    """What a job file with these jobs gives, beside these files."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    for name, text in files.items():
        (home / f"{name}.md").write_text(text)
    (home / "jobs.yaml").write_text(HEAD + "jobs:\n" + jobs)
    return read_files(home / "jobs.yaml")


def prompt(found: Found) -> object:
    return merged(found.only_job())["messages"][0]["content"]


@pytest.mark.parametrize("quotes", ['"', "'"])
def test_a_text_in_quotes_that_begins_with_an_at_sign_is_a_files_content(tmp_path: Path, quotes: str) -> None:
    found = folder(tmp_path, f"  - prompt: {quotes}@ask.md{quotes}\n", ask="Grüße.\n")
    assert prompt(found) == "Grüße.\n"


def test_all_fields_that_hold_text_can_name_a_file(tmp_path: Path) -> None:
    found = folder(
        tmp_path,
        '  - system: "@a.md"\n    messages: [{role: user, content: "@b.md"}]\n'
        '  - system: [{type: text, text: "@a.md"}]\n'
        '    messages: [{role: user, content: [{type: text, text: "@b.md"}, {type: text, text: x}]}]\n',
        a="A",
        b="B",
    )
    assert found.problems == []
    one, two = map(merged, found.jobs)
    assert (one["system"], one["messages"][0]["content"]) == ("A", "B")
    assert (two["system"][0]["text"], two["messages"][0]["content"][0]["text"]) == ("A", "B")


def test_a_file_may_stand_in_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "s.md").write_text("Be brief.")
    path = tmp_path / "jobs.yaml"
    path.write_text(
        'version: 1\ndefaults: {model: claude-new-1, max_tokens: 5, system: "@s.md"}\njobs: [{prompt: x}]\n'
    )
    assert merged(read_files(path).only_job())["system"] == "Be brief."


@pytest.mark.parametrize(
    ("written", "text"), [('"@@home"', "@home"), ("'@@@x'", "@@x"), ("|\n      @bob: hi", "@bob: hi\n")]
)
def test_a_literal_at_sign_is_doubled_in_quotes_and_free_in_blocks(tmp_path: Path, written: str, text: str) -> None:
    assert prompt(folder(tmp_path, f"  - prompt: {written}\n")) == text


def test_other_fields_name_no_file(tmp_path: Path) -> None:
    found = folder(tmp_path, '  - prompt: x\n    stop_sequences: ["@a.md"]\n    metadata: {note: "@a.md"}\n', a="A")
    job = found.only_job()
    assert merged(job)["stop_sequences"] == ["@a.md"]
    assert job.metadata == '{"note":"@a.md"}'


def test_a_file_names_no_further_file(tmp_path: Path) -> None:
    assert prompt(folder(tmp_path, '  - prompt: "@a.md"\n', a="@b.md", b="B")) == "@b.md"


def test_a_json_line_names_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("A")
    path = tmp_path / "jobs.jsonl"
    path.write_text(GOOD.replace("Hi.", "@a.md"))
    assert merged(read_files(path).only_job())["messages"][0]["content"] == "@a.md"


def told(found: Found, code: str) -> str:
    problem = found.only_problem()
    assert problem.code == code
    assert problem.where is not None
    assert (problem.where.line, problem.where.column) == (4, 13)
    return problem.message


def test_a_missing_file_is_told_at_the_text_that_names_it(tmp_path: Path) -> None:
    assert told(folder(tmp_path, '  - prompt: "@gone.md"\n'), "BR030") == "`@gone.md`: no such file or directory"
    assert told(folder(tmp_path, '  - prompt: "@"\n'), "BR030") == "`@`: this is not a regular file"


@pytest.mark.parametrize("way", ["../secret.md", "sub/../../secret.md", "/etc/hostname", "link.md", "linked/secret.md"])
def test_no_way_leads_out_of_the_folder(tmp_path: Path, way: str) -> None:
    (tmp_path / "secret.md").write_text("private")
    home = tmp_path / "home"
    home.mkdir()
    (home / "sub").mkdir()
    (home / "link.md").symlink_to(tmp_path / "secret.md")
    (home / "linked").symlink_to(tmp_path)
    told(folder(tmp_path, f'  - prompt: "@{way}"\n'), "BR031")


def test_links_that_stay_inside_are_followed_and_so_is_a_linked_job_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "link.md").symlink_to(home / "a.md")
    assert prompt(folder(tmp_path, '  - prompt: "@link.md"\n', a="A")) == "A"
    (tmp_path / "elsewhere.yaml").symlink_to(home / "jobs.yaml")
    assert prompt(read_files(tmp_path / "elsewhere.yaml")) == "A"


@pytest.mark.parametrize("name", ["loop.md", "pipe", "sub", "a\\0b", "n" * 3000])
def test_what_is_no_file_is_told_and_never_waited_for(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    os.mkfifo(home / "pipe")
    (home / "loop.md").symlink_to(home / "loop.md")
    told(folder(tmp_path, f'  - prompt: "@{name}"\n'), "BR030")


def test_a_file_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "a.md").write_bytes(b"one\ntwo \xff")
    assert told(folder(tmp_path, '  - prompt: "@a.md"\n'), "BR032") == "`@a.md` is not UTF-8: byte 0xff in line 2"
    (home / "a.md").write_bytes(b"one\0")
    told(folder(tmp_path, '  - prompt: "@a.md"\n'), "BR032")


def test_files_too_large_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline, "INLINE_BYTES", 10)
    told(folder(tmp_path, '  - prompt: "@a.md"\n', a="x" * 11), "BR033")
    monkeypatch.setattr(inline, "ALL_BYTES", 15)
    found = folder(tmp_path, '  - prompt: "@a.md"\n  - prompt: "@b.md"\n', a="x" * 10, b="x" * 10)
    assert (found.codes, len(found.jobs)) == (["BR033"], 1)


def test_a_key_in_a_file_is_told_without_it(tmp_path: Path) -> None:
    message = told(folder(tmp_path, '  - prompt: "@a.md"\n', a="sk-ant-api03-abcdefgh"), "BR124")
    assert "abcdefgh" not in message


def test_an_empty_file_is_an_empty_text(tmp_path: Path) -> None:
    told(folder(tmp_path, '  - prompt: "@a.md"\n', a=""), "BR113")


def test_a_file_is_read_once_however_often_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline, "ALL_BYTES", 15)
    found = folder(tmp_path, '  - prompt: "@a.md"\n' * 5, a="x" * 10)
    assert found.problems == []
    assert [job.where for job in found.jobs][-1] == Where(str(tmp_path / "home" / "jobs.yaml"), 8, 5)
