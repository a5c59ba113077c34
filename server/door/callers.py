"""Who asks at the door: what a request shows of its caller, held to what its key allows."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from server.door.connection import DoorConnection
from server.routing.callers import Caller, Callers, Shown
from server.rpc.callers import KEY, names_in


def find(
    callers: Callers, request: web.BaseRequest, connection: DoorConnection, *, now_s: float
) -> Caller:
    """Raises a RoutingError where it shows what is not good, or nothing and has to."""
    shown = Shown(request.headers.getall(KEY, ()), names_in(connection.certificate))
    return callers.find(shown, now_s=now_s, at_the_door=True)


@contextmanager
def admitted(
    callers: Callers, request: web.BaseRequest, connection: DoorConnection, *, now_s: float
) -> Iterator[Caller | None]:
    """Counts a request of its caller, open until this is left; None: nobody has a name here.

    Raises as find does, and KeyBusy or KeyRate.
    """
    if not callers.is_on:
        yield None
        return
    caller = find(callers, request, connection, now_s=now_s)
    with caller.calling(now_s=now_s):
        yield caller
