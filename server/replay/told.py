"""From files and what is wanted of them to a report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from server.config.schema import Config
from server.named_files.classifier import fitting, read_classifier
from server.replay.access_lines import is_access_log, read_access_log
from server.replay.answers import Answers, billed, is_billed
from server.replay.estimated import completed
from server.replay.events import EventInvalid, event, joining, stated
from server.replay.grading import Grading
from server.replay.log_files import read_arrivals, read_log
from server.replay.recording import Recording, Requests
from server.replay.report import Report, told
from server.replay.run import Replay
from server.replay.traffic import Burst, Traffic, again, at_random, busier, shuffled
from server.replay.unasked import with_every_model, with_priors
from server.routing.learned_classifier.classifier import LearnedClassifier

_EVERY_GRADE = Grading()


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a log is to be replayed."""

    requests: int | None = None  # None: as many as the log has
    per_s: float = 20.0
    arrivals: Path | None = None
    events: Sequence[str] = ()
    bursts: Sequence[str] = ()
    grading: Grading = _EVERY_GRADE
    seed: int = 0


def told_of(
    config: Config, log: Path, wanted: Wanted, on_window: Callable[[int, int], None]
) -> Report:
    """Replays a log; `on_window` is told how many of how many requests have come.

    Raises LogInvalid, ModelsMissing, EventInvalid, ClassifierInvalid, or RoutingError where the
    log states a class that the configuration lacks.
    """
    events = [stated(text, config) for text in wanted.events]
    bursts = [_burst(text) for text in wanted.bursts]
    recording, guessed = _recorded(log, config)
    if is_billed(recording):
        config = billed(config)
    whole, begins_with = joining(config, events)
    learned = None
    if config.classifier is not None:
        learned = LearnedClassifier(fitting(config, read_classifier(config.classifier.file)))
    traffic = _traffic(recording.requests, wanted, bursts)
    replay = Replay(
        whole,
        recording.requests,
        Answers(recording, whole.models),
        wanted.grading,
        seed=wanted.seed,
        begins_with=begins_with,
        learned=learned,
    )
    report, _ = told(
        replay,
        traffic,
        [event(one) for one in sorted(events)],
        lambda served: on_window(served, len(traffic)),
        guessed=guessed,
    )
    return report


def _recorded(log: Path, config: Config) -> tuple[Recording, float]:
    """Without gaps, and what part of its scores nobody saw."""
    if not is_access_log(log):
        return completed(read_log(log))
    recording = with_every_model(read_access_log(log), config.models)
    guessed = float(np.isnan(recording.score).mean())
    return with_priors(completed(recording)[0], config.models), guessed


def _traffic(requests: Requests, wanted: Wanted, bursts: Sequence[Burst]) -> Traffic:
    """In the order of the log where that says when they came, else in an order that is drawn."""
    random = np.random.default_rng(wanted.seed)
    queries = len(requests.ids)
    arrival_s = requests.arrival_s if wanted.arrivals is None else read_arrivals(wanted.arrivals)
    count = wanted.requests or (queries if arrival_s is None else arrival_s.size)
    query = (
        shuffled(queries, count, random)
        if requests.arrival_s is None
        else np.arange(count) % queries
    )
    at_s = at_random(count, wanted.per_s, random) if arrival_s is None else again(arrival_s, count)
    return Traffic(busier(at_s, bursts), query)


def _burst(text: str) -> Burst:
    try:
        begin_s, length_s, factor = map(float, text.split())
    except ValueError:
        factor = 0.0
    if factor <= 0:
        raise EventInvalid(f"{text!r}: write SECONDS LENGTH FACTOR, such as '600 180 5'")
    return Burst(begin_s, begin_s + length_s, factor)
