"""What `make chat` tells of its models before the first question, and of the bill at its end."""

from collections.abc import Iterator, Sequence
from statistics import median

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.chat.asking import Streamed
from benchmarks.chat.models import EXAMPLES, Study
from benchmarks.demo.load import Served
from server.money import to_usd

_PRICED_QUESTIONS = 1_000_000


def print_models(console: Console, study: Study) -> None:
    """What is known of each model."""
    table = Table("model", "examples", "right", "time an answer", "price of a million", box=SIMPLE)
    for name, known in study.measured.items():
        price_usd = to_usd(known.cost_nano_usd * _PRICED_QUESTIONS)
        right = f"{known.accuracy:.0%} of {known.questions}"
        time_ms = f"{known.latency_s * 1e3:.0f} ms"
        table.add_row(name, f"{EXAMPLES[name]}", right, time_ms, f"${price_usd:.2f}")
    console.print(table)


def bill(served: Sequence[Served], study: Study) -> Iterator[str]:
    """What was paid, beside what always-best would have asked: it alone holds the floors."""
    answers = [(one, one.answer) for one in served if isinstance(one.answer, Streamed)]
    if not answers:
        return
    cost = sum(answer.cost_nano_usd for _, answer in answers)
    best = sum(study.best_cost_nano_usd(one.arrival.item) for one, _ in answers)
    first_ms = 1e3 * median(answer.first_words_s for _, answer in answers)
    yield f"{len(answers):,} questions were answered for ${to_usd(cost):.6f}, streamed: the first"
    yield f"words came {first_ms:.0f} ms after they were asked, in the median;"
    asked = f"${to_usd(best):.6f}, {best / cost:.1f} times as much"
    yield f"always {study.best}, which alone holds the floors, would have asked {asked}."
