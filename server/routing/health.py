"""Passive outlier detection: takes an endpoint out after failures in a row, and lets it back.

The words are those of gRFC A50. An ejection lasts longer each time it follows soon on the last. It
holds only while somebody else may be asked: a model whose endpoints are all ejected gives way to
other models, and where no model is left that is up, ejections are ignored. So however many are
ejected, somebody is asked. Who said when to come back is not asked before, even where nobody else
can be.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf

from server.config.models import HealthConfig
from server.routing.catalog import bits

# Of what an endpoint asks for: minutes may be meant for a whole account, of which we know little.
REST_S_MAX = 60.0

EndpointKey = tuple[int, str]  # index of the model, address


@dataclass(slots=True)
class _State:
    failures_in_a_row: int = 0
    are_silent: bool = False  # in all of these failures nothing was heard of it
    ejections: int = 0  # how many followed each other closely
    ejected_s: float = -inf  # when it was last ejected
    ejected_until_s: float = 0.0
    ejected: bool = False
    is_doubted: bool = False  # a probe went well, and no answer has come since
    answered_s: float = -inf  # when it last answered well
    refused_s: float = -inf  # when it last answered, though not well
    rests_until_s: float = -inf  # it asked to be left alone until then
    rests: bool = False


class HealthTracker:
    """Records what attempts found and when; never sleeps, never reads a clock."""

    def __init__(self, config: HealthConfig) -> None:
        self._config = config
        self._states: dict[EndpointKey, _State] = {}
        self.ejected = 0  # bit m: every endpoint of model m is ejected
        self.resting = 0  # bit m: every endpoint of model m asked to be left alone
        self.down = 0  # bit m: every endpoint of model m is ejected or resting
        self.impaired = 0  # bit m: some endpoint of model m is
        self.next_return_s = float("inf")  # when `refresh` has something to do
        self.on_change: Callable[[], None] = _nobody_listens  # called when what is ejected changes

    def tune(self, config: HealthConfig) -> None:
        """Takes new limits, for what is recorded from now on."""
        self._config = config

    @property
    def ejection_s(self) -> float:
        """How long a first ejection lasts."""
        return self._config.ejection_s

    def track(self, endpoints: Iterable[EndpointKey]) -> None:
        """Watches exactly these: new ones start healthy, known ones keep their state."""
        self._states = {e: self._states.get(e, _State()) for e in endpoints}
        self._summarise()

    def record_success(self, endpoint: EndpointKey, *, sent_s: float, now_s: float) -> None:
        """An attempt came back well; one sent before an ejection says nothing against it.

        Unless that was for silence: against that speaks one that came back since.
        """
        state = self._states.get(endpoint)
        if state is None:
            return
        if now_s > state.answered_s:  # a report may be older than what was heard since
            state.answered_s = now_s
        if state.ejected and (now_s if state.are_silent else sent_s) < state.ejected_s:
            return
        state.failures_in_a_row = 0
        state.ejections = 0
        state.is_doubted = False
        if state.ejected:  # nobody else could be asked, and it is well
            state.ejected = False
            self._summarise()

    def record_poor_answer(self, endpoint: EndpointKey, *, now_s: float) -> None:
        """The endpoint answered, but with an error of its own."""
        if (state := self._states.get(endpoint)) is not None:
            state.refused_s = now_s

    def was_heard(self, endpoint: EndpointKey, *, since_s: float) -> bool:
        """Whether it answered at all since then; true of an endpoint that left the catalog."""
        state = self._states.get(endpoint)
        return state is None or max(state.answered_s, state.refused_s) >= since_s

    def has_answered(self, endpoint: EndpointKey, *, since_s: float) -> bool:
        """Whether it answered well since then; true of an endpoint that left the catalog."""
        state = self._states.get(endpoint)
        return state is None or state.answered_s >= since_s

    def has_ever_answered(self, endpoint: EndpointKey) -> bool:
        """Whether it answered well at all; true of an endpoint that left the catalog."""
        state = self._states.get(endpoint)
        return state is None or state.answered_s > -inf

    def is_suspect(self, endpoint: EndpointKey) -> bool:
        """Whether it failed, and has never answered anybody."""
        state = self._states.get(endpoint)
        if state is None or state.answered_s > -inf:
            return False
        return state.failures_in_a_row > 0 or state.ejections > 0

    def record_failure(
        self, endpoint: EndpointKey, *, sent_s: float, now_s: float, is_silent: bool = False
    ) -> bool:
        """An attempt failed by the endpoint's fault; returns whether that ejected it.

        Those that were sent before its last ejection are what it was ejected for.
        """
        state = self._states.get(endpoint)
        if state is None or sent_s < state.ejected_s:
            return False  # the first: it left the catalog while the attempt was out
        state.are_silent = is_silent and (state.are_silent or not state.failures_in_a_row)
        state.failures_in_a_row += 1
        if state.ejected or state.failures_in_a_row < self._config.consecutive_failures_max:
            return False
        self._eject(state, now_s)
        return True

    def rest(self, endpoint: EndpointKey, *, seconds: float, now_s: float) -> None:
        """The endpoint said when to come back; that speaks neither for it nor against it."""
        state, until_s = self._states.get(endpoint), now_s + min(seconds, REST_S_MAX)
        if state is not None and until_s > max(state.rests_until_s, now_s):
            state.rests_until_s = until_s
            if not state.rests:  # of many that were out at once each says it
                state.rests = True
                self._summarise()

    def rest_left_s(self, models: int, *, now_s: float) -> float:
        """How long until the first endpoint that rests, of models m whose bit is set, is back."""
        rests = (
            state.rests_until_s
            for (model, _), state in self._states.items()
            if state.rests and models >> model & 1
        )
        return max(min(rests, default=now_s) - now_s, 0.0)

    def to_probe(self) -> list[EndpointKey]:
        """The endpoints that are ejected and that a probe may bring back."""
        if not self.impaired:
            return []
        return [e for e, state in self._states.items() if state.ejected and not state.is_doubted]

    def record_good_probe(self, endpoint: EndpointKey) -> None:
        """The endpoint says that it is ready, so it is back early; one failure ejects it again.

        Then what it says is not believed again until it answers a call: it may be ready for
        nothing else.
        """
        state = self._states.get(endpoint)
        if state is None or not state.ejected:
            return
        state.is_doubted = True
        self._let_back(state)
        self._summarise()

    def refresh(self, now_s: float) -> None:
        """Lets back each endpoint whose ejection is over; one more failure ejects it again.

        And each that has been left alone for as long as it asked.
        """
        if now_s < self.next_return_s:
            return
        for state in self._states.values():
            if state.ejected and now_s >= state.ejected_until_s:
                self._let_back(state)
            if now_s >= state.rests_until_s:
                state.rests = False
        self._summarise()

    def is_out(self, endpoint: EndpointKey) -> bool:
        """Whether it is ejected, or asked to be left alone."""
        state = self._states.get(endpoint)
        return state is not None and (state.ejected or state.rests)

    def rests(self, endpoint: EndpointKey) -> bool:
        """Whether it asked to be left alone, for now."""
        state = self._states.get(endpoint)
        return state is not None and state.rests

    def is_ejected(self, endpoint: EndpointKey) -> bool:
        state = self._states.get(endpoint)
        return state is not None and state.ejected

    def ejection_left_s(self, endpoint: EndpointKey, *, now_s: float) -> float:
        """How much longer it is out, unless a probe or an answer brings it back; 0: it is not."""
        state = self._states.get(endpoint)
        if state is None or not state.ejected:
            return 0.0
        return max(state.ejected_until_s - now_s, 0.0)

    def _let_back(self, state: _State) -> None:
        state.ejected = False
        state.failures_in_a_row = self._config.consecutive_failures_max - 1

    def _eject(self, state: _State, now_s: float) -> None:
        length_s = min(self._config.ejection_s * 2.0**state.ejections, self._config.ejection_s_max)
        # 2^ejections would overflow long before anyone notices: the longest is reached by then.
        state.ejections = min(state.ejections + 1, 30)
        state.ejected, state.ejected_s, state.ejected_until_s = True, now_s, now_s + length_s
        self._summarise()

    def _summarise(self) -> None:
        states = self._states.items()
        self.impaired = bits({model for (model, _), s in states if s.ejected or s.rests})
        self.ejected = self._models_all(lambda state: state.ejected)
        self.resting = self._models_all(lambda state: state.rests)
        self.down = self._models_all(lambda state: state.ejected or state.rests)
        self.next_return_s = min((_returns_s(state) for _, state in states), default=inf)
        self.on_change()

    def _models_all(self, is_so: Callable[[_State], bool]) -> int:
        """Bit m: so is every endpoint of model m."""
        others = {model for (model, _), state in self._states.items() if not is_so(state)}
        return bits({model for model, _ in self._states} - others)


def _returns_s(state: _State) -> float:
    """When it is back, or is no longer to be left alone."""
    ejected_until_s = state.ejected_until_s if state.ejected else inf
    return min(ejected_until_s, state.rests_until_s if state.rests else inf)


def _nobody_listens() -> None:
    pass
