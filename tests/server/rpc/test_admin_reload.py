import pytest

from server.config.changes import SHOWN_CHARS_MAX, Change
from server.config.diagnostics import Diagnostic
from server.control.reload import Reloaded
from server.rpc.admin_reload import reload_response

CHANGE = Change("models.a.enabled", "true", "false", "models.a.enabled: true -> false")


LONG = SHOWN_CHARS_MAX * "\U0001f600"
LONGEST = Change("models.a.version", LONG, LONG, f"models.a.version: {LONG} -> {LONG}")


@pytest.mark.parametrize(("change", "least"), [(CHANGE, 30_000), (LONGEST, 900)])
def test_changes_are_answered_up_to_what_a_message_takes(change: Change, least: int) -> None:
    many = Reloaded(True, changes=(change,) * 60_000)
    response = reload_response(many, ["worker-1"])
    assert least <= len(response.changes) < len(many.changes)
    assert response.changes_left_out == len(many.changes) - len(response.changes)
    assert 3_000_000 < response.ByteSize() < 4 * 2**20
    assert list(response.workers_behind) == ["worker-1"]


def test_a_problem_of_no_line_has_line_0() -> None:
    problems = (Diagnostic("", None, "it is gone"), Diagnostic("models", 3, "is empty"))
    response = reload_response(Reloaded(False, problems), ())
    assert [(p.path, p.line, p.message) for p in response.problems] == [
        ("", 0, "it is gone"),
        ("models", 3, "is empty"),
    ]
