"""Has the body of a Chat Completions request say which model takes it; nothing of it is changed.

python chat.py [ADDRESS]
"""

import sys

from turnout import Client, InvalidRequest, NotPermitted

BODY: dict[str, object] = {
    "messages": [
        {"role": "system", "content": "You answer in one sentence."},
        {"role": "user", "content": "What is a turnout?"},
    ],
    "response_format": {"type": "json_object"},
}


def main(address: str = "127.0.0.1:7080") -> None:
    with Client(address, timeout_s=5) as client:
        try:
            decision = client.route(openai_chat=BODY, tenant="team-a")
        except (InvalidRequest, NotPermitted) as error:
            # Of the models of `make serve` none takes a chat, and this says so.
            print(f"no model for it: {error}")
            return
        print(f"send it to {decision.model} at {decision.endpoint}: {decision.reason.text}")
        if decision.report_wanted:  # in the audit sample: grade the answer and say how good it was
            client.report(decision.decision_id, quality=1.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
