"""Tells a replay: requests, windows and grades in the order of a virtual clock."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from server.config.list_prices import with_list_prices
from server.config.schema import Config
from server.replay.answers import Answers
from server.replay.grading import Grading
from server.replay.plane import Plane
from server.replay.recording import Requests
from server.replay.story import NOBODY, Planned, Served, Story
from server.replay.traffic import Traffic
from server.replay.worker import Trip, Worker
from server.routing.errors import RoutingError
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.query import Query
from turnout.v1.routing_pb2 import Feedback, Outcome

# Monday, 2024-07-01 00:00:00 UTC: periods of budgets begin with the replay.
BEGINS_S = 1_719_792_000.0
# Nobody is reached there: a model's answers are those that were recorded.
_ENDPOINT = "replay:1"
# A worker that is silent for 10 s is taken for one that is gone. A service's pushes four times a
# second, which here would only cost time.
PUSH_S = 5.0

Act = Callable[[float], None]


class Event(NamedTuple):
    """Something that befalls the service."""

    at_s: float  # since the beginning
    act: Callable[["Replay", float], None]  # at which time of the replay's clock


def reached(config: Config) -> Config:
    """The configuration as if Infer could forward to every model of it, at one endpoint each.

    With list prices filled in.
    """
    there = {"protocol": "oip", "endpoints": (_ENDPOINT,)}
    priced = with_list_prices(config).models
    models = tuple(model.model_copy(update=there) for model in priced)
    return config.model_copy(update={"models": models})


class Replay:
    """One run. Told once, and the same each time for the same seed."""

    def __init__(  # noqa: PLR0913 - all that a run is made of
        self,
        config: Config,
        requests: Requests,
        answers: Answers,
        grading: Grading,
        *,
        seed: int,
        begins_with: Config | None = None,
        learned: LearnedClassifier | None = None,
    ) -> None:
        """`begins_with` lacks models, at the end of the whole configuration, that join later."""
        self.whole = reached(config)
        self.config = config = with_list_prices(reached(begins_with or config))
        self.answers = answers
        self._grading = grading
        # One for each purpose, so that what differs in one run does not change all else of it.
        self._chance_of_grades = Random(f"grades {seed}")
        epoch = round(BEGINS_S * 1_000)
        chance = Random(f"decisions {seed}").random
        self.worker = Worker(answers.of, epoch=epoch, chance=chance)
        self.plane = Plane(config, epoch=epoch, now_s=BEGINS_S)
        self._learned = learned
        self.worker.router.configure(config, learned)
        known = {domain.name for domain in config.domains}
        self.queries = list(queries(requests, known.union(learned.domains if learned else ())))
        self.story = Story()
        self._out = 0  # requests that are on their way
        self._agenda: list[tuple[float, int, Act]] = []
        self._acts = 0
        self._up = self.plane.up(BEGINS_S)
        self._on_window: Callable[[int], object] = int

    def tell(
        self,
        traffic: Traffic,
        events: Iterable[Event] = (),
        on_window: Callable[[int], object] = int,
    ) -> Story:
        """The whole story; `on_window` is told how many requests have come."""
        self._on_window = on_window
        self._push(BEGINS_S)
        self._every(PUSH_S, self._push_and_see)
        self._every(self.config.window_s, self._window)
        for event in events:
            self._at(BEGINS_S + event.at_s, partial(_befall, self, event))
        for at_s, query in traffic.each():
            self._until(BEGINS_S + at_s)
            self._ask(query, BEGINS_S + at_s)
        while self._out:
            self._until(self._agenda[0][0])
        self.story.windows_failed = self.plane.failures
        return self.story

    def place(self, model: str) -> int:
        """Where the whole configuration has a model."""
        return next(i for i, one in enumerate(self.whole.models) if one.name == model)

    def configure(self, config: Config, now_s: float) -> None:
        """Puts another configuration in force, whose models are in the places they had, and plans.

        `now_s` is of the clock of the replay.
        """
        self.config = with_list_prices(reached(config))
        self.plane.configure(self.config)
        self.worker.router.configure(self.config, self._learned)
        self._up = self.plane.up(now_s)
        self._plan(now_s)

    def _at(self, at_s: float, act: Act) -> None:
        """Of what is due at one time, what was put down first comes first."""
        heappush(self._agenda, (at_s, self._acts, act))
        self._acts += 1

    def _until(self, now_s: float) -> None:
        agenda = self._agenda
        while agenda and agenda[0][0] <= now_s:
            at_s, _, act = heappop(agenda)
            act(at_s)

    def _every(self, span_s: float, act: Act) -> None:
        """From one span after the beginning on."""

        def again(now_s: float) -> None:
            act(now_s)
            self._at(now_s + span_s, again)

        self._at(BEGINS_S + span_s, again)

    def _push(self, now_s: float) -> bool:
        """The worker tells what it counted; true where a model left or came back by it."""
        self.plane.count(self.worker.push(now_s), now_s=now_s)
        up, self._up = self._up, self.plane.up(now_s)
        return up != self._up

    def _push_and_see(self, now_s: float) -> None:
        """Plans at once where the plan in force rests on models that have changed."""
        if self._push(now_s):
            self._plan(now_s)

    def _window(self, now_s: float) -> None:
        self._push(now_s)
        self._plan(now_s)
        self._on_window(len(self.story.served))

    def _plan(self, now_s: float) -> None:
        parts = self.plane.step(now_s)
        if parts:
            self.worker.follow(parts)
        self._note_plan(now_s)

    def _ask(self, query: int, now_s: float) -> None:
        try:
            trip = self.worker.set_out(query, self.queries[query], now_s)
        except RoutingError as error:
            self.story.served.append(
                Served(now_s - BEGINS_S, query, NOBODY, NOBODY, error.reason, 0, 0.0, False)
            )
            return
        self._out += 1
        self._go_on(trip, now_s)

    def _go_on(self, trip: Trip, now_s: float) -> None:
        """Ends what is over by now; most answers are."""
        while trip.ends_s <= now_s:
            if self.worker.end_attempt(trip):
                self._out -= 1
                self._arrive(trip, now_s)
                return
        self._at(trip.ends_s, lambda at_s: self._go_on(trip, at_s))

    def _arrive(self, trip: Trip, now_s: float) -> None:
        journey, decision, place = trip.journey, trip.decision, NOBODY
        if trip.is_answered:
            place = trip.target.model_index
            if decision.audit_probability:
                self._grade(trip, place, now_s)
        self.story.served.append(
            Served(
                journey.begun_s - BEGINS_S,
                trip.number,
                place,
                self.answers.columns[place] if place != NOBODY else NOBODY,
                decision.grounds.pick.basis.name.lower(),
                journey.cost_nano_usd,
                journey.latency_s,
                bool(decision.audit_probability),
            )
        )

    def _grade(self, trip: Trip, place: int, now_s: float) -> None:
        score = self.answers.quality(trip.number, place)
        grade = self._grading.grade(score, self._chance_of_grades)
        if grade is None:
            return
        self.story.grades += 1
        outcome = Outcome(
            decision_id=self.worker.decision_id(trip),
            feedback=[Feedback(metric="quality", value=grade)],
        )
        if not self._grading.after_s:
            self.plane.settle(outcome, now_s=now_s)
            return
        due_s = now_s + self._grading.after_s
        self._at(due_s, lambda at_s: self.plane.settle(outcome, now_s=at_s))

    def _note_plan(self, now_s: float) -> None:
        self.story.windows += 1
        plan = self.plane.plan
        if plan is not None:
            self.story.planned.append(
                Planned(
                    now_s - BEGINS_S,
                    plan.id,
                    tuple(one.required for one in plan.classes),
                    tuple(one.accuracy for one in plan.classes),
                    tuple(f"{one.kind} {one.name}" for one in plan.breaches),
                )
            )


def _befall(replay: Replay, event: Event, now_s: float) -> None:
    event.act(replay, now_s)


def queries(requests: Requests, domains: Collection[str]) -> Iterable[Query]:
    """What the router is asked; a domain that is none of these is not stated."""
    told: Mapping[str, Iterable[str]] = {
        "domain": requests.domains,
        "traffic_class": requests.traffic_classes,
        "tenant": requests.tenants,
        "text": requests.texts,
    }
    for domain, traffic_class, tenant, text, tokens in zip(
        *told.values(), requests.input_tokens, strict=True
    ):
        yield Query(
            traffic_class=traffic_class,
            tenant=tenant,
            domain=domain if domain in domains else "",
            input_tokens=tokens,
            text=text,
        )
