"""Which method counts the answers to a task, and what its ballots must hold.

Voting does better on questions with one right answer, weighing whole answers where there is none
(L. B. Kaesberg et al., "Voting or Consensus? Decision-Making in Multi-Agent Debate", 2025).
"""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from agent_lab.deliberation.answers.answer import AnswerKind
from agent_lab.deliberation.ballots.ballot import Payload
from agent_lab.deliberation.ballots.method_kinds import METHODS

AUTO = "auto"


def known_method(wish: str) -> str:
    """The name of a method, or `auto`.

    Raises:
        PydanticCustomError: There is no such method.
    """
    if wish != AUTO and wish not in METHODS.names():
        listed = ", ".join(f"`{name}`" for name in (AUTO, *sorted(METHODS.names())))
        raise PydanticCustomError(
            "ballot_method",
            "there is no ballot method `{wish}`; there are {listed}",
            {"wish": wish, "listed": listed},
        )
    return wish


MethodName: TypeAlias = Annotated[str, AfterValidator(known_method)]


def refuse_choice_of_texts(method: str, wanted: str) -> None:
    """See that answers that are equal to no other are not counted as if they were.

    Args:
        method: The method that is wished for.
        wanted: The kind of answer, or `auto`.

    Raises:
        PydanticCustomError: The method takes choices alone, and answers are free.
    """
    if wanted == "free" and method != AUTO and METHODS.get(method).payloads == ("choice",):
        weighing = (n for n in METHODS.names() if METHODS.get(n).payloads != ("choice",))
        raise PydanticCustomError(
            "free_has_no_key",
            "`{method}` counts equal answers, and free answers have none; rank, score or judge "
            "them: {others}",
            {"method": method, "others": ", ".join(f"`{name}`" for name in sorted(weighing))},
        )


def method_for(wish: str, kind: AnswerKind) -> str:
    """The method that counts.

    Args:
        wish: Its name; `auto`: plurality where equal answers are one, else Borda's.
        kind: What kind of answers they are.
    """
    if wish != AUTO:
        return wish
    return "borda" if kind == "free" else "plurality"


def payload_of(method: str, kind: AnswerKind) -> Payload:
    """What a ballot must hold.

    Where equal answers are one, an answer is a choice; of whole texts a choice alone says little.

    Raises:
        UnknownPluginError: There is no such method.
    """
    payloads = METHODS.get(method).payloads
    if "choice" in payloads and (kind != "free" or len(payloads) == 1):
        return "choice"
    return next(payload for payload in payloads if payload != "choice")


def counts_answers(method: str, kind: AnswerKind) -> bool:
    """Whether the answers themselves are the ballots: equal ones are one, and it takes choices.

    Raises:
        UnknownPluginError: There is no such method.
    """
    return kind != "free" and payload_of(method, kind) == "choice"
