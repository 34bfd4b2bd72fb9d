"""The names that may stand in a job: the API's parameters, and ours beside them."""

from __future__ import annotations

SAMPLING = frozenset({"temperature", "top_p", "top_k"})

PARAMETERS = SAMPLING | {
    "billing_policy",
    "cache_control",
    "compaction",
    "container",
    "context_management",
    "diagnostics",
    "fallback_credit_token",
    "fallbacks",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "thinking",
    "thread",
    "tool_choice",
    "tools",
    "user_profile_id",
    "workspace_id",
}
"""All parameters of a message, stable and beta, that the Python SDK 2.11.0 (2026-11) knows. Others are warned of only:
the API grows faster than this list."""

REQUIRED = frozenset({"model", "max_tokens", "messages"})

OURS = {
    "id": "any text of your own, up to 512 characters; the answer comes back under it",
    "prompt": "short for one message of the user",
    "metadata": "an object that is handed back with the answer, and not sent",
    "tags": "words of your own to select jobs by",
    "max_cost": "dollars that this job may cost at most, in realtime; needed under a cost cap where nothing else tells",
}
"""What may stand beside the parameters in a short line or a job in YAML, and is not sent. `defaults` have no id."""

SHORT = PARAMETERS | frozenset(OURS)
"""What a short line or a job in YAML may hold."""

ANTHROPIC = frozenset({"custom_id", "params", "metadata", "tags", "max_cost"})
"""What an Anthropic batch line may hold; what stands beside `params` is ours."""

SECTIONS = {
    "version": "always 1",
    "defaults": "what all jobs have in common; what a job says itself wins",
    "jobs": "single jobs, as a list",
    "template": "a job with `{{ names }}` in it, made once for each row of `data`",
    "data": "the rows: a CSV, TSV, JSON lines, JSON or Parquet file below this folder, or a list here",
    "vars": "more names for the template, with their values",
    "matrix": "names with lists of values: each row is made once for every combination of them",
    "betas": "the API's beta features that all requests of the run ask for",
    "headers": "HTTP headers that all requests of the run carry; they are stored, so no secrets",
}
"""What a job file in YAML may hold at its outermost level."""

APART = ("system", "tools", "output_config")
"""What many lines of a file have in common, and what is stored once when it is long."""
