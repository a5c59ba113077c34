"""A conversation of two turns with a language model, its words printed as they come.

python talk.py [ADDRESS]
"""

import sys

from turnout import Client, InvalidRequest, NotPermitted

QUESTIONS = ("What is the capital of France?", "And of Italy?")


def main(address: str = "127.0.0.1:7080") -> None:
    messages: list[dict[str, object]] = []
    with Client(address, timeout_s=60) as client:
        for question in QUESTIONS:
            messages.append({"role": "user", "content": question})
            try:
                messages.append({"role": "assistant", "content": answer(client, messages)})
            except (InvalidRequest, NotPermitted) as error:
                # Of the models of `make serve` none takes a chat, and this says so.
                print(f"no model for it: {error}")
                return


def answer(client: Client, messages: list[dict[str, object]]) -> str:
    """What the model writes; leaving the block early would end the exchange with it."""
    words = []
    with client.stream(messages, tenant="team-a") as stream:
        for chunk in stream:
            print(chunk.text, end="", flush=True)
            words.append(chunk.text)
            if chunk.end:
                print(f"\n({chunk.end.model}, ${chunk.end.cost_usd:.6f}: {chunk.end.reason.text})")
    return "".join(words)


if __name__ == "__main__":
    main(*sys.argv[1:])
