"""Writes the transcript of a run, from its record to Markdown.

agent-lab runs show RUN --json | python scripts/write_transcript.py "Title" > docs/debates/x.md
"""

import sys
from collections.abc import Iterator

from agent_lab.contracts import RunRecord, Step, Turn
from agent_lab.deliberation.trajectory import Flip
from agent_lab.deliberation.votes import Vote


def transcript(title: str, record: RunRecord) -> Iterator[str]:
    """The lines of a transcript.

    Args:
        title: Its heading.
        record: What was asked, what was said and counted, what it took.
    """
    models = ", ".join(f"`{key}`" for key in dict.fromkeys(t.model_resolved for t in record.turns))
    yield f"# {title}\n"
    yield (
        f"A run of the flow `{record.flow}` on {record.created_at:%d %B %Y}, on two processor "
        f"cores without a GPU, by {models}; seed {record.seed}. Nothing of it was changed.\n"
    )
    yield f"## Task\n\n{_quoted(record.input)}\n"
    number = 0
    for happened in _in_order(record):
        if isinstance(happened, Turn):
            number += 1
            yield from _said(number, happened)
        else:
            yield from _counted(happened)
    yield f"## What came of it\n\nStopped: `{record.stop_reason}`. {record.summary}"


def _in_order(record: RunRecord) -> Iterator[Turn | Vote]:
    """The turns of each step and what it has counted, step by step."""
    left = list(record.turns)
    for step in record.steps:
        own = [turn for turn in left if _is_of(turn, step)]
        left = [turn for turn in left if turn not in own]
        yield from own
        if step.vote is not None:
            yield Vote.model_validate(step.vote)
    yield from left


def _is_of(turn: Turn, step: Step) -> bool:
    """Whether a turn was taken in a step: a node may ask several times."""
    is_there = turn.path == step.path or turn.path.startswith((f"{step.path}[", f"{step.path}."))
    return is_there and (turn.visit, turn.retry) == (step.visit, step.retry)


def _said(number: int, turn: Turn) -> Iterator[str]:
    node = "" if turn.path == turn.role else f" ({turn.path})"
    place = f", round {turn.round}" if turn.round > 1 else ""
    yield f"## {number}. {turn.role}{node}{place}: `{turn.model_resolved}`\n"
    yield f"{_quoted(turn.text)}\n"
    yield f"*{_took(turn)}*\n"


def _took(turn: Turn) -> str:
    timings = turn.timings
    parts = (("waited", timings.queue), ("load", timings.load_time), ("read", timings.prefill))
    seconds = [f"{name} {s:.1f} s" for name, s in (*parts, ("write", timings.decode)) if s]
    return (
        f"{', '.join(seconds)}; {turn.prompt_tokens} tokens read, {turn.cached_tokens} of them "
        f"already computed, {turn.completion_tokens} written ({turn.finish_reason})"
    )


def _counted(vote: Vote) -> Iterator[str]:
    """A count: the candidates with their scores, what came of it, changes of answers."""
    yield f"## Counted: {vote.node} by {vote.tally.method}\n"
    yield "| Candidate | Whose | Score |\n|---|---|---|"
    names = {candidate.id: candidate.display for candidate in vote.candidates}
    for option, whose in _backers(vote).items():
        score = vote.tally.scores.get(option)
        shown = "" if score is None else f"{score:g}"
        yield f"| {_cell(names.get(option) or option)} | {', '.join(whose)} | {shown} |"
    yield f"\n*{_result(vote)}*\n"
    if vote.decision is not None and vote.decision.flips:
        yield "\n".join(f"- {_flip(flip)}" for flip in vote.decision.flips) + "\n"


def _backers(vote: Vote) -> dict[str, list[str]]:
    """By option, best first: whose it is; in a debate, who holds it as far as changes count."""
    held = {candidate.id: list(candidate.members) for candidate in vote.candidates}
    if vote.decision is not None:
        held = {option: [] for option in held}
        for member, key in vote.decision.positions.items():
            if key is not None:
                held.setdefault(key, []).append(member)
    return {option: held.pop(option, []) for option in vote.tally.order} | held


def _result(vote: Vote) -> str:
    tally = vote.tally
    parts = [
        f"{tally.valid} of {tally.eligible} ballots count",
        f"no winner ({tally.reason})" if tally.winner is None else f"{_cell(tally.winner)} wins",
    ]
    if tally.tie_broken_by:
        parts.append(f"a tie that `{tally.tie_broken_by}` decided")
    return "; ".join((*parts, *(f"`{stop}`" for stop in vote.stops)))


def _flip(flip: Flip) -> str:
    verdict = "counts" if flip.supported else f"does not count: {flip.why_not}"
    change = f"{_cell(flip.from_key or '')} to {_cell(flip.to_key or '')}"
    return f"{flip.member} goes from {change}, which {verdict}"


def _quoted(text: str) -> str:
    """A text as a quotation: what models write cannot become part of the page around it."""
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


def _cell(text: str) -> str:
    """A short text as code in a table, for the same reason."""
    return f"`{' '.join(text.split()).replace('`', chr(39)).replace('|', '/')}`"


if __name__ == "__main__":
    print("\n".join(transcript(sys.argv[1], RunRecord.model_validate_json(sys.stdin.read()))))
