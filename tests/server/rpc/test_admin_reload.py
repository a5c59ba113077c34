from server.config.changes import Change
from server.config.diagnostics import Diagnostic
from server.control.reload import Reloaded
from server.rpc.admin_reload import CHANGES_MAX, reload_response

CHANGE = Change("models.a.enabled", "true", "false", "models.a.enabled: true -> false")


def test_changes_are_answered_up_to_what_a_message_takes() -> None:
    many = Reloaded(True, changes=(CHANGE,) * (CHANGES_MAX + 1))
    response = reload_response(many, ["worker-1"])
    assert len(response.changes) == CHANGES_MAX
    assert response.ByteSize() < 4 * 2**20
    assert list(response.workers_behind) == ["worker-1"]


def test_a_problem_of_no_line_has_line_0() -> None:
    problems = (Diagnostic("", None, "it is gone"), Diagnostic("models", 3, "is empty"))
    response = reload_response(Reloaded(False, problems), ())
    assert [(p.path, p.line, p.message) for p in response.problems] == [
        ("", 0, "it is gone"),
        ("models", 3, "is empty"),
    ]
