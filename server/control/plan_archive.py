"""The plans that decisions may name, from the newest back."""

import re
import zlib
from collections import OrderedDict

from server.routing.errors import InvalidRequest, NotFound
from turnout.v1.admin_pb2 import Plan

# Decisions of an hour and more, where every window brings another plan.
PLANS_MAX = 1_000
# A plan of 200 cells takes 10 KB, so a thousand of them fit; of 10,000 cells and 20 models it takes
# 400 KB, and the last 160 are kept.
BYTES_MAX = 64 * 2**20
# Twice as fast as the default and a tenth larger.
_LEVEL = 1
_PLAN_ID = re.compile(r"([0-9a-f]{1,16})-([0-9]{1,16})")


def plan_id_of(epoch: int, number: int) -> str:
    """The id of a plan, unique over starts of the control plane."""
    return f"{epoch:x}-{number}"


def packed(plan: Plan) -> bytes:
    """Packs a plan to be kept: beside the loop, for the largest takes some 10 ms."""
    return zlib.compress(plan.SerializeToString(), _LEVEL)


class PlanArchive:
    """Plans that were in force, by id. The oldest leave where there are too many, or too large."""

    def __init__(
        self, epoch: int, *, plans_max: int = PLANS_MAX, bytes_max: int = BYTES_MAX
    ) -> None:
        self._epoch = epoch
        self._plans_max = plans_max
        self._bytes_max = bytes_max
        self._plans: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def add(self, plan_id: str, plan: bytes) -> None:
        """Keeps a packed plan whose place another has taken."""
        self._plans[plan_id] = plan
        self._bytes += len(plan)
        while len(self._plans) > self._plans_max or self._bytes > self._bytes_max:
            _, oldest = self._plans.popitem(last=False)
            self._bytes -= len(oldest)

    def find(self, plan_id: str, *, newest: str) -> Plan:
        """The plan as it last was; raises RoutingError where it is not kept, and says why."""
        kept = self._plans.get(plan_id)
        if kept is None:
            raise self._refusal(plan_id, newest)
        return Plan.FromString(zlib.decompress(kept))

    def _refusal(self, plan_id: str, newest: str) -> InvalidRequest | NotFound:
        form = _PLAN_ID.fullmatch(plan_id)
        if form is None:
            example = newest or plan_id_of(self._epoch, 1)
            return InvalidRequest(
                f"{plan_id[:64]!r} is not the id of a plan, such as {example}: a decision has it "
                "as its plan_id",
                field="plan_id",
            )
        return NotFound(f"there is no plan {plan_id}: {self._why(form, newest)}", field="plan_id")

    def _why(self, form: re.Match[str], newest: str) -> str:
        if int(form[1], 16) != self._epoch:
            return "it is of another start of the control plane, which keeps plans while it runs"
        if not newest:
            return "none has been made yet"
        if int(form[2]) > int(newest.partition("-")[2]):
            return f"it was not made yet, the newest is {newest}"
        oldest = next(iter(self._plans), newest)
        return f"it is not kept any more, the oldest of {len(self._plans) + 1:,} is {oldest}"
