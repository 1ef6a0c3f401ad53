"""Whether a vote of several answers beats one of them, on products of two one-digit numbers.

python benchmarks/deliberation.py [--model KEY] [--items N] [--samples K] [--seed N]
                                  [--prompt short|flow]

Every question is one run of the flow `self_consistency` through the lab, in a home of its own, and
all draws are taken; its prompt is a short one, since the flow's own is too much for models as small
as the default one. One sample is the first draw of the run; the vote is what the run has elected.
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

from deliberation_items.asking import FLOW, Asked, ask, flow_with
from deliberation_items.figures import Gain, by_modal_share, cut, gain
from deliberation_items.products import products

from agent_lab.config import load_settings
from agent_lab.errors import AgentLabError
from agent_lab.lab import build

MODEL = "smollm2-135m"
ITEMS, SAMPLES = 64, 9


async def measure(asked: argparse.Namespace, home: Path) -> list[Asked]:
    """Ask every question, one after the other.

    Args:
        asked: The arguments of the command.
        home: An empty folder, for the runs.
    """
    settings = load_settings(
        home=home,
        outputs_dir=home / "outputs",
        model_cache_dir=load_settings().weights_folder.resolve(),
    )
    answers: list[Asked] = []
    flow = flow_with(short=asked.prompt == "short")
    async with build(settings, flows={FLOW: flow}) as lab:
        for item in products(asked.items, asked.seed):
            answers.append(await ask(lab, asked.model, asked.samples, item))
            print(_progress(answers, asked.items), file=sys.stderr)
    return answers


def _progress(answers: Sequence[Asked], items: int) -> str:
    one, vote = sum(a.right[0] for a in answers), sum(a.vote_right for a in answers)
    return f"{len(answers)} of {items} questions; right: one sample {one}, vote {vote}"


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
    drawn = samples * len(answers)
    read = sum(key is not None for asked in answers for key in asked.draws) / drawn
    guessed = sum(asked.guessed for asked in answers) / drawn
    saved = 1 - sum(c.calls for _, c in pairs) / drawn
    same = fmean(c.winner == a.winner for a, c in pairs)
    yield f"- of the draws could be read: {read:.3f}, only by their last number: {guessed:.3f}"
    yield f"- of the draws the stop rule saves: {saved:.3f}, with the same winner: {same:.3f}"
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
    parser.add_argument("--prompt", choices=("short", "flow"), default="short", help="else short")
    asked = parser.parse_args()
    if asked.items < 1:
        parser.error("there must be at least one item")
    begun = perf_counter()
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # away from an `.env`
            answers = asyncio.run(measure(asked, Path(folder)))
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
