"""What came of a reload, as the admin service answers it."""

from collections.abc import Iterable, Iterator, Sequence

from server.config.changes import Change
from server.control.reload import Reloaded
from turnout.v1 import admin_pb2 as pb

# Clients of gRPC take 4 MiB. A change has 100 bytes as a rule, and 4 KB with the longest values.
CHANGES_BYTES_MAX = 3 * 2**20
# What protobuf puts before each.
_FRAME_BYTES = 4


def reload_response(reloaded: Reloaded, behind: Sequence[str]) -> pb.ReloadConfigResponse:
    """`behind` are the workers that have not followed."""
    changes = list(_within(CHANGES_BYTES_MAX, reloaded.changes))
    return pb.ReloadConfigResponse(
        in_force=reloaded.in_force,
        problems=[
            pb.ConfigProblem(path=problem.path, line=problem.line or 0, message=problem.message)
            for problem in reloaded.diagnostics
        ],
        changes=changes,
        workers_behind=behind,
        changes_left_out=len(reloaded.changes) - len(changes),
    )


def _within(left_bytes: int, changes: Iterable[Change]) -> Iterator[pb.ConfigChange]:
    """As many changes as have room."""
    for change in changes:
        message = pb.ConfigChange(**change._asdict())
        left_bytes -= message.ByteSize() + _FRAME_BYTES
        if left_bytes < 0:
            return
        yield message
