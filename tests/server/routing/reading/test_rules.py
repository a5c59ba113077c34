"""Rules as they are compiled: the first that matches, whatever is asked together."""

import gc
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.config.match import MatchConfig, RangeConfig
from server.routing.query import Query, Tensor
from server.routing.reading.facts import Facts, Readers
from server.routing.reading.keywords import Keywords
from server.routing.reading.rules import compile_rules
from server.routing.reading.structure import Structures

CODE = "Write a python function that adds two numbers:\ndef add(a, b):\n    return a + b"
IMAGE = (Tensor("page", "UINT8", 1_000), Tensor("id", "INT64", 1))


def facts(query: Query, *keywords: str, domain: str = "other") -> Facts:
    known = Facts(query, Readers(Keywords(keywords), Structures(), None))
    known.domain = domain
    return known


def first(rules: Sequence[MatchConfig], known: Facts) -> int | None:
    return compile_rules(rules, range(len(rules)))(known)


def rule(**match: Any) -> MatchConfig:
    return MatchConfig.model_validate(match)


def tensors(*heads: Tensor) -> Query:
    return Query(tensors=lambda: heads)


RULES: list[tuple[dict[str, Any], Query, bool]] = [
    ({"tools": True}, Query(capabilities=("images", "tools")), True),
    ({"tools": True}, Query(), False),
    ({"tools": False}, Query(), True),
    ({"tools": False}, Query(capabilities=("tools",)), False),
    ({"messages": {"min": 2}}, Query(messages=2), True),
    ({"messages": {"min": 2}}, Query(messages=1), False),
    ({"messages": {"max": 0}}, Query(), True),
    ({"structures": ("code", "json")}, Query(text=CODE), True),
    ({"structures": ("table",)}, Query(text=CODE), False),
    ({"structures": ("code",)}, Query(), False),
    ({"code_languages": ("python",)}, Query(text=CODE), True),
    ({"code_languages": ("go", "rust")}, Query(text=CODE), False),
    ({"code_languages": ("python",), "structures": ("instruction",)}, Query(text=CODE), True),
    ({"languages": ("en",)}, Query(text="what is the capital of this country"), True),
    ({"languages": ("de",)}, Query(text="what is the capital of this country"), False),
    ({"scripts": ("cyrillic",)}, Query(text="привет"), True),
    ({"scripts": ("latin",)}, Query(text="привет"), False),
    ({"tensors": {"names": ("page",)}}, tensors(*IMAGE), True),
    ({"tensors": {"names": ("text",)}}, tensors(*IMAGE), False),
    ({"tensors": {"datatypes": ("FP32", "INT64")}}, tensors(*IMAGE), True),
    ({"tensors": {"datatypes": ("FP32",)}}, tensors(*IMAGE), False),
    ({"tensors": {"elements": {"min": 1_001, "max": 1_001}}}, tensors(*IMAGE), True),
    ({"tensors": {"elements": {"max": 1_000}}}, tensors(*IMAGE), False),
    ({"tensors": {"names": ("page",), "datatypes": ("FP32",)}}, tensors(*IMAGE), False),
    ({"tensors": {"names": ("page",)}}, Query(), False),
    ({"domains": ("law", "other")}, Query(), True),
    ({"domains": ("law",)}, Query(), False),
    ({"intents": ("refund",)}, Query(text="give me my money back"), False),
]


@pytest.mark.parametrize(("match", "query", "matches"), RULES)
def test_a_rule_matches_where_every_key_of_it_does(
    match: dict[str, Any], query: Query, matches: bool
) -> None:
    assert (first([rule(**match)], facts(query)) == 0) is matches


def test_no_rule_matches_nothing() -> None:
    assert first([], facts(Query())) is None


def test_a_rule_that_asks_for_nothing_matches_everything() -> None:
    assert first([rule(tenant=("a",)), MatchConfig()], facts(Query())) == 1


def test_the_first_of_several_that_match_is_taken() -> None:
    rules = [rule(tenant=("b",)), rule(structures=("code",)), rule(tenant=("a",))]
    assert first(rules, facts(Query(tenant="a", text=CODE))) == 1


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 1_000, 16_000])
def test_as_many_rules_as_there_are_keep_their_order(count: int) -> None:
    rules = [rule(tenant=(f"t{i}", "all"), user=(f"u{i}",)) for i in range(count)]
    last = count - 1
    assert first(rules, facts(Query(tenant="all", user=f"u{last}"))) == last
    assert first(rules, facts(Query(tenant=f"t{last}", user=f"u{last}"))) == last
    assert first(rules, facts(Query(tenant="all", user="nobody"))) is None


def test_thousands_of_labels_can_be_asked_for() -> None:
    rules = [rule(labels={f"n{i}": ("yes",)}) for i in range(4_000)]
    assert first(rules, facts(Query(labels={"n3999": "yes"}))) == 3_999


def test_thousands_of_ranges_can_be_asked_for() -> None:
    count = 4_000
    rules = [rule(input_tokens={"min": 2 * i, "max": 2 * i + 2}) for i in range(count)]
    find = compile_rules(rules, range(count))
    asked = (0, 1, 2, 3, count, 2 * count, 2 * count + 1)
    found = [find(facts(Query(input_tokens=tokens))) for tokens in asked]
    assert found == [0, 0, 0, 1, count // 2 - 1, count - 1, None]


def test_what_a_rule_asks_for_is_never_taken_for_code() -> None:
    odd = "'){}\"\n\\"
    asked = rule(labels={odd: (odd,)}, tenant=(odd,), tensors={"names": (odd,)})
    query = Query(labels={odd: odd}, tenant=odd, tensors=lambda: (Tensor(odd, "INT64", 1),))
    assert first([asked], facts(query)) == 0
    assert first([asked], facts(Query(labels={odd: ""}, tenant=odd))) is None


class Unread(Exception):
    """What must not be looked at was."""


class Unreadable(dict[str, str]):
    def get(self, *_: object) -> str:
        raise Unread


def unreadable() -> tuple[Tensor, ...]:
    raise Unread


def test_what_no_rule_that_is_left_asks_for_is_not_read() -> None:
    rules = [rule(tenant=("b",), tensors={"names": ("x",)}), rule(user=("u",))]
    assert first(rules, facts(Query(user="u", tensors=unreadable))) == 1


def test_labels_are_not_looked_up_for_rules_that_are_refused_already() -> None:
    rules = [rule(tenant=("b",), labels={"app": ("x",)}), rule(user=("u",))]
    assert first(rules, facts(Query(user="u", labels=Unreadable()))) == 1


def test_rules_are_let_go_with_the_last_that_holds_them() -> None:
    compiled = compile_rules([rule(tenant=("a",))], [True])
    held = weakref.ref(compiled)
    gc.disable()
    del compiled
    gc.enable()
    assert held() is None


def test_what_only_later_rules_ask_for_is_not_read_once_one_is_sure() -> None:
    rules = [rule(tenant=("a",)), rule(tensors={"names": ("x",)})]
    assert first(rules, facts(Query(tenant="a", tensors=unreadable))) == 0


def test_what_an_earlier_rule_asks_for_is_read() -> None:
    rules = [rule(tensors={"names": ("x",)}), rule(tenant=("a",))]
    with pytest.raises(Unread):
        first(rules, facts(Query(tenant="a", tensors=unreadable)))


WORDS = ("tax", "law", "tax law", "art")
word_lists = st.lists(st.sampled_from(WORDS), max_size=2).map(tuple)
numbers = st.integers(-2, 4)
ranges = st.fixed_dictionaries({}, optional={"min": numbers, "max": numbers})
value_lists = st.lists(st.sampled_from("abc"), min_size=1, max_size=2).map(tuple)
entries = st.dictionaries(st.sampled_from("kl"), value_lists, max_size=2)
matches = st.fixed_dictionaries(
    {},
    optional={
        "tenant": value_lists,
        "user": value_lists,
        "response_format": value_lists,
        "labels": entries,
        "metadata": entries,
        "priority": ranges,
        "input_tokens": ranges,
        "messages": ranges,
        "tools": st.booleans(),
        "domains": value_lists,
        "keywords": st.fixed_dictionaries(
            {"any_of": word_lists, "all_of": word_lists, "none_of": word_lists}
        ),
    },
).map(MatchConfig.model_validate)
values = st.sampled_from(["", "a", "b"])
had = st.dictionaries(st.sampled_from("klm"), values, max_size=3)
queries = st.builds(
    Query,
    tenant=values,
    user=values,
    response_format=values,
    labels=had,
    metadata=had,
    priority=numbers,
    input_tokens=st.integers(0, 4),
    messages=st.integers(0, 4),
    capabilities=st.sampled_from([(), ("tools",)]),
    text=st.lists(st.sampled_from(["tax", "law", "art", "x"])).map(" ".join),
)


@given(st.lists(matches, max_size=12), queries, values)
@settings(max_examples=300)
def test_rules_asked_together_answer_as_each_by_itself(
    rules: list[MatchConfig], query: Query, domain: str
) -> None:
    known = facts(query, *WORDS, domain=domain)
    expected = next((i for i, each in enumerate(rules) if holds(each, query, domain)), None)
    assert first(rules, known) == expected


def holds(match: MatchConfig, query: Query, domain: str) -> bool:
    """Said a second time, one key after the other."""
    text = f" {query.text} "
    found = {word for word in WORDS if f" {word} " in text}
    words = match.keywords
    return (
        one_of(query.tenant, match.tenant)
        and one_of(query.user, match.user)
        and one_of(query.response_format, match.response_format)
        and all(query.labels.get(key) in values for key, values in match.labels.items())
        and all(query.metadata.get(key) in values for key, values in match.metadata.items())
        and within(query.priority, match.priority)
        and within(query.input_tokens or 0, match.input_tokens)
        and within(query.messages, match.messages)
        and match.tools in (None, "tools" in query.capabilities)
        and one_of(domain, match.domains)
        and (words is None or not words.any_of or bool(found & set(words.any_of)))
        and (words is None or found >= set(words.all_of))
        and (words is None or not found & set(words.none_of))
    )


def one_of(value: str, values: tuple[str, ...]) -> bool:
    return not values or value in values


def within(number: int, bounds: RangeConfig | None) -> bool:
    low = None if bounds is None else bounds.min
    high = None if bounds is None else bounds.max
    return (low is None or number >= low) and (high is None or number <= high)
