"""What can go wrong with a request, by meaning; rpc/errors.py gives each its status.

A reason is public: callers switch on it, so it never changes meaning.
"""

from collections.abc import Mapping


class RoutingError(Exception):
    """A request that is answered with an error; its message is for the caller to read."""

    reason: str
    trailers: tuple[tuple[str, str], ...] = ()  # what a stream took that it ended
    retry_after_s: float | None = None  # when to come back, where that is known

    def __init__(
        self, message: str, *, field: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.field = field  # path in the request, such as "context.labels"; empty: no one field
        self.retry_after_s = retry_after_s

    @property
    def with_field(self) -> str:
        """The message as it is read where the field has no place of its own."""
        return f"{self.field}: {self}" if self.field else str(self)


class InvalidRequest(RoutingError):
    """A field holds what it may not hold."""

    reason = "REQUEST_INVALID"


class UnknownClass(RoutingError):
    """The request names a class that the configuration does not have."""

    reason = "CLASS_UNKNOWN"


class UnknownDomain(RoutingError):
    """The request names a domain that the configuration does not have."""

    reason = "DOMAIN_UNKNOWN"


class ClassAmbiguous(RoutingError):
    """The request names two classes, one as a model's name."""

    reason = "CLASS_AMBIGUOUS"


class NoClass(RoutingError):
    """No rule matches and no class is the default."""

    reason = "CLASS_UNMATCHED"


class NoCandidate(RoutingError):
    """No enabled model takes this kind of payload with these capabilities."""

    reason = "NO_CANDIDATE"


class OptionUnsupported(RoutingError):
    """Every model that could answer refuses an option of the request."""

    reason = "OPTION_UNSUPPORTED"


class PayloadMalformed(RoutingError):
    """The payload is not what it says it is."""

    reason = "PAYLOAD_MALFORMED"


class PayloadTooLarge(RoutingError):
    """The request is larger than this server takes."""

    reason = "PAYLOAD_TOO_LARGE"


class DeadlinePast(RoutingError):
    """The caller's deadline left no time to ask a model."""

    reason = "DEADLINE_PAST"


class DecisionInvalid(RoutingError):
    """The decision id was not made by this service, or was altered."""

    reason = "DECISION_INVALID"


class DecisionExpired(RoutingError):
    """The decision is too old to be reported on."""

    reason = "DECISION_EXPIRED"


class DecisionTenant(RoutingError):
    """The decision was made for another tenant than the one that reports on it."""

    reason = "DECISION_TENANT"


class QualityInvalid(RoutingError):
    """A feedback value outside 0 to 1."""

    reason = "QUALITY_INVALID"


class UsageDuplicate(RoutingError):
    """The usage of this decision has been counted already."""

    reason = "USAGE_DUPLICATE"


class NotFound(RoutingError):
    """A model, class or budget that the configuration does not have, or a plan that is not kept."""

    reason = "NOT_FOUND"


class NotReady(RoutingError):
    """The worker has no configuration yet."""

    reason = "NOT_READY"


class Overloaded(RoutingError):
    """More wait than the worker holds; nothing was decided, so it can be asked again."""

    reason = "OVERLOADED"


class Shed(RoutingError):
    """More is asked of the models than fits; the message and `metadata` name what binds.

    No model was asked. It is made for each of many refusals, so it says nothing before it is asked.
    """

    reason = "SHED"
    field = ""

    def __init__(self, traffic_class: str, part: float, binds: str) -> None:
        """`part` of the class's requests, in this cell, are refused; 0: only for the moment."""
        self.args = traffic_class, part, binds

    def __str__(self) -> str:
        traffic_class, part, binds = self.args
        # No per cent: in a header, the sign makes of each character a case for itself.
        refused = f"{part:.2g} of it is refused" if part else "it is refused for the moment"
        return f"class {traffic_class}: {binds} is used up, so {refused}: try again later"

    @property
    def metadata(self) -> Mapping[str, str]:
        """For programs: the class, the part of it that is refused, and what binds."""
        traffic_class, part, binds = self.args
        return {"traffic_class": traffic_class, "shed": f"{part:.4f}", "binds": binds}


class ModelsBusy(RoutingError):
    """Every model that could answer has said when to come back; none was asked."""

    reason = "MODELS_BUSY"


class ControlPlaneDown(RoutingError):
    """The control plane cannot be reached; routing goes on without it, settling does not."""

    reason = "CONTROL_PLANE_DOWN"


class Unauthenticated(RoutingError):
    """The caller did not show the token."""

    reason = "UNAUTHENTICATED"


class KeyMissing(RoutingError):
    """Callers have to show a key, and none came."""

    reason = "KEY_MISSING"


class KeyUnknown(RoutingError):
    """No key in force is the one that was shown: it never was, or it was revoked."""

    reason = "KEY_UNKNOWN"


class KeyExpired(RoutingError):
    """The time of the key that was shown is over, or that of its secret."""

    reason = "KEY_EXPIRED"


class KeyAmbiguous(RoutingError):
    """Two keys were shown, or a key and a certificate of two tenants."""

    reason = "KEY_AMBIGUOUS"


class KeyTenant(RoutingError):
    """The request names a tenant that its caller is not."""

    reason = "KEY_TENANT"


class KeyClass(RoutingError):
    """The key is not for requests of this class."""

    reason = "KEY_CLASS"


class KeyRate(RoutingError):
    """The key has asked for more requests a minute than it may; of no time to come back, none
    would help.
    """

    reason = "KEY_RATE"


class KeyBusy(RoutingError):
    """The key has as many calls open as it may have."""

    reason = "KEY_BUSY"


class UpstreamFailed(RoutingError):
    """Every attempt that was allowed failed; tells of the last that an endpoint was asked in."""

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        code: int,
        is_sent: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.reason = reason  # "UPSTREAM_" and the endpoint's own status
        self.code = code  # google.rpc.Code for the caller
        self.is_sent = is_sent  # False: no attempt left, so no model can have been paid


class StreamBroken(UpstreamFailed):
    """An answer that had begun broke off: nobody else was asked, and what came of it is paid."""

    reason = "STREAM_BROKEN"

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message, reason=StreamBroken.reason, code=code)


class ReaderStalled(RoutingError):
    """The caller took nothing of an answer for too long."""

    reason = "READER_STALLED"
