"""Random conversations with the `h2` library at the other end: both hear what was said."""

from dataclasses import dataclass, field

from h2.settings import SettingCodes
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from server.transport.http2.limits import Limits
from tests.server.transport.http2.by_hand import REQUEST, RESPONSE, TRAILERS
from tests.server.transport.http2.h2_ends import Fields, Ours, Theirs

End = Ours | Theirs

LIMITS = Limits(stream_window_bytes=70_000, connection_window_bytes=100_000)
CALLS_MAX = 30
ROUNDS_MAX = 1_000

sizes = st.sampled_from((0, 1, 100, 16_384, 16_385, 65_535, 100_000, 300_000))
pieces = st.sampled_from((1, 7, 1_000, 100_000_000))
settings = st.sampled_from(
    (
        (SettingCodes.INITIAL_WINDOW_SIZE, 0),
        (SettingCodes.INITIAL_WINDOW_SIZE, 1_000),
        (SettingCodes.INITIAL_WINDOW_SIZE, 65_535),
        (SettingCodes.INITIAL_WINDOW_SIZE, 200_000),
        (SettingCodes.HEADER_TABLE_SIZE, 0),
        (SettingCodes.HEADER_TABLE_SIZE, 100),
        (SettingCodes.HEADER_TABLE_SIZE, 10_000),
    )
)
more_fields = st.lists(
    st.tuples(
        st.sampled_from((b"x-a", b"x-b", b"traceparent", b"server", b"authorization")),
        st.sampled_from((b"", b"1", b"two words", b"\x80\xff", b"v" * 60, b"w" * 200)),
    ),
    max_size=5,
).map(tuple)


@dataclass
class Half:
    """What one end said on a stream."""

    head: Fields = ()
    data: bytes = b""
    trailers: Fields = ()
    ended: bool = False


@dataclass
class Call:
    stream_id: int
    request: Half
    response: Half = field(default_factory=Half)
    reset: bool = False


class Conversation(RuleBasedStateMachine):
    """The test acts for both applications; what is on its way is passed on when a rule says so."""

    @initialize(we_are_the_client=st.booleans(), frame_bytes=st.sampled_from((16_384, 50_000)))
    def meet(self, we_are_the_client: bool, frame_bytes: int) -> None:
        self.ours = Ours(LIMITS, client=we_are_the_client)
        self.theirs = Theirs(client=not we_are_the_client)
        self.client: End = self.ours if we_are_the_client else self.theirs
        self.server: End = self.theirs if we_are_the_client else self.ours
        self.calls: list[Call] = []
        self._settle()
        # Now, for the library notices a new size with the next read only.
        self.theirs.settings(SettingCodes.MAX_FRAME_SIZE, frame_bytes)
        self._settle()

    @rule(fields=more_fields)
    def call(self, fields: Fields) -> None:
        if len(self.calls) < CALLS_MAX:
            half = Half(REQUEST + fields)
            self.calls.append(Call(self.client.open(half.head), half))

    @rule(which=st.integers(0, CALLS_MAX), size=sizes, end=st.booleans())
    def client_sends(self, which: int, size: int, end: bool) -> None:
        call = self._call(which)
        if call is not None and not call.request.ended:
            self._say(self.client, call.stream_id, call.request, size, end=end)

    @rule(which=st.integers(0, CALLS_MAX), fields=more_fields)
    def server_begins(self, which: int, fields: Fields) -> None:
        call = self._call(which)
        if call is not None and call.stream_id in self.server.heard.heads:
            half = call.response
            if not half.head:
                half.head = RESPONSE + fields
                self.server.head(call.stream_id, half.head)

    @rule(which=st.integers(0, CALLS_MAX), size=sizes)
    def server_sends(self, which: int, size: int) -> None:
        call = self._call(which)
        if call is not None and call.response.head and not call.response.ended:
            self._say(self.server, call.stream_id, call.response, size, end=False)

    @rule(which=st.integers(0, CALLS_MAX), fields=more_fields)
    def server_ends(self, which: int, fields: Fields) -> None:
        call = self._call(which)
        if call is not None and call.response.head and not call.response.ended:
            call.response.trailers, call.response.ended = TRAILERS + fields, True
            self.server.trailers(call.stream_id, call.response.trailers)

    @rule(which=st.integers(0, CALLS_MAX), by_client=st.booleans())
    def reset(self, which: int, by_client: bool) -> None:
        call = self._call(which)
        if call is None or (call.request.ended and call.response.ended):
            return
        if by_client or call.stream_id in self.server.heard.heads:
            call.reset = True
            (self.client if by_client else self.server).reset(call.stream_id)

    @rule(change=settings)
    def they_change_settings(self, change: tuple[SettingCodes, int]) -> None:
        if self.theirs.settled:
            self.theirs.settings(*change)

    @rule(ours=st.booleans(), theirs=st.booleans())
    def consume(self, ours: bool, theirs: bool) -> None:
        self.ours.consuming, self.theirs.consuming = ours, theirs

    @rule(piece=pieces)
    def pass_on(self, piece: int) -> None:
        self._pass_on(piece)

    def _pass_on(self, piece: int) -> bool:
        """Whether there was anything."""
        said = [(end, end.take()) for end in (self.client, self.server)]
        for (_, octets), hearer in zip(said, (self.server, self.client), strict=True):
            piece = max(piece, len(octets) // 1_000)  # bounded work for large outputs
            for at in range(0, len(octets), piece):
                hearer.feed(octets[at : at + piece])
        return any(octets for _, octets in said)

    def teardown(self) -> None:
        """All that was said is heard once windows are open and everything is passed on."""
        if not hasattr(self, "calls"):
            return
        self.consume(True, True)
        self._settle()
        # Larger than all: h2 does not open a window again that is half used but was larger once.
        self.theirs.settings(SettingCodes.INITIAL_WINDOW_SIZE, 2**24)
        rounds = 0
        while self._pass_on(100_000_000):
            rounds += 1
            assert rounds < ROUNDS_MAX, "they do not come to an end"
        for call in self.calls:
            if not call.reset:
                self._check(self.server, call.stream_id, call.request)
                self._check(self.client, call.stream_id, call.response)
        open_calls = [
            call
            for call in self.calls
            if not call.reset and not (call.request.ended and call.response.ended)
        ]
        assert self.ours.connection.open_streams == len(open_calls)
        assert self.ours.connection.held_bytes == 0

    def _settle(self) -> None:
        while not self.theirs.settled:
            self._pass_on(100_000_000)

    def _call(self, which: int) -> Call | None:
        call = self.calls[which % len(self.calls)] if self.calls else None
        return None if call is None or call.reset else call

    def _say(self, end_of: End, stream_id: int, half: Half, size: int, *, end: bool) -> None:
        data = bytes((stream_id & 0xFF, len(half.data) & 0xFF)) * (size // 2) + b"!" * (size % 2)
        if data or end:
            half.data += data
            half.ended = end
            end_of.data(stream_id, data, end=end)

    def _check(self, hearer: End, stream_id: int, half: Half) -> None:
        heard = hearer.heard
        assert heard.heads.get(stream_id, ()) == half.head
        assert heard.data[stream_id] == half.data
        assert heard.trailers.get(stream_id, ()) == half.trailers
        assert (stream_id in heard.ended) == half.ended


TestConversation = Conversation.TestCase
TestConversation.settings = hypothesis_settings(max_examples=60)
