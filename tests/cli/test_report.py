"""`batchrun report`: one page that says what the queue says, loads nothing, and obeys no text of others."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from batchrun.cli.commands.report import SAMPLE, _name
from batchrun.report import page as made
from tests.cli.conftest import Batchrun
from tests.cli.looking import LATER, nightly
from tests.stock import MINUTE, NOON, SECOND, Stock, message

EVIL = "</script></style></pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;{{ 7*7 }}\u202e\x00"
SHOWN = EVIL.replace("\u202e", "⟨U+202E⟩").replace("\x00", "␀")


class Seen(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.inside: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in {"meta", "input", "br"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._open and self._open[-1] in {"script", "style"}:
            self.inside[self._open[-1]] = data

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def closed(self) -> bool:
        return not self._open


@pytest.fixture
def night(looked_at: Path) -> Path:
    with Stock(looked_at) as stock:
        nightly(stock)
    return looked_at.with_name("nightly.html")


def test_the_page_says_what_the_queue_says(batchrun: Batchrun, night: Path) -> None:
    shown = batchrun("report", "nightly")
    assert shown.code == 0, shown.err
    assert re.fullmatch(
        r"✓ nightly.html   \d+ kB, one file, no network: summary, cost, timing, errors, 6 failed jobs, all 13 other jobs\n",
        shown.err,
    )
    assert stat.S_IMODE(night.stat().st_mode) == 0o600
    text = night.read_text()
    seen = Seen(text)
    assert seen.closed()
    for words in (
        "$66.10",
        "cap, 40 % used",
        "All jobs of the run, in the order of its file.",
        "3 × invalid_request_error",
        "batchrun submit jobs.jsonl",
        "1 attempt possibly billed",
        "The report number 3 argues that …",
        "cf-ray 8f1",
    ):
        assert words in seen.text
    counts = re.findall(r'data-kind="(\w*)"><span><strong>([\d,]+)', text)
    assert dict(counts) == {"": "19", "succeeded": "5", "cut": "1", "failed": "5", "held": "1", "left": "7"}
    assert text.count("<tbody data-kind=") == 19


def test_texts_of_others_stay_texts(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        plain, evil = stock.run("plain"), stock.run(EVIL, source=json.dumps([EVIL]))
        own = json.dumps({"model": "m", "system": "s", "messages": [{"role": "user", "content": EVIL}]})
        for run, key, words in ((plain, "a", "x"), (evil, EVIL, EVIL)):
            asked = own if run == evil else own.replace(json.dumps(EVIL), '"x"')
            more: dict[str, Any] = {"own": asked, "metadata": json.dumps({words: words}), "model": words}
            stock.job(run, key, "succeeded", answer=message(words), **more)
            failed = {"error_type": words, "message": words, "request_id": words}
            stock.job(run, f"{key}2", "failed", error=words, attempts=[failed], **more)
    assert batchrun("report", "plain").code == 0
    assert batchrun("report", "r-2", "-o", "evil.html").code == 0
    before = Seen(looked_at.with_name("plain.html").read_text())
    after = Seen(looked_at.with_name("evil.html").read_text())
    assert after.closed()
    assert after.tags == before.tags
    assert after.text.count(SHOWN) >= 12
    assert not re.search("[\x00\u202e]", after.text)
    ours = {"class", "id", "data-kind", "data-v", "content", "d", "x", "y"}
    assert {one[:2] for one in after.attributes} == {one[:2] for one in before.attributes}
    assert not [one for one in after.attributes if "alert" in one[2] and one[1] in ours]


def test_the_page_lets_nothing_in_but_its_own_script_and_style(batchrun: Batchrun, night: Path) -> None:
    batchrun("report", "nightly")
    text = night.read_text()
    seen = Seen(text)
    policy = next(value for tag, name, value in seen.attributes if (tag, name) == ("meta", "content"))
    assert policy.startswith("default-src 'none'; ")
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(seen.inside[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
        assert seen.tags[kind] == 1
    names = {name for _, name, _ in seen.attributes}
    assert names & {"src", "href", "style", "onclick", "onload", "action"} == set()
    assert "url(" not in seen.inside["style"]
    assert "http" not in seen.inside["script"] + seen.inside["style"]


def test_tables_have_headings_and_pictures_have_words(batchrun: Batchrun, night: Path) -> None:
    batchrun("report", "nightly")
    seen = Seen(night.read_text())
    assert seen.tags["th"] == sum(tag == "th" and name == "scope" for tag, name, _ in seen.attributes)
    pictures = sum(tag == "svg" and name in {"aria-label", "aria-labelledby"} for tag, name, _ in seen.attributes)
    assert seen.tags["svg"] == pictures
    assert ("html", "lang", "en") in seen.attributes
    assert all(value in {"col", "row"} for tag, name, value in seen.attributes if name == "scope")


def test_of_a_large_run_a_sample_is_shown_and_the_page_says_so(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("big")
        stock.many(run, 30, "failed", error="overloaded_error")
        stock.many(run, 3_000, "queued", first=1_000)
    shown = batchrun("report", "big", "--sample", "20", "-o", "-")
    assert shown.code == 0
    assert shown.out.count("<tbody data-kind=") == 50
    assert "Here are all 30 that failed or are held, and a sample of 20 of the 3,000 others" in shown.out
    assert SAMPLE == 500


def test_an_answer_that_is_huge_is_cut_and_says_where_all_of_it_is(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        stock.job(stock.run("big"), "long", "succeeded", answer=message("x" * 3_000_000))
    shown = batchrun("report", "-o", "-")
    assert len(shown.out) < 100_000
    assert "Cut here: 8,000 of 3,000,000 characters. All of it: batchrun show r-1:long" in shown.out


@pytest.mark.parametrize(
    ("done", "deadline", "words"),
    [
        (MINUTE, 2 * MINUTE, "met, 1m before"),
        (3 * MINUTE, 2 * MINUTE, "missed by 1m"),
        (None, LATER - NOON + MINUTE, "in 1m"),
        (None, MINUTE, "passed 50m ago"),
    ],
)
def test_whether_the_deadline_was_met(
    batchrun: Batchrun, looked_at: Path, done: int | None, deadline: int, words: str
) -> None:
    values: dict[str, Any] = {"deadline": NOON + deadline, "mode": "auto"}
    values |= {} if done is None else {"done": NOON + done, "state": "done"}
    with Stock(looked_at) as stock:
        stock.job(stock.run("due", **values), "a", "succeeded" if done else "queued")
    assert f">{words}</span>" in batchrun("report", "-o", "-").out


def test_batches_what_they_saved_and_why_it_went_so_are_told(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("half", mode="auto")
        batch = stock.batch(run, "done", n=2, ended=NOON + 5 * MINUTE, processing="ended", counts='{"succeeded": 2}')
        attempt = {"via": "batch", "batch": batch, "sent": None, "ended": NOON + 5 * MINUTE}
        for n in range(2):
            stock.job(run, f"{n}", "succeeded", attempts=[attempt])
        stock.job(run, "ahead", "succeeded", way=2, attempts=[{"cost": None}])
        for n in range(3):
            stock.event("way_chosen", NOON + n * SECOND, run=run, name="half", batch=n < 2, why=f"reason {n // 2}")
    seen = Seen(batchrun("report", "-o", "-").out).text
    for words in (
        "in batches: reason 0",
        "in realtime: reason 1",
        "1 pilot ahead in realtime",
        "saved by batches$0.0026",
        "answers of unknown price1",
        "b-1msgbatch_01done2",
        "2 succeeded",
    ):
        assert words in re.sub(r"\n", "", seen)
    assert seen.count("in batches: reason 0") == 1


def test_a_run_without_jobs_or_attempts_has_a_page_too(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at, simulated=True) as stock:
        stock.run("empty")
    shown = batchrun("report", "empty", "--db", str(looked_at), "-o", "-")
    assert shown.code == 0, shown.err
    seen = Seen(shown.out)
    assert "SIMULATED" in seen.text
    assert "Nothing was sent yet." in seen.text


# -- the file ---------------------------------------------------------------------------------------------------------


def test_a_report_is_replaced_whole_or_not_at_all(
    batchrun: Batchrun, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert batchrun("report", "nightly").code == 0
    before = night.read_bytes()

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(made, "job_view", broken)
    assert batchrun("report", "nightly").code == 3
    assert night.read_bytes() == before
    assert [one.name for one in night.parent.iterdir() if one.suffix == ".part"] == []


@pytest.mark.parametrize("name", ["notes.html", "jobs.jsonl", "batchrun.db"])
def test_what_is_no_report_is_not_replaced(batchrun: Batchrun, night: Path, name: str) -> None:
    path = night.with_name(name)
    if name != "batchrun.db":
        path.write_text("mine")
    before = path.read_bytes()
    shown = batchrun("report", "nightly", "-o", name)
    assert (shown.code, path.read_bytes()) == (2, before)
    assert name in shown.err
    assert batchrun("report", "nightly", "-o", name, "--force").code == (2 if name == "batchrun.db" else 0)


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("nightly", "nightly.html"),
        ("../../etc/passwd", "etc-passwd.html"),
        (".hidden", "hidden.html"),
        ("//", "report.html"),
    ],
)
def test_the_file_is_called_after_the_run_and_lies_here(run: str, name: str) -> None:
    assert _name(run) == name or ("/" in run and "/" not in _name(run))


def test_it_is_opened_in_the_browser_only_when_asked(
    batchrun: Batchrun, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def browse(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", browse)
    batchrun("report", "nightly")
    assert opened == []
    assert batchrun("report", "nightly", "--open").code == 0
    assert opened == [night.as_uri()]
    assert batchrun("report", "--open", "-o", "-").code == 2
