"""The key: where it may come from, and whether what was found there can be one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from batchrun.core.secrets import ending
from batchrun.errors import KeyRefused
from batchrun.settings.sources import Variable

COMMAND_TIME = 60.0
"""Seconds that `api_key_command` may take: somebody may have to type a passphrase."""

LONGEST = 4_096

WAYS = (
    "set ANTHROPIC_API_KEY, or `api_key_file` or `api_key_command` (BATCHRUN_API_KEY_FILE, BATCHRUN_API_KEY_COMMAND, "
    "or in batchrun.toml), or ANTHROPIC_AUTH_TOKEN; `--simulate` needs no key"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A secret that has the form of one. Neither its repr nor its str shows it."""

    secret: str = field(repr=False)
    kind: Literal["api_key", "auth_token"]
    origin: str  #: "ANTHROPIC_API_KEY", "/run/credentials/key", "`pass show anthropic`"

    def __str__(self) -> str:
        return f"{self.ending} from {self.origin}"

    @property
    def ending(self) -> str:
        """How a screen tells one key from another: `…x3Qa`."""
        return ending(self.secret)


def find(
    variables: Mapping[str, Variable],
    *,
    file: tuple[str | None, str],
    command: tuple[str | None, str],
    environ: Mapping[str, str],
) -> Credential:
    """The first that is there of: *file*, *command*, ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN.

    *file* and *command* come with the place that names them. Raises KeyRefused if none is there, or the first one
    cannot be a key.
    """
    if file[0] is not None:
        return _checked(_from_file(file[0], file[1]), "api_key", file[0])
    if command[0] is not None:
        return _checked(_from_command(command[0], command[1], environ), "api_key", f"`{command[0].split()[0]} …`")
    if variable := variables.get("ANTHROPIC_API_KEY"):
        return _checked(variable.value, "api_key", variable.origin)
    if variable := variables.get("ANTHROPIC_AUTH_TOKEN"):
        return _checked(variable.value, "auth_token", variable.origin)
    raise KeyRefused("there is no API key", hint=WAYS)


def _from_file(path: str, place: str) -> str:
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(LONGEST + 1)
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise KeyRefused(f"cannot read the key file `{path}` ({place}): {reason}", hint=WAYS) from None
    return content.decode("utf-8", errors="replace")


def _from_command(command: str, place: str, environ: Mapping[str, str]) -> str:
    import shlex  # noqa: PLC0415  # only who uses such a command pays for it
    import subprocess  # noqa: PLC0415

    try:
        words = shlex.split(command)
        if not words:
            raise KeyRefused(f"`api_key_command` ({place}) is empty")
        done = subprocess.run(  # noqa: S603  # the user's own command, without a shell
            words,
            check=False,
            stdin=subprocess.DEVNULL,  # standard input may be the job file
            stdout=subprocess.PIPE,
            timeout=COMMAND_TIME,
            env=dict(environ),
        )
    except ValueError:
        raise KeyRefused(f"`api_key_command` ({place}) is no command: its quotes do not close") from None
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise KeyRefused(f"cannot run `api_key_command` ({place}): {reason}") from None
    except subprocess.TimeoutExpired:
        raise KeyRefused(f"`api_key_command` ({place}) gave no key within {COMMAND_TIME:g} seconds") from None
    if done.returncode != 0:
        raise KeyRefused(f"`api_key_command` ({place}) failed with exit code {done.returncode}")
    return done.stdout[: LONGEST + 1].decode("utf-8", errors="replace")


def _checked(raw: str, kind: Literal["api_key", "auth_token"], origin: str) -> Credential:
    secret = raw.strip()
    if fault := _fault(secret):
        raise KeyRefused(f"the key from {origin} {fault}", hint="copy it again; nothing was sent")
    return Credential(secret=secret, kind=kind, origin=origin)


def _fault(secret: str) -> str:
    """Why *secret* cannot be a key, without a word of it; "" if it can."""
    if not secret:
        return "is empty"
    if len(secret) > LONGEST:
        return "is too long to be one"
    if "\n" in secret or "\r" in secret:
        return "has several lines"
    if any(character.isspace() for character in secret):
        return "has a blank in it"
    if not secret.isascii():
        return "has characters that are not ASCII"
    if not secret.isprintable():
        return "has control characters in it"
    if secret[0] in "\"'" or secret[-1] in "\"'":
        return "stands in quotes, which are not part of it"
    return ""
