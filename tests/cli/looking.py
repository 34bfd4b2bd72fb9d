"""The queue that the looking commands are shown with."""

from __future__ import annotations

from typing import Any

from tests.stock import MINUTE, NOON, SECOND, Stock, message

LATER = NOON + 51 * MINUTE
"""When it is looked at."""


def nightly(stock: Stock) -> int:
    """A run in the middle of its night, and a small one before it; returns the night's id."""
    small = stock.run("small")
    stock.job(small, "s1", "succeeded")
    stock.job(small, "s2", "succeeded")
    stock.job(small, "s3")
    account = stock.account()
    run = stock.run(
        "nightly",
        account=account,
        spent=66_100_000_000,
        reserved=400_000_000,
        budget=163_000_000_000,
    )
    for n in range(1, 5):
        answer = message(f"The report number {n} argues that …")
        stock.job(run, f"doc-{n}", "succeeded", answer=answer, metadata=f'{{"doi":"10/{n}"}}')
    stock.job(run, "doc-cut", "succeeded", answer=message("The committee was", stop="max_tokens"))
    tries: list[dict[str, Any]] = [
        {"status": 529, "error_type": "overloaded_error", "message": "Overloaded", "sent": NOON},
        {"outcome": "released", "status": None, "sent": None},
        {"sent": NOON + 5 * MINUTE, "ended": NOON + 5 * MINUTE + 2_100, "other_ids": '["cf-ray 8f1"]'},
    ]
    stock.job(run, "doc-tried", "succeeded", attempts=tries, answer=message('{"score": 7}'))
    for n in range(3):
        refused = {
            "status": 400,
            "error_type": "invalid_request_error",
            "message": f"messages.{n}.content: text is empty",
            "ended": NOON + n * SECOND,
        }
        stock.job(run, f"bad-{n}", "failed", error="invalid_request_error", attempts=[refused])
    overloaded = {"status": 529, "error_type": "overloaded_error", "message": "Overloaded"}
    for n in range(2):
        stock.job(run, f"over-{n}", "failed", error="overloaded_error", attempts=[overloaded] * 5)
    died = {"outcome": "unknown", "billed": "maybe", "worst": 9_000_000, "request_id": None}
    stock.job(run, "held", "held", error="worker_died", attempts=[died])
    stock.job(run, "out", "running")
    stock.job(run, "later", "waiting", due=LATER + MINUTE)
    for n in range(5):
        stock.job(run, f"next-{n}")
    return run
