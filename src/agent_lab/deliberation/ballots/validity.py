"""Which ballots count, and on which options their voters have a say."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent_lab.deliberation.ballots.ballot import Ballot, Fault, Policy, options_sha
from agent_lab.deliberation.ballots.exact import number
from agent_lab.deliberation.ballots.method_kinds import Method

_MANY_AUTHORS = 5


class Cast(NamedTuple):
    """The ballots of a count."""

    valid: tuple[Ballot, ...]
    """The last valid one of each voter, abstentions among them, in the order of the voters."""
    invalid: Mapping[str, Fault]
    """By voter without a valid ballot: what is wrong with the last one."""


def valid_ballots(
    ballots: Sequence[Ballot],
    options: Sequence[str],
    eligible: Sequence[str],
    policy: Policy,
    method: Method,
) -> Cast:
    """Sort ballots into valid ones and faults."""
    sha = options_sha(options)
    last: dict[str, Ballot] = {}
    faults: dict[str, Fault] = dict.fromkeys(eligible, "absent")
    for ballot in ballots:
        if ballot.voter not in faults:
            faults[ballot.voter] = "unknown_voter"
        if faults[ballot.voter] == "unknown_voter":
            continue
        fault = _stale(ballot, sha, policy) or _fault(ballot, frozenset(options), method)
        if fault is None:
            last[ballot.voter] = ballot
        else:
            faults[ballot.voter] = fault
    valid = tuple(last[voter] for voter in eligible if voter in last)
    return Cast(valid, {voter: fault for voter, fault in faults.items() if voter not in last})


def without_recused(
    ballot: Ballot, options: Sequence[str], eligible: Sequence[str], policy: Policy
) -> Ballot:
    """Take out what a ballot says on options on which its voter has no say.

    Returns:
        The ballot; `recused` names all these options.
    """
    out = {*ballot.recused, *_own(ballot.voter, eligible, policy)}.intersection(options)
    if not out:
        return ballot
    return ballot.model_copy(
        update={
            "recused": tuple(o for o in options if o in out),
            "choice": None if ballot.choice in out else ballot.choice,
            "approved": _kept(ballot.approved, out),
            "ranking": _kept(ballot.ranking, out),
            "scores": ballot.scores
            and {o: score for o, score in ballot.scores.items() if o not in out},
            "verdict": None if ballot.verdict in out else ballot.verdict,
        }
    )


def says_nothing(ballot: Ballot, options: Sequence[str], method: Method) -> bool:
    """Whether a ballot `without_recused` abstains, by its words or by what it leaves open."""
    having_say = len(options) - len(ballot.recused)
    empty = not ballot.payloads or ballot.ranking == () or not having_say
    return ballot.abstain or empty or method.abstains(ballot, having_say)


def _stale(ballot: Ballot, sha: str, policy: Policy) -> Fault | None:
    if ballot.round != policy.round:
        return "stale_round"
    return None if ballot.options_sha in {"", sha} else "stale_options"


def _fault(ballot: Ballot, options: frozenset[str], method: Method) -> Fault | None:
    allowed = () if ballot.abstain else method.payloads
    named = _named(ballot)
    scores = (ballot.scores or {}).values()
    checks: tuple[tuple[Fault, bool], ...] = (
        ("bad_weight", not (math.isfinite(ballot.weight) and ballot.weight >= 0)),
        (
            "wrong_payload",
            len(ballot.payloads) != bool(allowed) or not {*ballot.payloads} <= {*allowed},
        ),
        ("unknown_option", not {*named, *ballot.recused} <= options),
        ("repeated_option", len(set(named)) < len(named)),
        ("bad_score", not all(math.isfinite(score) for score in scores)),
        ("not_a_number", method.numeric and any(number(option) is None for option in named)),
    )
    return next((fault for fault, found in checks if found), None)


def _named(ballot: Ballot) -> tuple[str, ...]:
    """The options on which a ballot says something."""
    single = () if ballot.choice is None else (ballot.choice,)
    verdict = (ballot.verdict,) if ballot.verdict else ()
    several = (*(ballot.approved or ()), *(ballot.ranking or ()), *(ballot.scores or ()))
    return (*single, *verdict, *several)


def _own(voter: str, eligible: Sequence[str], policy: Policy) -> set[str]:
    """The voter's own options, if it has no say on them."""
    if policy.own_vote == "count":
        return set()
    authors = {author for option in policy.authors.values() for author in option}
    many = len(authors.intersection(eligible)) >= _MANY_AUTHORS
    if policy.own_vote == "auto" and not many and voter not in policy.self_biased:
        return set()
    return {option for option, by in policy.authors.items() if voter in by}


def _kept(names: tuple[str, ...] | None, out: set[str]) -> tuple[str, ...] | None:
    return None if names is None else tuple(name for name in names if name not in out)
