"""What every section of the configuration is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

OTHER = "other"  # the domain of what belongs to none

TEXT_CHARS_MAX = 256  # what a request may carry in a tenant, a user or a label
SECONDS_MAX = 86_400.0

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Text = Annotated[str, Field(max_length=TEXT_CHARS_MAX)]
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=SECONDS_MAX)]


class Section(BaseModel):
    """Frozen; an unknown key is a mistake."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )
