from server.routing.learned_classifier.words import END_CHARS
from server.routing.recent_texts import WAITING_MAX, RecentText, RecentTexts


def turned_on() -> RecentTexts:
    recent = RecentTexts()
    recent.on = True
    return recent


def test_nothing_is_held_until_it_is_turned_on() -> None:
    recent = RecentTexts()
    recent.add("id", "a text", "law", "")
    assert recent.take() == []


def test_what_was_taken_is_forgotten() -> None:
    recent = turned_on()
    recent.add("id", "a text", "law", "sue")
    assert recent.take() == [RecentText("id", "a text", "law", "sue")]
    assert recent.take() == []


def test_a_request_without_text_is_none() -> None:
    recent = turned_on()
    recent.add("id", "", "other", "")
    assert recent.take() == []


def test_of_a_long_text_both_ends_are_held() -> None:
    recent = turned_on()
    recent.add("id", "a" * END_CHARS + "b" * 10_000_000 + "c" * END_CHARS, "law", "")
    assert recent.take()[0].text == "a" * END_CHARS + " " + "c" * END_CHARS


def test_no_more_than_so_many_wait() -> None:
    recent = turned_on()
    for number in range(2 * WAITING_MAX):
        recent.add(str(number), "a text", "law", "")
    assert len(recent.take()) == WAITING_MAX
