"""An account is the organisation and workspace as the API names them; a key's fingerprint is only an alias of it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Limits and spending belong to the organisation, listings and batches to the workspace.

    Behind a gateway that does not name them, the origin and the configured account name stand in.
    """

    origin: str  #: scheme://host[:port] of the base URL
    organization: str | None = None
    workspace: str | None = None
    name: str = ""  #: the user's word for it, where the API gives none

    @property
    def told(self) -> bool:
        """Whether the API itself said who this is."""
        return self.organization is not None

    def says_more_than(self, other: Account) -> bool:
        """Whether this, as an answer named it, is news to who knows *other*: another account, or more names of it.

        Some answers (a refused key's, an edge's) name the organisation alone, or nobody.
        """
        if not self.told or self == other:
            return False
        same = (self.origin, self.organization) == (other.origin, other.organization)
        return not (same and self.workspace is None)

    def label(self) -> str:
        """How a screen names it."""
        if self.organization is None:
            return self.name or self.origin
        return f"{self.organization}/{self.workspace}" if self.workspace else self.organization


def origin_of(base_url: str) -> str:
    """The origin of *base_url* in lower case, without path, user or password."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme.lower()}://{host}{port}"


def fingerprint(secret: str) -> str:
    """A short one-way name of a key, safe to store: two equal keys have equal ones, and it leads back to none."""
    import hashlib  # noqa: PLC0415  # 3 ms that a status need not spend

    return hashlib.blake2b(secret.encode(), digest_size=12, person=b"batchrun key").hexdigest()
