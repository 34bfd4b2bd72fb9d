"""Every setting once: its name, its reader, its default and its help. Flags, variables, files and screens follow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batchrun.core.figures import DOLLAR, decimal_string
from batchrun.core.job import Nanos
from batchrun.core.secrets import redacted
from batchrun.settings import values
from batchrun.settings.address import API, address
from batchrun.settings.values import Read

PREFIX = "BATCHRUN_"


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:g} s"
        case tuple():
            return ", ".join(value)
        case _:
            return redacted(str(value))


def _dollars(value: Nanos | None) -> str:
    return "" if value is None else f"{decimal_string(value)} USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting. `default` is a value as `read` gives it; None where there is none."""

    name: str
    read: Read
    default: Any
    metavar: str
    help: str
    path: bool = False  #: a path: in a file relative to that file's folder, elsewhere to the working folder
    also: str = ""  #: a variable of the SDK that says the same, after our own
    trusted: bool = False  #: says where keys come from or go to: not taken from a file of another user
    table: str = ""  #: the table of a settings file that it stands in; "" where it stands in none
    show: Callable[[Any], str] = _shown

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def key(self) -> tuple[str, ...]:
        """Where a settings file has it."""
        return (self.table, self.name) if self.table else (self.name,)

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that may set it, the first that is set and not empty counts."""
        return (self.variable, self.also) if self.also else (self.variable,)


TIERS = ("auto", "start", "build", "scale", "1", "2", "3", "4", "custom")

_ALL = (
    Option(
        name="db",
        read=values.path,
        default=None,
        metavar="PATH|URL",
        help="The database; default: batchrun.db of this folder or the nearest above, else a new one here.",
        path=True,
    ),
    Option(
        name="mode",
        read=values.choice("auto", "batch", "realtime"),
        default="auto",
        metavar="MODE",
        help="How jobs are sent: batch (half price, within a day), realtime, or auto: by number and deadline.",
    ),
    Option(
        name="tier",
        read=values.choice(*TIERS),
        default="auto",
        metavar="TIER",
        help="Rate limits of the account: start, build, scale, custom (from [limits]), or auto, which learns them.",
    ),
    Option(
        name="concurrency",
        read=values.integer(1, 1_000),
        default=256,
        metavar="N",
        help="Requests in flight in one lane at most.",
    ),
    Option(
        name="max_cost",
        read=values.amount,
        default=None,
        metavar="DOLLARS",
        help="What may be spent at most: with submit by the run in its life, with run by this call.",
        show=_dollars,
    ),
    Option(
        name="tries",
        read=values.integer(1, 100),
        default=5,
        metavar="N",
        help="Tries of a job before it fails; waiting for a rate limit is none.",
    ),
    Option(
        name="on_crash",
        read=values.choice("retry", "hold", "fail"),
        default="retry",
        metavar="WHAT",
        help="A request that was out when its worker died, and may have been billed: retry, hold or fail it.",
    ),
    Option(
        name="on_unclear",
        read=values.choice("wait", "resend"),
        default="wait",
        metavar="WHAT",
        help="Near the deadline, jobs of a batch of which nobody knows whether it arrived: wait, or resend (and "
        "perhaps pay twice).",
    ),
    Option(
        name="hours",
        read=values.hours,
        default=None,
        metavar="HOURS",
        help="When jobs may be sent: '22:00-06:00 Europe/Berlin', 'mon-fri 20:00-07:00 UTC'; several with commas; or "
        "always.",
    ),
    Option(
        name="on_truncated",
        read=values.choice("keep", "retry"),
        default="keep",
        metavar="WHAT",
        help="An answer that was cut off at max_tokens: keep it, or retry with twice the room, at most twice.",
    ),
    Option(
        name="on_refused",
        read=values.choice("keep", "fail"),
        default="keep",
        metavar="WHAT",
        help="A job that the model refused to answer: keep the refusal as its result, or fail it.",
    ),
    Option(
        name="grace",
        read=values.span(0, 3_600),
        default=60.0,
        metavar="TIME",
        help="How long requests in flight may take to come home after Ctrl-C.",
    ),
    Option(
        name="api_version",
        read=values.api_version,
        default=None,
        metavar="DATE",
        help="The anthropic-version sent; default: the SDK's. 2023-06-01 lets older models take a temperature.",
    ),
    Option(
        name="base_url",
        read=address,
        default=API,
        metavar="URL",
        help="Another address for the API: a gateway, or `batchrun simulator`.",
        also="ANTHROPIC_BASE_URL",
        trusted=True,
    ),
    Option(
        name="account",
        read=values.text,
        default="",
        metavar="NAME",
        help="Your word for the account, where a gateway does not tell it; runs of one account stay with it.",
    ),
    Option(
        name="api_key_file",
        read=values.path,
        default=None,
        metavar="PATH",
        help="A file that holds the key, such as a systemd credential.",
        path=True,
        trusted=True,
    ),
    Option(
        name="api_key_command",
        read=values.text,
        default=None,
        metavar="COMMAND",
        help="A command that prints the key, such as `pass show anthropic`; run without a shell.",
        trusted=True,
    ),
    Option(
        name="env_file",
        read=values.path,
        default=None,
        metavar="PATH",
        help="A file of BATCHRUN_ and ANTHROPIC_ variables; those of the environment win.",
        path=True,
        trusted=True,
    ),
    Option(
        name="stream_above",
        read=values.integer(1, 1_000_000),
        # At 50 tokens a second an answer of 8,192 takes nearly three minutes: about as long as a silent connection
        # lives through common proxies. The SDK itself refuses more than 21,333 without a stream.
        default=8_192,
        metavar="TOKENS",
        help="Requests with a larger max_tokens are streamed, so that no proxy drops a silent connection.",
    ),
    Option(
        name="connect_timeout",
        read=values.span(1, 300),
        default=10.0,
        metavar="TIME",
        help="How long connecting may take.",
    ),
    Option(
        name="read_timeout",
        read=values.span(1, 3_600),
        default=600.0,
        metavar="TIME",
        help="How long a connection may be silent while an answer is awaited.",
    ),
    Option(
        name="total_timeout",
        read=values.span(1, 86_400),
        # 128,000 tokens, the longest answer, at 40 a second are 53 minutes.
        default=3_600.0,
        metavar="TIME",
        help="How long one request may take from first to last.",
    ),
    Option(
        name="ignore",
        read=values.codes,
        default=(),
        metavar="CODES",
        help="Problems in job files that are not to be told, such as BR117,BR158; see `batchrun check --explain`.",
    ),
    Option(
        name="confirm_likely",
        read=values.amount,
        default=Nanos(5 * DOLLAR),
        metavar="DOLLARS",
        help="Ask before a submit that is likely to cost more than this.",
        show=_dollars,
    ),
    Option(
        name="confirm_most",
        read=values.amount,
        default=Nanos(25 * DOLLAR),
        metavar="DOLLARS",
        help="Ask before a submit that may cost more than this.",
        show=_dollars,
    ),
    *(
        Option(
            name=name,
            read=values.command,
            default=None,
            metavar="COMMAND",
            help=f"A command that reads a JSON record {when}; run without a shell and without keys.",
            table="hooks",
            trusted=True,
        )
        for name, when in (
            ("on_done", "when a run is done"),
            ("on_pause", "when the program pauses a run, a model or the account"),
            ("on_alert", "when something else happens that a person should know"),
        )
    ),
    Option(
        name="color",
        read=values.choice("auto", "always", "never"),
        default="auto",
        metavar="WHEN",
        help="Colour: auto, always or never.",
    ),
    Option(
        name="progress",
        read=values.choice("auto", "bar", "plain", "json", "none"),
        default="auto",
        metavar="HOW",
        help="Progress on stderr: auto, bar, plain, json or none.",
    ),
    Option(
        name="log_file",
        read=values.path,
        default=None,
        metavar="PATH",
        help="Append what happens as JSON lines.",
        path=True,
    ),
)

OPTIONS: dict[str, Option] = {option.name: option for option in _ALL}
"""By name, in the order in which they are shown."""

TABLES = ("limits", "prices", "models")
"""Tables of a settings file that change the dated tables of the package."""

CREDENTIALS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")

OTHER_VARIABLES = ("BATCHRUN_SIMULATE", "BATCHRUN_QUIET", "BATCHRUN_DEBUG")
"""Variables with our prefix that speak of one call and are no settings."""
