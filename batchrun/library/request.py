"""The request of a job as it will be sent."""

from __future__ import annotations

import json

from batchrun.core.job import Job
from batchrun.queue.bodies import pieces_of, whole


def request_of(job: Job) -> str:
    """The request of *job* as it will be sent: JSON text."""
    request = job.request
    order = None if request.order is None else json.dumps(request.order)
    return whole(request.own, None if request.shared is None else pieces_of(request.shared), order, None)
