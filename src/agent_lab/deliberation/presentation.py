"""In which order and under which names a role sees what others have written.

Readers favour what they see first. So each reviewer sees the same order begun at another place (a
Latin square): every candidate stands as often as any other in each position. Orders are drawn by a
digest of the seed, so that a run repeated anywhere shows the same.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from agent_lab.contracts import Contract


class Presentation(Contract):
    """What one reviewer is shown in one round."""

    shown: tuple[str, ...]
    """Ids of the candidates in the order in which it sees them."""

    def by_label(self) -> dict[str, str]:
        """By label, `A` being the first that it sees: the id of the candidate."""
        return {label(position): shown for position, shown in enumerate(self.shown)}

    def label_of(self, candidate: str) -> str:
        """What the reviewer calls a candidate.

        Raises:
            ValueError: It is not shown.
        """
        return label(self.shown.index(candidate))


def presented(candidates: Sequence[str], *, reviewer: int, round: int, seed: int) -> Presentation:
    """What a reviewer is shown.

    Args:
        candidates: Their ids, each once; their order has no effect.
        reviewer: Its number, from 0.
        round: Names change from round to round.
        seed: The run's.
    """
    return Presentation(shown=_rotated(_shuffled(candidates, seed, round), reviewer))


def label(position: int) -> str:
    """The label of a position from 0: `A` to `Z`, then `AA`."""
    before, letter = divmod(position, 26)
    return (label(before - 1) if before else "") + chr(ord("A") + letter)


def distinct_peers(
    texts_by_member: Mapping[str, str],
    keys_by_member: Mapping[str, str | None],
    *,
    own: str,
    seed: int,
    round: int,
) -> tuple[str, ...]:
    """The peers' last texts as a set: how many gave an answer cannot be seen.

    Of those with the same key one is drawn. A text without a key is shown, once if others are the
    same word by word.

    Args:
        texts_by_member: What each has said last.
        keys_by_member: The keys of its answers; missing or None: none could be read.
        own: The member who reads them; its own text is left out.
        seed: The run's.
        round: Texts and their order are drawn anew in each round.
    """
    groups: dict[str, list[str]] = {}
    for member, text in texts_by_member.items():
        if member != own:
            key = keys_by_member.get(member)
            groups.setdefault(f"text {text}" if key is None else f"key {key}", []).append(member)
    drawn = [_shuffled(groups[group], seed, round)[0] for group in _shuffled(groups, seed, round)]
    reader = sorted({*texts_by_member, own}).index(own)
    return tuple(texts_by_member[member] for member in _rotated(drawn, reader))


def _shuffled(items: Iterable[str], seed: int, round: int) -> list[str]:
    """The items in an order of which each is as likely as any other."""

    def digest(item: str) -> bytes:
        # Halves of characters, which models can send, have a digest too.
        said = f"{seed} {round} {item}".encode(errors="surrogatepass")
        return hashlib.sha256(said).digest()

    return sorted(items, key=digest)


def _rotated(items: Sequence[str], start: int) -> tuple[str, ...]:
    start %= max(len(items), 1)
    return (*items[start:], *items[:start])
