"""Writes the transcript of a run, from its record to Markdown.

agent-lab runs show RUN --json | python scripts/write_transcript.py "Title" > docs/debates/x.md
"""

import sys
from collections.abc import Iterator

from agent_lab.contracts import RunRecord, Turn


def transcript(title: str, record: RunRecord) -> Iterator[str]:
    """The lines of a transcript.

    Args:
        title: Its heading.
        record: What was asked, what was said, what it took.
    """
    models = ", ".join(f"`{key}`" for key in dict.fromkeys(t.model_resolved for t in record.turns))
    yield f"# {title}\n"
    yield (
        f"A run of the flow `{record.flow}` on {record.created_at:%d %B %Y}, on two processor "
        f"cores without a GPU, by {models}; seed {record.seed}. Nothing of it was changed.\n"
    )
    yield f"## Task\n\n{_quoted(record.input)}\n"
    for number, turn in enumerate(record.turns, 1):
        place = f", round {turn.round}" if turn.round > 1 else ""
        yield f"## {number}. {turn.role}{place}: `{turn.model_resolved}`\n\n{_quoted(turn.text)}\n"
        yield f"*{_took(turn)}*\n"
    yield f"## What came of it\n\nStopped: `{record.stop_reason}`. {record.summary}"


def _took(turn: Turn) -> str:
    timings = turn.timings
    parts = (("waited", timings.queue), ("load", timings.load_time), ("read", timings.prefill))
    seconds = [f"{name} {s:.1f} s" for name, s in (*parts, ("write", timings.decode)) if s]
    return (
        f"{', '.join(seconds)}; {turn.prompt_tokens} tokens read, {turn.cached_tokens} of them "
        f"already computed, {turn.completion_tokens} written ({turn.finish_reason})"
    )


def _quoted(text: str) -> str:
    """A text as a quotation: what models write cannot become part of the page around it."""
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


if __name__ == "__main__":
    print("\n".join(transcript(sys.argv[1], RunRecord.model_validate_json(sys.stdin.read()))))
