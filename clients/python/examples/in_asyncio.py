"""Asks for many decisions at once from one task each, and handles each kind of error.

python in_asyncio.py [ADDRESS]
"""

import asyncio
import sys

from turnout import AsyncClient, TurnoutError, Unavailable, Unreachable


async def ask(client: AsyncClient, user: str) -> str:
    """Which model answers this user, or why none does."""
    try:
        decision = await client.route(labels={"app": "strict"}, user=user)
    except Unreachable as error:
        return f"{user}: nothing was sent: {error}"
    except Unavailable as error:
        return f"{user}: not now, again in {error.retry_after_s} s"
    except TurnoutError as error:  # the request, the configuration or a model: it says which
        return f"{user}: {error}"
    return f"{user}: {decision.model}"


async def main(address: str = "127.0.0.1:7080") -> None:
    async with AsyncClient(address, timeout_s=5) as client:
        for line in await asyncio.gather(*(ask(client, f"user-{n}") for n in range(5))):
            print(line)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
