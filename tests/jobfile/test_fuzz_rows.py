"""Whatever stands in a table or a template: jobs, or problems with a place, and never a traceback."""

from __future__ import annotations

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.core.job import Job
from batchrun.jobfile.given import Given
from batchrun.jobfile.reading import Reading
from batchrun.jobfile.sandbox import Sandbox
from batchrun.jobfile.source import Source
from batchrun.jobfile.template import Malformed, Template, Unrendered
from tests.examples import examples
from tests.jobfile.desk import RULES

FLAGS = {"id": "{{ a }}", "model": "claude-new-1", "max_tokens": 5, "prompt": "{{ b }} and {{ a }}"}
PIECES = [
    "a",
    "b",
    ",",
    ";",
    "\t",
    "\n",
    "\r\n",
    "\r",
    '"',
    '""',
    "\0",
    "x y",
    "é",
    "\u2028",
    "7",
    "{",
    "}",
    "[",
    "]",
    '{"a": 1, "b": "x"}',
    ":",
    "\ufeff",
    "\\",
    "sk-ant-x",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
NAMES = st.sampled_from(["rows.csv", "rows.tsv", "rows.jsonl", "rows.json", "-"])
MARKS = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    " a ",
    " b",
    "|",
    "upper",
    "for i in ",
    "endfor",
    "if ",
    "endif",
    "range(9)",
    "(",
    ")",
    "~",
    "*",
    "'x'",
    "1",
    ".",
    "[0]",
    "set c = ",
    "row",
    "\n",
    "-",
]


@settings(max_examples=examples(200))
@given(text=TEXTS, header=st.sampled_from(["a,b\n", "a;b\n", "", '[{"a": 1, "b": 2},']), name=NAMES)
def test_any_table_gives_jobs_or_problems_with_a_place(text: str, header: str, name: str) -> None:
    raw = (header + text).encode()
    keys = []
    for item in Reading([Source(name, io.BytesIO(raw))], RULES, Given(template=FLAGS)):
        if isinstance(item, Job):
            keys.append(item.key)
            assert "sk-ant-x" not in item.request.own
        else:
            assert item.where is not None
            assert 1 <= item.where.line <= raw.count(b"\n") + raw.count(b"\r") + 1
            assert "sk-ant-x" not in item.source + item.message


@settings(max_examples=examples(200))
@given(text=st.lists(st.sampled_from(MARKS), max_size=14).map("".join))
def test_any_template_is_malformed_or_renders_or_says_why_not(text: str) -> None:
    try:
        template = Template({"prompt": text}, Sandbox())
    except Malformed:
        return
    values = {"a": "x", "b": [1, 2], "row": {}}
    try:
        first = template.render(values)
    except Unrendered:
        return
    assert template.render(values) == first
    assert values == {"a": "x", "b": [1, 2], "row": {}}


@settings(max_examples=examples(100))
@given(
    text=st.lists(st.sampled_from([*PIECES, "[", "{", '"requests"', '"custom_id"', "null", "5"]), max_size=12).map(
        "".join
    )
)
def test_any_list_gives_problems_and_no_traceback(text: str) -> None:
    for lead in ("[", '{"requests": ['):
        for item in Reading([Source("jobs.json", io.BytesIO((lead + text).encode()))], RULES):
            assert not isinstance(item, Job)
