"""Each problem, and the exact place it is shown at: « and » enclose what is marked."""

from __future__ import annotations

import base64

import pytest

from batchrun.core.job import Where
from batchrun.jobfile import bounds, media
from batchrun.jobfile.codes import Code
from tests.jobfile.desk import GOOD, HEAD, OLD_API, REST, Found, pointed, read

KEY = "sk-ant-api03-" + "x9" * 20

TOOL = '{"name": "t", "input_schema": {"type": "object"}}'
URL = '{"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}}'
MARKED = '{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}'
OLD = '"model": "claude-old-1", "max_tokens": 1500'
THINKER = '"model": "claude-thinker-1"'
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
"""A PNG of one pixel."""


def block(text: str) -> str:
    """A line with one message, of the block *text*."""
    return f'{{"id": "a", {REST}, "messages": [{{"role": "user", "content": [{text}]}}]}}'


def image(text: str) -> str:
    return block(f'{{"type": "image", "source": {{"type": "base64", {text}}}}}')


def document(text: str) -> str:
    return block(f'{{"type": "document", "source": {{{text}}}}}')


def schema(text: str) -> str:
    return f'{{"id": "a", {REST}, "prompt": "x", "output_config": {{"format": {{"type": "json_schema", "schema": {text}}}}}}}'


def wide(sides: int) -> str:
    """The base64 of a PNG's first bytes that is so many pixels wide and tall."""
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + sides.to_bytes(4, "big") * 2
    return base64.b64encode(head + bytes(30)).decode()


LINES: list[tuple[Code, str]] = [
    (Code.NOT_JSON, '{"id": "a", "prompt": «o»ops}'),
    (Code.NOT_JSON, GOOD + " «{»}"),
    (Code.NOT_JSON, '{"id": «"»a}'),
    (Code.NOT_JSON, "{«'»id': 1}"),
    (Code.NOT_JSON, '{"id": NaN«x»}'),
    (Code.KEY_TWICE, '{"id": "a", «"id"»: "b"}'),
    (Code.KEY_TWICE, f'{{"id": "a", {REST}, "messages": [{{"role": "user", «"role"»: "user", "content": "x"}}]}}'),
    (Code.KEY_TWICE, '{"caf\\u00e9": 1, «"café"»: 2}'),
    (Code.NO_JSON_NUMBER, f'{{"id": "a", {REST}, "prompt": «NaN»}}'),
    (Code.NO_JSON_NUMBER, f'{{"id": "a", {REST}, "prompt": "x", "thinking": [1, {{"a": «-Infinity»}}]}}'),
    (Code.NO_JSON_NUMBER, f'{{"id": "a", {REST}, "prompt": "x", "thinking": {{"b": «1e999»}}}}'),
    (Code.NO_JSON_NUMBER, f'{{"id": "a", {REST}, "prompt": "x", "metadata": {{"b": «-1E400»}}}}'),
    (Code.LONE_SURROGATE, f'{{"id": "a", {REST}, "prompt": "😀 \\ud83d\\ude00 «\\ud800» x"}}'),
    (Code.LONE_SURROGATE, f'{{"id": "a", {REST}, "prompt": "\\\\ud800 «\\udc00»\\ud800"}}'),
    (Code.LONE_SURROGATE, f'{{"id": "a", {REST}, "prompt": "x", "thinking": {{"«\\ud83d»": 1}}}}'),
    (Code.LONE_SURROGATE, f'{{"id": "a", {REST}, "prompt": "x", "metadata": {{"a": ["«\\udfff»"]}}}}'),
    (Code.TOO_DEEP, '{"id": "a", "prompt": "x", "thinking": ' + "[" * 200 + "«[»" + "[" * 99_999 + "]" * 100_200 + "}"),
    (Code.TOO_DEEP, f'{{"id": "a", {REST}, "prompt": "x", "thinking": «[»{"[" * 200}{"]" * 201}}}'),
    (Code.TOO_DEEP, f'{{"id": "a", {REST}, "messages": [«{{»"role": "user", "content": [{{"type": "x", "y": {"[" * 198}{"]" * 198}}}]}}]}}'),
    (Code.TOO_DEEP, f'{{"id": "a", {REST}, "messages": [«{{»"role": "user", "content": "x", "y": {"[" * 200}{"]" * 200}}}]}}'),
    (Code.TOO_DEEP, f'{{"id": "a", {REST}, "prompt": "x", "metadata": «{{»"y": {"[" * 200}{"]" * 200}}}}}'),
    (Code.TOO_MANY_DIGITS, f'{{"id": "a", "max_tokens": «{"7" * 5000}»}}'),
    (Code.NOT_AN_OBJECT, '«"text"»'),
    (Code.NOT_AN_OBJECT, "«null»"),
    (Code.UNKNOWN_SHAPE, '«{»"version": 1, "jobs": []}'),
    (Code.OPENAI_LINE, '«{»"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}'),
    (Code.ID, f'{{"id": «1.5», {REST}, "prompt": "x"}}'),
    (Code.ID, f'{{"id": «null», {REST}, "prompt": "x"}}'),
    (Code.ID, f'{{"id": «true», {REST}, "prompt": "x"}}'),
    (Code.ID, f'{{"id": «""», {REST}, "prompt": "x"}}'),
    (Code.ID, f'{{"id": «"  "», {REST}, "prompt": "x"}}'),
    (Code.ID, f'{{"id": «"a\\nb"», {REST}, "prompt": "x"}}'),
    (Code.ID, f'{{"id": «"a\\ud800"», {REST}, "prompt": "x"}}'),
    (Code.ID, f'{{"id": «"{"i" * 513}"», {REST}, "prompt": "x"}}'),
    (Code.ID, f'{{"custom_id": «7», "params": {{{REST}, "messages": [{{"role": "user", "content": "x"}}]}}}}'),
    (Code.ID, f'«{{»"params": {{{REST}, "messages": [{{"role": "user", "content": "x"}}]}}}}'),
    (Code.MAX_TOKENS, '{"id": "a", "model": "claude-new-1", "max_tokens": «"5"», "prompt": "x"}'),
    (Code.MAX_TOKENS, '{"id": "a", "model": "claude-new-1", "max_tokens": «0», "prompt": "x"}'),
    (Code.MAX_TOKENS, '{"id": "a", "model": "claude-new-1", "max_tokens": «-3», "prompt": "x"}'),
    (Code.MAX_TOKENS, '{"id": "a", "model": "claude-new-1", "max_tokens": «5.0», "prompt": "x"}'),
    (Code.MAX_TOKENS, '{"id": "a", "model": "claude-new-1", "max_tokens": «true», "prompt": "x"}'),
    (Code.MAX_TOKENS, '{"id": "a", "model": "claude-new-1", "max_tokens": «null», "prompt": "x"}'),
    (Code.MAX_TOKENS_OVER, '{"id": "a", "model": "claude-new-1", "max_tokens": «8001», "prompt": "x"}'),
    (Code.NO_MODEL, '«{»"id": "a", "max_tokens": 5, "prompt": "x"}'),
    (Code.NO_MODEL, '{"custom_id": "a", "params": «{»"max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}}'),
    (Code.MODEL, '{"id": "a", "model": «[»"claude-new-1"], "max_tokens": 5, "prompt": "x"}'),
    (Code.MODEL, '{"id": "a", "model": «""», "max_tokens": 5, "prompt": "x"}'),
    (Code.NO_MAX_TOKENS, '«{»"id": "a", "model": "claude-new-1", "prompt": "x"}'),
    (Code.NO_MESSAGES, f'«{{»"id": "a", {REST}}}'),
    (Code.PROMPT_AND_MESSAGES, f'{{"id": "a", {REST}, "messages": [], «"prompt"»: "x"}}'),
    (Code.PROMPT, f'{{"id": "a", {REST}, "prompt": «[»"x"]}}'),
    (Code.MESSAGES, f'{{"id": "a", {REST}, "messages": «"x"»}}'),
    (Code.MESSAGES, f'{{"id": "a", {REST}, "messages": «[»]}}'),
    (Code.MESSAGES, f'{{"id": "a", {REST}, "messages": [«"x"»]}}'),
    (Code.MESSAGES, f'{{"id": "a", {REST}, "messages": [{{"role": «"tool"», "content": "x"}}]}}'),
    (Code.MESSAGES, f'{{"id": "a", {REST}, "messages": [{{"role": «[»"user"], "content": "x"}}]}}'),
    (Code.MESSAGES, f'{{"id": "a", {REST}, "messages": [«{{»"content": "x"}}]}}'),
    (Code.MESSAGES, f'{{"id": "a", {REST}, "messages": [«{{»"role": "user"}}]}}'),
    (Code.MESSAGES, f'{{"id": "a", {REST}, "messages": [{{"role": "user", "content": «5»}}]}}'),
    (Code.MESSAGES, f'{{"id": "a", {REST}, "messages": [{{"role": "user", "content": [«"x"»]}}]}}'),
    (Code.MESSAGES, f'{{"id": "a", {REST}, "messages": [{{"role": "user", "content": [«{{»"text": "x"}}]}}]}}'),
    (Code.MESSAGES, f'{{"id": "a", {REST}, "messages": [{{"role": "user", "content": [«{{»"type": "text"}}]}}]}}'),
    (Code.STREAM, f'{{"id": "a", {REST}, "prompt": "x", «"stream"»: false}}'),
    (Code.STREAM, f'{{"custom_id": "a", "params": {{{REST}, «"stream"»: true, "messages": [{{"role": "user", "content": "x"}}]}}}}'),
    (Code.HEADERS, f'{{"id": "a", {REST}, "prompt": "x", «"headers"»: {{"host": "elsewhere", "content-length": "1"}}}}'),
    (Code.HEADERS, f'{{"custom_id": "a", "params": {{{REST}, «"extra_headers"»: null, "messages": [{{"role": "user", "content": "x"}}]}}}}'),
    (Code.NO_TEXT, f'{{"id": "a", {REST}, "prompt": «""»}}'),
    (Code.NO_TEXT, f'{{"id": "a", {REST}, "prompt": «" \\n\\t"»}}'),
    (Code.NO_TEXT, f'{{"id": "a", {REST}, "messages": [{{"role": "user", "content": «""»}}]}}'),
    (Code.NO_TEXT, f'{{"id": "a", {REST}, "messages": [{{"role": "user", "content": «[»]}}]}}'),
    (Code.NO_TEXT, f'{{"id": "a", {REST}, "messages": [{{"role": "user", "content": [{{"type": "text", "text": «" "»}}]}}]}}'),
    (Code.NO_TEXT, f'{{"id": "a", {REST}, "system": [{{"type": "text", "text": «""»}}], "prompt": "x"}}'),
    (Code.TOO_LARGE, f'«{{»"id": "a", "model": "claude-wide-1", "max_tokens": 5, "prompt": "{"x" * bounds.REQUEST_BYTES}"}}'),
    (Code.MODEL_RETIRED, '{"id": "a", "model": «"claude-gone-1"», "max_tokens": 5, "prompt": "x"}'),
    (Code.SAMPLING, f'{{"id": "a", {REST}, "prompt": "x", «"temperature"»: 0}}'),
    (Code.SAMPLING, f'{{"id": "a", {REST}, "prompt": "x", «"top_k"»: 5}}'),
    (Code.SAMPLING, f'{{"custom_id": "a", "params": {{«"top_p"»: 1, {REST}, "messages": [{{"role": "user", "content": "x"}}]}}}}'),
    (Code.PREFILL, f'{{"id": "a", {REST}, "messages": [{{"role": "user", "content": "x"}}, «{{»"role": "assistant", "content": "{{"}}]}}'),
    (Code.OVER_CONTEXT, f'«{{»"id": "a", {REST}, "prompt": "{"word " * 500_000}"}}'),
    (Code.SECRET, f'{{"id": "a", {REST}, "prompt": "my key is «{KEY}»."}}'),
    (Code.SECRET, f'{{"id": "a", {REST}, "prompt": "x", "metadata": {{"key": "«{KEY}»"}}}}'),
    (Code.NO_PARAMS, '«{»"custom_id": "a", "model": "claude-new-1"}'),
    (Code.NO_PARAMS, '{"custom_id": "a", "params": «[»]}'),
    (Code.SYSTEM, f'{{"id": "a", {REST}, "system": «5», "prompt": "x"}}'),
    (Code.SYSTEM, f'{{"id": "a", {REST}, "system": [«"x"»], "prompt": "x"}}'),
    (Code.THINKING, f'{{"id": "a", {REST}, "thinking": {{"type": «"enabled"», "budget_tokens": 2000}}, "prompt": "x"}}'),
    (Code.FORCED_TOOL, f'{{"id": "a", {REST}, "tool_choice": {{"type": «"any"»}}, "tools": [{TOOL}], "prompt": "x"}}'),
    (Code.GEO, '{"id": "a", "model": "claude-old-1", "max_tokens": 5, «"inference_geo"»: "us", "prompt": "x"}'),
    (Code.BLOCK_REFUSED, f'{{"id": "a", {REST}, "messages": [{{"role": "user", "content": [{{"type": "text", "text": "x", "citations": «[»1]}}]}}]}}'),
    (Code.BLOCK_REFUSED, f'{{"id": "a", {REST}, "messages": [{{"role": "assistant", "content": [«{{»"type": "document", "source": {{"type": "text", "media_type": "text/plain", "data": "x"}}}}]}}, {{"role": "user", "content": "x"}}]}}'),
    (Code.METADATA, f'{{"id": "a", {REST}, "prompt": "x", "metadata": «2.5»}}'),
    (Code.MESSAGES, f'{{"id": "a", {REST}, "messages": «{{»"role": "user"}}}}'),
    (Code.METADATA, f'{{"id": "a", {REST}, "prompt": "x", "metadata": «[»1]}}'),
    (Code.TAGS, f'{{"id": "a", {REST}, "prompt": "x", "tags": «5»}}'),
    (Code.TAGS, f'{{"id": "a", {REST}, "prompt": "x", "tags": ["b", «""»]}}'),
    (Code.TAGS, f'{{"custom_id": "a", "tags": [«7»], "params": {{{REST}, "messages": [{{"role": "user", "content": "x"}}]}}}}'),
    (Code.TAGS, f'{{"id": "a", {REST}, "prompt": "x", "tags": «[»{", ".join([REST[:7]] * 33)}]}}'),
    (Code.MAX_COST, f'{{"id": "a", {REST}, "prompt": "x", "max_cost": «"much"»}}'),
    (Code.MAX_COST, f'{{"id": "a", {REST}, "prompt": "x", "max_cost": «-1»}}'),
    (Code.OVER_MAX_COST, f'«{{»"id": "a", {REST}, "prompt": "x", "max_cost": 0}}'),
    (Code.FOREIGN, '«{»"input": "2 + 2?", "target": "4"}'),
    (Code.SOURCE, block('«{»"type": "image"}')),
    (Code.SOURCE, block('{"type": "image", "source": «"cat.png"»}')),
    (Code.SOURCE, block('{"type": "image", "source": {"type": "url", "url": «"data:image/png;base64,xx"»}}')),
    (Code.SOURCE, document('"type": "url", "url": «"report.pdf"»')),
    (Code.SOURCE, block('{"type": "document", "source": «{»"type": "file"}}')),
    (Code.SOURCE, block('{"type": "document", "source": «{»"type": "text", "media_type": "text/plain", "data": " "}}')),
    (Code.SOURCE, block('{"type": "tool_result", "tool_use_id": "t", "content": [«{»"type": "image"}]}')),
    (Code.MEDIA_TYPE, image(f'"media_type": «"image/jpg"», "data": "{PIXEL}"')),
    (Code.MEDIA_TYPE, image('"media_type": "image/png", "data": «"JVBERi0xLjQK"»')),
    (Code.MEDIA_TYPE, image(f'"media_type": «[»], "data": "{PIXEL}"')),
    (Code.MEDIA_TYPE, document('"type": "base64", "media_type": «"text/plain"», "data": "JVBERi0xLjQK"')),
    (Code.MEDIA_MISMATCH, image(f'"media_type": «"image/jpeg"», "data": "{PIXEL}"')),
    (Code.MEDIA_MISMATCH, document('"type": "base64", "media_type": "application/pdf", "data": «"SGVsbG8="»')),
    (Code.BASE64, image('"media_type": "image/png", "data": «"data:image/png;base64,iVBORw0KGgo="»')),
    (Code.BASE64, image('"media_type": "image/png", "data": «"not base64!"»')),
    (Code.BASE64, block('{"type": "image", "source": «{»"type": "base64", "media_type": "image/png"}}')),
    (Code.IMAGE_TOO_LARGE, image(f'"media_type": "image/png", "data": «"{PIXEL[:-4] + "A" * media.IMAGE_BASE64}"»')),
    (Code.IMAGE_DIMENSIONS, block(f'{{"type": "image", "source": «{{»"type": "base64", "media_type": "image/png", "data": "{wide(8001)}"}}}}')),
    (Code.TOO_MANY_IMAGES, f'{{"id": "a", {REST}, "messages": «[»{{"role": "user", "content": [{", ".join([URL] * 101)}]}}]}}'),
    (Code.CACHE_MARKS, f'{{"id": "a", {REST}, "prompt": "x", "system": [{", ".join([MARKED] * 4)}, {{"type": "text", "text": "x", "cache_control": «{{»"type": "ephemeral"}}}}]}}'),
    (Code.CACHE_CONTROL, f'{{"id": "a", {REST}, "prompt": "x", "cache_control": {{"type": «"forever"»}}}}'),
    (Code.CACHE_CONTROL, f'{{"id": "a", {REST}, "prompt": "x", "cache_control": {{"type": "ephemeral", "ttl": «"2h"»}}}}'),
    (Code.TOOL, f'{{"id": "a", {REST}, "prompt": "x", "tools": «{{»}}}}'),
    (Code.TOOL, f'{{"id": "a", {REST}, "prompt": "x", "tools": [«"search"»]}}'),
    (Code.TOOL, f'{{"id": "a", {REST}, "prompt": "x", "tools": [«{{»"name": "t"}}]}}'),
    (Code.TOOL, f'{{"id": "a", {REST}, "prompt": "x", "tools": [{{"name": «"my tool"», "input_schema": {{"type": "object"}}}}]}}'),
    (Code.TOOL, f'{{"id": "a", {REST}, "prompt": "x", "tools": [{{"name": "t", "input_schema": «{{»}}}}]}}'),
    (Code.TOOL, f'{{"id": "a", {REST}, "prompt": "x", "tools": [{{"type": "custom", «"function"»: {{"name": "t"}}}}]}}'),
    (Code.TOOL_TWICE, f'{{"id": "a", {REST}, "prompt": "x", "tools": [{TOOL}, {{"name": «"t"», "type": "bash_20250124"}}]}}'),
    (Code.TOOL_CHOICE, f'{{"id": "a", {REST}, "prompt": "x", «"tool_choice"»: {{"type": "auto"}}}}'),
    (Code.TOOL_CHOICE, f'{{"id": "a", {REST}, "prompt": "x", "tool_choice": «"auto"», "tools": [{TOOL}]}}'),
    (Code.TOOL_CHOICE, f'{{"id": "a", {OLD}, "prompt": "x", "tool_choice": {{"type": "tool", "name": «"tt"»}}, "tools": [{TOOL}]}}'),
    (Code.EFFORT, f'{{"id": "a", {REST}, "prompt": "x", "output_config": {{"effort": «"heigh"»}}}}'),
    (Code.EFFORT, f'{{"id": "a", {OLD}, "prompt": "x", "output_config": {{"effort": «"max"»}}}}'),
    (Code.OUTPUT, f'{{"id": "a", {REST}, "prompt": "x", "output_config": «"json"»}}'),
    (Code.OUTPUT, f'{{"id": "a", {REST}, "prompt": "x", "output_config": {{"format": {{"type": «"json_object"»}}}}}}'),
    (Code.OUTPUT, f'{{"id": "a", {REST}, "prompt": "x", "output_config": {{"format": {{"type": "json_schema", «"json_schema"»: {{}}}}}}}}'),
    (Code.OUTPUT_SCHEMA, schema('«{»"type": "object", "properties": {}}')),
    (Code.OUTPUT_SCHEMA, schema('{"type": "object", "additionalProperties": «true»}')),
    (Code.OUTPUT_SCHEMA, schema('{"type": "array", "items": {"type": "integer", «"minimum"»: 0}}')),
    (Code.OUTPUT_SCHEMA, schema('{"type": "array", "items": {"$ref": «"#/$defs/gone"»}}')),
    (Code.OUTPUT_SCHEMA, schema('{"anyOf": [{"$ref": «"#"»}, {"type": "null"}]}')),
    (Code.OUTPUT_SCHEMA, schema('{"type": "array", "items": {"$ref": «"https://example.com/s.json"»}}')),
    (Code.OUTPUT_SCHEMA, schema('{"anyOf": [«5», {"type": "null"}]}')),
    (Code.OUTPUT_SCHEMA, f'{{"id": "a", {REST}, "prompt": "x", "tools": [{{"name": "t", "strict": true, "input_schema": «{{»"type": "object"}}}}]}}'),
    (Code.THINKING, f'{{"id": "a", {REST}, "prompt": "x", "thinking": «true»}}'),
    (Code.THINKING_BUDGET, f'{{"id": "a", {OLD}, "prompt": "x", "thinking": {{"type": "enabled", "budget_tokens": «500»}}}}'),
    (Code.THINKING_BUDGET, f'{{"id": "a", {OLD}, "prompt": "x", "thinking": «{{»"type": "enabled"}}}}'),
    (Code.THINKING_BUDGET, f'{{"id": "a", {OLD}, "prompt": "x", "thinking": {{"type": "enabled", "budget_tokens": «2000»}}}}'),
    (Code.THINKING_AND_TOOL, f'{{"id": "a", {OLD}, "prompt": "x", "thinking": {{"type": «"enabled"», "budget_tokens": 1024}}, "tool_choice": {{"type": "any"}}, "tools": [{TOOL}]}}'),
    (Code.THINKING_EFFORT, f'{{"id": "a", {THINKER}, "max_tokens": 500, "prompt": "x", "thinking": {{"type": «"disabled"»}}, "output_config": {{"effort": "max"}}}}'),
    (Code.STOP_SEQUENCES, f'{{"id": "a", {REST}, "prompt": "x", "stop_sequences": «"END"»}}'),
    (Code.STOP_SEQUENCES, f'{{"id": "a", {REST}, "prompt": "x", "stop_sequences": ["END", «"\\n"»]}}'),
]  # fmt: skip

WARNINGS: list[tuple[Code, str]] = [
    (Code.UNKNOWN_KEY, f'{{"id": "a", {REST}, "prompt": "x", «"max_token"»: 5}}'),
    (Code.UNKNOWN_KEY, f'{{"custom_id": "a", «"priority"»: 1, "params": {{{REST}, "messages": [{{"role": "user", "content": "x"}}]}}}}'),
    (Code.NEARLY_TOO_LARGE, f'«{{»"id": "a", "model": "claude-wide-1", "max_tokens": 5, "prompt": "{"x" * bounds.NEARLY}"}}'),
    (Code.UNKNOWN_MODEL, '{"id": "a", "model": «"claude-new-2"», "max_tokens": 5, "prompt": "x"}'),
    (Code.MODEL_RETIRES, '{"id": "a", "model": «"claude-late-1"», "max_tokens": 5, "prompt": "x"}'),
    (Code.NEAR_CONTEXT, f'«{{»"id": "a", {REST}, "prompt": "{"word " * 110_000}"}}'),
    (Code.METADATA_KEPT, f'{{"id": "a", {REST}, "prompt": "x", «"metadata"»: {{"user_id": "u-1"}}}}'),
    (Code.NEAR_CONTEXT, f'«{{»"id": "a", "model": "claude-old-1", "max_tokens": 8000, "prompt": "{"x" * 475_000}"}}'),
    (Code.UNKNOWN_KEY, f'{{"id": "a", {REST}, "prompt": "x", "output_config": {{«"efort"»: "low"}}}}'),
    (Code.IMAGE_NEARLY_TOO_LARGE, image(f'"media_type": "image/png", "data": «"{PIXEL[:-4] + "A" * media.NEARLY}"»')),
    (Code.BASE64_BREAKS, image(f'"media_type": "image/png", "data": «"{PIXEL[:40]}\\n{PIXEL[40:]}"»')),
    (Code.THINKING_ROOM, f'{{"id": "a", {THINKER}, "max_tokens": «5», "prompt": "x"}}'),
    (Code.THINKING_AND_TOOL, f'{{"id": "a", {THINKER}, "max_tokens": 500, "prompt": "x", "thinking": {{"type": «"adaptive"»}}, "tool_choice": {{"type": "any"}}, "tools": [{TOOL}]}}'),
]  # fmt: skip

YAML: list[tuple[Code, str]] = [
    (Code.NOT_YAML, HEAD + "jobs:\n  - id: a\n«\t»prompt: x\n"),
    (Code.NOT_YAML, HEAD + "jobs:\n  - id: a\n    prompt: «@»p.md\n"),
    (Code.NOT_YAML, HEAD + "jobs:\n  - prompt: Note«:» this\n"),
    (Code.NOT_YAML, HEAD + "jobs:\n  - prompt: «*nobody»\n"),
    (Code.NOT_YAML, HEAD + "jobs: [{prompt: x}]\n«---»\nversion: 1\n"),
    (Code.NOT_YAML, HEAD + "jobs: &all\n  - prompt: «*all»\n"),
    (Code.KEY_TWICE, HEAD + "jobs:\n  - prompt: x\n    «prompt»: y\n"),
    (Code.NO_JSON_NUMBER, HEAD + "jobs:\n  - prompt: x\n    metadata: {a: «.inf»}\n"),
    (Code.NO_JSON_NUMBER, HEAD + "jobs:\n  - prompt: x\n    metadata: {a: «1e999»}\n"),
    (Code.TOO_MANY_DIGITS, HEAD + f"jobs:\n  - prompt: x\n    metadata: {{a: «{'7' * 5000}»}}\n"),
    (Code.TOO_DEEP, HEAD + "jobs: " + "[" * 199 + "«[»" + "[" * 99_999),
    (Code.NOT_JSON_TYPE, HEAD + "jobs:\n  - prompt: «!!python/object:os.system x»\n"),
    (Code.NOT_JSON_TYPE, HEAD + "jobs:\n  - prompt: «!mine x»\n"),
    (Code.NOT_JSON_TYPE, HEAD + "jobs:\n  - prompt: x\n    metadata: «!!set {»a}\n"),
    (Code.NOT_JSON_TYPE, HEAD + "jobs:\n  - prompt: x\n    metadata: {a: «!!int word»}\n"),
    (Code.NOT_JSON_TYPE, HEAD + "jobs:\n  - prompt: x\n    metadata:\n      ? «[»1]\n      : 2\n"),
    (Code.NOT_JSON_TYPE, HEAD + "jobs:\n  - prompt: x\n    metadata:\n      «<<»: {}\n"),
    (Code.WRONG_SECTION, "«-» prompt: x\n"),
    (Code.WRONG_SECTION, "«v»ersion: 1\n"),
    (Code.WRONG_SECTION, HEAD + "jobs: «lots»\n"),
    (Code.NOT_AN_OBJECT, "version: 1\ndefaults: «[»]\njobs: [{prompt: x}]\n"),
    (Code.NOT_AN_OBJECT, HEAD + "jobs:\n  - «text»\n"),
    (Code.TOO_DEEP, HEAD + f"jobs:\n  - prompt: x\n    metadata: {{a: &a {'[' * 150}{']' * 150}, b: {'[' * 59}«[»*a{']' * 60}}}\n"),
    (Code.EMPTY, HEAD + "jobs: «[»]\n"),
    (Code.ID, "version: 1\ndefaults: {model: claude-new-1, max_tokens: 5, «id»: x}\njobs: [{prompt: x}]\n"),
    (Code.ID, HEAD + 'jobs:\n  - id: «"a\\tb"»\n    prompt: x\n'),
    (Code.MAX_TOKENS, HEAD + "jobs:\n  - prompt: x\n    max_tokens: «lots»\n"),
    (Code.MAX_TOKENS, "version: 1\ndefaults: {model: claude-new-1, max_tokens: «0»}\njobs: [{prompt: x}, {prompt: y}]\n"),
    (Code.NO_TEXT, 'version: 1\ndefaults: {model: claude-new-1, max_tokens: 5, prompt: «""»}\njobs: [{id: a}]\n'),
    (Code.NO_MESSAGES, HEAD + "jobs:\n  - «i»d: a\n"),
    (Code.SECRET, HEAD + f"jobs:\n  - prompt: x\n    # the key is «{KEY}»\n"),
    (Code.INLINE_NOWHERE, HEAD + 'jobs:\n  - prompt: «"@p.md"»\n'),
]  # fmt: skip


OUTSIDE_JOBS: list[tuple[Code, str]] = [
    (Code.BETAS, HEAD + "jobs: [{prompt: x}]\nbetas: «5»\n"),
    (Code.BETAS, HEAD + "jobs: [{prompt: x}]\nbetas: [fine-2026-01-01, «not fine»]\n"),
    (Code.HEADER, HEAD + "jobs: [{prompt: x}]\nheaders: «[»]\n"),
    (Code.HEADER, HEAD + "jobs: [{prompt: x}]\nheaders: {«a b»: x}\n"),
    (Code.HEADER, HEAD + "jobs: [{prompt: x}]\nheaders: {«X-Api-Key»: x}\n"),
    (Code.HEADER, HEAD + "jobs: [{prompt: x}]\nheaders: {«anthropic-beta»: x}\n"),
    (Code.HEADER, HEAD + "jobs: [{prompt: x}]\nheaders: {«Anthropic-Version»: x}\n"),
    (Code.HEADER, HEAD + 'jobs: [{prompt: x}]\nheaders: {«x-trace»: "a\\nb"}\n'),
    (Code.KEY_TWICE, "version: 1\ndefaults: {model: claude-new-1, max_tokens: 5}\n«version»: 1\njobs: [{prompt: x}]\n"),
    (Code.VERSION, "«d»efaults: {model: claude-new-1, max_tokens: 5}\njobs: [{prompt: x}]\n"),
    (Code.VERSION, "version: «2»\ndefaults: {model: claude-new-1, max_tokens: 5}\njobs: [{prompt: x}]\n"),
    (Code.VERSION, 'version: «"1"»\ndefaults: {model: claude-new-1, max_tokens: 5}\njobs: [{prompt: x}]\n'),
    (Code.UNKNOWN_KEY, "version: 1\n«default»: {}\njobs: [{model: claude-new-1, max_tokens: 5, prompt: x}]\n"),
]  # fmt: skip


def shown_at(code: Code, text: str, name: str) -> Found:
    content, line, column, width = pointed(text)
    found = read(content, name)
    (problem,) = found.problems
    assert problem.code == code
    assert problem.where == Where(name, line, column)
    marked = problem.source[problem.mark : problem.mark + problem.width]
    wanted = content.split("\n")[line - 1][column - 1 : column - 1 + width].replace("\t", "\\x09")
    if code is Code.SECRET:
        assert marked.startswith("sk-ant-********")
        assert set(marked[7:]) == {"*"}
    elif width <= 40:
        assert marked == wanted
    else:  # shortened
        assert wanted.startswith(marked)
        assert len(marked) >= 40
    assert len(problem.source) < 120
    return found


@pytest.mark.parametrize(("code", "text"), LINES)
def test_a_mistake_in_a_line_is_one_problem_at_its_place_and_no_job(code: Code, text: str) -> None:
    assert shown_at(code, text, "jobs.jsonl").jobs == []


@pytest.mark.parametrize(("code", "text"), YAML)
def test_a_mistake_in_yaml_is_one_problem_at_its_place_and_no_job(code: Code, text: str) -> None:
    assert shown_at(code, text, "jobs.yaml").jobs == []


@pytest.mark.parametrize(("code", "text"), OUTSIDE_JOBS)
def test_a_mistake_outside_the_jobs_hides_none_of_them(code: Code, text: str) -> None:
    assert len(shown_at(code, text, "jobs.yaml").jobs) == 1


@pytest.mark.parametrize(("code", "text"), WARNINGS)
def test_a_warning_has_a_place_too_and_stands_before_the_job(code: Code, text: str) -> None:
    content, line, column, _width = pointed(text)
    found = read(content)
    assert found.keys == ["a"]
    assert [
        (problem.code, problem.where) for problem in found.problems if problem.code != "BR117" or code == "BR117"
    ] == [(code, Where("jobs.jsonl", line, column))]
    assert not found.errors


def test_every_code_of_jobs_and_of_their_grammar_has_an_example_here() -> None:
    elsewhere = {
        Code.NOT_UTF8,
        Code.LINE_TOO_LONG,
        Code.UNREADABLE,
        Code.NOT_A_FILE,
        Code.BINARY,
        Code.CHANGED_WHILE_READ,
        Code.YAML_TOO_LARGE,
        Code.INLINE_UNREADABLE,
        Code.INLINE_OUTSIDE,
        Code.INLINE_NOT_TEXT,
        Code.INLINE_TOO_LARGE,
        Code.LOST,  # of files made for other programs: test_convert.py
        Code.SAID_OTHERWISE,
        Code.CANNOT_CONVERT,
        *(Code.NOT_CSV, Code.NOT_A_ROW, Code.TABLE, Code.NO_TEMPLATE, Code.TEMPLATE, Code.DATA, Code.VARIABLES),
        *(Code.NO_COLUMN, Code.NOT_RENDERED),  # of templates and their rows: test_templated, test_rows
    }
    shown = {code for code, _text in (*LINES, *WARNINGS, *YAML, *OUTSIDE_JOBS)}
    assert shown == set(Code) - elsewhere


def test_codes_have_one_form_and_a_meaning() -> None:
    assert len({code.value for code in Code}) == len(Code.__members__)
    for code in Code:
        assert code.value.startswith("BR")
        assert len(code.value) == 5
        assert code.meaning
        assert not code.meaning.endswith(".")


def test_under_the_old_api_version_sampling_is_the_models_business() -> None:
    line = '{"id": "a", "model": "%s", "max_tokens": 5, "prompt": "x", %s}'
    assert read(line % ("claude-old-1", '"temperature": 0'), rules=OLD_API).problems == []
    assert read(line % ("claude-new-1", '"temperature": 1, "top_p": 1'), rules=OLD_API).problems == []
    assert read(line % ("claude-new-1", '"temperature": 0.5'), rules=OLD_API).codes == ["BR120"]
    assert read(line % ("claude-new-1", '"top_k": 1'), rules=OLD_API).codes == ["BR120"]
    assert read(line % ("unheard", '"top_k": 1'), rules=OLD_API).codes == ["BR117"]
