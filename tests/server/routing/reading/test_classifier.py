"""The reading of a request: class, domain, size and payer, and what made the class."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from server.config.budgets import BudgetConfig, ScopeConfig
from server.config.classes import ClassConfig, DomainConfig
from server.config.match import KeywordsConfig, MatchConfig, RangeConfig
from server.config.schema import Config
from server.routing.catalog import Cell, PayloadKind, compile_catalog
from server.routing.errors import NoClass, UnknownClass, UnknownDomain
from server.routing.query import Query
from server.routing.reading.classifier import Classifier
from server.routing.reading.content import READ_CHARS
from server.routing.reading.token_estimate import estimate_tokens
from tests.server.routing.configs import config


def classifier(given: Config) -> Classifier:
    return Classifier(given, compile_catalog(given))


def of_rule(default: bool = True, **match: Any) -> Classifier:
    """One class with this rule, before another that takes the rest."""
    ruled = ClassConfig(name="ruled", match=MatchConfig.model_validate(match))
    return classifier(config(classes=(ruled, ClassConfig(name="rest", default=default))))


def keyword(*words: str) -> Classifier:
    return of_rule(keywords=KeywordsConfig(any_of=words))


def is_ruled(reader: Classifier, query: Query) -> bool:
    return reader.read(query).cell.traffic_class == "ruled"


def finds(word: str, text: str) -> bool:
    return is_ruled(keyword(word), Query(text=text))


RULES: list[tuple[dict[str, Any], Query, bool]] = [
    ({"tenant": ("a", "b")}, Query(tenant="b"), True),
    ({"tenant": ("a", "b")}, Query(tenant="c"), False),
    ({"tenant": ("a",)}, Query(), False),
    ({"user": ("u",)}, Query(user="u"), True),
    ({"user": ("u",)}, Query(tenant="u"), False),
    ({"response_format": ("json",)}, Query(response_format="json"), True),
    ({"response_format": ("json",)}, Query(response_format="JSON"), False),
    ({"labels": {"app": ("x", "y")}}, Query(labels={"app": "y", "more": "z"}), True),
    ({"labels": {"app": ("x",)}}, Query(labels={"app": "y"}), False),
    ({"labels": {"app": ("x",)}}, Query(labels={"other": "x"}), False),
    ({"labels": {"a": ("1",), "b": ("2",)}}, Query(labels={"a": "1", "b": "2"}), True),
    ({"labels": {"a": ("1",), "b": ("2",)}}, Query(labels={"a": "1"}), False),
    ({"metadata": {"x-team": ("blue",)}}, Query(metadata={"x-team": "blue"}), True),
    ({"metadata": {"x-team": ("blue",)}}, Query(labels={"x-team": "blue"}), False),
    ({"priority": RangeConfig(min=3)}, Query(priority=3), True),
    ({"priority": RangeConfig(min=3)}, Query(priority=2), False),
    ({"priority": RangeConfig(max=0)}, Query(), True),
    ({"priority": RangeConfig(max=-1)}, Query(), False),
    ({"input_tokens": RangeConfig(min=2, max=4)}, Query(input_tokens=1), False),
    ({"input_tokens": RangeConfig(min=2, max=4)}, Query(input_tokens=2), True),
    ({"input_tokens": RangeConfig(min=2, max=4)}, Query(input_tokens=4), True),
    ({"input_tokens": RangeConfig(min=2, max=4)}, Query(input_tokens=5), False),
    ({"input_tokens": RangeConfig(min=2, max=4)}, Query(text="to be or not"), True),
    ({"input_tokens": RangeConfig(min=2, max=4)}, Query(text="to be or not " * 9), False),
    ({"keywords": {"any_of": ("tax", "law")}}, Query(text="the law"), True),
    ({"keywords": {"any_of": ("tax", "law")}}, Query(text="the art"), False),
    ({"keywords": {"all_of": ("tax", "law")}}, Query(text="law of tax"), True),
    ({"keywords": {"all_of": ("tax", "law")}}, Query(text="law of art"), False),
    ({"keywords": {"none_of": ("tax",)}}, Query(text="the law"), True),
    ({"keywords": {"none_of": ("tax",)}}, Query(text="the tax"), False),
    ({"keywords": {"none_of": ("tax",)}}, Query(), True),
    ({"keywords": {"any_of": ("law",), "none_of": ("tax",)}}, Query(text="tax law"), False),
    ({"tenant": ("a",), "priority": RangeConfig(min=1)}, Query(tenant="a", priority=1), True),
    ({"tenant": ("a",), "priority": RangeConfig(min=1)}, Query(tenant="a"), False),
]


@pytest.mark.parametrize(("match", "query", "matches"), RULES)
def test_a_rule_matches_where_every_key_of_it_does(
    match: dict[str, Any], query: Query, matches: bool
) -> None:
    assert is_ruled(of_rule(**match), query) is matches


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=3),
    st.lists(st.integers(1, 20), min_size=1, max_size=3, unique=True).map(sorted),
    st.integers(0, 25),
    st.integers(0, 25),
)
def test_what_is_in_one_range_of_tokens_is_read_alike(
    rules: list[tuple[int, int]], sizes: list[int], one: int, other: int
) -> None:
    classes = tuple(
        ClassConfig(
            name=f"c{number}",
            match=MatchConfig(input_tokens=RangeConfig(min=min(ends), max=max(ends))),
        )
        for number, ends in enumerate(rules)
    )
    rest = ClassConfig(name="rest", default=True)
    reader = classifier(config(classes=(*classes, rest), size_buckets_tokens=tuple(sizes)))
    if reader.token_range(one) == reader.token_range(other):
        first, second = (reader.read(Query(input_tokens=tokens)) for tokens in (one, other))
        assert first._replace(input_tokens=other) == second


def test_tokens_that_nothing_tells_apart_are_of_one_range() -> None:
    reader = of_rule(input_tokens=RangeConfig(min=50))
    assert len({reader.token_range(tokens) for tokens in range(50)}) == 1
    assert reader.token_range(49) != reader.token_range(50)


def test_the_first_class_whose_rule_matches_is_taken_and_named_as_the_reason() -> None:
    names = "first", "second"
    reader = classifier(
        config(
            classes=tuple(
                ClassConfig(name=name, match=MatchConfig(tenant=("a",)), default=name == "second")
                for name in names
            )
        )
    )
    reading = reader.read(Query(tenant="a"))
    assert (reading.cell.traffic_class, reading.rule) == ("first", "first")


def test_what_no_rule_matches_is_of_the_default_class() -> None:
    reading = of_rule(tenant=("a",)).read(Query(tenant="b"))
    assert (reading.cell.traffic_class, reading.rule) == ("rest", "default")


def test_without_a_default_what_no_rule_matches_is_refused() -> None:
    with pytest.raises(NoClass) as refused:
        of_rule(tenant=("a",), default=False).read(Query())
    assert refused.value.field == "context.traffic_class"


def test_a_class_that_the_caller_names_is_believed_whatever_the_rules_say() -> None:
    reading = of_rule(tenant=("a",)).read(Query(traffic_class="rest", tenant="a"))
    assert (reading.cell.traffic_class, reading.rule) == ("rest", "context")


def test_an_unknown_class_is_refused_by_its_name() -> None:
    with pytest.raises(UnknownClass, match="'chatt'") as refused:
        of_rule().read(Query(traffic_class="chatt"))
    assert refused.value.field == "context.traffic_class"


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("law", "law", True),
        ("law", "the law.", True),
        ("law", "(law)", True),
        ("law", "law_school", True),
        ("law", "lawyer", False),
        ("law", "outlaw", False),
        ("law", "outlaw law", True),
        ("law", "law2", False),
        ("c++", "c++11 and c++", True),
        ("c++", "c++11", True),
        (".net", "asp.net", True),
        ("24/7", "open 24/7!", True),
        ("24/7", "124/7", False),
        ("tax law", "a tax law", True),
        ("tax law", "tax  law", False),
        ("over", "ünover", False),
        ("straße", "Hauptstraße", False),
        ("grün", "immergrün", False),
        ("grün", "grün-weiß", True),
        ("закон", "законы", False),
        ("закон", "закон и порядок", True),
    ],
)
def test_a_keyword_is_found_between_word_boundaries(word: str, text: str, found: bool) -> None:
    assert finds(word, text) is found


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("退款", "我要退款谢谢"),
        ("คืนเงิน", "ขอคืนเงินด้วย"),
        ("환불", "환불을 원해요"),
        ("חוק", "החוק החדש"),
    ],
)
def test_scripts_that_do_not_part_words_have_no_boundaries(word: str, text: str) -> None:
    assert finds(word, text)


@pytest.mark.parametrize(
    ("word", "text"),
    [("cafe", "cafe\u0301 noir"), ("tat", "e\u0301tat"), ("क", "का")],
)
def test_an_accent_belongs_to_the_word_it_stands_in(word: str, text: str) -> None:
    assert not finds(word, text)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("Law", "LAW"),
        ("law", "LAW"),
        ("LAW", "law"),
        ("STRASSE", "straße"),
        ("straße", "STRASSE"),
        ("ΣΟΦΟΣ", "σοφος"),
        ("ÉTAT", "état"),
    ],
)
def test_a_keyword_is_found_whatever_its_case(word: str, text: str) -> None:
    assert finds(word, text)
    assert is_ruled(of_rule(keywords={"all_of": (word,)}), Query(text=text))
    assert not is_ruled(of_rule(keywords={"none_of": (word,)}), Query(text=text))


def test_of_keywords_within_each_other_each_is_found() -> None:
    reader = of_rule(keywords={"all_of": ("tax", "tax law", "law", "law of the land")})
    assert is_ruled(reader, Query(text="tax law of the land"))


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (0, 30_000, True),
        (READ_CHARS - 4, 30_000, True),
        (READ_CHARS, 30_000, False),
        (15_000, 15_000, False),
        (30_000, READ_CHARS, False),
        (30_000, READ_CHARS - 4, True),
        (30_000, 0, True),
        (READ_CHARS, READ_CHARS - 4, True),
    ],
)
def test_only_the_first_and_last_8_ki_of_a_text_are_read(
    before: int, after: int, found: bool
) -> None:
    assert finds("law", f"{'.' * before}law{' ' * after}") is found


def test_a_text_that_is_cut_is_not_joined_into_words_that_it_does_not_have() -> None:
    assert not finds("lawman", f"{'.' * (READ_CHARS - 3)}law{'.' * 999}man{'.' * (READ_CHARS - 3)}")


def test_a_text_of_twice_8_ki_is_read_whole() -> None:
    assert finds("law", f"{'.' * (READ_CHARS - 1)}law{'.' * (READ_CHARS - 2)}")


@given(st.text(), st.text(min_size=1))
def test_any_keyword_is_found_in_any_text_that_it_stands_in_alone(text: str, word: str) -> None:
    word = " ".join(word.split())
    assume(word)
    assert finds(word, f"{text}\n{word}\n{text}")


@given(st.text(), st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_any_text_is_read(text: str, words: list[str]) -> None:
    reading = keyword(*words).read(Query(text=text))
    assert reading.cell.traffic_class in ("ruled", "rest")


DOMAINS = (
    DomainConfig(name="law", match=MatchConfig(keywords=KeywordsConfig(any_of=("law", "tax")))),
    DomainConfig(name="art", match=MatchConfig(labels={"about": ("art",)})),
    DomainConfig(name="named"),
)


@pytest.mark.parametrize(
    ("query", "domain"),
    [
        (Query(text="tax"), "law"),
        (Query(labels={"about": "art"}), "art"),
        (Query(text="tax", labels={"about": "art"}), "law"),
        (Query(text="nothing"), "other"),
        (Query(domain="named"), "named"),
        (Query(domain="art", text="tax"), "art"),
        (Query(domain="other", text="tax"), "other"),
    ],
)
def test_a_domain_is_the_one_named_or_the_first_whose_rule_matches(
    query: Query, domain: str
) -> None:
    assert classifier(config(domains=DOMAINS)).read(query).cell.domain == domain


def test_an_unknown_domain_is_refused_by_its_name() -> None:
    with pytest.raises(UnknownDomain, match="'lore'") as refused:
        classifier(config(domains=DOMAINS)).read(Query(domain="lore"))
    assert refused.value.field == "features.domain"


@pytest.mark.parametrize(
    ("tokens", "bucket"),
    [(0, "s0"), (100, "s0"), (101, "s1"), (1_000, "s1"), (1_001, "s2"), (2**32 - 1, "s2")],
)
def test_a_size_bucket_ends_with_its_bound(tokens: int, bucket: str) -> None:
    reader = classifier(config(size_buckets_tokens=(100, 1_000)))
    assert reader.read(Query(input_tokens=tokens)).cell.size_bucket == bucket


def test_without_bounds_all_sizes_are_one() -> None:
    reader = classifier(config(size_buckets_tokens=()))
    assert reader.read(Query(input_tokens=10**9)).cell.size_bucket == "s0"


def test_tokens_are_estimated_from_the_whole_text_unless_the_caller_says() -> None:
    reader = classifier(config())
    text = "x" * 100_000
    assert reader.read(Query(text=text)).input_tokens == estimate_tokens(text)
    assert reader.read(Query(text=text, input_tokens=7)).input_tokens == 7
    assert reader.read(Query(text=text, input_tokens=0)).input_tokens == 0
    assert reader.read(Query()).input_tokens == 0


@pytest.mark.parametrize("kind", PayloadKind)
def test_text_and_tensors_of_one_class_are_of_different_cells(kind: PayloadKind) -> None:
    reader = classifier(config(classes=(ClassConfig(name="chat", default=True),)))
    assert reader.read(Query(payload_kind=kind)).cell == Cell("chat", "-", "other", "s0", kind)


def test_the_cell_names_the_budgets_that_pay() -> None:
    reader = classifier(
        config(
            budgets=(
                BudgetConfig(name="all", amount_usd=1, period="day"),
                BudgetConfig(
                    name="acme", scope=ScopeConfig(tenant="acme"), amount_usd=1, period="day"
                ),
            )
        )
    )
    assert reader.read(Query(tenant="acme")).cell == Cell("chat", "acme+all", "other", "s0")
    assert reader.read(Query(tenant="else")).cell == Cell("chat", "all", "other", "s0")
