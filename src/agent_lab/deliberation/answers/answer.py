"""What was answered, in a form in which equal answers are equal."""

from typing import Literal, TypeAlias

from agent_lab.contracts import Contract

AnswerKind: TypeAlias = Literal["choice", "number", "boolean", "label", "json", "code", "free"]
"""`free`: a text of its own, equal to no other; it can be ranked, scored or judged."""
ParsedBy: TypeAlias = Literal[
    "slot", "boxed", "fence", "braces", "whole", "last_number", "free", "unparsed"
]


class Answer(Contract):
    """The answer that a text gives."""

    kind: AnswerKind
    raw: str = ""
    """The words of the text that were read; empty: none."""
    key: str | None = None
    """Equal for equal answers; None: unparsed, or free."""
    display: str = ""
    """As people read it."""
    parsed_by: ParsedBy = "unparsed"
    """`last_number`: nobody marked it as the answer, it is the last number that stands there."""
