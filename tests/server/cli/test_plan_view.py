import pytest
from rich.console import Console

from server.cli.plan_view import plan_view
from tests.server.cli import samples
from turnout.v1 import admin_pb2 as pb

SHOWN = """\
Plan 1-204, 3 s old, every 5 s; proven cheapest once pace gave way

Not met
• budget insurance: pace of $38.00 a day exceeded, the least is $41.00

This mix costs $41.20 a day; the most accurate model alone would cost $163.00,
so the mix saves 74.7%.

Promises
class               promise      at least   plan                seen  cost a day
────────────────────────────────────────────────────────────────────────────────
bulk                accuracy        70.0%  78.1%  assumed: no grades       $6.99
300 a second
paid by
company+insurance

strict              accuracy        90.0%  90.4%   89.7% (88.1-91.2)      $34.21
12 a second         in time         99.0%  99.6%               98.2%
paid by insurance   turned away             2.0%                1.6%

Mix
class   model   share                                    accuracy  cost of 1,000
────────────────────────────────────────────────────────────────────────────────
bulk    small   99.9%  ███████████████████████████████▉     78.0%          $0.21
        reader  <0.1%                                       94.0%          $0.90

strict  small   68.3%  █████████████████████▊               78.0%          $0.21
        large   31.7%  ██████████▏                          94.0%          $5.50

Budgets
budget       spent  of              pace a day  plan a day  headroom a day
──────────────────────────────────────────────────────────────────────────
insurance   $12.50  $40.00 a day        $38.00      $41.00  none: it binds
company    $410.00  $3,000 a month      $86.00       $7.00          $79.00

What a change would do
• raising the floor of class strict by one point costs $3.10 a day
• budget company does not bind: $79.00 a day of headroom
"""


def test_a_plan_in_80_columns() -> None:
    assert _shown(samples.plan()) == SHOWN


def test_what_callers_have_not_reported_is_told_with_what_it_is_expected_to_cost() -> None:
    plan = samples.plan()
    plan.budgets[0].unreported, plan.budgets[0].unreported_nano_usd = 1_200, 4_000_000_000
    shown = " ".join(_shown(plan).split())
    decisions = "no usage of 1,200 decisions by Route this day, expected to cost $4.00"
    assert f"Not reported yet • budget insurance: {decisions}" in shown
    assert "company: no usage" not in shown


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
    ("stopped", "words"),
    [
        ("", "proven cheapest once pace gave way"),
        ("time", "the best found within the time of a window once pace gave way, not proven"),
        ("precision", "the best found once pace gave way, not proven cheapest"),
    ],
)
def test_a_plan_says_whether_it_is_proven_cheapest(stopped: str, words: str) -> None:
    plan = samples.plan()
    plan.certificate.stopped = stopped
    assert words in " ".join(_shown(plan, width=120).split())


def test_a_floor_without_grades_yet_says_so() -> None:
    plan = samples.plan()
    plan.classes[0].realised_accuracy.grades = 0
    assert "no grades yet" in _shown(plan)


def test_a_class_without_a_promise_has_none_shown() -> None:
    shown = _shown(pb.Plan(classes=[pb.PlanClass(traffic_class="a", payer="-", accuracy=0.8)]))
    row = next(line for line in shown.splitlines() if line.startswith("a "))
    assert row.split() == ["a", "accuracy", "-", "80.0%", "no", "grades", "yet", "$0.00"]
    assert "in time" not in shown
    assert "paid by" not in shown


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (1_500, "$0.0000010, but would not keep every promise: too little capacity"),
        (1_000, "$0.0000010, the same."),
        (900, "$0.0000010, so the mix saves 10.0%."),
    ],
)
def test_a_plan_is_compared_with_the_most_accurate_model(cost: int, words: str) -> None:
    plan = pb.Plan(cost_nano_usd_per_day=cost, best_model_cost_nano_usd_per_day=1_000)
    assert words in " ".join(_shown(plan).split())


def test_a_floor_that_is_planned_with_a_margin_says_why() -> None:
    found = pb.PlanClass(traffic_class="bulk", floor=0.92, required=0.934, floor_basis="audited")
    found.realised_accuracy.grades = 1_234
    shown = " ".join(_shown(pb.Plan(classes=[found])).split())
    doubt = "1,234 grades do not show beyond doubt that 92.0% holds"
    assert f"class bulk is planned for 93.4%: {doubt}" in shown
    found.required = 0.9203
    assert "Planned above the floor" not in _shown(pb.Plan(classes=[found]))


def test_classes_keep_their_places_from_plan_to_plan() -> None:
    classes = [pb.PlanClass(traffic_class=name, payer="-") for name in ("b", "a")]
    assert _shown(pb.Plan(classes=classes)) == _shown(pb.Plan(classes=classes[::-1]))


def test_without_traffic_nothing_is_compared() -> None:
    assert "This mix costs $0.00 a day." in _shown(pb.Plan())


def test_a_solve_that_failed_is_told_beside_the_older_plan() -> None:
    plan = samples.plan()
    plan.failure = "time limit"
    assert "The newest solve was not published: time limit" in _shown(plan)


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
