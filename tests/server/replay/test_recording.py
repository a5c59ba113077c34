"""Which queries settings may be tuned on."""

from dataclasses import replace

from server.replay.recording import held_out, is_for_tuning, tuning
from tests.server.replay.recorded import QUERIES, recording


def test_a_third_is_for_tuning_and_always_the_same_one() -> None:
    texts = [f"question {i}" for i in range(9_000)]
    assert abs(sum(map(is_for_tuning, texts)) - 3_000) < 200
    assert [text for text in ("one", "two", "three", "four", "five") if is_for_tuning(text)] == [
        "one"
    ]


def test_no_query_is_in_both_parts() -> None:
    whole = recording()
    one, other = tuning(whole), held_out(whole)
    assert {*one.requests.ids} | {*other.requests.ids} == {*whole.requests.ids}
    assert not {*one.requests.ids} & {*other.requests.ids}
    assert len(one.score) + len(other.score) == QUERIES


def test_queries_of_one_text_are_in_one_part() -> None:
    whole = recording()
    twice = replace(whole, requests=replace(whole.requests, texts=("the same",) * QUERIES))
    assert len(tuning(twice).score) in (0, QUERIES)
