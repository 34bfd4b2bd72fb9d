from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.select import Facts, Field, Selection, Term, Value, parse
from batchrun.core.states import State
from batchrun.errors import UsageError


def job(**values: Value) -> Facts:
    return {Field(name): value for name, value in values.items()}


def test_a_comma_is_and_and_a_space_is_or() -> None:
    chosen = parse("state:failed,error:overloaded* id:urgent-?")
    assert chosen.holds(job(state="failed", error="overloaded_error", id="a"))
    assert not chosen.holds(job(state="failed", error="api_error", id="a"))
    assert not chosen.holds(job(state="queued", error="overloaded_error", id="a"))
    assert chosen.holds(job(state="succeeded", error=None, id="urgent-7"))
    assert not chosen.holds(job(state="succeeded", error=None, id="urgent-77"))


def test_a_tilde_is_not() -> None:
    chosen = parse("~error:overloaded")
    assert chosen.holds(job(error="api_error"))
    assert chosen.holds(job(error=None))
    assert not chosen.holds(job(error="overloaded_error"))


def test_sent_means_whatever_may_be_at_anthropic() -> None:
    (term,) = parse("state:sent").any_of[0]
    assert set(term.globs) == {State.RUNNING, State.IN_BATCH}


def test_a_glob_of_states_stands_for_all_that_fit() -> None:
    (term,) = parse("state:*ed").any_of[0]
    assert set(term.globs) == {"queued", "blocked", "succeeded", "failed", "cancelled"}


@pytest.mark.parametrize("typed", ["error:overloaded", "error:overloaded_error"])
def test_an_error_is_found_with_and_without_its_ending(typed: str) -> None:
    assert parse(typed).holds(job(error="overloaded_error"))


def test_quotes_keep_spaces_commas_and_colons() -> None:
    assert parse('id:"a, b:c"') == Selection(((Term(Field.ID, "a, b:c"),),), 'id:"a, b:c"')
    assert parse(r'id:"say \"so\""').any_of[0][0].glob == 'say "so"'


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("stat:failed", "no such field `stat`; did you mean `state`?"),
        ("state:faild", "no such state `faild`; did you mean `failed`?"),
        ("failed", "`failed` has no field; did you mean `state:failed`?"),
        ("doc-17", "`doc-17` has no field; did you mean `id:doc-17`?"),
        ("error:", "`error:` names no value"),
        ("", "`--select` is empty"),
        ("state:failed,", "`--select state:failed,`: nothing stands on one side of a comma"),
        ("b-12", "`b-12` has no field; did you mean `batch:b-12`?"),
        ("valid:yess", "`valid:yess` is neither yes nor no; did you mean `yes`?"),
        ("attempt:two", "`attempt:two` is no number"),
        ('id:"open', '`--select id:"open`: a quote is not closed'),
    ],
)
def test_a_mistake_is_named_with_what_was_probably_meant(typed: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(typed)
    assert caught.value.message == words
    assert caught.value.hint


@given(st.text(min_size=1, max_size=20))
def test_any_id_can_be_named_in_quotes(key: str) -> None:
    if set(key) & set("*?"):
        return
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    chosen = parse(f'id:"{quoted}"')
    assert chosen.holds(job(id=key))
    assert not chosen.holds(job(id=key + "x"))


def test_of_several_tags_one_is_enough_and_with_a_tilde_none_may_fit() -> None:
    tagged = job(tag=("urgent", "night"))
    assert parse("tag:urgent").holds(tagged)
    assert parse("tag:n*,tag:urgent").holds(tagged)
    assert not parse("~tag:night").holds(tagged)
    assert parse("~tag:night").holds(job(tag=()))


def test_what_is_asked_of_answers_is_a_mistake_where_there_are_none() -> None:
    assert parse("valid:no").fields == {Field.VALID}
    with pytest.raises(UsageError, match="`valid:` is asked of answers"):
        parse("state:failed valid:no", answers=False)
