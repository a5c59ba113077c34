"""Rules that never get a request are found."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.config.match import MatchConfig
from server.config.parse import parse
from server.config.shadows import covers, shadows
from server.routing.query import Query
from server.routing.reading.facts import Facts, Readers
from server.routing.reading.keywords import Keywords
from server.routing.reading.rules import compile_rules
from server.routing.reading.structure import Structures
from tests.server.configs import plain

COVERED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"tenant": ["a", "b"]}, {"tenant": ["a"]}),
    ({"tenant": ["a"]}, {"tenant": ["a"], "user": ["u"]}),
    ({"labels": {"app": ["x", "y"]}}, {"labels": {"app": ["x"], "stage": ["live"]}}),
    ({"priority": {"min": 1}}, {"priority": {"min": 1, "max": 5}}),
    ({"structures": ["code", "json"]}, {"structures": ["code"]}),
    ({"structures": ["code", "json"]}, {"code_languages": ["python"]}),
    ({"keywords": {"any_of": ["law", "tax"]}}, {"keywords": {"any_of": ["Tax Law"]}}),
    ({"keywords": {"any_of": ["law"]}}, {"keywords": {"all_of": ["tax law", "new"]}}),
    ({"keywords": {"all_of": ["law"]}}, {"keywords": {"any_of": ["tax law", "law school"]}}),
    ({"keywords": {"none_of": ["tax law"]}}, {"keywords": {"none_of": ["tax"]}}),
    ({"tensors": {"datatypes": ["FP32"]}}, {"tensors": {"datatypes": ["FP32"], "names": ["x"]}}),
    ({"tensors": {"elements": {"min": 5}}}, {"tensors": {"elements": {"min": 6}}}),
    ({"tools": True}, {"tools": True, "messages": {"min": 2}}),
]
NOT_COVERED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"tenant": ["a"]}, {"user": ["a"]}),
    ({"labels": {"app": ["x"]}}, {"metadata": {"app": ["x"]}}),
    ({"priority": {"min": 1, "max": 5}}, {"priority": {"min": 1}}),
    ({"code_languages": ["python"]}, {"structures": ["code"]}),
    ({"keywords": {"any_of": ["law"]}}, {"keywords": {"any_of": ["law", "tax"]}}),
    ({"keywords": {"any_of": ["law"]}}, {"keywords": {"any_of": ["lawyer"]}}),
    ({"keywords": {"all_of": ["law", "tax"]}}, {"keywords": {"all_of": ["law"]}}),
    ({"keywords": {"none_of": ["tax"]}}, {"keywords": {"none_of": ["tax law"]}}),
    ({"keywords": {"none_of": ["tax"]}}, {"keywords": {"any_of": ["law"]}}),
    ({"tools": True}, {"tools": False}),
    ({"tools": False}, {"tenant": ["a"]}),
    ({"tensors": {"names": ["x"]}}, {"tenant": ["a"]}),
]


def block(match: dict[str, Any]) -> MatchConfig:
    return MatchConfig.model_validate(match)


@pytest.mark.parametrize(("wide", "narrow"), COVERED)
def test_what_matches_a_narrower_rule_matches_the_wider(
    wide: dict[str, Any], narrow: dict[str, Any]
) -> None:
    assert covers(block(wide), block(narrow))
    assert not covers(block(narrow), block(wide))


@pytest.mark.parametrize(("wide", "narrow"), NOT_COVERED)
def test_rules_that_are_only_alike_do_not_cover_each_other(
    wide: dict[str, Any], narrow: dict[str, Any]
) -> None:
    assert not covers(block(wide), block(narrow))


words = st.sampled_from(["tax", "law", "tax law", "new", "Law"])
word_lists = st.lists(words, max_size=2).map(tuple)
ranges = st.tuples(st.none() | st.integers(0, 3), st.none() | st.integers(2, 5)).map(
    lambda ends: {"min": ends[0], "max": ends[1]}
)
blocks = st.fixed_dictionaries(
    {},
    optional={
        "tenant": st.lists(st.sampled_from("ab"), min_size=1).map(tuple),
        "labels": st.dictionaries(
            st.sampled_from("kl"), st.lists(st.sampled_from("xy"), min_size=1).map(tuple)
        ),
        "priority": ranges,
        "tools": st.booleans(),
        "structures": st.lists(st.sampled_from(["code", "question"]), min_size=1).map(tuple),
        "code_languages": st.just(("python",)),
        "keywords": st.fixed_dictionaries(
            {"any_of": word_lists, "all_of": word_lists, "none_of": word_lists}
        ),
    },
).map(block)
queries = st.builds(
    Query,
    tenant=st.sampled_from(["", "a", "b"]),
    labels=st.dictionaries(st.sampled_from("kl"), st.sampled_from("xyz")),
    priority=st.integers(0, 5),
    capabilities=st.sampled_from([(), ("tools",)]),
    text=st.lists(st.sampled_from(["tax", "law", "new", "?", "in python", "."])).map(" ".join),
)


@given(wide=blocks, narrow=blocks, query=queries)
@settings(max_examples=300)
def test_what_is_said_to_be_covered_is_by_the_rules_themselves(
    wide: MatchConfig, narrow: MatchConfig, query: Query
) -> None:
    facts = Facts(query, Readers(Keywords(("tax", "law", "tax law", "new")), Structures(), None))
    if covers(wide, narrow) and compile_rules([narrow], [True])(facts):
        assert compile_rules([wide], [True])(facts)


def warnings(*matches: object, section: str = "classes") -> list[tuple[object, str]]:
    entries = [{"name": f"n{i}", "match": match} for i, match in enumerate(matches)]
    if section == "classes":
        entries.append({"name": "rest", "default": True})
    return list(shadows(parse(plain(((section,), entries), (("budgets",), [])))))


def test_a_class_after_one_that_takes_all_of_its_requests_is_named() -> None:
    assert warnings({"tenant": ["a"]}, {"tenant": ["a"], "user": ["u"]}) == [
        (
            ("classes", 1, "match"),
            "never gets a request: class 'n0' comes before it and takes all that it would; "
            "move it before 'n0'",
        )
    ]


def test_two_classes_with_the_same_rule_are_named() -> None:
    assert warnings({"tenant": ["a"]}, {"user": ["u"]}, {"tenant": ["a"]}) == [
        (
            ("classes", 2, "match"),
            "never gets a request: class 'n0' has the same rule and comes before it",
        )
    ]


def test_a_block_that_adds_nothing_to_its_rule_is_named() -> None:
    assert warnings([{"tenant": ["a"]}, {"tenant": ["a"], "user": ["u"]}]) == [
        (
            ("classes", 0, "match", 1),
            "adds nothing: another block of this rule matches all that it would",
        )
    ]


def test_domains_are_looked_at_as_classes_are() -> None:
    found = warnings({"tenant": ["a"]}, {"tenant": ["a"]}, section="domains")
    assert [at for at, _ in found] == [("domains", 1, "match")]


def test_the_narrower_rule_before_the_wider_is_as_it_should_be() -> None:
    assert warnings({"tenant": ["a"], "user": ["u"]}, {"tenant": ["a"]}) == []


def test_classes_without_a_rule_are_left_alone() -> None:
    assert warnings(None, None, {"tenant": ["a"]}) == []
