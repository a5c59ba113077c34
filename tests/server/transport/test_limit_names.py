"""The names that limits are counted by are those of their fields."""

import dataclasses

from server.door.limits import DoorLimits
from server.transport.channel.limits import ChannelLimits
from server.transport.http2.limits import Limits
from server.transport.limit_names import ALL, CHANNEL_LIMITS, DOOR_LIMITS, SERVER_LIMITS
from server.transport.serving.limits import ServerLimits

HTTP2 = {field.name for field in dataclasses.fields(Limits)}
# SETTINGS tell the peer; to go beyond them is an error of HTTP/2, not a limit reached.
HELD_BY_SETTINGS = {"header_table_bytes", "stream_window_bytes", "connection_window_bytes"}
# Of a channel: beyond these a call waits, or goes to another connection.
WAITED_FOR = {"connections", "calls", "calls_ever", "waiting_bytes", "goodbye_s"}
# What a worker holds, for callers and of endpoints' answers.
OF_A_WORKER = {"held_bytes", "held_bytes_in_all"}


def counted(field: str) -> str:
    """The name without its unit and `max`."""
    return field.removesuffix("_max").removesuffix("_s")


def test_every_limit_of_http2_is_counted_or_held_by_settings() -> None:
    assert SERVER_LIMITS >= HTTP2 - HELD_BY_SETTINGS
    assert not (SERVER_LIMITS | CHANNEL_LIMITS) & HELD_BY_SETTINGS


def test_every_limit_of_a_server_is_counted() -> None:
    own = {field.name for field in dataclasses.fields(ServerLimits)} - {"http2"}
    names = {counted(field).removesuffix("_bytes") for field in own}
    told = SERVER_LIMITS - HTTP2
    # One silence, two times; bytes are part of a name that would say nothing without them.
    assert names - {"keepalive_answer"} == {name.removesuffix("_bytes") for name in told}


def test_every_limit_of_a_channel_is_counted_or_waited_for() -> None:
    own = set(ChannelLimits._fields) - WAITED_FOR
    assert {counted(field) for field in own} == CHANNEL_LIMITS - HTTP2 - OF_A_WORKER


def test_every_limit_of_the_door_is_counted_refused_or_ordinary() -> None:
    own = {counted(field.name).removesuffix("_bytes") for field in dataclasses.fields(DoorLimits)}
    told = {name.removesuffix("_bytes") for name in DOOR_LIMITS - OF_A_WORKER}
    assert own - {"age", "heartbeat"} == told


def test_no_two_limits_share_a_name() -> None:
    assert len(set(ALL)) == len(ALL) == sum(map(len, (SERVER_LIMITS, CHANNEL_LIMITS, DOOR_LIMITS)))
