"""Whether a vote of several answers beats one of them, on products of two one-digit numbers.

python benchmarks/deliberation.py [--model KEY] [--items N] [--samples K] [--seed N]

Every question is one run of the flow `self_consistency` through the lab, in a home of its own, and
all draws are taken. One sample is the first draw of the run; the vote is what the run has elected.
Beside them: the mean over all draws, one answer at temperature 0, and what the flow's own stop rule
would have left of the same draws. It ends with 0 if the interval of vote minus one sample is above
zero, else with 1. Needs the weights (`agent-lab models pull KEY`), no keys and no network.
"""

import argparse
import asyncio
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from time import perf_counter

from deliberation_items.asking import Asked, ask
from deliberation_items.figures import Gain, by_modal_share, cut, gain
from deliberation_items.products import products

from agent_lab.config import load_settings
from agent_lab.errors import AgentLabError
from agent_lab.lab import build

MODEL = "smollm2-135m"
ITEMS, SAMPLES = 64, 9


async def measure(model: str, items: int, samples: int, seed: int, home: Path) -> list[Asked]:
    """Ask every question, one after the other.

    Args:
        model: Key of the model.
        items: How many questions.
        samples: How many answers are drawn to each.
        seed: Of the questions and of the draws.
        home: An empty folder, for the runs.
    """
    settings = load_settings(
        home=home,
        outputs_dir=home / "outputs",
        model_cache_dir=load_settings().weights_folder.resolve(),
    )
    async with build(settings) as lab:
        return [await ask(lab, model, samples, item) for item in products(items, seed)]


def text(answers: Sequence[Asked], vote: Gain, mean: Gain, seconds: float) -> Iterator[str]:
    """What was found, as Markdown."""
    samples = len(answers[0].draws)
    pairs = [(asked, cut(asked)) for asked in answers]
    accuracy = {
        "one sample": fmean(asked.right[0] for asked in answers),
        f"mean of {samples} samples": fmean(fmean(asked.right) for asked in answers),
        f"vote of {samples}": fmean(asked.vote_right for asked in answers),
        "vote, drawing stopped by rule": fmean(c.winner == a.item.key for a, c in pairs),
        "greedy": fmean(asked.greedy == asked.item.key for asked in answers),
    }
    yield f"`{shlex.join(['python', *sys.argv])}`: {platform.machine()}, {os.cpu_count()} cores,"
    yield f"load {os.getloadavg()[0]:.1f} when it ended."
    yield ""
    yield f"| {len(answers)} questions | accuracy |"
    yield "|---|---|"
    yield from (f"| {name} | {found:.3f} |" for name, found in accuracy.items())
    yield ""
    yield "| modal share | questions | accuracy of the vote |"
    yield "|---|---|---|"
    for name, (number, right) in by_modal_share(answers).items():
        yield f"| {name} | {number} | {f'{right:.3f}' if number else ''} |"
    yield ""
    keys = [key for asked in answers for key in asked.draws]
    guessed = sum(asked.guessed for asked in answers) / len(keys)
    yield f"- draws that could be read: {1 - keys.count(None) / len(keys):.3f}, of them by their"
    yield f"  last number alone: {guessed:.3f}"
    saved = 1 - sum(c.calls for _, c in pairs) / len(keys)
    yield f"- draws that the stop rule saves: {saved:.3f}; the same winner in "
    yield f"  {fmean(c.winner == a.winner for a, c in pairs):.3f}"
    yield f"- calls: {sum(asked.calls for asked in answers)}, seconds: {seconds:.0f}"
    yield f"- vote minus mean of samples: {_told(mean)}"
    word = "pass" if vote.low > 0 else "FAIL"
    yield f"- {word}: vote minus one sample, above zero: {_told(vote)}"


def _told(found: Gain) -> str:
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def main() -> int:
    """Do what the arguments say; 1: the gate does not hold, 2: the benchmark cannot go on."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--model", default=MODEL, metavar="KEY", help=f"else {MODEL}")
    parser.add_argument("--items", type=int, default=ITEMS, metavar="N", help=f"else {ITEMS}")
    parser.add_argument("--samples", type=int, default=SAMPLES, metavar="K", help=f"else {SAMPLES}")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of items and draws")
    asked = parser.parse_args()
    begun = perf_counter()
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # away from an `.env`
            answers = asyncio.run(
                measure(asked.model, asked.items, asked.samples, asked.seed, Path(folder))
            )
    except AgentLabError as error:
        print(f"The benchmark cannot go on: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    seconds = perf_counter() - begun
    vote = gain(answers, lambda a: a.vote_right - a.right[0], asked.seed)
    mean = gain(answers, lambda a: a.vote_right - fmean(a.right), asked.seed)
    print(*text(answers, vote, mean, seconds), sep="\n")
    return 0 if vote.low > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
