"""Counts: equal answers as votes, else the members' ballots; asks nobody.

What is counted, who was absent, how a tie was decided and which stop rule has fired is recorded.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from agent_lab.contracts import ErrorInfo
from agent_lab.deliberation.agreement import agreement
from agent_lab.deliberation.ballots.ballot import Ballot, OwnVote, Policy, Share, Tally, TieRule
from agent_lab.deliberation.ballots.choosing import (
    AUTO,
    MethodName,
    counts_answers,
    method_for,
    refuse_choice_of_texts,
)
from agent_lab.deliberation.ballots.counting import count
from agent_lab.deliberation.stop_rules.stop import RuleName, Standing, any_of, rule_of
from agent_lab.deliberation.trajectory import Decision, Positions, Round, decide
from agent_lab.deliberation.votes import Vote
from agent_lab.flows.conditions import Value
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import Name, NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, CastBallot, StateUpdate, failures_of
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.poll import Poll, PollOptions, poll_of
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.structured_turns import UNREADABLE


class VoteOptions(PollOptions):
    """What is counted, and how."""

    method: MethodName = AUTO
    """`auto`: plurality where equal answers are one, else Borda's count of the ballots."""
    ballots: tuple[Name, ...] = ()
    """The nodes that vote where answers themselves are no ballots."""
    first: Name | None = None
    """The node that has counted the blind answers: what it found gives way only to changes with a
    reason.
    """
    quorum: Share = 0.5
    """More than this share of the members must have voted or abstained."""
    threshold: Share = 0.5
    """Of the method `threshold`: least share of the ballots; 0.5 means more than half."""
    ties: tuple[TieRule, ...] = ("round0", "seeded")
    """What decides between level candidates, one after the other; `judge` and `none` leave it."""
    own_vote: OwnVote = "auto"
    """Whether ballots count on the voter's own candidate; `auto`: not with 5 or more voters."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """By member: what its ballot weighs in the method `weighted`; 1 where it is not named."""
    settled_by: tuple[RuleName, ...] = ()
    """The stop rules that each end the deliberation: `<node>_settled` says whether one has."""
    agreement: Share = 0.8
    """Of the rule `agreement`: least share of the members who give the same answer."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        refuse_choice_of_texts(self.method, self.answer)
        if self.weights and self.method != "weighted":
            raise PydanticCustomError(
                "weights", "`weights` are of the method `weighted`; others do not weigh"
            )
        return self

    @override
    def nodes_named(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes that answer, vote, and have counted before."""
        first = {} if self.first is None else {"first": (self.first,)}
        return {**super().nodes_named(), "ballots": self.ballots, **first}


@node(
    "vote",
    title={"en": "Vote", "es": "Votación"},
    description={
        "en": "Counts equal answers, or ballots; its text is an answer that has won.",
        "es": "Cuenta respuestas iguales, o votos; su texto es una respuesta ganadora.",
    },
    options=VoteOptions,
    prompt="none",
    takes=("text", "draft", "ballot"),
    values={
        "winner": "the answer that has won, as people read it; none: nobody has",
        "decided": "whether one has won",
        "settled": "whether one has won, and a stop rule says that this will do",
        "agreement": "share of the members who give the commonest answer; none: free answers",
        "margin": "of the first before the second, as a share",
        "valid": "how many ballots were counted",
        "eligible": "how many there could have been",
        "unparsed": "how many texts gave no answer that could be read",
        "method": "how it was counted",
    },
)
def vote_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node."""
    options = VoteOptions.model_validate(config.config)

    async def vote(state: AgentState, run: RunContext) -> StateUpdate:
        poll = poll_of(options, flow, state)
        counted = _Count(config, options, flow, poll, state, run).vote()
        return _update(config, poll, counted, state)

    return vote


class _Count:
    """One count."""

    def __init__(
        self,
        config: NodeConfig,
        options: VoteOptions,
        flow: FlowPlan,
        poll: Poll,
        state: AgentState,
        run: RunContext,
    ) -> None:
        self._node = config.id
        self._options = options
        self._flow = flow
        self._poll = poll
        self._state = state
        self._round = options.round_of(run)
        self._method = method_for(options.method, poll.kind)
        self._earlier = _earlier(config.id, options, state)
        self._policy = Policy(
            method=self._method,
            quorum=options.quorum,
            ties=options.ties,
            seed=run.seed,
            round=self._round,
            round0=self._earlier[0].tally.scores if self._earlier else {},
            own_vote=options.own_vote,
            threshold=options.threshold,
        )

    def vote(self) -> Vote:
        """Count, look at what led here, and ask the stop rules."""
        poll = self._poll
        if not counts_answers(self._method, poll.kind):
            return self._of_ballots()
        decision = None
        if not self._earlier:
            tally = self._tally_of(poll.positions)
        else:
            rounds = _rounds(self._earlier)
            rounds.append(Round(round=self._round, positions=poll.positions))
            decision = decide(rounds, self._state["flips"], lambda p: self._tally_of(p).winner)
            tally = self._tally_of(decision.positions)
            if tally.winner != decision.decision:  # it yields to the blind round
                tally = self._earlier[0].tally
        return self._record(poll.eligible, self._ballots(poll.positions), tally, decision)

    def _of_ballots(self) -> Vote:
        poll, cast = self._poll, _cast(self._options, self._flow, self._state)
        if not cast:  # texts that are equal to no other, and nobody who ranks them
            return self._record((), (), Tally(method=self._method, reason="no_votes"))
        ballots = [
            one.ballot.model_copy(update={"voter": voter, "weight": self._weight(voter)})
            for voter, one in cast.items()
            if one is not None and one.ballot is not None
        ]
        options = sorted(candidate.id for candidate in poll.candidates)
        policy = self._policy.model_copy(update={"authors": poll.authors()})
        tally = count(ballots, options, tuple(cast), policy)
        unread = {v: one.problem for v, one in cast.items() if one and one.ballot is None}
        tally = tally.model_copy(update={"invalid": {**tally.invalid, **unread}})
        vote = self._record(tuple(cast), ballots, tally)
        shown = {voter: one.shown for voter, one in cast.items() if one is not None}
        return vote.model_copy(update={"shown": shown})

    def _weight(self, member: str) -> float:
        return self._options.weights.get(member, 1.0)

    def _ballots(self, positions: Positions) -> list[Ballot]:
        """Answers as ballots; one that could not be read is none."""
        return [
            Ballot(
                voter=member,
                round=self._round,
                choice=key,
                weight=self._weight(member),
                parsed_by=self._poll.answers[member].parsed_by
                if member in self._poll.answers
                else "",
            )
            for member, key in positions.items()
            if key is not None
        ]

    def _tally_of(self, positions: Positions) -> Tally:
        options = sorted({key for key in positions.values() if key is not None})
        tally = count(self._ballots(positions), options, self._poll.eligible, self._policy)
        unread = {member: UNREADABLE for member, key in positions.items() if key is None}
        return tally.model_copy(update={"invalid": {**tally.invalid, **unread}})

    def _record(
        self,
        eligible: tuple[str, ...],
        ballots: Sequence[Ballot],
        tally: Tally,
        decision: Decision | None = None,
    ) -> Vote:
        poll = self._poll
        return Vote(
            node=self._node,
            round=self._round,
            kind=poll.kind,
            eligible=eligible,
            positions=poll.positions,
            parsed_by={member: answer.parsed_by for member, answer in poll.answers.items()},
            candidates=poll.candidates,
            ballots=tuple(ballots),
            tally=tally,
            agreement=agreement(poll.positions.values()) if poll.is_keyed else None,
            decision=decision,
            stops=self._stops(tally),
            flags=tuple(_flags(poll)),
        )

    def _stops(self, tally: Tally) -> tuple[str, ...]:
        """The stop rules that fire."""
        if tally.reason == "no_quorum":
            return ("no_quorum",)
        poll, options = self._poll, self._options
        if not poll.is_keyed:
            return ()
        standing = Standing(
            votes=Counter(key for key in poll.positions.values() if key is not None),
            remaining=0,
            eligible=len(poll.eligible),
            rounds=(*_rounds(self._earlier), Round(round=self._round, positions=poll.positions)),
        )
        parameters = {"agreement": {"theta": options.agreement}}
        rules = [rule_of(name, parameters.get(name)) for name in options.settled_by]
        stop = any_of(rules)(standing)
        return () if stop is None else stop.reasons()


def _earlier(node_id: str, options: VoteOptions, state: AgentState) -> tuple[Vote, ...]:
    """The counts that led here, the blind one first."""
    first = state["votes"].get(options.first or "", ())
    return (*first, *state["votes"].get(node_id, ())) if first else ()


def _rounds(votes: Sequence[Vote]) -> list[Round]:
    return [Round(round=vote.round, positions=vote.positions) for vote in votes]


def _cast(options: VoteOptions, flow: FlowPlan, state: AgentState) -> dict[str, CastBallot | None]:
    """By voter: its ballot; None: it was not cast."""
    failed = failures_of(state)
    return {
        flow.member_name(node_id, name): None
        if node_id in failed
        else state["ballots"].get(node_id)
        for name in options.ballots
        for node_id in flow.members_of(name)
    }


def _flags(poll: Poll) -> Iterator[str]:
    """What a reader of the count should know."""
    guessed = [m for m, answer in poll.answers.items() if answer.parsed_by == "last_number"]
    if guessed:
        yield f"last_number: {', '.join(guessed)}"
    kept = [one.member.id for one in poll.said if one.failure is not None and one.text is not None]
    if kept:
        yield f"earlier_answer: {', '.join(kept)}"


def _update(config: NodeConfig, poll: Poll, vote: Vote, state: AgentState) -> StateUpdate:
    tally, winner = vote.tally, vote.tally.winner
    names = {candidate.id: candidate.display for candidate in vote.candidates}
    values: dict[str, Value] = {
        "winner": None if winner is None else names.get(winner) or winner,
        "decided": winner is not None,
        "settled": winner is not None and bool(vote.stops),
        "agreement": vote.agreement.modal_share if vote.agreement else None,
        "margin": tally.margin,
        "valid": tally.valid,
        "eligible": tally.eligible,
        "unparsed": sum(key is None for key in vote.positions.values()) if poll.is_keyed else 0,
        "method": tally.method,
    }
    update: StateUpdate = {
        "values": {f"{config.id}_{name}": value for name, value in values.items()},
        "votes": {config.id: (*state["votes"].get(config.id, ()), vote)},
        "stops": {config.id: vote.stops[0] if vote.stops else ""},
        "failures": {config.id: _failure(config.id, poll, tally)},
    }
    if poll.is_keyed:
        update["answers"] = dict(poll.texts)
    if winner is not None:
        update["outputs"] = {config.id: poll.text_of(winner, state["answers"])}
    return update


def _failure(node_id: str, poll: Poll, tally: Tally) -> ErrorInfo | None:
    """Why there is nothing to go on with; a tie is decided elsewhere, or by nobody."""
    if tally.reason not in ("no_quorum", "no_votes") or not poll.is_keyed and not tally.eligible:
        return None
    if not poll.answers:
        return ErrorInfo(code="not_asked", message=f"`{node_id}` has nothing to count.")
    cast = tally.valid + tally.abstained
    return ErrorInfo(
        code=tally.reason,
        message=f"Of {tally.eligible} that could vote, {cast} gave a ballot that counts.",
        hint="the members' turns say why; a lower `quorum` takes fewer ballots",
        details={"invalid": dict(tally.invalid)},
    )
