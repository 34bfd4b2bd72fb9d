"""Jobs out of tables, as they are typed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Batchrun

ROWS = "sku,text\na1,Good lamp\na2,Bad shoes\n"
ONE_LINER = (
    "--prompt",
    "Classify: {{ text }}",
    "--model",
    "claude-haiku-5-5",
    "--max-tokens",
    "9",
    "--id",
    "{{ sku }}",
)
TEMPLATE = """\
version: 1
defaults: {model: claude-haiku-5-5, max_tokens: 9}
template:
  id: "{{ sku }}"
  prompt: "For {{ audience }}: {{ text }}"
data: rows.csv
vars: {audience: editors}
"""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    (tmp_path / "mail.yaml").write_text(TEMPLATE)
    return path


def test_a_table_without_a_prompt_says_what_to_type(batchrun: Batchrun, rows: Path) -> None:
    shown = batchrun("submit", "rows.csv")
    assert shown.code == 2
    assert "a table with the columns sku, text" in shown.err
    assert 'submit rows.csv --prompt "… {{ text }}" --model claude-haiku-5-5 --max-tokens 256' in shown.err


def test_a_table_with_a_prompt_is_submitted_and_the_same_again_adds_nothing(batchrun: Batchrun, rows: Path) -> None:
    first = batchrun("submit", "rows.csv", *ONE_LINER, "--simulate", "--no-run")
    assert first.code == 0
    assert "stored run rows (r-1): 2 jobs" in first.err
    assert "Nothing to add" in batchrun("submit", "rows.csv", *ONE_LINER, "--simulate", "--no-run").err
    rows.write_text(ROWS.replace("Bad", "Very bad"))
    again = batchrun("submit", "rows.csv", *ONE_LINER, "--simulate", "--no-run")
    assert "1 changed; 1 was there" in again.err


def test_an_edited_row_of_a_template_in_a_file_is_one_changed_job_and_a_set_changes_all(
    batchrun: Batchrun, rows: Path
) -> None:
    assert batchrun("submit", "mail.yaml", "--simulate", "--no-run").code == 0
    rows.write_text(ROWS + "a3,New\n")
    assert "1 new; 2 were there" in batchrun("submit", "mail.yaml", "--simulate", "--no-run").err
    changed = batchrun("submit", "mail.yaml", "--set", "audience=readers", "--simulate", "--no-run")
    assert "3 changed" in changed.err
    shown = batchrun("show", "a3", "--simulate")
    assert "rows.csv:4" in shown.out


@pytest.mark.parametrize(
    "args",
    [
        ("mail.yaml", "--data", "other.csv.gz"),
        ("--template", "mail.yaml", "--data", "other.csv.gz"),
        ("--template", "mail.yaml", "other.csv.gz"),
    ],
)
def test_data_may_be_named_by_hand_in_any_way(batchrun: Batchrun, rows: Path, args: tuple[str, ...]) -> None:
    (rows.parent / "other.csv.gz").write_bytes(gzip.compress(b"sku,text\nz,Zzz\n"))
    shown = batchrun("submit", *args, "--simulate", "--dry-run", "--json")
    assert shown.code == 0
    document = json.loads(shown.out)
    assert document["name"] == "mail"
    (request,) = document["requests"]
    assert (request["id"], request["file"], request["line"]) == ("z", "other.csv.gz", 2)
    assert request["request"]["messages"][0]["content"] == "For editors: Zzz"


def test_a_dry_run_writes_the_first_requests_and_check_takes_the_same_flags(batchrun: Batchrun, rows: Path) -> None:
    dry = batchrun("submit", "rows.csv", *ONE_LINER, "--simulate", "--dry-run", "-n", "1")
    (line,) = dry.out.splitlines()
    assert json.loads(line)["request"]["messages"][0]["content"] == "Classify: Good lamp"
    assert not (rows.parent / "batchrun-simulated.db").exists()
    checked = batchrun("check", "rows.csv", *ONE_LINER)
    assert checked.code == 0
    assert "Checked rows.csv (CSV): 2 jobs" in checked.err


def test_a_prompt_may_stand_in_a_file(batchrun: Batchrun, rows: Path) -> None:
    (rows.parent / "p.md").write_text("Of {{ text }}\n")
    flags = ["@p.md" if flag.startswith("Classify") else flag for flag in ONE_LINER]
    dry = batchrun("submit", "rows.csv", *flags, "--simulate", "--dry-run", "-n", "1")
    assert json.loads(dry.out)["request"]["messages"][0]["content"] == "Of Good lamp\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["rows.csv", "--prompt", "x"], "--prompt needs --model and --max-tokens"),
        (["rows.csv", "--model", "x"], "--model is for a --prompt"),
        (["--prompt", "x", "--model", "m", "--max-tokens", "1"], "no data are named"),
        (["rows.csv", *ONE_LINER, "--template", "mail.yaml"], "contradict each other"),
        (["mail.yaml", "--set", "audience"], "must be a name and a value"),
        (["mail.yaml", "rows.csv", "--data", "rows.csv"], "--data is for one job file"),
        (["mail.yaml", *ONE_LINER], "this is a job file, not a table"),
        (["rows.csv", "--prompt", "@none.md", "--model", "m", "--max-tokens", "1"], "no such file"),
        (["mail.yaml", "--tag", ""], "a tag is empty"),
    ],
)
def test_what_contradicts_itself_is_refused(args: list[str], words: str, batchrun: Batchrun, rows: Path) -> None:
    shown = batchrun("submit", *args, "--simulate", "--no-run")
    assert shown.code == 2
    assert words in shown.err


def test_betas_and_headers_of_a_file_are_those_of_its_run(batchrun: Batchrun, rows: Path) -> None:
    import sqlite3

    path = rows.parent / "mail.yaml"
    path.write_text(TEMPLATE + "betas: [fine-2026-01-01]\nheaders: {X-Team: blue}\n")
    flags = ("--simulate", "--no-run", "--tag", "b", "--tag", "a", "--priority", "7")
    assert batchrun("submit", "mail.yaml", *flags).code == 0

    def terms() -> tuple[object, ...]:
        with sqlite3.connect(rows.parent / "batchrun-simulated.db") as db:
            found: tuple[object, ...] = db.execute("SELECT betas, headers, tags, priority, source FROM runs").fetchone()
            return found

    assert terms() == ('["fine-2026-01-01"]', '{"x-team": "blue"}', '["b", "a"]', 7, '["mail.yaml", "rows.csv"]')
    path.write_text(TEMPLATE)
    rows.write_text(ROWS + "a3,New\n")
    assert batchrun("submit", "mail.yaml", "--simulate", "--no-run").code == 0
    assert terms()[:3] == ("[]", "{}", '["b", "a"]')


def test_a_capped_run_takes_a_job_without_a_bound_only_if_it_states_its_own(batchrun: Batchrun, rows: Path) -> None:
    tools = "tools: [{type: web_search_20250305, name: web_search}]"
    path = rows.parent / "mail.yaml"
    path.write_text(TEMPLATE.replace("max_tokens: 9", f"max_tokens: 9, {tools}"))
    refused = batchrun("submit", "mail.yaml", "--simulate", "--no-run", "--max-cost", "1")
    assert refused.code == 2
    assert "max_cost: 0.50" in refused.err
    path.write_text(TEMPLATE.replace("max_tokens: 9", f"max_tokens: 9, max_cost: 0.10, {tools}"))
    assert batchrun("submit", "mail.yaml", "--simulate", "--no-run", "--max-cost", "1").code == 0
