"""Run thousands of Claude requests unattended: a persistent queue that never loses or re-buys an answer."""

__version__ = "0.1.0"
