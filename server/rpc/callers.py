"""Who calls: what a call shows of its caller, and holding it to what its key allows."""

from collections.abc import Iterable, Mapping

from server.routing.callers import Caller, Callers, Shown
from server.rpc.errors import Context

KEY = "authorization"
# Where gRPC has the names of the peer's certificate.
_NAMES = "x509_subject_alternative_name"
_COMMON_NAME = "x509_common_name"


def find(callers: Callers, context: Context, *, now_s: float) -> Caller:
    """Raises a RoutingError where the call shows what is not good, or nothing and has to."""
    return callers.find(shown(context), now_s=now_s)


def admit(callers: Callers, context: Context, *, now_s: float) -> Caller:
    """Counts a request that is answered at once; raises as find does, or KeyRate."""
    caller = find(callers, context, now_s=now_s)
    caller.spend(1, now_s=now_s)
    return caller


def admit_for_long(callers: Callers, context: Context, *, now_s: float) -> Caller:
    """As admit; the call counts as open until it has ended, and KeyBusy is raised too."""
    caller = find(callers, context, now_s=now_s)
    caller.enter()
    context.add_done_callback(lambda _call: caller.leave())  # type: ignore[arg-type] # its stubs want the call by no name
    caller.spend(1, now_s=now_s)
    return caller


def shown(context: Context) -> Shown:
    """What the call shows of its caller."""
    metadata = context.invocation_metadata() or ()
    values = [value for key, value in metadata if key == KEY]
    return Shown([v for v in values if isinstance(v, str)], names_in(context.auth_context()))


def names_in(certificate: Mapping[str, Iterable[bytes]]) -> list[str]:
    """Those that a certificate is for; its common name only where it has no others."""
    names = certificate.get(_NAMES) or certificate.get(_COMMON_NAME) or ()
    return [name.decode(errors="replace") for name in names]
