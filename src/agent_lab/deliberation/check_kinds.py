"""The checks that can be declared of an answer: length, JSON, a pattern, a judge's question.

A check is data. One that could never work (a schema that is none, a pattern that could hang) is
refused when it is declared, not when an answer is there.
"""

import json
from typing import Annotated, Literal, Self

from jsonschema_rs import Draft202012Validator, RegexOptions
from pydantic import AfterValidator, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from agent_lab.contracts import Contract, JsonObject, Language

Told = str | dict[Language, str]
"""A text, or one per language."""

_Bound = Annotated[int, Field(ge=0, le=10**9, strict=True)]
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_LONGEST_FAULT = 200


def wording(told: Told, lang: Language) -> str:
    """The text in a language, else in another one; empty: it says nothing in any."""
    texts = [told] if isinstance(told, str) else [told.get(lang, ""), *told.values()]
    return next((text.strip() for text in texts if text.strip()), "")


def validator_of(schema: JsonObject) -> Draft202012Validator:
    """A validator that fetches nothing, and whose patterns take linear time.

    Raises:
        ValueError: It is no schema, or refers to something outside itself.
    """
    return Draft202012Validator(schema, pattern_options=RegexOptions(), offline=True)


def _unusable(said: str, error: Exception | None = None) -> PydanticCustomError:
    if error is not None:
        said += f": {str(error).splitlines()[0][:_LONGEST_FAULT]}"
    return PydanticCustomError("unusable_check", "{said}", {"said": said})


def _not_empty(told: Told) -> Told:
    if not wording(told, "en"):
        raise _unusable("this says nothing")
    return told


class _Declared(Contract):
    weight: float = Field(1.0, gt=0, strict=True)
    """How much the check counts beside others."""
    required: StrictBool = False
    """Whether an answer that fails it is refused, whatever the others say."""


class LengthCheck(_Declared):
    """The answer, without white space around it, is neither too short nor too long.

    Words are what white space parts; in Chinese and Japanese every character is one.
    """

    check: Literal["length"] = "length"
    min_words: _Bound | None = None
    max_words: _Bound | None = None
    min_characters: _Bound | None = None
    max_characters: _Bound | None = None

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Self:
        pairs = [(self.min_words, self.max_words), (self.min_characters, self.max_characters)]
        if all(bound is None for pair in pairs for bound in pair):
            raise _unusable("give at least one bound, such as `max_words`")
        if any(low is not None and high is not None and low > high for low, high in pairs):
            raise _unusable("a minimum is above its maximum")
        return self


class JsonCheck(_Declared):
    """The answer is JSON, or its last fenced block or outermost braces are, and fits a schema."""

    check: Literal["json"] = "json"
    schema_: JsonObject = Field({}, alias="schema")
    """JSON Schema 2020-12; every `$ref` points into the schema itself."""

    @model_validator(mode="after")
    def _schema_stands_alone(self) -> Self:
        try:
            json.dumps(self.schema_, allow_nan=False)
            validator_of(self.schema_)
        except (ValueError, TypeError, RecursionError) as error:
            raise _unusable("`schema` is no JSON Schema that stands alone", error) from error
        if self.schema_.get("$schema", _DRAFT) != _DRAFT:
            raise _unusable(f"`$schema` can only be `{_DRAFT}`")
        return self


class RegexCheck(_Declared):
    """A pattern occurs in the answer, or does not."""

    check: Literal["regex"] = "regex"
    pattern: str
    """As in ECMA 262, without look-around and back-references; `(?i)` and `(?m)` may lead it."""
    absent: StrictBool = False
    """Whether the pattern must not occur."""
    message: Told = ""
    """What to tell the author when it fails; empty: the pattern."""

    @model_validator(mode="after")
    def _pattern_is_one(self) -> Self:
        try:
            validator_of({"pattern": self.pattern})
        except ValueError as error:
            said = "`pattern` is no regular expression without look-around and back-references"
            raise _unusable(said, error) from error
        return self


class JudgeCheck(_Declared):
    """A model says how far the answer does what a question asks; the caller asks the model."""

    check: Literal["judge"] = "judge"
    question: Annotated[Told, AfterValidator(_not_empty)]
    model: str | None = None
    """A model key; None: the caller's choice."""


Check = Annotated[LengthCheck | JsonCheck | RegexCheck | JudgeCheck, Field(discriminator="check")]
