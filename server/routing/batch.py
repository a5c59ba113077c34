"""Decides many requests at once: each as if it came alone, what they share only once."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from server.routing.asked import Asked
from server.routing.decision import Decision
from server.routing.decision_id import Kind
from server.routing.errors import NoCandidate, Shed
from server.routing.router import Router


@dataclass(slots=True)
class Alike:
    """Requests that were read as one: they differ in tokens, within what is told apart, alone."""

    asked: Asked
    each_s: float  # to decide and answer one of them takes so long
    tokens: dict[int, int | None] = field(default_factory=dict)  # as stated, by place in the batch


class Decided(NamedTuple):
    """What one request is answered."""

    decision: int  # of the batch's
    decision_id: str
    audited: bool


class Batch(NamedTuple):
    """The decisions of several requests."""

    decisions: list[Decision]  # shared by those that were decided alike
    answers: dict[int, Decided | NoCandidate | Shed]  # by place


def decide_batch(
    router: Router, requests: Iterable[Alike], *, now_s: float, chance: Callable[[], float]
) -> Batch:
    """Decides and counts what was read under the configuration in force.

    `chance`, uniform in [0, 1), says whether each is audited and, of those that are decided alike,
    which goes to which model.
    """
    making = _Making(router, now_s, chance)
    for alike in _grouped(requests):
        making.decide(alike)
    return Batch(making.decisions, making.answers)


def alike_key(asked: Asked) -> Hashable:
    """Equal for what a plan decides alike, for the same reason."""
    reading, unfit, demanding, *_ = asked
    return reading.cell, reading.rule, reading.why, unfit, demanding


_Placed = tuple[int, Alike]


def _grouped(requests: Iterable[Alike]) -> Iterable[list[_Placed]]:
    groups: defaultdict[Hashable, list[_Placed]] = defaultdict(list)
    for alike in requests:
        groups[alike_key(alike.asked)].extend([(place, alike) for place in alike.tokens])
    return groups.values()


class _Making:
    """A batch while it is made."""

    def __init__(self, router: Router, now_s: float, chance: Callable[[], float]) -> None:
        self._router = router
        self._now_s = now_s
        self._chance = chance
        self.decisions: list[Decision] = []
        self.answers: dict[int, Decided | NoCandidate | Shed] = {}

    def decide(self, requests: list[_Placed]) -> None:
        """Answers requests that are decided alike."""
        _, first = requests[0]
        if self._router.admission.sheds(first.asked.reading.cell):
            requests = self._served(requests)
        requests = self._planned(first.asked, requests)
        if not requests:
            return
        decided = self._router.decide_alike(first.asked, len(requests), now_s=self._now_s)
        if len(decided) > 1:  # else the first of every batch would go to the same model
            requests.sort(key=lambda _: self._chance())
        begin = 0
        for decision, count in decided:
            self._share(decision, requests[begin : begin + count])
            begin += count
        for place, alike in requests[begin:]:  # the plan has no model for them
            self._decide_alone(place, alike, self._chance())

    def _planned(self, asked: Asked, requests: list[_Placed]) -> list[_Placed]:
        """Decides probes, each alone, and leaves what the plan serves."""
        rate = self._router.prober.rate(asked, self._router.catalog)
        if not rate:
            return requests
        planned = []
        for place, alike in requests:
            chance = self._chance()
            if chance < rate:
                self._decide_alone(place, alike, chance)
            else:
                planned.append((place, alike))
        return planned

    def _served(self, requests: list[_Placed]) -> list[_Placed]:
        """Refuses those that the plan sheds, one by one: they may be of several tenants."""
        served = []
        requests.sort(key=lambda _: self._chance())  # else it would be the same places each time
        for place, alike in requests:
            refusal = self._router.admission.refusal(alike.asked)
            if refusal is None:
                served.append((place, alike))
            else:
                self.answers[place] = refusal
        return served

    def _share(self, decision: Decision, requests: Sequence[_Placed]) -> None:
        """Answers all of them with it, each by an id of its own."""
        rate = self._router.prober.audit_probability(requests[0][1].asked, self._router.catalog)
        seal = self._router.sealing(decision, Kind.ROUTE, now_s=self._now_s)
        audited = replace(decision, audit_probability=rate) if rate else decision
        seal_audited = self._router.sealing(audited, Kind.ROUTE, now_s=self._now_s)
        chance, answers, index = self._chance, self.answers, len(self.decisions)
        self.decisions.append(decision)
        for place, alike in requests:
            is_audited = chance() < rate
            decision_id = seal_audited() if is_audited else seal()
            answers[place] = Decided(index, decision_id, is_audited)
            if alike.asked.text:
                self._keep_text(decision_id, alike.asked)

    def _decide_alone(self, place: int, alike: Alike, chance: float) -> None:
        """Without a plan, a request is priced by its own tokens."""
        asked, tokens = alike.asked, alike.tokens[place]
        if tokens is not None:
            asked = asked._replace(reading=asked.reading._replace(input_tokens=tokens))
        try:
            decision = self._router.decide_read(asked, now_s=self._now_s, chance=chance)
        except NoCandidate as error:
            self.answers[place] = error
            return
        model = decision.target.model
        decision_id = self._router.seal(decision, Kind.ROUTE, model, now_s=self._now_s)
        self.answers[place] = Decided(
            len(self.decisions), decision_id, decision.audit_probability > 0
        )
        self.decisions.append(decision)

    def _keep_text(self, decision_id: str, asked: Asked) -> None:
        reading = asked.reading
        self._router.recent_texts.add(decision_id, asked.text, reading.cell.domain, reading.intent)
