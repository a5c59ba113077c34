"""The limits that are counted when they are reached; a metric's label, so there are no others."""

# Of HTTP/2, by the fields of Limits. Those that are missing are held by SETTINGS: whoever goes
# beyond them breaks HTTP/2 itself.
_OF_EITHER_END = (
    "continuation_frames",
    "control_output_bytes",
    "empty_frames",
    "frame_bytes",
    "header_block_bytes",
    "ignored_frames",
    "output_bytes",
    "pings",
    "settings",
    "stream_errors",
    "tiny_frames",
    "waiting_bytes",
    "window_updates",
)
_OF_CALLERS = ("concurrent_streams", "header_list_bytes", "peer_resets", "refused_streams")
# By the fields of ServerLimits, without a unit or `max`.
_OF_SERVER = (
    "age",
    "connections",
    "connections_per_address",
    "handshake",
    "held_bytes",
    "held_bytes_in_all",
    "idle",
    "keepalive",
    "message_bytes",
    "request",
    "retirement",
    "stall",
    "streams_in_all",
)

SERVER_LIMITS = frozenset((*_OF_EITHER_END, *_OF_CALLERS, *_OF_SERVER))
# Of a worker: a large answer of an endpoint gives way as a caller's connection does.
_HELD = ("held_bytes", "held_bytes_in_all")
# By the fields of ChannelLimits that cost a call; beyond the others it waits or goes elsewhere.
CHANNEL_LIMITS = frozenset((*_OF_EITHER_END, *_HELD, "connect", "keepalive", "waiting_calls"))
# By the fields of DoorLimits; beyond the others a request is refused, or its connection retires.
DOOR_LIMITS = frozenset(
    (
        *_HELD,
        "ahead",
        "body",
        "connections",
        "connections_per_address",
        "handshake",
        "head",
        "head_bytes",
        "idle",
        "stall",
    )
)
# Where they are told together: of a channel, and of the door for OpenAI clients.
CHANNEL_PREFIX, DOOR_PREFIX = "channel_", "door_"
ALL = (
    *sorted(SERVER_LIMITS),
    *(CHANNEL_PREFIX + name for name in sorted(CHANNEL_LIMITS)),
    *(DOOR_PREFIX + name for name in sorted(DOOR_LIMITS)),
)
