"""Numbers whose sums are exact: what is level is level, what is not is not."""

import re
import sys
from collections.abc import Iterable, Mapping
from fractions import Fraction

_NUMBER = re.compile(r"-?[0-9]{1,1000}(\.[0-9]{1,1000})?|-?[0-9]{1,1000}/[0-9]{1,1000}")
_LARGEST = Fraction(sys.float_info.max)
_LARGEST_DENOMINATOR = 1000


def exact(value: float) -> Fraction:
    """A float as its first 12 digits say it: the sum of 0.1 and 0.2 is 0.3."""
    return Fraction(format(value, ".12g"))


def exact_share(share: float) -> Fraction:
    """A share as the simplest fraction near it: 0.6667 is 2/3, so that 2 of 3 are as much."""
    return Fraction(share).limit_denominator(_LARGEST_DENOMINATOR)


def number(key: str) -> Fraction | None:
    """The number that a key such as `42`, `0.5` or `-3/4` stands for; None: it is none."""
    if not _NUMBER.fullmatch(key):
        return None
    above, _, below = key.partition("/")
    return Fraction(above) / int(below or 1) if int(below or 1) else None


def rounded(value: Fraction) -> float:
    """The nearest float."""
    return float(max(-_LARGEST, min(_LARGEST, value)))


def best(scores: Mapping[str, Fraction]) -> tuple[str, ...]:
    """Everything that has the highest score."""
    return tuple(key for key, score in scores.items() if score == max(scores.values()))


def lead(scores: Iterable[Fraction]) -> Fraction:
    """How far the highest is before the second; before nothing, if it is the only one."""
    first, second, *_ = *sorted(scores, reverse=True), Fraction(0)
    return first - second
