"""The configuration as JSON: how it travels and is kept, and the schema of its file."""

from pydantic import ValidationError

from server.config.diagnostics import ConfigError, Diagnostic
from server.config.schema import Config


def to_json(config: Config) -> bytes:
    """The configuration as it travels to workers and outlasts a restart of the control plane."""
    return config.model_dump_json().encode()


def from_json(data: bytes) -> Config:
    """What to_json wrote; raises ConfigError where it is something else."""
    try:
        return Config.model_validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"]))
        message = f"this is no configuration that Turnout wrote: {first['msg']}"
        raise ConfigError((Diagnostic(path, None, message),)) from None


def json_schema() -> dict[str, object]:
    """For editors that check the file while it is written."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Turnout configuration",
    }
    return head | {k: v for k, v in Config.model_json_schema().items() if k not in head}
