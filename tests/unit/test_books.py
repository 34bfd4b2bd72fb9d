"""What attempts add up to, and how it is drawn: sums, tails, axes and gaps."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.queue.books import Entry
from batchrun.report.books import books, quantile, saved
from batchrun.report.charts import MOST_SLOTS, histogram, latency, slots, timeline
from batchrun.report.untrusted import cut, visible

NOON = 1_795_176_000_000


def entry(**values: Any) -> Entry:
    facts: dict[str, Any] = dict.fromkeys(Entry._fields)
    facts |= {"model": "m", "n": 1, "via": "realtime", "outcome": "ok", "billed": "yes", "status": 200}
    facts |= {"sent": NOON, "ended": NOON + 1_500, "input": 10, "output": 5, "cache_write": 0, "cost": 100}
    return Entry(**(facts | values))


def test_money_is_told_apart_by_certainty() -> None:
    told = books(
        [
            entry(),
            entry(via="batch", cost=40, sent=None),
            entry(cost=None),
            entry(outcome="unknown", billed="maybe", status=None, cost=None, worst=900, input=None, output=None),
            entry(outcome="error", billed="no", status=529, n=2, cost=None),
            entry(outcome="released", billed="no"),
        ]
    )
    whole = told.total()
    assert (whole.attempts, whole.answers, whole.cost, whole.unpriced) == (5, 3, 140, 1)
    assert (whole.maybe, whole.maybe_cost) == (1, 900)
    assert told.total("batch").cost == 40
    assert told.accounts.keys() == {("m", "realtime"), ("m", "batch")}
    assert told.retry_rate == 0.2
    assert told.statuses == {529: 1}
    assert told.latencies == {1_500: 2}  # a batch's answers have no latency


def test_batches_at_half_the_price_saved_as_much_as_they_cost() -> None:
    assert saved(40, 50) == 40
    assert saved(40, 80) == 10


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_the_least_value_that_enough_are_no_greater_than(values: list[int], share: float) -> None:
    counts: dict[int, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    found = quantile(counts, share)
    assert found in counts
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_of_nothing_there_is_no_quantile() -> None:
    assert quantile({}, 0.5) is None


# -- charts -----------------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 10**8), st.sampled_from(["realtime", "batch", "error"])), st.integers(1, 9), min_size=1
    )
)
def test_slots_are_few_of_one_length_and_lose_nothing(seconds: dict[tuple[int, str], int]) -> None:
    told = slots(seconds)
    assert told is not None
    assert 1 <= told.n <= MOST_SLOTS + 1
    assert told.start % told.seconds == 0 or told.seconds > 86_400
    assert sum(map(sum, told.counts.values())) == sum(seconds.values())
    for (second, kind), n in seconds.items():
        assert told.counts[kind][(second - told.start) // told.seconds] >= n
    ET.fromstring(timeline(told))


def bars(svg: str, kind: str) -> list[tuple[float, float]]:
    """Left edge and height of each bar."""
    found = re.search(rf'<path class="k-{kind}" d="([^"]*)"', svg)
    drawn = re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)h", found[1]) if found else []
    return [(float(x), float(ground) - float(top)) for x, ground, top in drawn]


def test_bars_are_as_high_as_what_they_count_and_stand_where_it_happened() -> None:
    start = NOON // 1000
    told = slots(
        {(start, "realtime"): 10, (start, "error"): 5, (start + 30, "realtime"): 20, (start + 60, "batch"): 20}
    )
    assert told is not None
    assert told.seconds == 1
    svg = timeline(told)
    (x0, ten), (x1, twenty) = bars(svg, "realtime")
    ((x2, batch),) = bars(svg, "batch")
    ((x3, five),) = bars(svg, "error")
    assert twenty == pytest.approx(2 * ten, abs=0.1)
    assert batch == pytest.approx(twenty, abs=0.1)
    assert five == pytest.approx(ten / 2, abs=0.1)
    assert x3 == x0
    assert x2 - x1 == pytest.approx(x1 - x0, abs=0.1)  # what lies between is empty, not left out
    assert "attempts ended per second" in svg
    assert "30 answers" not in svg
    assert "50 answers and 5 failed attempts" in svg


def test_the_axis_has_round_moments_and_names_the_day_where_another_begins() -> None:
    start = NOON // 1000
    told = slots({(start, "realtime"): 1, (start + 20 * 3600, "realtime"): 1})
    assert told is not None
    labels = re.findall(r'data-at="(\d+)"[^>]*>([^<]*)<', timeline(told))
    assert [text for _, text in labels] == ["12:00", "15:00", "18:00", "21:00", "Nov 21 00:00", "03:00", "06:00"]
    assert all(int(at) % 10_800 == 0 for at, _ in labels)


def test_a_histogram_marks_the_median_and_the_tails_where_they_are() -> None:
    svg = histogram({1_000: 50, 10_000: 49, 100_000: 1})
    ET.fromstring(svg)
    assert "100 answers: p50 1 s, p95 10 s, p99 10 s" in svg
    marks = [float(x) for x in re.findall(r'class="mark" d="M([\d.]+)', svg)]
    ticks = {text: float(x) for x, text in re.findall(r'x="([\d.]+)"[^>]*>(\d+ s)<', svg)}
    assert marks[0] == pytest.approx(ticks["1 s"], abs=0.2)
    assert marks[1] == marks[2] == pytest.approx(ticks["10 s"], abs=0.2)
    assert sum(height > 0 for _, height in bars(svg, "realtime")) == 3


@pytest.mark.parametrize(("millis", "words"), [(7, "7 ms"), (1_940, "1.9 s"), (12_400, "12 s"), (125_000, "2m05s")])
def test_latencies_in_words(millis: int, words: str) -> None:
    assert latency(millis) == words


# -- texts of others --------------------------------------------------------------------------------------------------


def test_what_steers_the_eye_unseen_is_made_visible() -> None:
    assert visible("a\tb\nc\x00\x1b[31m\x7f") == "a\tb\nc␀␛[31m␡"
    assert visible("exe.\u202egnp\ud800") == "exe.⟨U+202E⟩gnp⟨U+D800⟩"
    assert visible("مرحبا 漢字 é") == "مرحبا 漢字 é"


def test_what_is_long_is_cut_and_says_so() -> None:
    assert cut("abc", 3, "there") == ("abc", "")
    assert cut("abcd", 3, "All: there") == ("abc", "Cut here: 3 of 4 characters. All: there")
