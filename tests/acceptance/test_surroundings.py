"""Bad input and bad surroundings: a clear error with its cure, the right exit code, and nothing half done."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import Home, Said, line

pytestmark = pytest.mark.sweep  # whole processes: slow


def refused(said: Said, code: int, *words: str) -> None:
    """One clear error: the exit code, the words, a cure, and no traceback."""
    assert said.code == code, said
    assert "Traceback" not in said.err + said.out
    assert "error: " in said.err
    for word in words:
        assert word in said.err, f"{word!r} not in {said.err!r}"


def jobs_in(home: Home, name: str = "batchrun.db") -> int:
    """How many jobs the database holds; 0 if there is none."""
    if not (home.folder / name).exists():
        return 0
    connection = sqlite3.connect(home.folder / name)
    try:
        return int(connection.execute("SELECT count(*) FROM jobs").fetchone()[0])
    finally:
        connection.close()


# -- the key and the way to the API --------------------------------------------------------------------------------


def test_without_a_key_all_ways_to_give_one_are_named(home: Home, good: Path) -> None:
    refused(home("submit", "jobs.jsonl", "--yes"), 4, "no API key", "ANTHROPIC_API_KEY", "api_key_file", "--simulate")


def test_a_key_with_a_newline_at_its_end_is_taken_without_it(home: Home, good: Path) -> None:
    home.key("sk-ant-test-0000000000000000000000000000\n")
    assert home("submit", "jobs.jsonl", "--yes").code == 0


def test_a_key_with_a_newline_in_it_is_refused_without_being_shown(home: Home, good: Path) -> None:
    home.key("sk-ant-secret\nsecond-line")
    said = home("submit", "jobs.jsonl", "--yes")
    refused(said, 4, "several lines")
    assert "secret" not in said.err + said.out


def test_a_key_that_the_api_refuses_leaves_the_jobs_queued(home: Home, good: Path) -> None:
    home.key("bad-key-000000000000x3Qa")
    said = home("submit", "jobs.jsonl", "--yes")
    refused(said, 4, "refused the key", "401")
    assert "bad-key" not in said.err + said.out
    assert jobs_in(home) == 5
    assert (
        "5 queued" in re.sub(r"\s+", " ", home("status", "--format", "text").out)
        or "queued" in home("status", "--format", "text").out
    )


def test_a_base_url_without_a_scheme_is_refused(home: Home, good: Path) -> None:
    home.key()
    refused(home("submit", "jobs.jsonl", "--yes", ANTHROPIC_BASE_URL="localhost:8080"), 2, "http")


def test_a_base_url_that_ends_in_v1_works_and_says_so(home: Home, good: Path) -> None:
    home.key()
    said = home("submit", "jobs.jsonl", "--yes", ANTHROPIC_BASE_URL=home.url + "/v1")
    assert said.code == 0, said
    assert "/v1" in said.err


def stopped_when_told(home: Home, word: str, **variables: str) -> tuple[int, str]:
    """Run until a line on stderr has *word*, then stop as a service manager does: exit code and that line."""
    with subprocess.Popen(
        [sys.executable, "-m", "batchrun", "run", "--progress", "plain"],
        cwd=home.folder,
        env=home.environment(variables),
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr is not None
        told = next((line for line in run.stderr if word in line), "")
        run.send_signal(signal.SIGTERM)
        run.stderr.read()
    return run.returncode, told


def test_an_api_that_cannot_be_reached_is_told_at_once_and_tried_again(home: Home, good: Path) -> None:
    home.key()
    assert home("submit", "jobs.jsonl", "--no-run", "--yes").code == 0
    code, told = stopped_when_told(home, "cannot be reached", ANTHROPIC_BASE_URL="http://127.0.0.1:9")
    assert code in {3, 143}
    assert "127.0.0.1" in told or "refused" in told.lower() or "connect" in told.lower()
    assert jobs_in(home) == 5


def test_a_web_page_in_place_of_the_api_is_told_as_one(home: Home) -> None:
    home.key()
    home.file("jobs.jsonl", line("a", "[[simulate: html]]"))
    home("submit", "jobs.jsonl", "--no-run", "--yes")
    code, told = stopped_when_told(home, "cannot be reached")
    assert code in {3, 143}
    assert "html" in told.lower() or "page" in told.lower()
    assert jobs_in(home) == 1


def test_a_model_that_is_not_there_is_named_and_its_jobs_stay(home: Home) -> None:
    home.key()
    home.file("jobs.jsonl", line("a", model="claude-hiaku-5-5"))
    said = home("submit", "jobs.jsonl", "--yes")
    refused(said, 4, "claude-hiaku-5-5")
    assert "claude-haiku-5-5" in said.err  # did you mean
    assert jobs_in(home) == 1


# -- the job file ---------------------------------------------------------------------------------------------------

BOMB = "version: 1\na: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
)

FILES = {
    "empty.jsonl": (b"", "empty"),
    "binary.jsonl": (b"\x00\x01\x02\xff" * 100, "binary"),
    "latin.jsonl": (b'{"id": "a", "model": "claude-haiku-5-5", "max_tokens": 5, "prompt": "caf\xe9"}\n', "UTF-8"),
    "broken.jsonl": (b'{"id": "a", "model": \n', "broken.jsonl:1:"),
    "twice.jsonl": ((line("a") + line("b") + line("a", "Other.")).encode(), "twice.jsonl:3"),
    "nan.jsonl": (b'{"id": "a", "model": "claude-haiku-5-5", "max_tokens": NaN, "prompt": "x"}\n', "NaN"),
    "secret.jsonl": (line("a", "my key is sk-ant-api03-abcdefghijklmnopqrstuvwxyz").encode(), "key"),
    "bomb.yaml": (BOMB.encode(), "bomb.yaml"),
    "typo.yaml": (b"version: 1\njobs:\n  - promt: hi\n", "did you mean"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_job_file_with_a_fault_is_refused_whole(home: Home, name: str) -> None:
    content, word = FILES[name]
    home.file(name, content)
    said = home("submit", name, "--yes", "--simulate")
    refused(said, 2, word)
    assert "abcdefghijkl" not in said.err
    assert jobs_in(home, "batchrun-simulated.db") == 0


def test_all_problems_are_told_at_once_each_with_its_place(home: Home) -> None:
    home.file("jobs.jsonl", line("a") + '{"id": "b"}\n' + line("c", max_tokens=-1) + "nonsense\n" + line("d"))
    said = home("check", "jobs.jsonl")
    assert said.code == 2
    for place in ("jobs.jsonl:2:", "jobs.jsonl:3:", "jobs.jsonl:4:"):
        assert place in said.err + said.out


def test_a_folder_and_a_missing_file_are_told_apart(home: Home) -> None:
    (home.folder / "jobs").mkdir()
    refused(home("submit", "jobs", "--yes", "--simulate"), 2, "directory")
    refused(home("submit", "nowhere.jsonl", "--yes", "--simulate"), 2, "nowhere.jsonl")


def test_a_line_of_a_hundred_megabytes_is_refused_in_little_memory(home: Home) -> None:
    path = home.folder / "huge.jsonl"
    with path.open("wb") as stream:
        stream.write(line("a").encode() + b'{"id": "b", "prompt": "')
        for _ in range(100):
            stream.write(b"x" * 1_000_000)
        stream.write(b'"}\n')
    code = (
        "import sys\nfrom batchrun.cli.main import run\n"
        "code = run(['check', 'huge.jsonl'])\n"
        # ru_maxrss would count the memory of whoever started it
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(int(peak.split()[1]) // 1024)\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=home.folder,
        env=home.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "huge.jsonl:2" in done.stdout + done.stderr
    assert int(done.stdout.split()[-1]) < 250


def test_standard_input_is_a_job_file_too(home: Home) -> None:
    said = home("submit", "-", "--yes", "--simulate", "--name", "piped", stdin=line("a") + line("b"))
    assert said.code == 0, said
    assert jobs_in(home, "batchrun-simulated.db") == 2


def test_without_a_terminal_money_is_not_spent_unasked(home: Home) -> None:
    home.key()
    home.file("jobs.jsonl", "".join(line(f"j{n}", model="claude-opus-5-5", max_tokens=100_000) for n in range(50)))
    refused(home("submit", "jobs.jsonl"), 2, "--yes", "--max-cost")
    assert jobs_in(home) == 0


def _tmpfs(folder: Path, megabytes: int) -> bool:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    return (
        shutil.which("mount") is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


# -- the database and the disk -------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_left_untouched(home: Home, good: Path) -> None:
    path = home.file("notes.db", "these are my notes\n" * 100)
    before = path.read_bytes()
    for command in (("submit", "jobs.jsonl", "--yes", "--simulate"), ("status",), ("run", "--simulate")):
        refused(home(*command, "--db", "notes.db"), 2, "notes.db")
    assert path.read_bytes() == before


def test_the_database_of_another_program_is_left_untouched(home: Home, good: Path) -> None:
    connection = sqlite3.connect(home.folder / "other.db")
    connection.execute("CREATE TABLE jobs (a)")
    connection.commit()
    connection.close()
    refused(home("submit", "jobs.jsonl", "--yes", "--simulate", "--db", "other.db"), 2, "other.db")


def test_a_newer_schema_is_refused_and_the_cure_is_an_upgrade(home: Home, good: Path) -> None:
    home("submit", "jobs.jsonl", "--yes", "--simulate")
    connection = sqlite3.connect(home.folder / "batchrun-simulated.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    for command in ("status", "run", "results"):
        refused(home(command, "--simulate"), 2, "9999", "pip install -U")


def test_a_read_only_folder_is_told(home: Home, good: Path) -> None:
    folder = home.folder / "fixed"
    if os.geteuid() == 0:  # root writes into every folder, but not into a file system that is read-only
        if not _tmpfs(folder, 1):
            pytest.skip("needs the right to mount a small file system")
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    else:
        folder.mkdir(mode=0o500)
    try:
        refused(home("submit", "jobs.jsonl", "--yes", "--simulate", "--db", "fixed/q.db"), 3, "fixed")
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", str(folder)], check=True)


def test_the_database_is_for_its_owner_alone_whatever_the_umask(home: Home, good: Path) -> None:
    before = os.umask(0)
    try:
        home("submit", "jobs.jsonl", "--yes", "--simulate")
    finally:
        os.umask(before)
    for path in home.folder.glob("batchrun-simulated.db*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_full_disk_at_submit_leaves_nothing_half_added(home: Home) -> None:
    small = home.folder / "small"
    if not _tmpfs(small, 4):
        pytest.skip("needs the right to mount a small file system")
    try:
        home.file("jobs.jsonl", "".join(line(f"j{n}", "x" * 2000) for n in range(4000)))
        said = home("submit", "jobs.jsonl", "--yes", "--simulate", "--no-run", "--db", "small/q.db")
        refused(said, 3, "full")
        home.file("few.jsonl", line("a"))
        assert home("submit", "few.jsonl", "--yes", "--simulate", "--no-run", "--db", "small/q.db").code == 0
        assert jobs_in(home, "small/q.db") == 1
    finally:
        subprocess.run(["umount", str(small)], check=True)


# -- terminals and pipes -------------------------------------------------------------------------------------------


def test_what_an_answer_or_an_id_contains_never_reaches_the_terminal_as_a_command(home: Home) -> None:
    home.file(
        "jobs.jsonl",
        '{"id": "evil-\\u202e-id", "model": "claude-haiku-5-5", "max_tokens": 64, "prompt": "\\u001b]0;owned\\u0007"}\n',
    )
    assert home("submit", "jobs.jsonl", "--yes", "--simulate").code == 0
    connection = sqlite3.connect(home.folder / "batchrun-simulated.db")
    (body,) = connection.execute("SELECT body FROM results").fetchone()
    evil = body.replace('"text": "', '"text": "\\u001b[2J\\u001b]0;owned\\u0007\\u202e').replace(
        '"text":"', '"text":"\\u001b[2J\\u001b]0;owned\\u0007\\u202e'
    )
    assert evil != body
    connection.execute("UPDATE results SET body = ?", (evil,))
    connection.commit()
    connection.close()
    for command in (("results", "--format", "text"), ("results", "--format", "table"), ("status",), ("log",)):
        said = home(*command, "--simulate", "--color", "never")
        assert "\x1b" not in said.out + said.err, command
        assert "\x07" not in said.out
        assert "\u202e" not in said.out


def test_a_reader_that_goes_away_ends_it_quietly(home: Home) -> None:
    home.key()
    home.file("jobs.jsonl", "".join(line(f"j{n}", f"{n}") for n in range(200)))
    assert home("submit", "jobs.jsonl", "--yes", "--mode", "realtime").code == 0
    with subprocess.Popen(
        [sys.executable, "-m", "batchrun", "export", "-o", "-"],
        cwd=home.folder,
        env=home.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as export:
        assert export.stdout is not None
        assert export.stderr is not None
        export.stdout.close()
        err = export.stderr.read().decode()
    assert export.returncode in {141, -13}
    assert "Traceback" not in err
    assert "error" not in err


def test_who_wants_to_be_alone_is_told_who_works(home: Home) -> None:
    home.key()
    home.file("jobs.jsonl", line("slow", "[[simulate: slow 60]]"))
    home("submit", "jobs.jsonl", "--no-run", "--yes")
    with subprocess.Popen(
        [sys.executable, "-m", "batchrun", "run", "--progress", "json"],
        cwd=home.folder,
        env=home.environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stderr is not None
        first.stderr.readline()  # it works
        said = home("run", "--exclusive")
        refused(said, 75, str(first.pid))
        home.file("more.jsonl", line("another"))
        assert home("submit", "more.jsonl", "--yes", "--no-run").code == 0
        assert jobs_in(home) == 2
        first.kill()


def test_no_key_is_left_in_any_file(home: Home, good: Path) -> None:
    secret = "sk-ant-api03-very-secret-000000000000000000"
    home.key(secret)
    assert home("submit", "jobs.jsonl", "--yes", "--log-file", "log.jsonl", "-vv").code == 0
    home("export", "-o", "out.jsonl")
    for path in home.folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
