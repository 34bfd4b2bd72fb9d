"""What a template can say, and where it is stopped."""

from __future__ import annotations

from typing import Any

import pytest

from batchrun.jobfile.sandbox import Sandbox
from batchrun.jobfile.template import Malformed, Template, Unrendered

VALUES: dict[str, Any] = {"a": "text", "none": None, "yes": True, "d": {"k": [1, 2.5], "items": "mine"}, "n": 7}


def said(text: str) -> Any:
    return Template({"x": text + "."}, Sandbox()).render(VALUES)["x"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{ a }} {{ none }} {{ yes }} {{ d.k }}", "text  true [1,2.5]"),
        ("{{ d.items }} {{ d['k'][0] }}", "mine 1"),
        ("{% for k in d.k %}{{ loop.index }}:{{ k }} {% endfor %}", "1:1 2:2.5 "),
        ("{% if n > 5 %}big{% else %}small{% endif %}", "big"),
        ("{{ nothing | default('x') }} {{ 'yes' if nothing is defined else 'no' }}", "x no"),
        ("{{ '%.2f' | format(n) }} {{ a | upper | replace('T', 't') }}", "7.00 tEXt"),
        ("{{ a ~ '-' ~ n }} {{ [1, 2] | join(', ') }} {{ a.replace('t', '') }}", "text-7 1, 2 ex"),
        ("{% set b = a | title %}{{ b }}", "Text"),
        ("{{ d | tojson }}{# a note #}", '{"k":[1,2.5],"items":"mine"}'),
        ("{% raw %}{{ a }}{% endraw %}", "{{ a }}"),
        ("one\n{% for k in d.k %}\n{{ k }}\n{% endfor %}\ntwo\n", "one\n1\n2.5\ntwo\n"),
        ("{{ 'ab' | indent(2, true) }}|{{ 'x' | center(3) }}", "  ab| x "),
    ],
)
def test_a_template_says(text: str, wanted: str) -> None:
    assert said(text) == wanted + "."


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10**9 }}",
        "{{ [1] * 10**9 }}",
        "{{ 10 ** (10 ** 10) }}",
        "{{ n ** 99999999 }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(10000) %}" + "x" * 9999 + "{% endfor %}",
        "{{ a | center(10**9) }}",
        "{{ a.ljust(10**9) }}",
        "{{ a | indent(10**9) }}",
        "{{ '%9999999d' | format(1) }}",
        "{{ '%9999999d' % 1 }}",
        "{{ '%*d' % (99999999, 1) }}",
        "{% set b = a * 99999 %}{{ b | replace('t', b) }}",
        "{% set b = a * 99999 %}{{ b.replace('t', b) }}",
        "{% set b = a * 999999 %}{{ b ~ b ~ b ~ b ~ b ~ b ~ b ~ b ~ b ~ b }}",
        "{% set b = [a * 999999] * 20 %}{{ b | join }}",
        "{% set b = [a * 999999] * 20 %}{{ ''.join(b) }}",
        "{{ range(10**9) }}",
        "{{ '{:99999999}'.format(1) }}",
        "{{ a.__class__.__mro__ }}",
        "{{ a.upper }}",
        "{{ d.k.append(1) }}",
        "{{ nothing.at.all }}",
        "{{ lipsum() }}",
    ],
)
def test_what_goes_too_far_gives_nothing_and_soon(text: str) -> None:
    with pytest.raises(Unrendered):
        said(text)


@pytest.mark.parametrize(
    "text",
    [
        "{% macro f() %}{% endmacro %}",
        "{% import 'x' as y %}",
        "{% include '/etc/passwd' %}",
        "{% extends 'x' %}",
        "{% block b %}{% endblock %}",
        "{% for k in d recursive %}{{ loop(d) }}{% endfor %}",
        "{% set d.k = 1 %}",
        "{{ a | random }}",
        "{{ " + "(" * 5000,
        "{{ a",
        "{% if %}",
    ],
)
def test_what_no_template_of_jobs_may_hold_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        said(text)
