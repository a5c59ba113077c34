"""How a worker comes to its connections: handed over by the supervisor, or by listening itself."""

from typing import TypeAlias

import grpc

from server.app.handed_listener import WIRE_BYTES_MAX, HandedListener
from server.app.settings import DRAIN_S, Settings, bind
from server.app.tls import grpcio_credentials

_GRPCIO_OPTIONS = (
    # A second instance is told that the address is in use; the default would share it.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", WIRE_BYTES_MAX),
    ("grpc.max_send_message_length", WIRE_BYTES_MAX),
)


class GrpcioListener:
    """grpcio's server, which listens by itself."""

    def __init__(self, settings: Settings) -> None:
        self.server = grpc.aio.server(options=_GRPCIO_OPTIONS)
        self.transport = None  # of ours
        self._settings = settings

    async def start(self) -> str:
        """Returns where it listens."""
        credentials = grpcio_credentials(self._settings.tls, ask_callers=True)
        address = bind(self.server, self._settings.data_address, credentials)
        await self.server.start()
        return address

    async def stop(self) -> None:
        """Sees the calls through."""
        await self.server.stop(DRAIN_S)


DataListener: TypeAlias = HandedListener | GrpcioListener


def data_listener(settings: Settings) -> DataListener:
    """Ours, where the supervisor hands connections over."""
    if settings.connections_fd is None:
        return GrpcioListener(settings)
    return HandedListener(settings, settings.connections_fd)
