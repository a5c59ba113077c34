"""The learned classifier among the rules: what it is asked for, and what goes before it."""

import pytest

from server.config.classes import ClassConfig, DomainConfig
from server.config.match import KeywordsConfig, MatchConfig
from server.routing.catalog import compile_catalog
from server.routing.errors import UnknownDomain
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.query import Query
from server.routing.reading.classifier import Classifier, Reading
from server.routing.reading.explain import explain
from tests.server.routing.configs import config
from tests.server.routing.learned_classifier.made import contents

MODEL = LearnedClassifier(
    contents(
        intents=("refund", "balance"),
        domains=("shop", "bank"),
        words={"money": (0.0, 3.0), "back": (6.0, 0.0), "account": (0.0, 6.0)},
        threshold=0.6,
    )
)
GIVEN = config(
    classes=(
        ClassConfig(name="refunds", match=MatchConfig(intents=("refund",))),
        ClassConfig(name="banking", match=MatchConfig(domains=("bank",))),
        ClassConfig(name="rest", default=True),
    ),
    domains=(
        DomainConfig(name="law", match=MatchConfig(keywords=KeywordsConfig(any_of=("clause",)))),
    ),
)
CLASSIFIER = Classifier(GIVEN, compile_catalog(GIVEN), MODEL)


def read(text: str = "", domain: str = "") -> Reading:
    return CLASSIFIER.read(Query(text=text, domain=domain))


@pytest.mark.parametrize(
    ("text", "domain", "intent", "traffic_class"),
    [
        ("back", "shop", "refund", "refunds"),
        ("my account", "bank", "balance", "banking"),
        ("nothing it knows", "other", "", "rest"),
        ("", "other", "", "rest"),
    ],
)
def test_domain_and_intent_are_learned_and_rules_can_ask_for_them(
    text: str, domain: str, intent: str, traffic_class: str
) -> None:
    reading = read(text)
    assert (reading.cell.domain, reading.intent) == (domain, intent)
    assert reading.cell.traffic_class == traffic_class


def test_a_rule_for_the_domain_goes_before_what_is_learned() -> None:
    reading = read("the clause on my account")
    assert (reading.cell.domain, reading.cell.traffic_class) == ("law", "rest")


def test_a_stated_domain_goes_before_both() -> None:
    assert read("the clause on my account", domain="shop").cell.domain == "shop"
    assert read("my account", domain="other").cell.domain == "other"


def test_a_domain_that_is_only_learned_can_be_stated_and_no_other() -> None:
    assert read(domain="bank").cell.domain == "bank"
    with pytest.raises(UnknownDomain):
        read(domain="music")


def test_the_reason_says_how_sure_the_classifier_is() -> None:
    assert read("my account").why == "rule banking matched (domains bank); domain bank 1.00; "
    assert read("nothing it knows").why == "domain other 0.50; "


def test_the_words_that_weighed_are_told() -> None:
    found = explain(
        CLASSIFIER, Query(text="my money back"), classes=GIVEN.classes, domains=GIVEN.domains
    )
    assert found.guess is not None
    assert found.guess.domain == "shop"
    assert found.weighed[0].words == "back"
