"""Fields that name something of this lab; the server's description lists the names there are."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

KIND = "x-agent-lab-names"
"""Marks, in the description, a field that takes the names of a kind of thing."""


def _not_empty(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("empty_text", "the text is empty")
    return text


Prompt = Annotated[
    str,
    AfterValidator(_not_empty),
    Field(json_schema_extra={"pattern": r"\S"}, examples=["Explain quantum computing"]),
]
"""A text with at least one visible character."""

FlowName = Annotated[str, Field(json_schema_extra={KIND: "flows"})]
ModelKey = Annotated[str, Field(json_schema_extra={KIND: "models"})]
StrategyName = Annotated[str, Field(json_schema_extra={KIND: "strategies"})]
RoleName = Annotated[str, Field(json_schema_extra={KIND: "roles"})]
InputName = Annotated[str, Field(json_schema_extra={KIND: "inputs"})]
