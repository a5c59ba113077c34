import pytest
from rich.console import Console

from server.cli.plan_view import plan_view
from tests.server.cli import samples
from turnout.v1 import admin_pb2 as pb

SHOWN = """\
Plan 1-204, 3 s old, renewed every 5 s
It is proven that no mix keeps these promises and spares the budgets better.

Not met
• budget insurance will be used up at 23:10 UTC

At the last hour's traffic this mix costs $1.43 an hour; the most accurate model
alone would cost $5.66 an hour, so the mix costs 74.7% less, but does not keep
every promise.

Promises
class             promise      at least   plan                seen  cost an hour
────────────────────────────────────────────────────────────────────────────────
bulk              accuracy        70.0%  78.1%  assumed: no grades         $0.24
900,000 requests
an hour
paid by company
and insurance

strict            accuracy        90.0%  90.4%   89.7% (88.1-91.2)         $1.19
36,000 requests   in time         99.0%  99.6%               98.2%
an hour
paid by           turned away             2.0%                1.6%
insurance

Mix
class   model   share                                    accuracy  cost of 1,000
────────────────────────────────────────────────────────────────────────────────
bulk    small   99.9%  ███████████████████████████████▉     78.0%          $0.21
        reader  <0.1%                                       94.0%          $0.90

strict  small   68.3%  █████████████████████▊               78.0%          $0.21
        large   31.7%  ██████████▏                          94.0%          $5.50

Budgets, at the last hour's traffic
budget       spent  of              costs an hour  ends                left then
────────────────────────────────────────────────────────────────────────────────
insurance   $12.50  $40.00 a day            $1.43  16 Jun 00:00 UTC  $1.30 short
company    $410.00  $3,000 a month          $0.24  1 Jul 00:00 UTC        $2,499

What a change would do, at the last hour's traffic
• raising the accuracy promised to class strict from 90% to 91% would cost $0.13
  an hour
"""


def test_a_plan_in_80_columns() -> None:
    assert _shown(samples.plan()) == SHOWN


def test_what_callers_have_not_reported_is_told_with_what_it_is_expected_to_cost() -> None:
    plan = samples.plan()
    plan.budgets[0].unreported, plan.budgets[0].unreported_nano_usd = 1_200, 4_000_000_000
    shown = " ".join(_shown(plan).split())
    decisions = (
        "1,200 decisions of this day, expected to cost another $4.00: 'left then' is after it"
    )
    assert f"budget insurance: callers of Route have not said what came of {decisions}" in shown
    assert "budget company: callers" not in shown


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(width: int) -> None:
    shown = _shown(samples.plan(), width=width)
    assert max(map(len, shown.splitlines())) <= width
    assert "89.7% (88.1-91.2)" in shown
    assert "…" not in shown


@pytest.mark.parametrize(
    ("seen", "floor", "colour"),
    [
        (pb.Estimate(mean=0.91, low=0.88, high=0.93, grades=9), 0.9, "32"),
        (pb.Estimate(mean=0.89, low=0.87, high=0.91, grades=9), 0.9, "33"),
        (pb.Estimate(mean=0.85, low=0.82, high=0.89, grades=9), 0.9, "31"),
    ],
    ids=["held is green", "perhaps missed is yellow", "missed is red"],
)
def test_what_was_seen_has_the_colour_of_what_it_proves(
    seen: pb.Estimate, floor: float, colour: str
) -> None:
    found = pb.PlanClass(
        traffic_class="a", floor=floor, floor_basis="audited", realised_accuracy=seen
    )
    console = Console(width=80, force_terminal=True, color_system="standard", _environ={})
    with console.capture() as capture:
        console.print(plan_view(pb.Plan(classes=[found]), now_s=0))
    assert f"\x1b[{colour}m{100 * seen.mean:.1f}%" in capture.get()


@pytest.mark.parametrize(
    ("relaxed", "stopped", "words"),
    [
        ("none", "", "It is proven that no other mix keeps these promises for less."),
        ("pace", "", "It is proven that no other mix keeps these promises for less."),
        ("floor", "", "Not every promise can be kept. It is proven that no mix comes nearer."),
        ("none", "time", "A better mix may exist: the search for it reached its time limit."),
        ("slo", "precision", "A better mix may exist: it could not be proven that there is none."),
    ],
)
def test_a_plan_says_what_is_proven_of_it(relaxed: str, stopped: str, words: str) -> None:
    plan = samples.plan()
    plan.budgets[0].binds = False
    plan.certificate.relaxed, plan.certificate.stopped = relaxed, stopped
    if relaxed == "floor":
        plan.breaches.append(pb.Breach(kind="floor", name="strict", text="what is missed"))
    assert words in _shown(plan)


def test_a_margin_out_of_reach_is_no_promise_that_is_not_kept() -> None:
    shown = _shown(pb.Plan(certificate=pb.Certificate(relaxed="floor")))
    assert "Not all that is aimed at can be reached." in shown
    assert "promise can be kept" not in shown
    assert "Not met" not in shown


def test_a_class_that_nobody_asked_is_not_said_to_have_been_in_time() -> None:
    found = pb.PlanClass(
        traffic_class="a", payer="-", slo_fraction=0.9, within_slo=0.98, realised_within_slo=1
    )
    row = next(line for line in _shown(pb.Plan(classes=[found])).splitlines() if "in time" in line)
    assert "100.0%" not in row
    assert row.endswith("no requests")
    found.requests_per_hour = 7
    assert "not reported yet" in _shown(pb.Plan(classes=[found]))
    found.realised_requests = 7
    assert "not reported yet" not in _shown(pb.Plan(classes=[found]))


def test_one_request_and_one_decision_are_not_many() -> None:
    plan = pb.Plan(
        classes=[pb.PlanClass(traffic_class="a", payer="-", requests_per_hour=1)],
        budgets=[pb.PlanBudget(name="b", period="hour", unreported=1)],
    )
    shown = _shown(plan, width=200)
    assert "1 request an hour" in shown
    assert "what came of 1 decision of this hour" in shown
    assert "$0.00 an hour" in shown


def test_a_plan_that_a_budget_shapes_is_not_said_to_be_the_cheapest() -> None:
    words = "It is proven that no mix keeps these promises and spares the budgets better."
    assert words in _shown(samples.plan())


@pytest.mark.parametrize(
    ("averaged_s", "words"),
    [
        (3_600, "At the last hour's traffic this mix costs"),
        (3_541, "At the last hour's traffic this mix costs"),
        (3_500, "At the traffic of the last 58 minutes this mix costs"),
        (70, "At the traffic of the last minute this mix costs"),
    ],
)
def test_amounts_say_which_traffic_they_are_for(averaged_s: float, words: str) -> None:
    plan = samples.plan()
    plan.averaged_s = averaged_s
    assert words in _shown(plan)


def test_what_a_busy_moment_would_cost_in_a_day_is_not_shown() -> None:
    shown = _shown(samples.plan())
    assert "what is told of this moment" not in shown
    assert "$41.20" not in shown


def test_a_floor_without_grades_yet_says_so() -> None:
    plan = samples.plan()
    plan.classes[0].realised_accuracy.grades = 0
    assert "no grades yet" in _shown(plan)


def test_a_class_without_a_promise_has_none_shown() -> None:
    shown = _shown(pb.Plan(classes=[pb.PlanClass(traffic_class="a", payer="-", accuracy=0.8)]))
    row = next(line for line in shown.splitlines() if line.startswith("a "))
    assert row.split() == ["a", "accuracy", "-", "80.0%", "no", "grades", "yet", "$0.00"]
    assert "in time" not in shown
    assert "paid by no budget" in shown


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (1_500, "$0.0000010 an hour, but would not keep every promise: too little capacity"),
        (1_000, "$0.0000010 an hour, the same."),
        (900, "$0.0000010 an hour, so the mix saves 10.0%."),
    ],
)
def test_a_plan_is_compared_with_the_most_accurate_model(cost: int, words: str) -> None:
    plan = pb.Plan(
        cost_nano_usd_per_hour=cost,
        best_model_cost_nano_usd_per_hour=1_000,
        cost_nano_usd_per_day=24 * cost,
        best_model_cost_nano_usd_per_day=24_000,
    )
    assert words in " ".join(_shown(plan).split())


MISSED = {
    "planned": pb.Plan(breaches=[pb.Breach(kind="floor", name="a", text="it is missed")]),
    "seen late": pb.Plan(
        classes=[pb.PlanClass(slo_fraction=0.9, realised_within_slo=0.8, realised_requests=5)]
    ),
    "seen worse": pb.Plan(
        classes=[
            pb.PlanClass(
                floor=0.9, realised_accuracy=pb.Estimate(mean=0.8, low=0.7, high=0.85, grades=99)
            )
        ]
    ),
}


@pytest.mark.parametrize("missed", MISSED.values(), ids=MISSED)
def test_beside_a_promise_that_is_missed_nothing_is_said_to_be_saved(missed: pb.Plan) -> None:
    missed.cost_nano_usd_per_hour, missed.best_model_cost_nano_usd_per_hour = 900, 1_000
    shown = " ".join(_shown(missed).split())
    assert "so the mix costs 10.0% less, but does not keep every promise." in shown
    assert "saves" not in shown


def test_a_model_that_is_cheaper_at_the_last_hours_traffic_alone_is_not_said_to_lack_anything() -> (
    None
):
    plan = pb.Plan(cost_nano_usd_per_hour=1_500, best_model_cost_nano_usd_per_hour=1_000)
    plan.cost_nano_usd_per_day, plan.best_model_cost_nano_usd_per_day = 900, 1_000
    shown = " ".join(_shown(plan).split())
    assert "less than this mix, which was made for the requests of this moment" in shown
    assert "would not keep" not in shown


def test_a_floor_that_is_planned_with_a_margin_says_why() -> None:
    found = pb.PlanClass(traffic_class="bulk", payer="-", required_text="planned for 93.4%: why")
    assert "• class bulk is planned for 93.4%: why" in _shown(pb.Plan(classes=[found]))
    other = pb.PlanClass(traffic_class="bulk", payer="a+b")
    shown = " ".join(_shown(pb.Plan(classes=[found, other])).split())
    assert "• class bulk (paid by no budget) is planned for 93.4%: why" in shown
    assert "Aimed above or below" not in _shown(pb.Plan(classes=[other]))


def test_classes_keep_their_places_from_plan_to_plan() -> None:
    classes = [pb.PlanClass(traffic_class=name, payer="-") for name in ("b", "a")]
    assert _shown(pb.Plan(classes=classes)) == _shown(pb.Plan(classes=classes[::-1]))


def test_without_traffic_nothing_is_compared() -> None:
    assert "this mix costs $0.00 an hour." in _shown(pb.Plan())


def test_a_solve_that_failed_is_told_beside_the_older_plan() -> None:
    plan = samples.plan()
    plan.failure = "time limit"
    assert "No newer plan could be made: time limit" in _shown(plan)


@pytest.mark.parametrize(
    ("age_s", "text"), [(0, "0 s old"), (119, "119 s old"), (600, "10 min old"), (9000, "2 h old")]
)
def test_the_age_of_a_plan_is_told(age_s: float, text: str) -> None:
    assert text in _shown(samples.plan(), now_s=samples.MADE_S + age_s)


def _shown(plan: pb.Plan, *, width: int = 80, now_s: float = samples.MADE_S + 3.2) -> str:
    console = Console(width=width, _environ={})
    with console.capture() as capture:
        console.print(plan_view(plan, now_s=now_s))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
