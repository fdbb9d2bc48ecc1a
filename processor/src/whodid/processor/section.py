"""What every section of the settings is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Tenant = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:@/-]{0,128}$")]
"""A tenant's name. It is part of statements that take no parameters, and of policies that people write."""


class Section(BaseModel):
    """One section: immutable; an unknown key is an error that does not tell the values beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
