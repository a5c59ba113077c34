"""What came of a reload, as the admin service answers it."""

from collections.abc import Sequence

from server.control.reload import Reloaded
from turnout.v1 import admin_pb2 as pb

# With 300 bytes each they fit into the 4 MiB that clients of gRPC take.
CHANGES_MAX = 10_000


def reload_response(reloaded: Reloaded, behind: Sequence[str]) -> pb.ReloadConfigResponse:
    """`behind` are the workers that have not followed."""
    return pb.ReloadConfigResponse(
        in_force=reloaded.in_force,
        problems=[
            pb.ConfigProblem(path=problem.path, line=problem.line or 0, message=problem.message)
            for problem in reloaded.diagnostics
        ],
        changes=[pb.ConfigChange(**change._asdict()) for change in reloaded.changes[:CHANGES_MAX]],
        workers_behind=behind,
    )
