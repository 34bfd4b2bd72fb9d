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

SHORT = PARAMETERS | {"id", "prompt"}
"""What a short line or a job in YAML may hold; its `metadata` is ours."""

DEFAULTS = SHORT - {"id"}

ANTHROPIC = frozenset({"custom_id", "params", "metadata"})
"""What an Anthropic batch line may hold; `metadata` beside `params` is ours."""

APART = ("system", "tools", "output_config")
"""What many lines of a file have in common, and what is stored once when it is long."""
