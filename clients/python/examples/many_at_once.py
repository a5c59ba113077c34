"""Decides a thousand requests in one call, and counts what each model gets.

python many_at_once.py [ADDRESS]
"""

import sys
from collections import Counter

from turnout import BatchFields, Client, Decision


def main(address: str = "127.0.0.1:7080") -> None:
    requests: list[BatchFields] = [
        {"labels": {"app": "strict"}, "tenant": "team-a", "input_tokens": 50 + number}
        for number in range(1_000)
    ]
    with Client(address, timeout_s=10) as client:
        answers = client.route_batch(requests)
    models = Counter(
        answer.model if isinstance(answer, Decision) else f"refused: {answer.reason}"
        for answer in answers
    )
    for model, count in models.most_common():
        print(f"{count:5} {model}")


if __name__ == "__main__":
    main(*sys.argv[1:])
