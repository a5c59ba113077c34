from hypothesis import given
from hypothesis import strategies as st

from server.routing.learned_classifier.words import END_CHARS, Splitter, ends, pairs, parts

# It has seen more characters than it remembers.
USED = Splitter()
for start in range(0, 0x11000, END_CHARS):
    USED.words("".join(map(chr, range(start, start + END_CHARS))))


def words(text: str) -> list[str]:
    return Splitter().words(text)


def test_words_are_lower_case_and_parted_by_what_is_no_letter() -> None:
    assert words("What's DUE, please?") == ["what", "s", "due", "please"]


def test_digits_are_alike() -> None:
    assert words("room 12b at 7:30") == ["room", "00b", "at", "0", "00"]


def test_accents_stay_on_their_letter_however_they_are_written() -> None:
    assert words("cafe\u0301 Über") == ["cafe\u0301", "über"]


def test_han_and_kana_are_a_word_each() -> None:
    assert words("銀行カードiPhone") == ["銀", "行", "カ", "ー", "ド", "iphone"]


def test_vowel_signs_part_no_word() -> None:
    assert words("हिन्दी में") == ["हिन्दी", "में"]


def test_a_long_text_is_read_at_both_ends() -> None:
    text = "first " + "middle " * 10_000 + "last"
    found = words(text)
    assert found[0] == "first"
    assert found[-1] == "last"
    assert len(found) < 2 * END_CHARS / len("middle ") + 3


def test_the_ends_of_a_long_text_do_not_run_together() -> None:
    assert words("a" * END_CHARS + "b" * (END_CHARS + 1)) == ["a" * END_CHARS, "b" * END_CHARS]


@given(st.text(max_size=3 * END_CHARS))
def test_both_ends_are_read_as_the_whole_text_is(text: str) -> None:
    assert words(ends(text)) == words(text)


def test_pairs_begin_and_end_with_nobody() -> None:
    assert list(pairs(["pay", "bill"])) == [("", "pay"), ("pay", "bill"), ("bill", "")]


def test_no_words_are_one_pair_of_nobodies() -> None:
    assert list(pairs([])) == [("", "")]


def test_parts_are_beginnings_and_endings_of_three_to_five_letters() -> None:
    assert parts("banking") == ["<ban", "ing>", "<bank", "king>", "<banki", "nking>"]


def test_a_short_word_has_no_parts_longer_than_itself() -> None:
    assert parts("card") == ["<car", "ard>", "<card", "card>"]
    assert parts("my") == []


@given(st.text())
def test_any_text_splits_into_words_without_space(text: str) -> None:
    assert not any(word.split() != [word] for word in words(text))


@given(st.text(max_size=2 * END_CHARS))
def test_a_splitter_that_has_seen_much_splits_as_a_new_one(text: str) -> None:
    assert USED.words(text) == words(text)


@given(st.text(st.characters(max_codepoint=0x7F), max_size=END_CHARS))
def test_a_text_of_ascii_alone_is_split_as_beside_other_letters(text: str) -> None:
    assert words(f"{text} é") == [*words(text), "é"]
