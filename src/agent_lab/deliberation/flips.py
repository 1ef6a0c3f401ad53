"""Why a member has changed its answer, and whether the reason counts.

A reason that counts says where its own earlier text is wrong, and what is wrong there: by a line
`CHANGED "words of the earlier text": what is wrong with them`, or by an issue of the ledger. That
others think otherwise is no reason. Form is read with tolerance; whether a reason is true is not
judged here: that takes a tool's evidence.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from agent_lab.contracts import JsonObject
from agent_lab.deliberation.flip_words import ABOUT_OTHERS, EMPTY
from agent_lab.deliberation.issues import (
    LONGEST_PART,
    MARK,
    QUOTED,
    Issue,
    find_quote,
    flat,
    folded,
    prose_of,
)
from agent_lab.deliberation.trajectory import Flip

FlipPolicy: TypeAlias = Literal["reason", "evidence"]
"""`evidence`: only what a tool has confirmed counts."""
NO_PLACE = "it does not say where its earlier text was wrong"
NOT_IN_OLD_TEXT = "the quoted words do not stand in its earlier text"
SAYS_NOTHING = "it does not say what was wrong, only what others or it itself answer"
ISSUE_DOES_NOT_COUNT = "there is no such issue, or it has been dismissed"
NOT_CONFIRMED = "no tool has confirmed it"
MOST_REASONS, MOST_QUOTES, LONGEST_LINE = 20, 5, 2_000
_CHANGED = re.compile(
    rf"(?i)(?:{MARK})*+(?:I(?:\shave|['’]ve)?\s|he\s)?(?:changed?|cambi(?:o|ó|é|ado))(?!\w)(.*)"
)
SLOT_WORDS = frozenset({"answer", "respuesta", "final"})
"""The marker of an answer alone is no place in a text."""
_ID = re.compile(r"(?i)(?<!\w)C([0-9]{1,6})(?!\w)")
_SUM = re.compile(r"[0-9)]\s?[=+*×·÷^<>−-]|[=+*×·÷^<>−-]\s?[0-9(]")


class Statement(NamedTuple):
    """What a member said in one round."""

    text: str
    key: str | None
    """Of its answer; None: none could be read."""


class _Reason(NamedTuple):
    """A reason that a member gives, and what is wrong with it; empty: it counts."""

    quote: str = ""
    claim: str = ""
    issue: str = ""
    why_not: str = ""


def read_flip(
    member: str,
    old: Statement,
    new: Statement,
    *,
    round: int,
    ledger: Sequence[Issue] = (),
    evidence: JsonObject | None = None,
    policy: FlipPolicy = "reason",
) -> Flip | None:
    """Read whether a member has changed its answer, and why.

    A quote of nothing but the earlier answer is located; it counts if the claim says why.

    Args:
        member: Who.
        old: The last that it said with a readable key.
        new: What it says now.
        round: The round in which it says so.
        ledger: Issues that it may name; one that is dismissed or void does not count, nor one
            whose quote the earlier text does not hold.
        evidence: What a tool has confirmed against the earlier text; the caller vouches for it.
        policy: What counts.

    Returns:
        The flip; None: the key is the same, or one of the two could not be read.
    """
    if old.key is None or new.key is None or old.key == new.key:
        return None
    reason = _best(_reasons(new.text, old, new.key, ledger))
    why_not = reason.why_not
    if evidence is not None:
        why_not = ""
    elif policy == "evidence":
        why_not = NOT_CONFIRMED
    return Flip(
        member=member,
        round=round,
        from_key=old.key,
        to_key=new.key,
        quote=reason.quote[:LONGEST_PART],
        reason=reason.claim[:LONGEST_PART],
        issue=reason.issue,
        evidence=evidence,
        supported=not why_not,
        why_not=why_not,
    )


def _best(reasons: Iterable[_Reason]) -> _Reason:
    """The first that counts, else the first."""
    given = list(reasons)
    counting = (reason for reason in given if not reason.why_not)
    return next(counting, given[0] if given else _Reason(why_not=NO_PLACE))


def _reasons(text: str, old: Statement, new_key: str, ledger: Sequence[Issue]) -> Iterator[_Reason]:
    place, keys = folded(old.text), _words(f"{old.key} {new_key}")
    for line in _changed_lines(text):
        named = {f"C{int(number)}" for number in _ID.findall(QUOTED.sub(" ", line))}
        found = [issue for issue in ledger if issue.id in named]
        yield from (_by_issue(issue, place, keys) for issue in found)
        quotes = list(QUOTED.finditer(line))[:MOST_QUOTES]
        if quotes:
            yield _by_quote(line, quotes, place, keys)
        elif not found:
            why_not = ISSUE_DOES_NOT_COUNT if named else NO_PLACE
            yield _Reason(claim=flat(line), issue=min(named, default=""), why_not=why_not)


def _changed_lines(text: str) -> list[str]:
    """What follows `CHANGED`; with the next line where the claim stands there."""
    lines = [line[:LONGEST_LINE] for line in prose_of(text).splitlines() if line.strip()]
    found = [(n, match[1]) for n, line in enumerate(lines) if (match := _CHANGED.match(line))]
    return [
        said if _words(QUOTED.sub(" ", said)) else " ".join((said, *lines[n + 1 : n + 2]))
        for n, said in found[:MOST_REASONS]
    ]


def _by_issue(issue: Issue, place: str, keys: set[str]) -> _Reason:
    if issue.status in ("dismissed", "void"):
        why_not = ISSUE_DOES_NOT_COUNT
    elif not _stands(issue.quote, place):
        why_not = NOT_IN_OLD_TEXT
    else:
        claim = folded(issue.claim).replace(folded(issue.quote), " ")
        why_not = "" if _says_something(claim, keys) else SAYS_NOTHING
    return _Reason(issue.quote, issue.claim, issue.id, why_not)


def _by_quote(line: str, quotes: Sequence[re.Match[str]], place: str, keys: set[str]) -> _Reason:
    """By the first of its quotes that stands in the earlier text: it may quote others first."""
    standing = (match for match in quotes if _stands(_quote(match), place))
    match = next(standing, quotes[0])
    before, after = line[: match.start()], line[match.end() :]
    claim = line if _words(before) else after
    if not _stands(_quote(match), place):
        why_not = NOT_IN_OLD_TEXT
    else:
        why_not = "" if _says_something(f"{before} {after}", keys) else SAYS_NOTHING
    return _Reason(_quote(match), flat(claim).lstrip(" *:：.,–—-"), "", why_not)


def _quote(match: re.Match[str]) -> str:
    return match[match.lastindex or 0].strip(" `")


def _stands(quote: str, place: str) -> bool:
    says_where = bool(_words(quote) - SLOT_WORDS)
    return len(quote) > 1 and says_where and find_quote(quote, place) is not None


def is_only_reasons(text: str) -> bool:
    """Whether a text has no lines but those that say why its answer has changed."""
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and all(_CHANGED.match(line) for line in lines)


def without_reasons(text: str) -> str:
    """An answer without the lines that say why it has changed; as it is if nothing else is there.

    They are for the debate: whoever asked wants the answer.
    """
    kept = [line for line in text.splitlines() if not _CHANGED.match(line)]
    return "\n".join(kept).strip() or text


def _says_something(claim: str, keys: set[str]) -> bool:
    """Whether it says more than that others, or it itself, now answer something else.

    Among words about others a number is likely to count them, unless it stands in a sum.
    """
    words = _words(_ID.sub(" ", claim)) - keys
    numbers = {word for word in words if word.isdecimal()}
    if {word for word in words - numbers if len(word) > 1} - ABOUT_OTHERS - EMPTY:
        return True
    return bool(numbers) and (bool(_SUM.search(claim)) or not words & ABOUT_OTHERS)


def _words(text: str) -> set[str]:
    """The words of a text; many write them without accents and apostrophes."""
    plain = unicodedata.normalize("NFKD", folded(text))
    return set(re.findall(r"\w+", re.sub(r"['’\u0300-\u036f]", "", plain)))
