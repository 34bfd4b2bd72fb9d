"""What was probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence, "; did you mean `status`?", for the nearest known word; or nothing."""
    from difflib import get_close_matches  # noqa: PLC0415  # 6 ms that only a mistake should cost

    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean `{near[0]}`?" if near else ""
