import numpy as np
import pytest

from server.training.vocabulary import TEXTS_MIN, Vocabulary

TEXTS = ("pay the bill", "pay the bills", "pay the rent", "the sky")


def test_rows_are_words_then_pairs_then_parts() -> None:
    vocabulary = Vocabulary(TEXTS, rows_max=1_000)
    words, pairs, parts = vocabulary.counts
    names = list(vocabulary)
    assert names[:2] == ["the", "pay"]  # in the most texts first
    assert set(names[words : words + pairs]) == {" pay", "pay the"}
    assert set(names[words + pairs :]) == {"<pay", "pay>", "<the", "the>"}
    assert parts == 4


def test_a_pair_in_few_texts_has_no_row() -> None:
    few = Vocabulary(["a b"] * (TEXTS_MIN - 1), rows_max=1_000)
    enough = Vocabulary(["a b"] * TEXTS_MIN, rows_max=1_000)
    assert (few.counts[1], enough.counts[1]) == (0, 3)


def test_there_are_no_more_rows_than_asked_for() -> None:
    assert len(list(Vocabulary(TEXTS, rows_max=6))) <= 6


def test_the_sum_of_a_texts_rows_is_what_was_trained_on() -> None:
    vocabulary = Vocabulary(TEXTS, rows_max=1_000)
    matrix = vocabulary.matrix().toarray()
    weights = np.random.default_rng(1).normal(size=(matrix.shape[1], 2))
    names, rows, lengths2 = list(vocabulary), vocabulary.rows(weights), vocabulary.lengths2()
    of_text = [names.index(name) for name in ("pay", "the", "bill", " pay", "pay the")]
    loudness = 1 / np.sqrt(lengths2[of_text].sum())
    assert rows[of_text].sum(axis=0) * loudness == pytest.approx((matrix @ weights)[0])
