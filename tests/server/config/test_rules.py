"""Rules that say nothing, or that no request could match, are mistakes."""

from typing import Any

import pytest

from server.config.as_json import from_json, to_json
from server.config.diagnostics import ConfigError
from server.config.match import ALTERNATIVES_MAX, SCRIPT_OF, MatchConfig, alternatives
from server.config.parse import parse
from server.config.rules import unknown_names
from tests.server.configs import plain

AT: tuple[str | int, ...] = ("classes", 0, "match")


def problems(match: object, *changes: tuple[tuple[str | int, ...], object]) -> list[str]:
    try:
        parse(plain((AT, match), *changes))
    except ConfigError as error:
        return [str(problem) for problem in error.diagnostics]
    return []


MISTAKES: list[tuple[object, str]] = [
    ([], "classes[0].match: lists no block: give one, or leave match out"),
    ([{}], "classes[0].match[0]: has no rule, so it would match every request"),
    ([{"tenant": ["a"]}, {"flor": 1}], "classes[0].match[1].flor: unknown key 'flor'"),
    ([{"labels": {"app": "x"}}], "classes[0].match[0].labels.app: must be a list, not 'x'"),
    (["x"], "classes[0].match[0]: must be a mapping of keys to values, not 'x'"),
    ("x", "classes[0].match: must be a mapping of keys to values, not 'x'"),
    ((ALTERNATIVES_MAX + 1) * [{"tenant": ["a"]}], "classes[0].match: must have at most 32 entr"),
    ({"languages": ["xx"]}, "classes[0].match.languages[0]: must be 'en', 'de', "),
    ({"structures": ["prose"]}, "classes[0].match.structures[0]: must be 'json', 'code', "),
    ({"tools": "yes"}, "classes[0].match.tools: must be true or false, not 'yes'"),
    ({"messages": {}}, "classes[0].match.messages: gives neither min nor max"),
    ({"messages": {"max": -1}}, "classes[0].match.messages: nothing is at most -1: max must be"),
    ({"input_tokens": {"max": -5}}, "classes[0].match.input_tokens: nothing is at most -5"),
    ({"tensors": {}}, "classes[0].match.tensors: says nothing of them: give names, datatypes or"),
    ({"tensors": {"elements": {"min": 2, "max": 1}}}, "classes[0].match.tensors.elements: nothing"),
    (
        {"languages": ["en", "ru"], "scripts": ["latin"]},
        "classes[0].match.languages[1]: 'ru' is written in cyrillic, which scripts leaves out",
    ),
    (
        {"keywords": {"all_of": ["Tax"], "none_of": ["tax"]}},
        "classes[0].match.keywords.all_of[0]: 'Tax' can never count, for none_of has 'tax'",
    ),
    (
        {"keywords": {"any_of": ["law", "tax law"], "none_of": ["Tax"]}},
        "classes[0].match.keywords.any_of[1]: 'tax law' can never count, for none_of has 'tax'",
    ),
    ({"intents": ["refund"]}, "classes[0].match.intents: only a classifier of intents knows th"),
    ({"domains": ["law"]}, "classes[0].match.domains[0]: no domain is named 'law': known are oth"),
]


@pytest.mark.parametrize(("match", "message"), MISTAKES)
def test_a_mistake_in_a_rule_is_named_with_its_place(match: object, message: str) -> None:
    found = problems(match)
    assert [problem for problem in found if problem.startswith(message)], found


ACCEPTED: list[object] = [
    {"keywords": {"any_of": ["taxes"], "none_of": ["tax"]}},
    {"keywords": {"all_of": ["tax"], "none_of": ["tax law"]}},
    {"languages": ["en"], "scripts": ["latin", "greek"]},
    {"domains": ["other"]},
    {"priority": {"max": -1}},
    {"messages": {"max": 0}},
    {"tools": False},
    ALTERNATIVES_MAX * [{"tenant": ["a"]}],
]


@pytest.mark.parametrize("match", ACCEPTED)
def test_a_rule_that_some_request_matches_is_accepted(match: object) -> None:
    assert problems(match) == []


def test_a_domain_that_is_configured_can_be_asked_for() -> None:
    assert problems({"domains": ["law"]}, (("domains",), [{"name": "law"}])) == []


def test_what_a_classifier_has_learned_can_be_asked_for() -> None:
    match = {"domains": ["banking"], "intents": ["refund"]}
    assert problems(match, (("classifier",), {"file": "classifier.bin"})) == []


def test_what_a_classifier_has_not_learned_is_named() -> None:
    match = {"domains": ["banking", "law"], "intents": ["refunt"]}
    config = parse(plain((AT, match), (("classifier",), {"file": "classifier.bin"})))
    assert list(unknown_names(config, ("banking",), ("refund",))) == [
        ((*AT, "domains", 1), "no domain is named 'law': known are banking, other"),
        ((*AT, "intents", 0), "no intent is named 'refunt': did you mean 'refund'?"),
    ]


def test_a_domain_is_not_decided_by_domains() -> None:
    domain = {"name": "law", "match": {"domains": ["other"]}}
    found = problems({"tenant": ["a"]}, (("domains",), [domain]))
    assert found == [
        "domains[0].match.domains: a domain's rule decides the domain: leave it out",
    ]


def test_one_block_and_a_list_of_one_are_the_same_rule() -> None:
    block: Any = {"tenant": ["a"]}
    one, several = (parse(plain((AT, match))).classes[0].match for match in (block, [block]))
    assert alternatives(one) == alternatives(several) == (MatchConfig(tenant=("a",)),)
    assert alternatives(None) == ()


@pytest.mark.parametrize("match", [{"tenant": ["a"]}, [{"tenant": ["a"]}, {"tools": True}], None])
def test_either_form_of_a_rule_travels_to_workers_as_it_was(match: object) -> None:
    config = parse(plain((AT, match)))
    assert from_json(to_json(config)) == config


def test_every_language_has_a_script() -> None:
    languages = MatchConfig.model_json_schema()["properties"]["languages"]["items"]["enum"]
    assert sorted(SCRIPT_OF) == sorted(languages)
