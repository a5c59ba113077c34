"""The stage of the demo: models that read digits, each a server of its own."""

from dataclasses import dataclass

from benchmarks.demo.fleet import ModelServers
from benchmarks.demo.models import Study
from benchmarks.demo.stage import Stage


@dataclass(slots=True, kw_only=True)
class DigitStage(Stage):
    """What an act of the demo may touch."""

    study: Study
    servers: ModelServers
    seed: int  # of traffic that an act adds
