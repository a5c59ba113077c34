"""Asks which model to call, falls back where one fails, and reports what became of it.

python route_and_report.py [ADDRESS]
"""

import sys
import time

from turnout import Attempt, Client, Target


def call(target: Target) -> str:
    """Yours: asks the model at target.endpoint. Raises ConnectionError where it does not answer."""
    if target.model == "small":
        raise ConnectionError(f"{target.model} does not answer")
    return f"an answer of {target.model}"


def timed(target: Target) -> tuple[str | None, Attempt]:
    """The answer, if there is one, and the attempt to report."""
    begun_s = time.monotonic()
    try:
        answer = call(target)
    except ConnectionError:
        return None, target.failed(latency_s=time.monotonic() - begun_s)
    return answer, target.answered(latency_s=time.monotonic() - begun_s)


def main(address: str = "127.0.0.1:7080") -> None:
    attempts: list[Attempt] = []
    with Client(address, timeout_s=5) as client:
        decision = client.route(labels={"app": "strict"}, tenant="team-a")
        for target in decision.targets:  # the model, then its fallbacks
            answer, attempt = timed(target)
            attempts.append(attempt)
            if answer is not None:
                print(answer)
                break
        client.report(decision.decision_id, attempts=attempts)
    print(f"reported {len(attempts)} attempts of {decision.decision_id[:8]}...")


if __name__ == "__main__":
    main(*sys.argv[1:])
