"""What a job file says of all its requests together: the beta features they ask for, the headers they carry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import KEY, shown
from batchrun.jobfile.faults import Fault, Path, article

MOST_HEADERS = 20
HEADER_LENGTH = 1_000
"""Characters of a header's value at most."""

_BETA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_SECRET = re.compile(r"key|token|secret|auth|passw|credential|cookie|session|signature", re.IGNORECASE)
_OWN = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect"),
        *("host", "idempotency-key", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"),
        *("anthropic-version", "anthropic-dangerous-direct-browser-access"),
    }
)
"""What the program and the SDK say themselves; beside them all that begins with `x-stainless-` and `proxy-`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTerms:
    betas: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def betas_of(given: Any, faults: list[Fault]) -> tuple[str, ...]:
    """The beta features that `betas` of a file names, each once; what is wrong with it is added to *faults*."""
    names = [given] if isinstance(given, str) else given
    if names is None:
        return ()
    if not isinstance(names, list):
        faults.append(_beta(("betas",), f"`betas` must be a list of beta features, not {article(given)}"))
        return ()
    for at, name in enumerate(names):
        if not (isinstance(name, str) and _BETA.fullmatch(name)):
            faults.append(_beta(("betas", at), f"{article(name)} cannot be the name of a beta feature"))
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


def headers_of(given: Any, faults: list[Fault]) -> Mapping[str, str]:
    """The headers that `headers` of a file gives, their names in lower case; what is wrong is added to *faults*."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        faults.append(_header(("headers",), f"`headers` must be names with their values, not {article(given)}"))
        return {}
    if len(given) > MOST_HEADERS:
        faults.append(_header(("headers",), f"{len(given):,} headers; {MOST_HEADERS} are the most"))
    headers: dict[str, str] = {}
    for name, value in given.items():
        fault = _wrong(name, value)
        if fault is not None:
            faults.append(fault)
        elif name.lower() in headers:
            faults.append(_header(("headers", name), f"the header `{shown(name)}` stands twice"))
        headers[name.lower()] = str(value)
    return headers


def _wrong(name: str, value: Any) -> Fault | None:
    path: Path = ("headers", name)
    lower = name.lower()
    if not _NAME.fullmatch(name):
        return _header(path, f"`{shown(name)}` cannot be the name of a header")
    if lower == "anthropic-beta":
        return _header(path, "beta features stand under `betas`", "for example `betas: [output-300k-2026-03-24]`")
    if lower in _OWN or lower.startswith(("x-stainless-", "proxy-")):
        return _header(path, f"the header `{shown(name)}` is batchrun's own", "leave it out")
    if _SECRET.search(name) or (isinstance(value, str) and KEY.search(value)):
        return _header(
            path,
            f"the header `{shown(name)}` looks like a secret, and would be stored",
            "keys are settings, never here",
        )
    if not isinstance(value, str):
        return _header(path, f"the value of `{shown(name)}` must be text, not {article(value)}", "put it in quotes")
    if not _VALUE.fullmatch(value) or len(value) > HEADER_LENGTH:
        return _header(path, f"the value of `{shown(name)}` is empty, too long, or holds what no header may hold")
    return None


def _beta(path: Path, message: str) -> Fault:
    return Fault(code=Code.BETAS, path=path, message=message, hint="for example `betas: [output-300k-2026-03-24]`")


def _header(path: Path, message: str, hint: str = "") -> Fault:
    return Fault(code=Code.HEADER, path=path, name=len(path) > 1, message=message, hint=hint)
