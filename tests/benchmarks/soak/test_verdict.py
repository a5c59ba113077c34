"""What is said of an attack by what was measured."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.soak.one_by_one import Performance
from benchmarks.soak.report import told_acts
from benchmarks.soak.verdict import CALLS_MIN, Latency, Measured, Resident, better, faults, latency

MEMORY_MIB = 512.0
FINE = Measured(
    name="bomb",
    rounds_per_s=10.0,
    sent_mib_per_s=0.6,
    answers={"RESOURCE_EXHAUSTED": 100},
    limits_reached={"message_bytes": 100},
    wrong=(),
    calls=500,
    lost={},
    alone=Latency(5.0, 4.0, 6.0),
    attacked=Latency(40.0, 30.0, 60.0),
    resident=Resident(100.0, 512.0, 120.0),
)


def test_what_stays_within_its_limits_is_no_fault() -> None:
    assert faults(FINE, MEMORY_MIB) == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"attacked": Latency(40.1, 30.0, 60.0)}, "p99 is 8.0 times what it is alone, 8 at most"),
        ({"lost": {"UNAVAILABLE": 3}}, "the good client lost calls: 3 by UNAVAILABLE"),
        ({"resident": Resident(100.0, 513.0, 100.0)}, "the worker took 513 MiB, 512 at most"),
        ({"resident": Resident(100.0, 200.0, 121.0)}, "of 100 MiB the worker kept 121"),
        ({"wrong": ("UNAVAILABLE: later",)}, "UNAVAILABLE: later"),
    ],
)
def test_each_limit_that_is_passed_is_a_fault(changed: Mapping[str, Any], told: str) -> None:
    assert faults(replace(FINE, **changed), MEMORY_MIB) == [f"bomb: {told}"]


def test_latency_is_not_judged_by_too_few_calls() -> None:
    assert latency((CALLS_MIN - 1) * [0.001]) is None
    assert faults(replace(FINE, alone=None), MEMORY_MIB) == []


def test_a_p99_lies_in_its_interval_whatever_the_order_of_the_calls() -> None:
    found = latency([(number * 7 % 1_000 + 1) / 1_000 for number in range(1_000)])
    assert found == Latency(p99_ms=990.0, low_ms=983.0, high_ms=997.0)


def test_who_is_slowed_by_what_an_attack_left_behind_is_not_alone() -> None:
    slow, quick = Latency(700.0, 600.0, 800.0), Latency(5.0, 4.0, 6.0)
    assert better(slow, quick) == better(quick, slow) == better(None, quick) == quick


def test_people_are_told_each_act_and_what_was_wrong() -> None:
    lines = told_acts(Performance((FINE,), ("bomb: it burst",))).splitlines()
    assert "40.0 [30.0 60.0]    8.0" in lines[2]
    assert lines[-2:] == ["FAULT bomb: it burst", "1 faults"]
