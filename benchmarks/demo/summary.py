"""The tables of the demo: the models before the first request, the acts after the last."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.demo.configuration import FLOORS
from benchmarks.demo.load import Served
from benchmarks.demo.models import Study
from benchmarks.demo.screen import COLUMNS, cells_of
from benchmarks.demo.stage import Result
from server.money import to_usd

_PRICED_REQUESTS = 1_000_000
_SENTENCES = 3  # an act


def print_models(console: Console, study: Study) -> None:
    """What is known of each model."""
    table = Table("model", "accuracy", "CPU a request", "price of a million", box=SIMPLE)
    for name, known in study.measured.items():
        price_usd = to_usd(known.request_nano_usd * _PRICED_REQUESTS)
        table.add_row(
            name, f"{known.accuracy:.1%}", f"{known.cpu_s * 1e3:.2f} ms", f"${price_usd:,.2f}"
        )
    console.print(table)


def outcome(result: Result) -> str:
    """What an act cost, in one line."""
    costs = ", ".join(f"{one.traffic_class} for {one.cost.mean:.1%}" for one in result.tallies)
    refused = sum(one.refused for one in result.tallies)
    return (
        f"Served {costs} of always-best's cost; {refused:,} refused, {len(result.failures)} failed."
    )


def print_results(
    console: Console, results: Sequence[Result], best: str, paid: Iterable[str]
) -> None:
    """Each act against its promises, what the plan said of prices, and what was broken.

    `best` is the model of always-best; `paid` tells what all of it cost.
    """
    table = Table("act", *COLUMNS, "best", "failed", box=SIMPLE)
    for result in results:
        for row in _rows(result):
            table.add_row(*row)
    console.print(table)
    told = (_explained(best), _priced(results), paid, _judged(results))
    for line in chain.from_iterable(told):
        console.print(Text(line))


def _rows(result: Result) -> Iterator[tuple[str, ...]]:
    for tally in result.tallies:
        best = f"{tally.best_accuracy:.1%}"
        yield (result.title[0], *cells_of(tally), best, f"{len(result.failures)}")


def _explained(best: str) -> Iterator[str]:
    yield f"cost: a part of what always {best} asks for the same requests; best: how often"
    yield "that is right; shed: refused, it does not fit. All intervals hold together with 95 %."


def _priced(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        yield f"Act {result.title}"
        yield from (f"  {sentence}" for sentence in result.prices[:_SENTENCES])
        if result.refusals:
            yield f"  {len(result.refusals):,} were refused, the last with these words:"
            yield f"  {result.refusals[-1]}"


def total(served: Sequence[Served], study: Study) -> Iterator[str]:
    """What was paid, beside what single models would have asked."""
    answered = [one for one in served if one.answer]
    if not answered:
        return
    cost = to_usd(sum(one.cost_nano_usd for one in answered))
    alone = study.cheapest_alone(max(FLOORS.values()))

    def always(model: str) -> str:
        asked = to_usd(study.measured[model].request_nano_usd * len(answered))
        return f"always {model} would have asked ${asked:.5f}, {asked / cost:.1f} times as much"

    yield f"{len(answered):,} requests were answered for ${cost:.5f};"
    yield f"{always(study.best)};"
    yield f"{always(alone)}"
    yield "(the cheapest that held every floor alone when the traffic began)."


def _judged(results: Sequence[Result]) -> Iterator[str]:
    broken = [f"Act {result.title[0]}: {one}" for result in results for one in result.broken]
    yield from (f"BROKEN: {one}" for one in broken)
    yield from chain.from_iterable(_short_of_floors(result) for result in results)
    if not broken:
        yield "No promise was broken beyond what chance allows."


def _short_of_floors(result: Result) -> Iterator[str]:
    """What is no proof and still no floor held."""
    for tally in result.tallies:
        if tally.accuracy.mean < tally.floor <= tally.accuracy.high:
            served = f"{tally.traffic_class} was {tally.accuracy.mean:.1%} right"
            floor = f"its floor is {tally.floor:.1%}; the interval reaches it"
            yield f"short: Act {result.title[0]}: {served}, {floor}"
