"""A pause is asked about once past its end, and then ever more rarely."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batchrun.core.job import Millis
from batchrun.core.pause import FIRST_PROBE, LAST_PROBE, Pause, PauseScope

SINCE = Millis(1_000_000)
PAUSE = Pause(scope=PauseScope.ACCOUNT, subject="1", reason="credit", message="", since=SINCE)


def test_without_an_end_the_first_probe_comes_after_a_quarter_of_an_hour() -> None:
    assert PAUSE.next_probe() == SINCE + 15 * 60 * 1000
    assert not PAUSE.probe_due(Millis(SINCE + FIRST_PROBE - 1))
    assert PAUSE.probe_due(Millis(SINCE + FIRST_PROBE))


def test_each_probe_that_finds_it_standing_doubles_the_wait_up_to_six_hours() -> None:
    probed = Millis(SINCE + 10_000_000)
    waits = []
    for probes in range(1, 9):
        at = replace(PAUSE, probes=probes, probed=probed).next_probe()
        assert at is not None
        waits.append(at - probed)
    assert waits[:4] == [FIRST_PROBE * 2, FIRST_PROBE * 4, FIRST_PROBE * 8, FIRST_PROBE * 16]
    assert waits[-1] == LAST_PROBE == 6 * 60 * 60 * 1000


def test_ten_thousand_probes_later_it_is_still_six_hours() -> None:
    at = replace(PAUSE, probes=10_000, probed=SINCE).next_probe()
    assert at == SINCE + LAST_PROBE


def test_an_end_that_the_api_told_is_not_missed() -> None:
    told = replace(PAUSE, until=Millis(SINCE + 60_000))
    assert told.next_probe() == told.until
    late = replace(PAUSE, until=Millis(SINCE + 86_400_000), probes=9, probed=Millis(SINCE + 86_000_000))
    assert late.next_probe() == late.until


def test_somebody_may_have_seen_to_it_before_the_end_that_was_told() -> None:
    told = replace(PAUSE, until=Millis(SINCE + 30 * 86_400_000))
    assert told.next_probe() == SINCE + FIRST_PROBE
    assert replace(told, probes=1, probed=SINCE).next_probe() == SINCE + 2 * FIRST_PROBE


def test_past_its_end_and_still_standing_it_is_asked_about_again() -> None:
    until = Millis(SINCE + 1_000)
    at = replace(PAUSE, until=until, probes=1, probed=until).next_probe()
    assert at == until + 2 * FIRST_PROBE


@pytest.mark.parametrize(("until", "due"), [(None, False), (Millis(SINCE + 5), True)])
def test_a_pause_made_by_hand_ends_at_its_own_end_or_by_hand(until: Millis | None, due: bool) -> None:
    by_hand = replace(PAUSE, reason="user", until=until)
    assert by_hand.next_probe() == until
    assert by_hand.probe_due(Millis(SINCE + 10 * LAST_PROBE)) is due
