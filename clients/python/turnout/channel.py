"""The channels of both clients."""

import grpc
import grpc.aio

MESSAGE_BYTES_MAX = 64 << 20  # the service's own limit

_OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    # Else grpcio merges the channels of all clients of a process into one connection.
    ("grpc.use_local_subchannel_pool", 1),
    # Finds a dead connection under a long call. Many servers hang up on who pings more often
    # than every five minutes.
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Connects again within the patience of a RetryPolicy; by default, up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


def channel_to(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    if credentials is None:
        return grpc.insecure_channel(address, _OPTIONS)
    return grpc.secure_channel(address, credentials, _OPTIONS)


def aio_channel_to(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(address, _OPTIONS)
    return grpc.aio.secure_channel(address, credentials, _OPTIONS)
