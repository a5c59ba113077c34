"""What has to be counted of money, and what may be lost with a process that is killed."""

from collections.abc import Iterator

from server.app.pusher import PUSH_S
from tests.closed_loop.promises import PLAN_LATE_S
from tests.closed_loop.story import Story
from tests.closed_loop.wire import WIRE_S

# Until a worker has told a control plane that is back all that it ever counted.
TOLD_AGAIN_S = PLAN_LATE_S + PUSH_S


def heard_of(story: Story, budget: str) -> int:
    """What attempts cost, but for what a killed worker had not pushed and no caller told of."""
    return story.reported_nano_usd(budget) + sum(
        story.acknowledged_nano_usd(boot, budget)
        if boot in story.killed
        else story.spent_nano_usd(boot, budget)
        for boot in story.boots()
    )


def lost_at_most(story: Story, budget: str) -> int:
    """Of that, what a control plane was told in the window before it was killed, by those who never
    tell it again: callers who reported, and workers that died before it was back.
    """
    return sum(_at_risk(story, budget))


def _at_risk(story: Story, budget: str) -> Iterator[int]:
    for killed_s, back_s in zip(story.control_killed_s, story.control_back_s, strict=True):
        kept_s = killed_s - story.scenario.window_s - 2 * WIRE_S
        yield story.reported_nano_usd(budget, after_s=kept_s, until_s=killed_s)
        for boot, died_s in story.killed.items():
            if kept_s < died_s <= back_s + TOLD_AGAIN_S:
                yield story.acknowledged_nano_usd(boot, budget, after_s=kept_s)
