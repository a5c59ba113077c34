"""Configurations of few words: a test says what it is about, and the rest is here."""

from typing import Any

from server.config.classes import ClassConfig
from server.config.models import ModelConfig, PriceConfig
from server.config.schema import Config


def model(name: str, **changes: Any) -> ModelConfig:
    """Takes tensors at one endpoint, for a tenth of a cent."""
    given: dict[str, Any] = {
        "name": name,
        "version": "1",
        "protocol": "oip",
        "endpoints": (f"{name}:8001",),
        "price": PriceConfig(request_usd=0.001),
        "prior_accuracy": 0.9,
    }
    return ModelConfig.model_validate(given | changes)


def config(*models: ModelConfig, **changes: Any) -> Config:
    """One class, which takes everything."""
    given: dict[str, Any] = {
        "models": models or (model("small"), model("large")),
        "classes": (ClassConfig(name="chat", default=True),),
    }
    return Config.model_validate(given | changes)
