"""How money, moments, spans and counts are written: the same on every screen, page and export."""

from __future__ import annotations

from datetime import UTC, datetime

from batchrun.core.job import Millis, Nanos

DOLLAR = 1_000_000_000

MOST_DOLLARS = 1_000_000_000
"""The largest amount that is taken: a database keeps nano-dollars in 63 bits, and sums of amounts must fit too."""


def dollars(nanos: Nanos | None) -> str:
    """For people: `$69.52`; below a dollar two significant digits (`$0.0013`, `$0.03`); `unknown` for None."""
    if nanos is None:
        return "unknown"
    sign, rest = ("-", -nanos) if nanos < 0 else ("", int(nanos))
    digits = 2 if rest == 0 or rest >= DOLLAR else max(2, 11 - len(str(rest)))
    unit: int = 10 ** (9 - min(digits, 9))
    rounded = (rest + unit // 2) // unit * unit
    whole, part = divmod(rounded, DOLLAR)
    return f"{sign}${whole:,}.{f'{part:09}'.rstrip('0'):0<2}"


def decimal_string(nanos: Nanos) -> str:
    """For JSON: the exact amount as a plain decimal, `69.52`, `0.0013`, `50`."""
    sign, rest = ("-", -nanos) if nanos < 0 else ("", int(nanos))
    whole, part = divmod(rest, DOLLAR)
    return f"{sign}{whole}.{part:09}".rstrip("0").rstrip(".")


def parse_dollars(text: str) -> Nanos:
    """The amount that *text* names: `50`, `0.25`, `$1,000`.

    Raises ValueError if it names none, or one that is negative, above `MOST_DOLLARS` or finer than a nano-dollar.
    Commas set thousands apart and nothing else: who writes `2,50` does not mean 250.
    """
    import re  # noqa: PLC0415  # only who reads an amount pays for it
    from decimal import Decimal, InvalidOperation  # noqa: PLC0415

    digits = text.strip().removeprefix("$")
    if "," in digits and not re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+(\.\d*)?", digits):
        raise ValueError(f"not an amount of dollars: {text!r}")
    try:
        amount = Decimal(digits.replace(",", ""))
    except InvalidOperation:
        raise ValueError(f"not an amount of dollars: {text!r}") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"not an amount of dollars: {text!r}")
    if amount > MOST_DOLLARS:
        raise ValueError(f"more than {MOST_DOLLARS:,} dollars: {text!r}")
    whole = amount.quantize(Decimal("1e-9"))
    if whole != amount:
        raise ValueError(f"finer than a billionth of a dollar: {text!r}")
    return Nanos(int(whole * DOLLAR))


def moment(at: Millis) -> str:
    """RFC 3339 in UTC, to the second: "2026-11-20T22:10:00Z"."""
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%dT%H:%M:%S}Z"


def hour(at: Millis, now: Millis) -> str:
    """For people, in local time: "22:10" if it is the day of *now*, else "Nov 19 22:10", with the year if another."""
    then, today = (datetime.fromtimestamp(millis / 1000, UTC).astimezone() for millis in (at, now))
    if then.date() == today.date():
        return f"{then:%H:%M}"
    return f"{then:%b} {then.day} {then:%H:%M}" if then.year == today.year else f"{then:%Y-%m-%d %H:%M}"


def span(seconds: float) -> str:
    """For people, in at most two units: "9s", "51m", "1h50m", "3d4h"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10 and rest:
        return f"{minutes}m{rest:02d}s"
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes:02d}m" if minutes else f"{hours}h"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours}h" if hours else f"{days}d"


def tokens(n: int) -> str:
    """For people: three significant figures, "41.2 M", "80.0 k", "512"."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")):
        if n >= size:
            scaled = n / (1000 if unit == "k" else size)
            return f"{scaled:.1f} {unit}" if scaled < 100 else f"{scaled:.0f} {unit}"
    return f"{n:,}"


def count(n: int, noun: str, plural: str = "") -> str:
    """A number and its noun: "1 job", "10,000 jobs"."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
