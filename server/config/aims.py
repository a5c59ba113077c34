"""What is sought of a class or for a payer within its promises, and what that asks of others."""

from server.config.classes import ClassConfig
from server.config.diagnostics import Findings, Path
from server.config.schema import Config


def seeks_accuracy(config: Config, traffic_class: ClassConfig, payer: str) -> bool:
    """Whether its requests get what the pace of their budgets buys: a class speaks before these."""
    if traffic_class.aim is not None:
        return traffic_class.aim == "best_within_budget"
    aims = {budget.name: budget.aim for budget in config.budgets}
    return any(aims.get(name) == "best_within_budget" for name in payer.split("+"))


def money_findings(config: Config) -> Findings:
    """Floors that could not fall, and accuracy that nothing could buy."""
    for i, traffic_class in enumerate(config.classes):
        at: Path = ("classes", i)
        yield from _lower_floor(at, traffic_class)
        if any(b.scope.traffic_class in (None, traffic_class.name) for b in config.budgets):
            continue
        if traffic_class.floor_when_short is not None:
            yield (
                (*at, "floor_when_short"),
                "could never be used: these requests draw on no budget that could be short; "
                "give one under budgets, or leave this out",
            )
        if traffic_class.aim == "best_within_budget":
            yield (
                (*at, "aim"),
                "best_within_budget needs a budget that these requests draw on: "
                "give one under budgets, or nothing would bound what accuracy may cost",
            )


def _lower_floor(at: Path, traffic_class: ClassConfig) -> Findings:
    floor, lower = traffic_class.floor, traffic_class.floor_when_short
    if lower is None:
        return
    if floor is None:
        message = "there is no floor that could fall: give floor, or leave this out"
        yield (*at, "floor_when_short"), message
    elif lower > floor:
        yield (
            (*at, "floor_when_short"),
            f"{lower:g} is above the floor of {floor:g}, which falls to it: give less than that",
        )
