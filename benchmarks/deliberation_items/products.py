"""Products of two one-digit numbers: a small model knows some of them, and each can be checked."""

import random
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

FACTORS = range(2, 10)


class Product(NamedTuple):
    """One question, asked with one seed."""

    first: int
    second: int
    seed: int

    @property
    def question(self) -> str:
        """As it is put to the model."""
        return f"What is {self.first} times {self.second}?"

    @property
    def key(self) -> str:
        """The right answer, as answers to numbers are compared."""
        return str(self.first * self.second)


def products(number: int, seed: int) -> Iterator[Product]:
    """So many questions: all pairs of factors in a drawn order, then all of them again.

    Args:
        number: How many.
        seed: Of the order; from it each question has a seed of its own.
    """
    order = list(product(FACTORS, repeat=2))
    random.Random(seed).shuffle(order)  # noqa: S311 - no secret
    for place in range(number):
        first, second = order[place % len(order)]
        # Draws of one run have the seeds that follow its own.
        yield Product(first, second, seed=seed * 1_000_000 + place * 1_000)
