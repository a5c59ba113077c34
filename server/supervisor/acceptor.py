"""Accepts the connections of callers, and hands each to the worker that holds the fewest."""

import asyncio
import socket

import structlog

from server.supervisor.balance import Balance
from server.transport.sockets import hand_over
from server.transport.sockets.accepting import ACCEPTED_AT_ONCE, PAUSE_S, SHORT
from server.transport.sockets.listen import Listener

_log = structlog.get_logger()


class Acceptor:
    """While no worker takes connections they wait in the kernel, as many as its backlog holds."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._balance = Balance()
        self._channels: dict[str, socket.socket] = {}
        self._loop = asyncio.get_running_loop()
        self._reading = False
        self._pause: asyncio.TimerHandle | None = None
        self._stopped = False

    def join(self, worker: str, channel: socket.socket) -> None:
        """Hands connections to the worker from now on, until its end of the channel is closed."""
        self._leave(worker)
        self._channels[worker] = channel
        self._balance.join(worker)
        self._loop.add_reader(channel, self._listen_to, worker)
        self._resume()

    def stop(self) -> None:
        """Hands over what waits, as far as workers take it, and listens no more."""
        self._stopped = True
        self._wait()
        if self._pause is not None:
            self._pause.cancel()
        while self._accept_some():
            pass
        self._listener.close()

    def close(self) -> None:
        """Forgets the workers."""
        for worker in list(self._channels):
            self._leave(worker)

    def _accept_some(self) -> bool:
        """True if there may be more."""
        for _ in range(ACCEPTED_AT_ONCE):
            worker = self._balance.pick()
            if worker is None:
                self._wait()  # until a worker has taken some
                return False
            try:
                connection, _ = self._listener.socket.accept()
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno in SHORT:
                    self._rest(error)
                    return False
                continue  # that caller has gone already
            try:
                with connection:  # the worker has a descriptor of its own
                    self._hand_over(connection, worker)
            except OSError as error:
                _log.error("a connection is closed: there is no room to hand it over")
                self._rest(error)
                return False
        return True

    def _hand_over(self, connection: socket.socket, worker: str | None) -> None:
        """To the first that takes it; the caller sees it closed if there is none.

        Raises OSError when the kernel has no room for it, whoever the worker is.
        """
        while worker is not None:
            try:
                given = hand_over.give(self._channels[worker], connection)
            except ConnectionError:  # the worker is on its way out
                self._leave(worker)
            else:
                if given:
                    self._balance.handed(worker)
                    return
                self._balance.full(worker)
            worker = self._balance.pick()

    def _listen_to(self, worker: str) -> None:
        counts = hand_over.read_counts(self._channels[worker])
        if counts is None:
            self._leave(worker)
            return
        self._balance.count_connections(worker, taken=counts.taken, ended=counts.ended)
        self._resume()

    def _leave(self, worker: str) -> None:
        channel = self._channels.pop(worker, None)
        if channel is not None:
            self._loop.remove_reader(channel)
            channel.close()
            self._balance.leave(worker)

    def _rest(self, error: OSError) -> None:
        _log.error("connections have to wait", error=error.strerror)
        self._wait()
        self._pause = self._loop.call_later(PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._resume()

    def _wait(self) -> None:
        self._loop.remove_reader(self._listener.socket)
        self._reading = False

    def _resume(self) -> None:
        if self._reading or self._stopped or self._pause is not None:
            return
        if self._balance.pick() is not None:
            self._loop.add_reader(self._listener.socket, self._accept_some)
            self._reading = True
