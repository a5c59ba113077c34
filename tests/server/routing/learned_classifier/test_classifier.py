from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.learned_classifier.words import END_CHARS, UNKNOWN_WORDS_MAX
from tests.server.routing.learned_classifier.made import contents

LAW, MATH = (3.0, -3.0), (-3.0, 3.0)
TWO = LearnedClassifier(
    contents(
        words={"court": LAW, "prime": MATH, "number": MATH, "the": (0.0, 0.0)},
        pairs={"prime minister": (9.0, -9.0)},
        parts={"<cour": LAW, "mes>": MATH},
        threshold=0.6,
    )
)
INTENTS = LearnedClassifier(
    contents(
        intents=("balance", "transfer", "weather"),
        domains=("bank", "bank", "world"),
        words={"money": (4, 3.9, 0, 0), "send": (-1, 1, 0, 0), "rain": (0, 0, 4, 0)},
        bias=(0, 0, 0, 1),
        outside=1,
        threshold=0.5,
    )
)


def test_a_word_speaks_for_its_domain() -> None:
    guess = TWO.classify("Is 7 a PRIME?")
    assert guess.domain == "math"
    assert guess.domain_probability == pytest.approx(0.9975, abs=1e-3)  # 1 / (1 + exp(-6))


def test_a_pair_outweighs_its_words() -> None:
    assert TWO.classify("the prime minister").domain == "law"


def test_a_pair_is_of_neighbours_in_order() -> None:
    assert TWO.classify("minister prime").domain == "math"


def test_a_word_counts_once_however_often_it_stands_there() -> None:
    assert TWO.scores("court prime") == pytest.approx(TWO.scores("court prime prime prime"))


def test_an_unknown_word_is_judged_by_its_parts() -> None:
    assert TWO.classify("courthouse").domain == "law"


def test_a_known_word_is_not_judged_by_its_parts_again() -> None:
    assert TWO.scores("court").tolist() == TWO.scores("Court!").tolist() == [3.0, -3.0]


def test_only_so_many_unknown_words_are_looked_at() -> None:
    unknown = " ".join(f"aa{chr(97 + i)}" for i in range(UNKNOWN_WORDS_MAX))
    assert TWO.classify(f"{unknown} courts").domain == "other"


def test_an_unknown_word_that_comes_again_is_looked_at_once() -> None:
    assert TWO.classify("aaa " * UNKNOWN_WORDS_MAX + "courts").domain == "law"


def test_words_too_short_to_have_parts_are_passed_over() -> None:
    short = " ".join(f"a{chr(97 + i)}" for i in range(UNKNOWN_WORDS_MAX))
    assert TWO.classify(f"{short} courts").domain == "law"


def test_a_long_text_is_no_louder_than_a_short_one() -> None:
    short = TWO.classify("the court").domain_probability
    assert TWO.classify("the court a b c d e f").domain_probability == short


def test_text_without_a_known_word_is_other() -> None:
    guess = TWO.classify("zzz")
    assert guess == ("other", 0.5, "", 0.0)


def test_below_the_threshold_it_is_other_with_its_probability_told() -> None:
    guess = TWO.classify("court prime")
    assert guess.domain == "other"
    assert guess.domain_probability == pytest.approx(0.5)


def test_the_probability_of_a_domain_is_that_of_its_intents_together() -> None:
    guess = INTENTS.classify("money")
    assert (guess.domain, guess.intent) == ("bank", "balance")
    assert guess.domain_probability > 0.75 > guess.intent_probability


def test_the_intent_is_the_likeliest_of_its_domain() -> None:
    assert INTENTS.classify("send money").intent == "transfer"


def test_what_is_likely_outside_is_other_and_has_no_intent() -> None:
    guess = INTENTS.classify("hm hm")
    assert (guess.domain, guess.intent) == ("other", "")


def test_intents_without_domains_are_of_other() -> None:
    model = LearnedClassifier(contents(intents=("yes", "no"), domains=(), words={"aye": (5, 0)}))
    guess = model.classify("aye")
    assert (guess.domain, guess.intent) == ("other", "yes")
    assert guess.intent_probability == pytest.approx(0.9933, abs=1e-3)
    assert model.domains == ()


@given(st.lists(st.sampled_from(["court", "prime", "minister", "rome", "x"]), max_size=8))
def test_few_labels_are_read_as_many_are(words: list[str]) -> None:
    """The second has labels that nothing speaks for, so that there are many."""
    known = {"court": (3.0, -3.0, 0.5), "prime": (-3.0, 3.0, 1.0), "rome": (1.0, 1.5, -1.0)}
    few = contents(domains=("law", "math"), words=known, outside=1, threshold=0.7)
    many = contents(
        domains=("law", "math", *(f"d{i}" for i in range(40))),
        words={word: (*row[:2], *[0.0] * 40, row[2]) for word, row in known.items()},
        bias=[0.0, 0.0, *[-900.0] * 40, 0.0],
        outside=1,
        threshold=0.7,
    )
    text = " ".join(words)
    by_few, by_many = LearnedClassifier(few).classify(text), LearnedClassifier(many).classify(text)
    assert by_few.domain_probability == pytest.approx(by_many.domain_probability, rel=1e-4)
    if abs(by_few.domain_probability - 0.7) > 1e-3:
        assert by_few.domain == by_many.domain


@pytest.mark.parametrize(
    ("bias", "scale", "length2"),
    [(1e6, 1, 1), (0, 1e4, 1), (0, -1e4, 1), (0, 1, 1e-6), (-1e6, -1e6, 1e-6)],
)
def test_numbers_beyond_all_training_give_a_probability_too(
    bias: float, scale: float, length2: float
) -> None:
    extreme = contents(words={"court": (-3.0, 3.0)}, bias=(0, bias))
    extreme = replace(
        extreme,
        scales=extreme.scales * np.float32(scale),
        lengths2=extreme.lengths2 * np.float32(length2),
    )
    model = LearnedClassifier.from_bytes(LearnedClassifier(extreme).to_bytes())
    for text in ("", "court"):
        law, math = model.scores(text)
        guess = model.classify(text)
        assert guess.domain == ("law" if law >= math else "math")
        assert 0.5 <= guess.domain_probability <= 1


def test_it_says_what_it_knows() -> None:
    assert INTENTS.domains == ("bank", "world")
    assert INTENTS.intents == ("balance", "transfer", "weather")
    assert LearnedClassifier(contents(shares={"law": 0.4, "other": 0.6})).shares["other"] == 0.6


def test_explained_are_the_words_that_weighed_the_heaviest_first() -> None:
    weighed = TWO.explain("the prime minister, a number")
    assert [one.words for one in weighed[:3]] == ["prime minister", "number", "prime"]
    assert weighed[0].weight > 0 > weighed[1].weight == weighed[2].weight


def test_explained_weights_add_up_to_the_log_odds() -> None:
    text = "the prime minister of the court"
    law, math = TWO.scores(text)
    assert sum(one.weight for one in TWO.explain(text)) == pytest.approx(law - math, rel=1e-5)


def test_explained_of_an_unknown_word_is_the_word() -> None:
    assert "courthouse" in [one.words for one in TWO.explain("courthouse")]


def test_no_more_is_explained_than_was_asked_for() -> None:
    assert len(TWO.explain("the prime minister of the court", at_most=2)) == 2


def test_nothing_is_explained_of_nothing() -> None:
    assert TWO.explain("") == ()


def test_a_sum_too_large_for_one_thread_is_the_same_sum() -> None:
    letters = [chr(0x4E00 + i) for i in range(2 * END_CHARS)]
    wide = contents(
        domains=[f"d{i}" for i in range(20)],
        words={letter: [2.0] * 19 + [-2.0] for letter in letters},
    )
    scores = LearnedClassifier(wide).scores("".join(letters))
    told = 2 * sqrt(len(letters))
    assert scores == pytest.approx([told] * 19 + [-told], rel=1e-4)


@given(st.text())
def test_any_text_gets_a_domain_and_a_probability(text: str) -> None:
    for model in (TWO, INTENTS):
        guess = model.classify(text)
        assert guess.domain in {*model.domains, "other"}
        assert 0 <= guess.domain_probability <= 1.000001
        assert model.classify(text) == guess
        assert model.explain(text) == model.explain(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10_000_000,
        "\u0301" * 100_000,
        "\u202e\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd " * 10_000,
        "字" * 100_000,
        "".join(map(chr, [*range(0xD800), *range(0xE000, 0x11000)])),
        "İ" * 100_000,
        "\0 " * 100_000,
    ],
)
def test_adverse_text_is_read_within_bounds(text: str) -> None:
    assert INTENTS.classify(text).domain in {"bank", "world", "other"}
