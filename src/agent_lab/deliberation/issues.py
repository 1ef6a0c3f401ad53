"""The ledger of a debate: which issues were raised about which words, what became of each.

Reading what models write is tolerant of form, not of substance: an issue that quotes what the draft
does not say is void, a refusal needs a reason, a fix needs a change at the place.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Literal

from agent_lab.contracts import Contract, Language

Severity = Literal["high", "medium", "low"]
IssueStatus = Literal["open", "fixed", "declined", "dismissed", "void"]
Ledger = tuple["Issue", ...]
NOT_IN_DRAFT = "the quoted words do not stand in the draft"
NOT_RAISED_AGAIN = "not raised again"
NOTHING_CHANGED = "said to be fixed, but nothing changed there"
MOST_ISSUES, LONGEST_PART, SHORTEST_CLAIM = 20, 600, 12
_RANK: dict[Severity, int] = {"high": 0, "medium": 1, "low": 2}
_SEVERITIES: dict[str, Severity] = {
    **dict.fromkeys(["high", "critical", "alto", "alta", "grave"], "high"),
    **dict.fromkeys(["medium", "moderate", "medio", "media"], "medium"),
    **dict.fromkeys(["low", "minor", "bajo", "baja", "leve"], "low"),
}
_SPANISH = {"fixed": "arreglado", "declined": "rechazado", "dismissed": "descartado"}
# Loops over hostile text are possessive (`*+`): they never look back, so time stays linear.
MARK = r"[^\w\n[(（［【\"'`“„«‘「]|_|\(?[0-9]{1,3}[.):]"
"""What a line begins with before its first word: a bullet, a bold mark, a number."""
_PROBLEM = r"(?:(?:worst|main|peor)\s)?(?:issue|problema?|fallo)s?(?:\s#?[0-9]{1,2})?(?!\w)"
_LEAD = rf"(?im)^(?:{MARK}|\[?C[0-9]{{1,6}}(?!\w)\]?|{_PROBLEM}|principal(?!\w))*+"
_LEVEL = rf"((?a:{'|'.join(_SEVERITIES)}))(?!\w)(?:\s(?:severity|priority|issue)(?!\w))?"
_SEVERITY = r"(?:severity|severidad|gravedad)(?!\w)\W{0,6}"
_ISSUE = re.compile(
    rf"{_LEAD}(?:[\[(（［【]\W{{0,3}}(?:{_SEVERITY})?{_LEVEL}\W{{0,3}}?[\])）］】]"
    rf"|{_SEVERITY}{_LEVEL}[\])）］】]?|{_LEVEL}\W{{0,3}}?[:：])"
    rf"[ \t*:：.,|–—-]*+(?:{_PROBLEM}[* ]{{0,4}}[:：][* ]*+)?"
)
# What small models write: the issue without its severity.
_UNGRADED = re.compile(rf"(?im)^(?:{MARK})*+{_PROBLEM}[* ]{{0,4}}[:：][* \t]*+")
_NONE_FOUND = re.compile(
    rf"{_LEAD}(?:\[\w{{1,12}}\]\W{{0,6}})?(?:no|no hay|no hay ning[uú]n|ning[uú]n|sin)\s"
    r"(?:issue|problema?)s?(?:\s(?:was|were))?"
    r"(?:\s(?:found|encontrado)s?(?!\w)|[ \t]*+(?:$|[.:,;!()*–—-]))"
)
_CLOSING = re.compile(
    rf"(?i)(?:{MARK})*+(?:(?:issue|problema?)\s)?"
    r"(?:[\[(]?C(?P<id>[0-9]{1,6})(?!\w)[\s:：*_\])–—-]*+(?:\[\w{1,12}\][\s:：*_–—-]*+)?)?"
    r"(?:(?:is|was|está)\s)?(?:(?P<fixed>fixed|resolved|arreglad[oa]|corregid[oa]|resuelt[oa])"
    r"|declined|rejected|rechazad[oa])(?!\w)(?P<between>[\s:：*_.,()\[\]–—-]*+)"
    r"(?:C(?P<id_after>[0-9]{1,6})(?!\w)[\s:：*_.,)\]–—-]*+)?(?P<text>.*)"
)
QUOTED = re.compile(
    r'"([^"]*)"|[“„]([^“”„]*)[”“]|«([^«»]*)»|(?<!`)`{1,3}([^`]+)`|「([^「」]*)」'
    r"|(?<!\w)'([^']*)'(?!\w)|(?<!\w)‘([^‘’]*)’(?!\w)"
)
"""Words in quotation marks; they are the last group."""
_ELLIPSIS = re.compile(r"[\[(]?(?:\.{3,}|…)[\])]?")
_FENCE = re.compile(r"^[ \t]*+```++[^`\n]*$", re.MULTILINE)
# All but white space; with invisible and bidirectional ones, and halves of characters.
_CONTROL = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


class Issue(Contract):
    """Something that a reviewer holds to be wrong with a draft."""

    id: str
    """`C1`, `C2`, …: what the roles call it by."""
    claim: str
    """What is wrong and how to fix it; one line."""
    quote: str = ""
    """The words of the draft that are wrong; empty where the reviewer named no place."""
    severity: Severity
    """`high`: a crash or a wrong answer. `medium`: a gap. `low`: a detail."""
    status: IssueStatus = "open"
    """What became of it."""
    reason: str = ""
    """Why it is declined, dismissed, void or still open; of a fixed one what was changed."""
    round: int = 1
    """In which round it was raised, or opened again."""


class Review(Contract):
    """What a critique says."""

    issues: tuple[Issue, ...]
    """In the order of the text, with provisional ids."""
    parsed_by: Literal["lines", "none_found", "unparsed"]
    """`lines`: issues were read. `none_found`: it says that there are none. `unparsed`: neither."""


def parse_review(text: str) -> Review:
    """Read a critique: an issue begins a line with its severity and ends at a blank line.

    At most `MOST_ISSUES` are taken. What stands in a code fence is no issue. Where no line names a
    severity, those that begin as `Worst issue:` are issues of medium severity.
    """
    prose = prose_of(text)
    _before, *parts = _ISSUE.split(prose)
    levels = [a or b or c for a, b, c in zip(parts[::4], parts[1::4], parts[2::4], strict=True)]
    claims = list(map(_first_paragraph, parts[3::4]))
    read = zip(levels, claims, strict=True)
    found = [(level, claim) for level, claim in read if claim and not _NONE_FOUND.match(claim)]
    if not found:
        _before, *parts = _UNGRADED.split(prose)
        claims = [c for c in map(flat, parts) if len(c) > SHORTEST_CLAIM]
        found = [("medium", claim) for claim in claims if not _NONE_FOUND.match(claim)]
    issues = [_issue(n, *pair) for n, pair in enumerate(found[:MOST_ISSUES], start=1)]
    if issues:
        return Review(issues=tuple(issues), parsed_by="lines")
    return Review(issues=(), parsed_by="none_found" if _NONE_FOUND.search(prose) else "unparsed")


def raise_issues(ledger: Ledger, review: Review, draft: str, round_: int) -> Ledger:
    """Enter a review of a draft into the ledger.

    An issue that quotes what the draft does not say is void. One that repeats an open issue is
    merged into it, a fixed one is opened again, a declined one stays settled. What was open before
    this round and is not raised again is dismissed, unless the review is unparsed.
    """
    after, place = {issue.id: issue for issue in ledger}, folded(draft)
    raised: set[str] = set()
    for found in (_placed(issue, place) for issue in review.issues):
        new = {"id": f"C{max(map(_number, after.values()), default=0) + 1}", "round": round_}
        met = _met(found, after.values())
        if found.quote and find_quote(found.quote, place) is None:
            entry = found.model_copy(update={**new, "status": "void", "reason": NOT_IN_DRAFT})
        elif met is None:
            entry = found.model_copy(update=new)
        elif met.status == "declined":
            continue
        else:
            entry = _merged(met, found, round_, is_same_review=met.id in raised)
        after[entry.id] = entry
        raised.add(entry.id)
    for issue in ledger if review.parsed_by != "unparsed" else ():
        if issue.status == "open" and issue.round < round_ and issue.id not in raised:
            left = {"status": "dismissed", "reason": NOT_RAISED_AGAIN}
            after[issue.id] = issue.model_copy(update=left)
    return tuple(after.values())


def close_issues(ledger: Ledger, answer: str, old_draft: str, new_draft: str) -> Ledger:
    """Enter what the refiner says in its answer; what it does not mention stays open.

    A declined issue needs a reason. A fixed one needs a change at its quote: the lines of the old
    draft that hold it, with one line before and one after, no longer stand so in the new draft
    (which has no closing lines: `strip_closing`). Blank lines and fences do not count. Where there
    is no quote, or the old draft does not hold it, any change of the draft will do.
    """
    closings = _closings(answer, [issue.id for issue in ledger if issue.status == "open"])
    old, new = _lines(old_draft), _lines(new_draft)
    return tuple(
        _closed(issue, closings[issue.id], old, new) if issue.id in closings else issue
        for issue in ledger
    )


def strip_closing(answer: str) -> str:
    """The answer without the closing lines at its end, unless it is nothing but such lines."""
    lines = answer.splitlines(keepends=True)
    end = len(lines)
    while end and (not lines[end - 1].strip() or _closing(lines[end - 1])):
        end -= 1
    body, closing = "".join(lines[:end]).rstrip(), "".join(lines[end:]).strip()
    return body if body and closing else answer


def open_issues(ledger: Iterable[Issue], floor: Severity = "low") -> Ledger:
    """The open issues at or above a severity, the most severe first, then by id."""
    found = [i for i in ledger if i.status == "open" and _RANK[i.severity] <= _RANK[floor]]
    return tuple(sorted(found, key=lambda issue: (_RANK[issue.severity], _number(issue))))


def settled_issues(ledger: Iterable[Issue]) -> Ledger:
    """The fixed, declined and dismissed issues by id."""
    return tuple(sorted((i for i in ledger if i.status not in ("open", "void")), key=_number))


def listed(issues: Iterable[Issue], lang: Language, nothing: str) -> str:
    """Issues for a prompt, one line each, with what became of them; `nothing` if there are none."""
    words = _SPANISH if lang == "es" else {}
    lines = []
    for issue in issues:
        parts = (issue.claim, issue.quote, issue.reason)
        claim, quote, reason = (flat(part)[:LONGEST_PART] for part in parts)
        place = f'"{quote}": ' if quote and quote not in claim else ""
        lines.append(f"{issue.id} [{issue.severity}] {place}{claim}")
        if issue.status != "open":
            why = f": {reason}" if reason and issue.status != "dismissed" else ""
            lines[-1] += f" ({words.get(issue.status, issue.status)}{why})"
    return "\n".join(lines) or nothing


def _first_paragraph(text: str) -> str:
    return flat(re.split(r"\n[^\S\n]*\n", text.strip(), maxsplit=1)[0])


def prose_of(text: str) -> str:
    """The text without its code fences; a fence that nobody closes is none."""
    parts = _FENCE.split("\n".join(text.splitlines()))
    return "\n".join(parts[::2] if len(parts) % 2 else [*parts[::2], parts[-1]])


def _issue(number: int, level: str, text: str) -> Issue:
    severity = _SEVERITIES[level.lower()]
    for match in QUOTED.finditer(text):
        quote = match[match.lastindex or 0].strip(" `")
        if len(_ELLIPSIS.sub("", quote).strip()) >= 2:
            rest = text[match.end() :].lstrip(" `*")
            claim = rest.lstrip(" *:：–—-") if not match.start() and rest[:1] in ":：–—-" else text
            return Issue(id=f"C{number}", claim=claim or text, quote=quote, severity=severity)
    return Issue(id=f"C{number}", claim=text, severity=severity)


def _placed(issue: Issue, draft: str) -> Issue:
    """The issue at the first of its quoted words that the draft holds: it may quote input first."""
    quoted = (match[match.lastindex or 0].strip(" `") for match in QUOTED.finditer(issue.claim))
    for quote in (issue.quote, *quoted) if issue.quote else ():
        if len(quote) > 1 and find_quote(quote, draft) is not None:
            return issue.model_copy(update={"quote": quote})
    return issue


def _met(found: Issue, ledger: Iterable[Issue]) -> Issue | None:
    """The issue that this one repeats: an open one before a declined before a fixed one."""
    order = ("open", "declined", "fixed")
    met = [older for older in ledger if older.status in order and _repeats(found, older)]
    return min(met, key=lambda older: order.index(older.status), default=None)


def _repeats(new: Issue, old: Issue) -> bool:
    quotes = folded(new.quote), folded(old.quote)
    if all(quotes) and (quotes[0] in quotes[1] or quotes[1] in quotes[0]):
        return True
    # The same words about two places of a draft are two issues as long as both are open.
    return not (all(quotes) and old.status == "open") and folded(new.claim) == folded(old.claim)


def _merged(older: Issue, found: Issue, round_: int, *, is_same_review: bool) -> Issue:
    claim = found.claim
    if is_same_review:  # then neither is a newer wording of the other
        claim = older.claim if folded(claim) in folded(older.claim) else f"{older.claim} {claim}"
    severity = min(older.severity, found.severity, key=_RANK.__getitem__)
    words = {"claim": claim, "quote": found.quote or older.quote, "severity": severity}
    again = {"status": "open", "reason": "", "round": round_} if older.status == "fixed" else {}
    return older.model_copy(update={**words, **again})


def _closings(answer: str, open_ids: list[str]) -> dict[str, re.Match[str]]:
    read = [_closing(line) for line in prose_of(answer).splitlines() if line.strip()]
    # Of two lines about one issue the first holds: the second repeats the other choice there was.
    closings = {f"C{int(m['id'] or m['id_after'] or 0)}": m for m in reversed(read) if m}
    unnamed = closings.get("C0")
    if unnamed and unnamed is read[-1] and len(open_ids) == 1:
        closings.setdefault(open_ids[0], unnamed)
    return {issue_id: closings[issue_id] for issue_id in open_ids if issue_id in closings}


def _closing(line: str) -> re.Match[str] | None:
    match = _CLOSING.match(line)
    # Without an id only the colon tells a closing line from a sentence: "Fixed costs are high."
    is_one = match and (match["id"] or match["id_after"] or set(match["between"]) & set(":：–—-"))
    return match if is_one else None


def _closed(issue: Issue, closing: re.Match[str], old: list[str], new: list[str]) -> Issue:
    reason = flat(closing["text"])
    if not closing["fixed"]:
        change = {"status": "declined", "reason": reason} if re.search(r"\w", reason) else {}
        return issue.model_copy(update=change)
    before = _surroundings(issue.quote, old)
    is_same = before <= _surroundings(issue.quote, new) if before else old == new
    change = {"reason": NOTHING_CHANGED} if is_same else {"status": "fixed", "reason": reason}
    return issue.model_copy(update=change)


def _surroundings(quote: str, lines: list[str]) -> set[tuple[str, ...]]:
    """For each place of the quote its lines, with one before and one after."""
    texts = [folded(line) for line in lines]
    starts = [0, *accumulate(len(line) + 1 for line in texts)]
    text, found, at = " ".join(texts), set(), 0
    while span := find_quote(quote, text, at):
        first, last = (bisect_right(starts, place) - 1 for place in (span[0], span[1] - 1))
        found.add(tuple(lines[max(first - 1, 0) : last + 2]))
        at = starts[last + 1]
    return found


def find_quote(quote: str, text: str, start: int = 0) -> tuple[int, int] | None:
    """Where the pieces of a quote stand in a folded text: the beginning and the end.

    An ellipsis parts the pieces; they stand one after the other. None: they do not.
    """
    first, end = -1, start
    for piece in filter(None, (part.strip(" `") for part in _ELLIPSIS.split(folded(quote)))):
        at = text.find(piece, end)
        if at < 0:
            return None
        first, end = (at if first < 0 else first), at + len(piece)
    return (first, end) if first >= 0 else None


def _lines(text: str) -> list[str]:
    """The lines that say something; their indentation stays, since that can be what was wrong."""
    lines = [re.sub(r"(?<=\S)\s+", " ", line).rstrip() for line in text.splitlines()]
    return [line for line in lines if line and not line.lstrip().startswith("```")]


def folded(text: str) -> str:
    """A text as quotes are looked for: no case, one blank for any white space."""
    return flat(unicodedata.normalize("NFKC", text).casefold())


def flat(text: str) -> str:
    """A text in one line."""
    return " ".join(_CONTROL.sub("", text).split())


def _number(issue: Issue) -> int:
    return int(issue.id[1:])
