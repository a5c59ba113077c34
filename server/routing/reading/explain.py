"""Why a request is read as it is: every rule, and each of its conditions by itself."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from server.config.classes import ClassConfig, DomainConfig
from server.config.match import MatchConfig, alternatives
from server.routing.query import Query
from server.routing.reading.classifier import Classifier, Reading
from server.routing.reading.facts import Facts
from server.routing.reading.language import Writing
from server.routing.reading.rules import compile_rules
from server.routing.reading.structure import Structure, Structures
from server.routing.reading.wording import conditions

if TYPE_CHECKING:
    from server.routing.learned_classifier.classifier import Guess, Weighed


class Condition(NamedTuple):
    """One key of a rule."""

    wanted: str
    holds: bool


class Tried(NamedTuple):
    """A rule, or one block of it."""

    name: str
    block: int | None  # its place in a list
    conditions: tuple[Condition, ...]

    @property
    def matches(self) -> bool:
        return all(condition.holds for condition in self.conditions)


class Explanation(NamedTuple):
    """All that is known of a request; `guess` is None without a learned model."""

    reading: Reading
    structure: Structure
    writing: Writing
    keywords: tuple[str, ...]
    guess: "Guess | None"
    weighed: "tuple[Weighed, ...]"
    domains: tuple[Tried, ...]
    classes: tuple[Tried, ...]


def explain(
    classifier: Classifier,
    query: Query,
    *,
    classes: Sequence[ClassConfig],
    domains: Sequence[DomainConfig],
) -> Explanation:
    """Reads a request as the classifier of these classes and domains does; raises as it does."""
    readers = classifier.readers._replace(structures=Structures())
    facts = Facts(query, readers)
    reading = classifier.reading(facts)
    learned = readers.learned
    return Explanation(
        reading,
        facts.structure,
        facts.writing,
        tuple(sorted(facts.found)),
        facts.guess,
        learned.explain(query.text) if learned is not None and query.text else (),
        tuple(_tried(facts, domains)),
        tuple(_tried(facts, classes)),
    )


def _tried(facts: Facts, entries: Sequence[ClassConfig | DomainConfig]) -> Iterator[Tried]:
    for entry in entries:
        blocks = alternatives(entry.match)
        for number, block in enumerate(blocks):
            place = number if isinstance(entry.match, tuple) else None
            yield Tried(entry.name, place, tuple(_conditions(facts, block)))


def _conditions(facts: Facts, block: MatchConfig) -> Iterator[Condition]:
    """Each key as a rule of its own, so that it is judged as it is on the hot path."""
    for key, wanted in conditions(block).items():
        alone = MatchConfig().model_copy(update={key: getattr(block, key)})
        yield Condition(wanted, compile_rules([alone], [True])(facts) is not None)
