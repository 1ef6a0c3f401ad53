"""What a voter says, how it is counted, and what came of the count."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from agent_lab.contracts import Contract, JsonObject

Payload: TypeAlias = Literal["choice", "approved", "ranking", "scores", "verdict"]
"""The field in which a ballot says what it says."""
PAYLOADS: tuple[Payload, ...] = ("choice", "approved", "ranking", "scores", "verdict")
TieRule: TypeAlias = Literal["round0", "head_to_head", "seeded", "none", "runoff", "judge"]
"""`runoff` and `judge` need a turn: the tally says so, and whoever counts asks for it."""
OwnVote: TypeAlias = Literal["count", "exclude", "auto"]
Fault: TypeAlias = Literal[
    "absent",
    "unknown_voter",
    "stale_round",
    "stale_options",
    "wrong_payload",
    "unknown_option",
    "repeated_option",
    "bad_weight",
    "bad_score",
    "not_a_number",
]
"""Why a voter has no valid ballot. `absent`: there is none. `wrong_payload`: not exactly one that
the method takes, or one beside `abstain`. `bad_weight`, `bad_score`: not finite, or a weight below
zero. `not_a_number`: the method counts numbers.
"""
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class Ballot(Contract):
    """What one voter says in one round; at most one of the payloads is given."""

    voter: str
    round: int = 0
    options_sha: str = ""
    """`options_sha` of the options that it was cast on; empty: nobody has said."""
    choice: str | None = None
    approved: tuple[str, ...] | None = None
    ranking: tuple[str, ...] | None = None
    """Best first; what is left out shares the places behind."""
    scores: Mapping[str, float] | None = None
    verdict: str | None = None
    """A judge's: the option that it prefers; empty: none of them."""
    abstain: bool = False
    recused: tuple[str, ...] = ()
    """Options on which the voter has no say."""
    weight: float = 1.0
    """What the vote weighs where the method weighs votes."""
    stated_confidence: float | None = None
    """As the voter says it, from 0 to 1; it decides nothing."""
    reason: str = ""
    parsed_by: str = ""
    """How it was read; empty: it was not read from a text."""

    @property
    def payloads(self) -> tuple[Payload, ...]:
        """The payloads that are given."""
        return tuple(name for name in PAYLOADS if getattr(self, name) is not None)


class Policy(Contract):
    """How ballots are counted."""

    method: str = "plurality"
    quorum: Share = 0.5
    """More than this share of the eligible must have cast a ballot or abstained; 1: all."""
    ties: tuple[TieRule, ...] = ("round0", "seeded")
    """What decides between options that are level, one after the other."""
    seed: int = 0
    """For `seeded`."""
    round: int = 0
    """Ballots of other rounds are stale."""
    round0: Mapping[str, float] = {}
    """Scores of the first, blind count, for the tie rule of this name; an option without one is
    behind those that have one.
    """
    own_vote: OwnVote = "count"
    """Whether voters have a say on their own options; `auto`: not where 5 or more of the eligible
    are authors, nor if they are known to favour themselves.
    """
    authors: Mapping[str, tuple[str, ...]] = {}
    """By option: the voters whose own it is."""
    self_biased: tuple[str, ...] = ()
    """Voters who are known to favour their own options."""
    threshold: Share = 0.5
    """Of `threshold`: the least share of the cast ballots; 0.5 means more than half."""


class Tally(Contract):
    """What came of a count."""

    method: str
    winner: str | None = None
    """None: there is none; `reason` says why."""
    reason: Literal["", "no_quorum", "no_votes", "tie", "below_threshold"] = ""
    asks: Literal["", "runoff", "judge"] = ""
    """The turn that the tie rules ask for."""
    scores: Mapping[str, float] = {}
    """By option: what the method makes of it; more is better. An option is missing if nobody had a
    say on it: it cannot win.
    """
    order: tuple[str, ...] = ()
    """The options, best first; level ones in the order in which they were given."""
    tied: tuple[str, ...] = ()
    """The options that are level at the top before any tie rule; one: there was no tie."""
    tie_broken_by: TieRule | Literal[""] = ""
    """The rule that left one option."""
    margin: float = 0.0
    """Of the first before the second, as a share of what decides in this method."""
    eligible: int = 0
    valid: int = 0
    """Ballots that were counted."""
    abstained: int = 0
    """Ballots that abstain, or that say nothing on which the voter has a say."""
    recused: int = 0
    """Pairs of voter and option that were left out."""
    invalid: Mapping[str, str] = {}
    """By voter without a valid ballot: why; a `Fault`, or what was wrong when it was read."""
    quorum_met: bool = False
    counts: tuple[JsonObject, ...] = ()
    """What led to the scores, where the method has steps: eliminations, pairs."""


def options_sha(options: Sequence[str]) -> str:
    """Digest of options in their order: a ballot on others is stale."""
    return hashlib.sha256(json.dumps(list(options)).encode()).hexdigest()[:16]
