import pytest

from server.control.drift import DECISIONS_MIN, DRIFTED, DomainDrift, Drift

TRAINED = {"law": 0.5, "math": 0.4, "other": 0.1}
NOW_S = 1_000_000.0


def drift_of(law: int, math: int, other: int) -> Drift:
    drift = DomainDrift()
    drift.expect(TRAINED)
    for domain, decisions in (("law", law), ("math", math), ("other", other)):
        drift.observe_decisions(domain, decisions, now_s=NOW_S)
    found = drift.of(now_s=NOW_S)
    assert found is not None
    return found


def test_the_mix_it_learned_from_is_no_drift() -> None:
    found = drift_of(500, 400, 100)
    assert found.index == pytest.approx(0)
    assert not found.drifted
    assert found.seen == TRAINED


def test_the_index_is_the_population_stability_index() -> None:
    # (0.4 - 0.5) ln 0.8 + (0.4 - 0.4) ln 1 + (0.2 - 0.1) ln 2
    assert drift_of(400, 400, 200).index == pytest.approx(0.0916, abs=1e-4)


def test_much_that_is_other_is_drift() -> None:
    found = drift_of(350, 250, 400)
    assert found.index is not None
    assert found.index > DRIFTED
    assert found.drifted


def test_a_domain_that_is_gone_counts_as_little() -> None:
    index = drift_of(600, 400, 0).index
    assert index is not None
    assert 0.4 < index < 0.6


def test_few_decisions_say_nothing() -> None:
    found = drift_of(0, DECISIONS_MIN - 1, 0)
    assert found.index is None
    assert not found.drifted


def test_domains_of_rules_alone_are_left_out() -> None:
    drift = DomainDrift()
    drift.expect(TRAINED)
    drift.observe_decisions("billing", 10_000, now_s=NOW_S)
    found = drift.of(now_s=NOW_S)
    assert found is not None
    assert (found.index, set(found.seen)) == (None, set(TRAINED))


def test_what_is_older_than_an_hour_is_forgotten() -> None:
    drift = DomainDrift()
    drift.expect(TRAINED)
    for minute in range(0, 240, 5):  # more slices than are kept
        drift.observe_decisions("law", 1_000, now_s=NOW_S + 60 * minute)
    drift.observe_decisions("math", 1_000, now_s=NOW_S + 240 * 60)
    found = drift.of(now_s=NOW_S + 240 * 60)
    assert found is not None
    assert found.seen["law"] == pytest.approx(11 / 12)
    later = drift.of(now_s=NOW_S + 301 * 60)
    assert later is not None
    assert later.index is None


def test_another_classifier_begins_anew() -> None:
    drift = DomainDrift()
    drift.expect(TRAINED)
    drift.observe_decisions("law", 1_000, now_s=NOW_S)
    drift.expect({"law": 1.0})
    found = drift.of(now_s=NOW_S)
    assert found is not None
    assert found.index is None


def test_the_same_classifier_goes_on() -> None:
    drift = DomainDrift()
    drift.expect(TRAINED)
    drift.observe_decisions("law", 1_000, now_s=NOW_S)
    drift.expect(dict(TRAINED))
    found = drift.of(now_s=NOW_S)
    assert found is not None
    assert found.seen["law"] == 1


def test_without_a_classifier_there_is_nothing_to_compare() -> None:
    drift = DomainDrift()
    drift.observe_decisions("law", 1_000, now_s=NOW_S)
    assert drift.of(now_s=NOW_S) is None
