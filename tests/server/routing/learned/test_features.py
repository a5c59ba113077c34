from server.routing.learned.features import pairs, parts


def test_pairs_begin_and_end_with_nobody() -> None:
    assert list(pairs(["pay", "bill"])) == [("", "pay"), ("pay", "bill"), ("bill", "")]


def test_no_words_are_one_pair_of_nobodies() -> None:
    assert list(pairs([])) == [("", "")]


def test_parts_are_beginnings_and_endings_of_three_to_five_letters() -> None:
    assert parts("banking") == ["<ban", "ing>", "<bank", "king>", "<banki", "nking>"]


def test_a_short_word_has_no_parts_longer_than_itself() -> None:
    assert parts("card") == ["<car", "ard>", "<card", "card>"]
    assert parts("my") == []
