"""Why a request is read as it is."""

import pytest

from server.config.classes import ClassConfig, DomainConfig
from server.config.match import KeywordsConfig, MatchConfig, RangeConfig
from server.config.schema import Config
from server.routing.catalog import compile_catalog
from server.routing.errors import UnknownClass
from server.routing.query import Query
from server.routing.reading.classifier import Classifier
from server.routing.reading.explain import Condition, Explanation, Tried, explain
from tests.server.routing.configs import config

GIVEN = config(
    classes=(
        ClassConfig(name="vip", match=MatchConfig(tenant=("acme",), tools=True)),
        ClassConfig(
            name="legal",
            match=(MatchConfig(domains=("law",)), MatchConfig(priority=RangeConfig(min=5))),
        ),
        ClassConfig(name="rest", default=True),
    ),
    domains=(
        DomainConfig(
            name="law", match=MatchConfig(keywords=KeywordsConfig(any_of=("tax law", "clause")))
        ),
    ),
)


def explained(query: Query, given: Config = GIVEN) -> Explanation:
    classifier = Classifier(given, compile_catalog(given))
    return explain(classifier, query, classes=given.classes, domains=given.domains)


def test_the_reading_is_the_one_that_the_classifier_makes() -> None:
    query = Query(text="Is this clause valid?")
    assert explained(query).reading == Classifier(GIVEN, compile_catalog(GIVEN)).read(query)


def test_what_was_seen_is_told_though_no_rule_asks_for_it() -> None:
    found = explained(Query(text="Is this clause of the tax law valid?"))
    assert found.structure.names == ("question",)
    assert found.writing == ("latin", "en")
    assert found.keywords == ("clause", "tax law")
    assert (found.guess, found.weighed) == (None, ())


def test_every_rule_is_told_with_what_held_of_it_and_what_did_not() -> None:
    found = explained(Query(text="this clause", tenant="acme"))
    keywords = Condition("keywords any of tax law or clause", True)
    assert found.domains == (Tried("law", None, (keywords,)),)
    assert found.classes == (
        Tried("vip", None, (Condition("tenant acme", True), Condition("tools offered", False))),
        Tried("legal", 0, (Condition("domains law", True),)),
        Tried("legal", 1, (Condition("priority from 5", False),)),
    )
    assert [tried.matches for tried in found.classes] == [False, True, False]


def test_what_cannot_be_read_is_refused_as_it_is_in_service() -> None:
    with pytest.raises(UnknownClass):
        explained(Query(traffic_class="nothing"))


def test_the_reason_names_the_rule_and_what_it_asked_for() -> None:
    assert explained(Query(text="this clause")).reading.why == (
        "rule legal matched (domains law); domain law (keywords any of tax law or clause); "
    )
    assert explained(Query(text="nothing")).reading.why == ""


@pytest.mark.parametrize(
    ("match", "words"),
    [
        (MatchConfig(tenant=("a", "b", "c")), "tenant a or b or c"),
        (MatchConfig(tenant=("a", "b", "c", "d", "e")), "tenant a, b and 3 more"),
        (MatchConfig(labels={"app": ("x",), "stage": ("y",)}), "labels app or stage"),
        (MatchConfig(tools=False), "tools not offered"),
        (MatchConfig(priority=RangeConfig(min=1, max=2)), "priority 1 to 2"),
        (MatchConfig(priority=RangeConfig(max=2)), "priority to 2"),
        (
            MatchConfig(tenant=("a",), user=("b",), tools=True, languages=("de",)),
            "tenant a, user b, tools offered and 1 more",
        ),
        (MatchConfig(tenant=(50 * "x",)), f"tenant {40 * 'x'}..."),
    ],
)
def test_a_rule_is_said_in_few_words(match: MatchConfig, words: str) -> None:
    classes = (
        ClassConfig(name="c", match=(match, MatchConfig())),
        ClassConfig(name="rest", default=True),
    )
    given = config(classes=classes)
    query = Query(
        tenant=(match.tenant or ("",))[0],
        user="b",
        labels={key: values[0] for key, values in match.labels.items()},
        capabilities=("tools",) if match.tools else (),
        priority=2,
        text="das ist nicht gut",
    )
    assert explained(query, given).reading.why == f"rule c matched ({words}); "
