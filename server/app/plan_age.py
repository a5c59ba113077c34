"""How old a worker's plan is, and whether the control plane still stands by it."""

from typing import Literal

from server.control.client import Confirmed

# Windows without a word of the control plane: one of them may fail, and solving takes up to one.
LATE_WINDOWS = 3
# Windows of a test end within a moment of each other; nobody wants to know when one is late.
LATE_S_MIN = 1.0


class PlanAge:
    """Is told what was confirmed and when it looked; never reads a clock."""

    def __init__(self) -> None:
        self._newest: Confirmed | None = None
        self._heard_s = 0.0
        self._is_late = False

    def look(
        self, newest: Confirmed | None, *, now_s: float
    ) -> Literal["late", "confirmed"] | None:
        """What has changed: no word came for three windows, or one came after that."""
        if newest != self._newest:
            self._newest, self._heard_s = newest, now_s
            was_late, self._is_late = self._is_late, False
            return "confirmed" if was_late else None
        if newest is None or self._is_late:
            return None
        late_s = max(LATE_WINDOWS * newest.window_s, LATE_S_MIN)
        self._is_late = now_s - self._heard_s > late_s
        return "late" if self._is_late else None

    def age_s(self, *, now_s: float) -> float | None:
        """Since the window that the plan was last found for; None before the first plan."""
        return None if self._newest is None else max(now_s - self._newest.plan_s, 0.0)
