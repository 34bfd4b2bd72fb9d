from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from batchrun.core.job import Millis
from batchrun.settings.moment import moment_ahead

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> Millis:
    return Millis(round(datetime.fromisoformat(text).timestamp() * 1000))


NOW = at("2026-11-24T22:00:00+01:00")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("06:30", "2026-11-25T06:30:00+01:00"),
        ("6:30", "2026-11-25T06:30:00+01:00"),
        ("23:59", "2026-11-24T23:59:00+01:00"),
        ("22:00", "2026-11-25T22:00:00+01:00"),
        ("22:00:01", "2026-11-24T22:00:01+01:00"),
        ("2026-11-25 06:30", "2026-11-25T06:30:00+01:00"),
        ("2026-11-25T06:30", "2026-11-25T06:30:00+01:00"),
        ("2026-11-25T06:30:00Z", "2026-11-25T06:30:00+00:00"),
        ("2026-11-25 06:30-08:00", "2026-11-25T06:30:00-08:00"),
        ("8h", "2026-11-25T06:00:00+01:00"),
        (" 90m ", "2026-11-24T23:30:00+01:00"),
        ("1d12h", "2026-11-26T10:00:00+01:00"),
    ],
)
def test_people_write_a_moment_in_many_ways(text: str, meant: str) -> None:
    assert moment_ahead(text, NOW, BERLIN) == at(meant)


@pytest.mark.parametrize(
    "text", ["", "8", "tomorrow", "25:00", "06:60", "2026-11-25", "2026-02-30 06:00", "8x", "h", "-8h"]
)
def test_what_could_mean_anything_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a time such as 06:30, .* or a duration such as 8h or 90m$"):
        moment_ahead(text, NOW, BERLIN)


@pytest.mark.parametrize("text", ["2026-11-24 21:59", "2026-11-24T21:00:00Z", "0s"])
def test_so_is_what_is_past(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is past$"):
        moment_ahead(text, NOW, BERLIN)


@pytest.mark.parametrize("text", ["2062-11-25 06:30", "9999d", "99999999999999999d"])
def test_and_what_nobody_can_mean(text: str) -> None:
    with pytest.raises(ValueError, match=r"is more than a year ahead|must be a time"):
        moment_ahead(text, NOW, BERLIN)


def test_a_night_in_which_the_clocks_change_is_as_long_as_it_is() -> None:
    evening = at("2026-10-24T22:00:00+02:00")
    assert moment_ahead("06:30", evening, BERLIN) == at("2026-10-25T06:30:00+01:00")
    assert moment_ahead("8h", evening, BERLIN) == at("2026-10-25T05:00:00+01:00")


def test_without_a_zone_it_is_the_local_time_of_the_system() -> None:
    local = datetime.fromtimestamp(NOW / 1000)  # noqa: DTZ006  # local time is what is meant
    later = local.replace(second=30)
    assert moment_ahead(f"{later:%H:%M:%S}", NOW) == NOW + 30_000
    assert moment_ahead(f"{later:%Y-%m-%d %H:%M:%S}", NOW) == NOW + 30_000
