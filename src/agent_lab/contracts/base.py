"""What every contract is made of: frozen models, checked requests, numbers as JSON has them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from agent_lab.errors import InvalidRequestError

JsonObject = dict[str, Any]
Language = Literal["en", "es"]
DataPolicy = Literal["local", "any"]
CachePolicy = Literal["default", "on", "off"]

MOST_TOKENS = 2**31 - 1
"""Of one answer; engines count in 32 bits."""


def _no_stand_in(value: Any) -> Any:
    if isinstance(value, (bool, str)):
        raise PydanticCustomError("whole_number", "this is no whole number")
    return value


# As JSON has numbers: 1 and 1.0 are one, true and "1" are none.
TokenLimit = Annotated[int, Field(gt=0, le=MOST_TOKENS), BeforeValidator(_no_stand_in)]
TopK = Annotated[int, Field(ge=0, le=MOST_TOKENS), BeforeValidator(_no_stand_in)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 2), BeforeValidator(_no_stand_in)]
Sample = Annotated[int, Field(ge=0, lt=2**31), BeforeValidator(_no_stand_in)]
Temperature = Annotated[float, Field(ge=0, le=2, strict=True)]
TopP = Annotated[float, Field(gt=0, le=1, strict=True)]


class Contract(BaseModel):
    """A frozen model that takes no unknown field: nothing is silently ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


def field_problems(error: ValidationError) -> str:
    """What is wrong with which field, in one line."""
    return "; ".join(f"`{'.'.join(map(str, e['loc']))}`: {problem(e)}" for e in error.errors())


def problem(error: Mapping[str, Any]) -> str:
    """What is wrong with one field: pydantic's words, but for those that only a coder knows."""
    return "no such field" if error["type"] == "extra_forbidden" else str(error["msg"])


class Request(Contract):
    """What somebody asks of us; a wrong field is their error, with a message for them."""

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """Build the request from fields that nobody has checked yet.

        Raises:
            InvalidRequestError: A field is unknown or has a value that it cannot have.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise InvalidRequestError(
                f"The request is wrong: {field_problems(error)}.",
                hint=f"the fields {', '.join(cls.model_fields)}",
            ) from error
