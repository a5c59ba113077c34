"""What was told since the last step."""

from server.control.facts import Facts, Graded
from server.routing.counters import Counts, Leg
from tests.server.control.told import CHAT, CODE, NOW_S

LEG = Leg(CODE, "small", "small")
GRADED = Graded(CODE, "small", 1.0, 1.0, decided_s=NOW_S, told_s=NOW_S)


def test_what_is_told_is_taken_once_and_whole() -> None:
    facts = Facts()
    for _ in range(2):
        facts.count_leg(LEG, Counts(attempts=3))
        facts.count_requests(CODE, 4)
        facts.add_grade(GRADED)
    told = facts.take()
    assert told.legs == {LEG: Counts(attempts=6)}
    assert told.asked == {CODE: 8}
    assert told.grades == [GRADED, GRADED]
    again = facts.take()
    assert (again.legs, again.asked, again.grades) == ({}, {}, [])


def test_what_was_taken_stays_as_it_was_and_so_do_counts_that_were_told() -> None:
    facts, counts = Facts(), Counts(attempts=3)
    facts.count_leg(LEG, counts)
    facts.count_leg(LEG, counts)
    told = facts.take()
    facts.count_leg(LEG, counts)
    assert (told.legs[LEG].attempts, counts.attempts) == (6, 3)


def test_beyond_the_most_legs_of_a_window_those_that_are_known_count_on() -> None:
    facts = Facts(legs_max=1)
    for cell in (CODE, CHAT, CODE):
        facts.count_leg(LEG._replace(cell=cell), Counts(attempts=1))
        facts.count_requests(cell, 1)
    told = facts.take()
    assert told.legs == {LEG: Counts(attempts=2)}
    assert told.asked == {CODE: 2}


def test_beyond_the_most_grades_of_a_window_no_more_are_taken() -> None:
    facts = Facts(grades_max=2)
    assert [facts.add_grade(GRADED) for _ in range(3)] == [True, True, False]
    facts.take()
    assert facts.add_grade(GRADED)
