"""Models keep their places while a worker runs, whatever configurations follow each other.

A model is known by its place: to calls that are out, to plans, to what was learned of it. So one
that left the configuration leaves its place drained, and has it again when it comes back.
"""

from collections.abc import Sequence

from server.config.models import CapacityConfig, ModelConfig
from server.config.schema import MODELS_MAX, Config

# As many as two configurations can have. Once there are more names than that, the place of a model
# that left is another's, and its credits and ejections with it.
PLACES_MAX = 2 * MODELS_MAX


def in_places(
    config: Config, before: Sequence[ModelConfig], *, places_max: int = PLACES_MAX
) -> Config:
    """The configuration with its models where those before it had them."""
    coming = {model.name: model for model in config.models}
    names = frozenset(coming)
    placed = [coming.pop(model.name, _left(model)) for model in before]
    new = list(coming.values())
    room = max(places_max - len(placed), 0)
    placed += new[:room]
    free = (place for place, model in enumerate(placed) if model.name not in names)
    for place, model in zip(free, new[room:], strict=False):
        placed[place] = model
    return config.model_copy(update={"models": tuple(placed)})


def _left(model: ModelConfig) -> ModelConfig:
    """Nobody is sent there; what is out there ends by what it holds itself."""
    drained = {"enabled": False, "endpoints": (), "capacity": CapacityConfig()}
    return model.model_copy(update=drained)
