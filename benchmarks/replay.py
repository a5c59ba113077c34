"""A replay of recorded outcomes: requests on one core, with the windows that they fall in.

28 models, 14 subjects as domains, a floor, an audit rate of 0.2, 20 requests a second in windows of
5 s: the floor rows of docs/replay.md are 384 such runs of 20,000 requests, and have two hours.
"""

import time
from itertools import cycle

from benchmarks.harness import Benchmark, Claim, Row, alternate, compared_s, judge
from benchmarks.learning.floors import Setting, prepared
from benchmarks.learning.made import made
from server.replay.run import BEGINS_S

# The floor is what the router alone takes for the same requests: beyond it come journeys, counts,
# pushes, grades, and a learned and solved window for each hundred requests.
CLAIM = Claim("replay", "a replayed request", "Router.decide", subject_us_max=930)

_ROUNDS, _REQUESTS, _BOTH_US = 8, 20_000, 350.0
_QUERIES = 8_000
_SETTING = Setting("equal", 0.6, 0.2)


def run(toy: bool) -> list[Row]:
    rounds, requests = (2, 500) if toy else (_ROUNDS, _REQUESTS)
    recording, prices = made(_QUERIES)
    orders = cycle(range(rounds + 1))

    def replayed_us() -> float:
        replay, traffic = prepared(recording, prices, _SETTING, next(orders), requests)
        begun_s = time.perf_counter()
        replay.tell(traffic)
        return (time.perf_counter() - begun_s) / requests * 1e6

    def decided_us() -> float:
        replay, traffic = prepared(recording, prices, _SETTING, 0, requests)
        router, queries = replay.worker.router, replay.queries
        begun_s = time.perf_counter()
        for at_s, query in traffic.each():
            router.decide(queries[query], now_s=BEGINS_S + at_s, chance=0.5, forwarded=True)
        return (time.perf_counter() - begun_s) / requests * 1e6

    return [judge(CLAIM, alternate(CLAIM.name, replayed_us, decided_us, rounds=rounds))]


BENCHMARK = Benchmark("replay", (CLAIM,), run, compared_s(_ROUNDS, _REQUESTS, _BOTH_US))
