"""What an error means and what helps, in one line each: for `errors`, `show` and `status`.

Words for the API's error types follow its errors page (2026-09); the others are batchrun's own words for what came
instead of an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from batchrun.core.pause import STOPS, Pause, PauseScope


def word(text: str) -> str:
    """*text* as one word of a command that somebody may type."""
    if text and all(c.isalnum() or c in "._-:/@%+=," for c in text):
        return text
    from shlex import quote  # noqa: PLC0415  # hardly ever needed

    return quote(text)


def _is_table(file: str) -> bool:
    bare = file.lower().removesuffix(".gz").removesuffix(".zst")
    return bare.endswith((".csv", ".tsv", ".tab", ".parquet"))


Typed = Callable[[str], str]
"""Makes of a command the one to type: with the flags that lead to the same queue."""


def typed_in(text: str, typed: Typed, **names: str) -> str:
    """*text* with its commands, which stand in ticks, as they are typed; `{names}` in it are put in."""
    parts = text.split("`")  # the odd ones stood in ticks
    for i, part in enumerate(parts):
        written = part.format(**names) if names else part
        parts[i] = typed(written) if i % 2 and part.startswith("batchrun ") else f"`{written}`" if i % 2 else written
    return "".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cure:
    """`means` goes on behind the error's name; `cure` may hold `{run}`, `{file}`, `{error}`, and commands in ticks."""

    means: str
    cure: str

    def written(self, *, run: str, file: str, error: str, typed: Typed) -> str:
        """The cure for one run. A table is no job file: who submitted its rows has to name their template again."""
        cure = self.cure.replace(_SUBMIT, "submit them as before") if _is_table(file) else self.cure
        return typed_in(cure, typed, run=word(run), file=word(file), error=word(f"error:{error}"))


_SUBMIT = "`batchrun submit {file}`"
_MEND = f"correct these jobs in {{file}}, then  {_SUBMIT}  (only what changed is added)"
_AGAIN = "`batchrun retry {run} -s {error}`"
_NETWORK = f"see to the network, then  {_AGAIN}"

CURES = {
    "invalid_request_error": Cure(
        means="the request itself is at fault; sent again it would be refused again", cure=_MEND
    ),
    "request_too_large": Cure(means="larger than the API takes", cure=_MEND.replace("correct", "shorten")),
    "refusal": Cure(
        means="the model refused to answer; what it said is kept, and billed", cure=_MEND.replace("correct", "reword")
    ),
    "not_found_error": Cure(
        means="the model, or a file it names, is not there for this key",
        cure=f"correct the name and submit, or  {_AGAIN}",
    ),
    "permission_error": Cure(
        means="this key may not do that", cure=f"ask the account's admin for access, then  {_AGAIN}"
    ),
    "authentication_error": Cure(means="the key was not accepted", cure=f"set a valid key, then  {_AGAIN}"),
    "billing_error": Cure(means="there is a payment problem", cure=f"check the billing page, then  {_AGAIN}"),
    "conflict_error": Cure(means="something else was changing the same thing", cure=_AGAIN),
    "rate_limit_error": Cure(
        means="over the rate limit each time, though others passed: perhaps larger than a minute's limit",
        cure=f"shorten it or use a higher tier, then  {_AGAIN}",
    ),
    "overloaded_error": Cure(means="the service was short of capacity; not your limit", cure=_AGAIN),
    "api_error": Cure(means="the service failed", cure=_AGAIN),
    "timeout_error": Cure(means="the service took too long", cure=f"lower max_tokens, or  {_AGAIN}"),
    "timeout": Cure(means="no whole answer came in time; possibly billed", cure=_AGAIN),
    "connection_lost": Cure(means="the connection broke before the answer was whole; possibly billed", cure=_AGAIN),
    "dropped": Cure(means="no whole answer came; possibly billed", cure=_AGAIN),
    "worker_died": Cure(means="its worker died while it was out; possibly billed", cure=_AGAIN),
    "worker_stopped": Cure(means="its worker was stopped while it was out; possibly billed", cure=_AGAIN),
    "misrouted": Cure(
        means="something answered that is not the API: a proxy, a portal, a wrong address", cure=_NETWORK
    ),
    "not_sendable": Cure(means="the request could not be written; nothing was sent", cure=_NETWORK),
    "unsendable": Cure(means="a header or beta of the job cannot be sent; nothing was sent", cure=_MEND),
    "batch_lost": Cure(means="its batch never arrived; not billed", cure=_AGAIN),
    "batch_gone": Cure(means="its batch is gone from Anthropic, with its answers; possibly billed", cure=_AGAIN),
    "missing_from_results": Cure(means="the results of its batch have no line for it; possibly billed", cure=_AGAIN),
    "expired": Cure(means="not processed within 24 hours; not billed", cure=_AGAIN),
    "canceled": Cure(means="stopped before it was processed; not billed", cure=_AGAIN),
}
"""By the class of an error as a job keeps it."""

_BY_STATUS = {
    400: CURES["invalid_request_error"],
    401: CURES["authentication_error"],
    403: CURES["permission_error"],
    404: CURES["not_found_error"],
    413: CURES["request_too_large"],
    422: CURES["invalid_request_error"],
    429: CURES["rate_limit_error"],
    504: CURES["timeout_error"],
    529: CURES["overloaded_error"],
}
_UNSENT = Cure(means="the API could not be reached; nothing was sent", cure=_NETWORK)
_UNKNOWN = Cure(means="", cure=_AGAIN)
_HELD = Cure(
    means="possibly billed when its worker died, and the run asks first",
    cure="`batchrun retry {run} -s state:held`  sends them again, `batchrun cancel {run} -s state:held`  gives them up",
)


def cure_of(error: str, status: int | None, *, held: bool = False) -> Cure:
    """The cure for a job's class of error; by the HTTP status where the class says nothing."""
    if held:
        known = CURES.get(error)
        of_batch = known is not None and error in {"batch_gone", "missing_from_results"}
        return Cure(means=f"{known.means}, and the run asks first", cure=_HELD.cure) if of_batch and known else _HELD
    if error in CURES:
        return CURES[error]
    if error.endswith("_failed") or error in {"unreachable", "connection_refused", "connect_timeout", "pool_timeout"}:
        return _UNSENT
    if status is not None and status in _BY_STATUS:
        return _BY_STATUS[status]
    return CURES["api_error"] if status is not None and status >= 500 else _UNKNOWN


def pause_words(pause: Pause) -> tuple[str, str]:
    """Why it stands and what helps, in words; a reason that is not known stands for itself."""
    match pause.scope:
        case PauseScope.MODEL:
            return (
                f"`{pause.subject.partition(':')[2]}` is not available to this key",
                "correct the model, or get access",
            )
        case PauseScope.RUN if pause.reason == "refusals":
            return "many of its jobs in a row were refused with the same words", "see `batchrun errors`"
        case PauseScope.RUN if pause.reason == "pilot":
            return "the first job of its kind was refused, before any batch was sent", "see `batchrun errors`"
        case PauseScope.RUN if pause.reason == "look":
            return "its pilots are home, for you to look at", "`batchrun results`, then `batchrun resume`"
        case _ if pause.reason == "user":
            return "by hand", ""
        case _:
            return STOPS.get(pause.reason, (pause.reason, ""))
