"""The Python API: the same rules as the command line, from a program."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import batchrun
from batchrun.library.rows import Errors, Failed

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "python.md"
MODEL = "claude-haiku-5-5"


@pytest.fixture
def q(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> batchrun.Queue:
    monkeypatch.chdir(tmp_path)
    return batchrun.open(simulate=True)


def job(id_: object, prompt: str = "Say hello.", **more: Any) -> dict[str, Any]:
    return {"id": str(id_), "prompt": prompt, "model": MODEL, "max_tokens": 16, **more}


@pytest.mark.usefixtures("q")
def test_the_blocks_of_its_page_run_as_they_stand() -> None:
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)  # our own documentation
    assert names["run"].results(select="id:a").to_arrow().column("metadata.row").to_pylist() == ["a"]
    assert len(names["results"].texts()) == 2


def test_all_problems_come_at_once_with_their_places_and_nothing_is_added(q: batchrun.Queue) -> None:
    bad = [job(1, max_tokens="lots"), {"prompt": object()}, job(2), {**job(3), "temprature": 1, "messages": 3}]
    with pytest.raises(batchrun.InvalidJobs) as caught:
        q.submit(bad)
    places = [batchrun.place_of(problem) for problem in caught.value.problems]
    assert places[:2] == ["jobs[0].max_tokens", "jobs[1]"]
    assert "jobs[2]" not in " ".join(places)
    assert "object" in str(caught.value)
    assert q.runs() == []


def test_a_program_that_fails_while_it_makes_its_jobs_adds_none(q: batchrun.Queue) -> None:
    def jobs() -> Iterator[dict[str, Any]]:
        yield job(1)
        raise LookupError("row 2")

    with pytest.raises(LookupError):
        q.submit(jobs())
    assert q.runs() == []


def test_the_same_jobs_again_add_nothing_and_a_file_is_the_same_run(q: batchrun.Queue, tmp_path: Path) -> None:
    run = q.submit((job(n) for n in range(3)), name="nightly")
    again = q.submit(
        [batchrun.Job(id=n, prompt="Say hello.", model=MODEL, max_tokens=16) for n in range(4)], name="nightly"
    )
    assert (again.ref, again.status().total) == (run.ref, 4)
    path = tmp_path / "nightly.jsonl"
    path.write_text("".join(json.dumps(job(n)) + "\n" for n in range(4)))
    assert q.submit(path).status().total == 4
    assert [each.name for each in q.runs()] == ["nightly"]
    assert q.get().ref == run.ref


def test_what_is_queued_can_be_cancelled_and_put_back(q: batchrun.Queue) -> None:
    run = q.submit([job(n) for n in range(3)])
    assert run.cancel(select="id:1").counts == {"queued": 2, "cancelled": 1}
    assert run.retry(select="id:1") == 1
    assert run.cancel().counts == {"cancelled": 3}
    assert run.status().done
    assert run.wait() == run.status()
    with pytest.raises(batchrun.NothingMatched):
        run.retry(select="id:9")


def test_it_works_in_a_running_event_loop_and_time_may_run_out(q: batchrun.Queue) -> None:
    run = q.submit([job(1, "[[simulate: 400]] <b>no</b>")], mode="realtime", on_refused="fail")

    async def notebook() -> batchrun.Status:
        with pytest.raises(TimeoutError):
            run.wait(timeout=0)
        seen: list[batchrun.Status] = []
        status = await run.done(progress=seen.append)
        assert seen[-1] == status
        return status

    assert asyncio.run(notebook()).failed == 1
    (group,) = run.errors()
    assert (group.n, group.error, group.samples) == (1, "invalid_request_error", ("1",))
    assert "submit them all again" in group.cure


def test_a_table_of_errors_in_a_notebook_is_escaped() -> None:
    group = Failed(
        error="odd",
        n=2,
        at_least=False,
        state="failed",
        status=400,
        message="<script>alert(1)</script>",
        means="",
        cure="",
        samples=("<b>",),
        request_ids=(),
    )
    html = Errors([group])._repr_html_()
    assert "<script>" not in html
    assert "&lt;b&gt;" in html


def test_importing_it_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import batchrun; print(sorted(set(sys.modules) - before))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['batchrun']"


def test_every_name_of_the_stub_is_there_and_no_other() -> None:
    stub = Path(batchrun.__file__).with_suffix(".pyi").read_text()
    names = set(re.findall(r" as (\w+)", stub))
    assert names == set(batchrun._HOMES)  # type: ignore[attr-defined]  # what it is made of
    assert all(getattr(batchrun, name) is not None for name in names)
    with pytest.raises(AttributeError):
        batchrun.nothing  # type: ignore[attr-defined]  # noqa: B018
