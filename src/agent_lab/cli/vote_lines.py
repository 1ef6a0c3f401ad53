"""A count, and what a run was compared with, in lines for people.

Models wrote the answers and reasons in it: whatever could drive the terminal is taken out.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from agent_lab.cli.outputs import Line, beginning, safe

if TYPE_CHECKING:
    from agent_lab.contracts import JsonObject
    from agent_lab.contracts.baseline import Baseline

WIDTH = 100
"""Characters of a line; longer ones go on in the next."""
LONGEST_ANSWER, LONGEST_REASON = 48, 72
LONGEST_COMPARED = 16
"""Characters of an answer of which a line tells several times."""
MOST_LISTED = 12
"""Candidates, or ballots, that are listed."""
VOICES = ("plurality", "threshold", "unanimity", "approval", "judge")
"""Methods whose scores count ballots."""
NO_WINNER = {
    "no_quorum": "no winner, too few have voted",
    "no_votes": "no winner, nobody has voted",
    "below_threshold": "no winner, the first has too few",
    "tie": "no winner, a tie",
}
FLAGS = {
    "last_number": "guessed from the last number that stands there",
    "earlier_answer": "the last turn failed, an earlier answer stands",
    "judge_of_own_family": "the judge is of the family of one that it judges, which it may favour",
}


def vote_lines(path: str, vote: "JsonObject") -> Iterator[Line]:
    """One count in lines.

    Args:
        path: The node that has counted, with the flows that it is in.
        vote: A `deliberation.votes.Vote` as JSON, defaults left out.
    """
    pieces = [f"⚖ {path.removeprefix('@')}", *_when(vote), *_came_out(vote)]
    yield from _wrapped(pieces, "bold")
    yield from _capped(list(_candidates(vote)))
    yield from _capped(list(_ballots(vote)))
    yield from map(_detail, _comparisons(vote))
    yield from map(_detail, _trajectory(vote))
    yield from map(_detail, _notes(vote))


def baseline_lines(baseline: "Baseline") -> Iterator[Line]:
    """What a run was compared with, in lines."""
    who = f"baseline · {baseline.flow}" + (f" on {baseline.model}" if baseline.model else "")
    why = f" ({baseline.why_this_model})" if baseline.why_this_model else ""
    if baseline.error is not None and not baseline.output:
        yield from _wrapped([f"{who}{why}", f"failed: {_short(baseline.error, WIDTH)}"], "yellow")
        return
    # Where equal answers are one, the winner is an answer; else it is the name of a draw.
    answer = baseline.output if baseline.agrees is None else str(baseline.winner or baseline.output)
    spent, run = baseline.usage, baseline.run_usage
    tokens = f"{spent.prompt_tokens + spent.completion_tokens:,} tokens"
    samples = [] if baseline.samples is None else [f"{baseline.samples} answers"]
    lift = "unknown (needs an evaluation)" if baseline.lift is None else f"{baseline.lift:+.2f}"
    pieces = [
        f"{who}{why}: answer {_short(answer)}",
        _SAME[baseline.agrees],
        *samples,
        f"{tokens} (run: {run.prompt_tokens + run.completion_tokens:,})",
        *([] if baseline.stop_reason == "completed" else [f"stopped: {baseline.stop_reason}"]),
        f"lift: {lift}",
    ]
    yield from _wrapped(pieces, "bold")


_SAME = {
    True: "same answer as the run",
    False: "another answer than the run",
    None: "texts that cannot be compared by counting",
}


def _when(vote: "JsonObject") -> list[str]:
    if vote.get("round"):
        return [f"round {vote['round']}"]
    return [] if vote["tally"]["method"] == "judge" else ["blind"]


def _came_out(vote: "JsonObject") -> Iterator[str]:
    """What came of it, and what led to that."""
    tally, agreement = vote["tally"], vote.get("agreement") or {}
    share = agreement.get("modal_share")
    agreed = "" if share is None else f" (agreement {share:.2f})"
    yield f"{tally['method']}: {_outcome(vote)}{agreed}"
    unread = sum(key is None for key in vote.get("positions", {}).values())
    if unread and vote["kind"] != "free":
        yield f"unparsed {unread}"
    if tally.get("tie_broken_by"):
        yield f"tie broken by {tally['tie_broken_by']}"
    if vote.get("stops"):
        yield f"stopped: {', '.join(vote['stops'])}"


def _outcome(vote: "JsonObject") -> str:
    tally = vote["tally"]
    winner, reason = tally.get("winner"), tally.get("reason", "")
    if winner is not None:
        score, valid = tally["scores"][winner], tally["valid"]
        got = f"{score:g} of {_amount(valid, tally)}" if _counts_voices(tally) else ""
        return f"{_name(vote, winner)} won with {got or _amount(score, tally)}"
    if reason == "no_votes" and not tally.get("eligible"):
        nothing = "one candidate" if tally["method"] == "judge" else "texts that equal no other"
        return f"{nothing}, nothing to count"
    said = NO_WINNER.get(reason, "no winner")
    if reason == "tie":
        said += f" of {', '.join(_name(vote, option) for option in tally.get('tied', ()))}"
    return said + (f"; asks for a {tally['asks']}" if tally.get("asks") else "")


def _counts_voices(tally: "JsonObject") -> bool:
    return tally["method"] in VOICES


def _amount(number: float, tally: "JsonObject") -> str:
    """Votes, verdicts or points, whatever the method counts."""
    what = "verdict" if tally["method"] == "judge" else "vote"
    unit = what if _counts_voices(tally) else "point"
    return f"{number:g} {unit}" + ("" if number == 1 else "s")


def _candidates(vote: "JsonObject") -> Iterator[str]:
    """Each option with what it got, and whose it is."""
    tally, whose = vote["tally"], _whose(vote)
    scores = tally.get("scores", {})
    texts = {c["id"]: c.get("display", "") for c in vote.get("candidates", ())}
    for option in tally.get("order") or texts:
        got = [_amount(scores[option], tally)] if option in scores else []
        members = ", ".join(whose.get(option, ()))
        more = _short(texts.get(option, "")) if vote["kind"] == "free" else members
        yield " · ".join([_name(vote, option), *got, *([more] if more else [])])


def _whose(vote: "JsonObject") -> dict[str, list[str]]:
    """By option: who stood for it in the count; empty: that was counted in the blind round."""
    decision, tally = vote.get("decision"), vote["tally"]
    if decision is None:
        return {c["id"]: list(c.get("members", ())) for c in vote.get("candidates", ())}
    whose: dict[str, list[str]] = {}
    for member, key in decision.get("positions", {}).items():
        if key is not None:
            whose.setdefault(key, []).append(member)
    counted = {option: len(members) for option, members in whose.items()}
    is_of_blind = tally["method"] == "plurality" and counted != tally.get("scores", {})
    return {} if is_of_blind else whose


def _ballots(vote: "JsonObject") -> Iterator[str]:
    """What voters said who were asked; elsewhere the answers are the ballots."""
    for ballot in vote.get("ballots", ()):
        said = _said(vote, ballot)
        if said:
            reason = [_short(ballot["reason"], LONGEST_REASON)] if ballot.get("reason") else []
            yield " · ".join([f"{ballot['voter']} votes: {said}", *reason])


def _said(vote: "JsonObject", ballot: "JsonObject") -> str:
    def names(options: Sequence[str], between: str = ", ") -> str:
        return between.join(_name(vote, option) for option in options) or "none"

    if ballot.get("abstain"):
        return "abstains"
    if ballot.get("ranking") is not None:
        return names(ballot["ranking"], " > ")
    if ballot.get("approved") is not None:
        return names(ballot["approved"])
    if ballot.get("scores") is not None:
        return ", ".join(f"{_name(vote, o)} {points:g}" for o, points in ballot["scores"].items())
    asked = vote["kind"] == "free" and ballot.get("choice") is not None
    return _name(vote, ballot["choice"]) if asked else ""


def _comparisons(vote: "JsonObject") -> Iterator[str]:
    """What a judge said of each pair, and whether that is the same in both orders."""
    if vote["tally"]["method"] != "judge":
        return
    verdicts = {ballot["voter"]: ballot.get("verdict") for ballot in vote.get("ballots", ())}
    pairs: dict[frozenset[str], list[str]] = {}
    for voter, pair in vote.get("shown", {}).items():
        pairs.setdefault(frozenset(pair), []).append(voter)
    for voters in pairs.values():
        orders = [vote["shown"][voter] for voter in voters]
        said = [verdicts.get(voter) for voter in voters]
        pair = " or ".join(_name(vote, option, LONGEST_COMPARED) for option in orders[0])
        yield f"{pair}: {_verdict(vote, orders, said)}"


def _verdict(
    vote: "JsonObject", orders: Sequence[Sequence[str]], said: Sequence[str | None]
) -> str:
    def named(option: str | None) -> str:
        if option is None:
            return "nothing that can be read"
        return _name(vote, option, LONGEST_COMPARED) if option else "neither"

    if len(said) > 1 and len(set(said)) == 1:
        return f"{named(said[0])} in both orders"
    each = [
        f"{named(one)} where {named(order[0])} comes first"
        for order, one in zip(orders, said, strict=True)
    ]
    both_read = len(said) > 1 and None not in said
    return ("the orders do not agree: " if both_read else "") + ", ".join(each)


def _trajectory(vote: "JsonObject") -> Iterator[str]:
    """Changes of answers in this round, whether they count, and what all changes decide."""
    decision = vote.get("decision")
    if decision is None:
        return
    for flip in decision.get("flips", ()):
        if flip["round"] != vote.get("round", 0):
            continue
        quote = f'"{_short(flip["quote"], LONGEST_ANSWER)}": ' if flip.get("quote") else ""
        why = quote + _short(flip.get("reason", ""), LONGEST_REASON)
        counts = "supported" if flip.get("supported") else f"does not count: {flip['why_not']}"
        move = f"{flip['member']}: {_name(vote, flip['from_key'])} → {_name(vote, flip['to_key'])}"
        yield " · ".join([move, counts, *([why] if why else [])])
    blind, last, decided = (decision.get(name) for name in ("round0", "last_round", "decision"))
    if len({blind, last, decided}) > 1:
        yield (
            f"blind: {_name(vote, blind)} · the last answers alone: {_name(vote, last)} · "
            f"decided: {_name(vote, decided)}"
        )


def _notes(vote: "JsonObject") -> Iterator[str]:
    """Who was not counted, and what a reader should know."""
    by_fault: dict[str, list[str]] = {}
    for voter, fault in vote["tally"].get("invalid", {}).items():
        by_fault.setdefault(fault, []).append(voter)
    for fault, voters in by_fault.items():
        yield f"not counted ({fault.replace('_', ' ')}): {', '.join(voters)}"
    for flag in vote.get("flags", ()):
        name, _, whom = flag.partition(": ")
        yield FLAGS.get(name, name.replace("_", " ")) + (f": {whom}" if whom else "")
    repaired = [b["voter"] for b in vote.get("ballots", ()) if b.get("parsed_by") == "repair"]
    if repaired:
        yield f"read only when asked once more: {', '.join(repaired)}"


def _name(vote: "JsonObject", option: str | None, most: int = LONGEST_ANSWER) -> str:
    """An option as people read it: an answer, or whose text it is."""
    if option is None:
        return "nobody"
    shown = {c["id"]: c.get("display", "") for c in vote.get("candidates", ())}
    return _short((shown.get(option) if vote["kind"] != "free" else "") or option, most)


def _short(text: str, most: int = LONGEST_ANSWER) -> str:
    return beginning(safe(text), most)


def _detail(text: str) -> Line:
    return Line("  " + beginning(safe(text), WIDTH - 2))


def _capped(texts: Sequence[str]) -> Iterator[Line]:
    yield from map(_detail, texts[:MOST_LISTED])
    if len(texts) > MOST_LISTED:
        yield _detail(f"… and {len(texts) - MOST_LISTED} more")


def _wrapped(pieces: Sequence[str], style: str) -> Iterator[Line]:
    """Pieces side by side, as many in a line as fit."""
    line = pieces[0]
    for piece in pieces[1:]:
        if len(f"{line} · {piece}") > WIDTH:
            yield Line(line, style)
            line = f"  {piece}"
        else:
            line = f"{line} · {piece}"
    yield Line(line, style)
