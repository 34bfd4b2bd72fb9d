"""What a type checker makes of the Python API. Checked by mypy, never run."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, assert_type

import batchrun

q = batchrun.open(simulate=True, tier="build")
assert_type(q, batchrun.Queue)
run = q.submit((batchrun.Job(id=n, prompt="hi", model="m", max_tokens=9, top_k=3) for n in range(3)), name="a")
assert_type(run, batchrun.Run)
assert_type(q.submit(Path("jobs.jsonl"), mode="batch", on_truncated="retry"), batchrun.Run)
assert_type(run.wait(progress=lambda status: None, timeout=3.0), batchrun.Status)
assert_type(run.status().spent, Decimal)
assert_type(run.results(select="stop:max_tokens").to_dicts(), list[dict[str, Any]])
assert_type(q.results("nightly").texts(), list[str | None])
assert_type(run.errors(), batchrun.Errors)
q.submit([], mode="fast")  # type: ignore[arg-type]
batchrun.Job("positional")  # type: ignore[call-arg]


async def notebook() -> batchrun.Status:
    return await run.done()
