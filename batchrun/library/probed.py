"""The codes of what the API itself says of a kind of request."""

from __future__ import annotations

REFUSED = "BR301"
UNPROBED = "BR302"
MEANINGS = {
    REFUSED: "the API refuses a request of this kind",
    UNPROBED: "a kind of request of which the API's count of tokens says nothing",
}
