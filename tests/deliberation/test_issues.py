import time
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_lab.contracts import Language
from agent_lab.deliberation.issues import (
    LONGEST_PART,
    MOST_ISSUES,
    NOT_IN_DRAFT,
    NOT_RAISED_AGAIN,
    NOTHING_CHANGED,
    Issue,
    Review,
    Severity,
    close_issues,
    listed,
    open_issues,
    parse_review,
    raise_issues,
    settled_issues,
    strip_closing,
)

DRAFT = """```python
def mean(numbers):
    total = sum(numbers)
    return total / len(numbers)
```
It assumes that the list holds numbers."""
BRACKETED = '[high] "len(numbers)": an empty list raises ZeroDivisionError; return 0.'


def issue(id_: str = "C1", claim: str = "It fails.", **fields: Any) -> Issue:
    return Issue(id=id_, claim=claim, **{"severity": "medium", **fields})


def review(*issues: Issue) -> Review:
    return Review(issues=issues, parsed_by="lines" if issues else "none_found")


def statuses(ledger: tuple[Issue, ...]) -> dict[str, str]:
    return {entry.id: entry.status for entry in ledger}


# What a critique says


@pytest.mark.parametrize(
    ("text", "severity", "quote", "claim"),
    [
        (BRACKETED, "high", "len(numbers)", "an empty list raises ZeroDivisionError; return 0."),
        ("- [HIGH] It never ends.", "high", "", "It never ends."),
        ("1. **[Medium]** “a list”: which one?", "medium", "a list", "which one?"),
        ("C1 [low] 'total': a poor name", "low", "total", "a poor name"),
        ("**C2** [low]: `total` is a poor name", "low", "total", "`total` is a poor name"),
        ("[C1] [high] It fails.", "high", "", "It fails."),
        ("Worst issue: [high] It fails on 0.", "high", "", "It fails on 0."),
        ("**Worst issue:** [high] It fails on 0.", "high", "", "It fails on 0."),
        ("[high] Worst issue: It fails on 0.", "high", "", "It fails on 0."),
        ("### Issue 1: [medium]\n\nNo reason is given.", "medium", "", "No reason is given."),
        ("High: It fails on 0.", "high", "", "It fails on 0."),
        ("**High**: It fails on 0.", "high", "", "It fails on 0."),
        (
            "Severity: high\nQuote: `x / y`\ny can be 0.",
            "high",
            "x / y",
            "Quote: `x / y` y can be 0.",
        ),
        ("Severity: [low] A detail.", "low", "", "A detail."),
        ("(medium) A gap.", "medium", "", "A gap."),
        ("| [high] | It fails on 0. |", "high", "", "It fails on 0. |"),
        (
            "Peor problema: [alto] «sum(x)»: falla si es None.",
            "high",
            "sum(x)",
            "falla si es None.",
        ),
        ("Peor problema: [high] La lista vacía falla.", "high", "", "La lista vacía falla."),
        ("[grave] ‘correr a diario’: lesiona.", "high", "correr a diario", "lesiona."),
        ("* [Media] Falta el coste.", "medium", "", "Falta el coste."),
        ("2) [leve] Sobra la última línea.", "low", "", "Sobra la última línea."),
        ("Gravedad alta: no valida la entrada.", "high", "", "no valida la entrada."),
        ("【high】「合計」：空のリストで失敗する。", "high", "合計", "空のリストで失敗する。"),
        ("[high] «сумма»: пустой список.", "high", "сумма", "пустой список."),
        (
            '[high] "…" and "" and "x" but "x = 1"',
            "high",
            "x = 1",
            '"…" and "" and "x" but "x = 1"',
        ),
        ("[low] The user's list isn't 'sorted' here.", "low", "sorted", None),
        ('[low] "sum(x)"', "low", "sum(x)", '"sum(x)"'),
        ("\x00[high] a\x1b[31m \ud800b", "high", "", "a[31m b"),
    ],
)
def test_an_issue_is_read_however_small_models_write_it(
    text: str, severity: Severity, quote: str, claim: str | None
):
    read = parse_review(text)
    assert read.parsed_by == "lines"
    [found] = read.issues
    assert (found.id, found.severity, found.quote) == ("C1", severity, quote)
    assert claim is None or found.claim == claim
    assert (found.status, found.reason, found.round) == ("open", "", 1)


CRITIQUES = {
    "a list in bold": (
        "Here are the issues with the draft:\n\n"
        '1. **[high]** "total / len(numbers)": for [] it raises ZeroDivisionError. Return 0.\n'
        '2. **[low]** "numbers": the name says nothing.\n\n'
        "Overall the draft is good.",
        [("high", "total / len(numbers)"), ("low", "numbers")],
    ),
    "one issue over several lines": (
        "Worst issue: [high]\n"
        '**Quote:** "return total / len(numbers)"\n'
        "**Case:** the empty list.\n"
        "**Fix:** return 0.\n",
        [("high", "return total / len(numbers)")],
    ),
    "prose between the issues": (
        "[medium] `sum(numbers)` fails on text\nsuch as 'a'.\n\nThat was the worst.\n\n"
        "[low] No types are given.",
        [("medium", "sum(numbers)"), ("low", "")],
    ),
    "Spanish with a heading": (
        "**Crítica**\n\n- **C1** [alta] «total / len(numbers)»: con la lista vacía divide por cero."
        "\n- **C2** [baja] No dice qué pasa con None.",
        [("high", "total / len(numbers)"), ("low", "")],
    ),
    "Spanish in one line": (
        'Peor problema: [high] "len(numbers)" es 0 con una lista vacía; devuelve 0.',
        [("high", "len(numbers)")],
    ),
    "Windows lines": ("[high] One.\r\n[low] Two.\r\n", [("high", ""), ("low", "")]),
    "a fence of code after the issue": (
        "[high] It fails on []. Use:\n```python\nif not numbers:\n    return 0\n```\n[low] Name.",
        [("high", ""), ("low", "")],
    ),
    "no severity": (
        'Worst issue: "sum(x)" fails on an empty list.\n\nFix: return 0.\n\nIssue 2: a vague name.',
        [("medium", "sum(x)"), ("medium", "")],
    ),
    "no severity, in Spanish": ("**Peor problema:** no dice por qué.", [("medium", "")]),
    "an issue, and the phrase for none": (
        "Worst issue: it fails on an empty list.\n\nNo issue found.",
        [("medium", "")],
    ),
    "headings by severity": (
        "### High:\n- [high] It fails on [].\n\n### Low:\n\nThe name.",
        [("high", ""), ("low", "")],
    ),
    "praise": ("The draft is correct and complete. Great work!", []),
}


@pytest.mark.parametrize("name", CRITIQUES)
def test_whole_critiques_are_read(name: str):
    text, expected = CRITIQUES[name]
    read = parse_review(text)
    assert [(found.severity, found.quote) for found in read.issues] == expected
    assert [found.id for found in read.issues] == [f"C{n + 1}" for n in range(len(expected))]
    assert read.parsed_by == ("lines" if expected else "unparsed")


def test_an_issue_ends_at_the_next_one_or_at_a_blank_line():
    read = parse_review("[high] One\nand more.\n[low] Two.\n \t\nNot of two.")
    assert [found.claim for found in read.issues] == ["One and more.", "Two."]


def test_no_more_than_the_most_issues_are_taken():
    read = parse_review("\n".join(f"[low] Issue number {n}." for n in range(50)))
    assert [found.id for found in read.issues] == [f"C{n + 1}" for n in range(MOST_ISSUES)]


@pytest.mark.parametrize(
    "text",
    [
        "No issue found. I tried [], [0] and [1].",
        "**No issues found**",
        "- No issues.",
        "no issue",
        "No problems were found: 0, 1, -1 all work.",
        "Worst issue: No issue found",
        "[low] No issue found: [], [0], [1].",
        "[none] No issues",
        "I tried three cases.\nNo issue found.",
        "Ningún problema: probé 0, 1 y -1.",
        "Ningun problema encontrado",
        "**Ningún problema.** Probé tres casos.",
        "No hay problemas.",
    ],
)
def test_a_review_can_say_that_there_is_nothing(text: str):
    assert parse_review(text) == Review(issues=(), parsed_by="none_found")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n ",
        "[high]",
        "[high] \n [low]",
        "### High:\n\n- [low]",
        "{}{{}}{x.__class__}",
        "The marker [high] in prose is none.",
        'He wrote "[high] it fails".',
        '"[high]" is for a crash.',
        "`[high]` is for a crash.",
        "[higher] and [high/low] are no severities.",
        "[hıgh] has no dot.",
        "Highly good: it works.",
        "Low",
        "No issue with the empty list, but it is slow.",
        "There is no issue found here.",
        "```\n[high] It fails.\n```",
        "~ Text\n```python\n[high] It fails.\nHigh: too.\nNo issue found.\n```\nText",
    ],
)
def test_anything_else_is_unparsed(text: str):
    assert parse_review(text) == Review(issues=(), parsed_by="unparsed")


def test_an_issue_after_a_fence_is_read_and_a_fence_that_nobody_closes_is_none():
    assert len(parse_review("```\n[high] a\n```\n[low] b").issues) == 1
    assert len(parse_review("```python\nx = 1\n[low] b").issues) == 1


def test_an_issue_beside_none_found_counts():
    read = parse_review("No issue found.\n[low] A detail.")
    assert [found.claim for found in read.issues] == ["A detail."]


# What a review does to the ledger


def test_new_issues_get_the_next_free_ids_and_the_round():
    first = raise_issues((), review(issue(claim="One."), issue(claim="Two.")), DRAFT, 1)
    second = raise_issues(first, review(issue(claim="Three.")), DRAFT, 2)
    assert [(entry.id, entry.claim, entry.round) for entry in second] == [
        ("C1", "One.", 1),
        ("C2", "Two.", 1),
        ("C3", "Three.", 2),
    ]


@pytest.mark.parametrize(
    "quote",
    [
        "",
        "total / len(numbers)",
        "`TOTAL  /\tlen(numbers)`",
        "total = sum(numbers) return total",
        "ｔｏｔａｌ ＝ sum(numbers)",
        "def mean... len(numbers)",
        "def mean … `len(numbers)`",
        "def mean(numbers): [...] holds numbers",
    ],
)
def test_a_quote_may_differ_in_spaces_case_forms_and_what_it_leaves_out(quote: str):
    [entry] = raise_issues((), review(issue(quote=quote)), DRAFT, 1)
    assert entry.status == "open"


@pytest.mark.parametrize(
    "quote", ["len(values)", "len(numbers) ... def mean", "def mean ... return 0", "mean numbers"]
)
def test_an_issue_that_quotes_what_the_draft_does_not_say_is_void(quote: str):
    ledger = raise_issues((), review(issue(quote=quote)), DRAFT, 1)
    assert [(entry.status, entry.reason) for entry in ledger] == [("void", NOT_IN_DRAFT)]
    assert open_issues(ledger) == settled_issues(ledger) == ()


def test_a_void_issue_does_not_raise_an_older_one_again():
    ledger = raise_issues((issue(quote="gone"),), review(issue(quote="gone")), DRAFT, 2)
    assert statuses(ledger) == {"C1": "dismissed", "C2": "void"}


@pytest.mark.parametrize(
    "quote", ["len(numbers)", "total / len(numbers)", "LEN(numbers)", "len(numbers) ``` It assumes"]
)
def test_an_overlapping_quote_is_merged_into_the_open_issue(quote: str):
    older = issue("C3", "Old.", quote="len(numbers)", severity="high")
    newer = issue(claim="New.", quote=quote, severity="low")
    ledger = raise_issues((older,), review(newer), DRAFT, 2)
    assert ledger == (issue("C3", "New.", quote=quote, severity="high", round=1),)


def test_a_merged_issue_takes_the_higher_severity_of_the_newer():
    older = issue(quote="total", severity="low")
    [entry] = raise_issues((older,), review(issue(quote="total", severity="high")), DRAFT, 2)
    assert entry.severity == "high"


def test_the_same_words_without_a_place_are_the_same_open_issue():
    ledger = raise_issues((issue(claim="It FAILS."),), review(issue(claim="It  fails.")), DRAFT, 2)
    assert statuses(ledger) == {"C1": "open"}


def test_the_same_words_about_two_places_are_two_open_issues():
    found = issue(claim="Fails.", quote="sum(numbers)"), issue(claim="Fails.", quote="len(numbers)")
    assert statuses(raise_issues((), review(*found), DRAFT, 1)) == {"C1": "open", "C2": "open"}


def test_two_issues_of_one_review_about_one_place_become_one_with_both_claims():
    found = [issue(claim=claim, quote="len(numbers)") for claim in ("A fails.", "B fails.")]
    [entry] = raise_issues((), review(*found, *found), DRAFT, 1)
    assert (entry.id, entry.claim) == ("C1", "A fails. B fails.")


@pytest.mark.parametrize("found", [(), (issue(claim="Other."),)])
def test_what_a_parsed_review_does_not_raise_again_is_dismissed(found: tuple[Issue, ...]):
    entry, *_new = raise_issues((issue(),), review(*found), DRAFT, 2)
    assert (entry.status, entry.reason) == ("dismissed", NOT_RAISED_AGAIN)


def test_an_issue_of_this_round_is_not_dismissed_by_a_second_reviewer():
    assert raise_issues((issue(round=2),), review(), DRAFT, 2) == (issue(round=2),)


def test_an_unparsed_review_changes_nothing():
    ledger = (issue(), issue("C2", status="fixed"))
    assert raise_issues(ledger, parse_review("Hm."), DRAFT, 2) == ledger


REPEATS = {
    "the same quote": issue(claim="In other words.", quote="len(numbers)"),
    "an overlapping quote": issue(claim="In other words.", quote="/ len(numbers)"),
    "the same claim": issue(claim="IT  fails."),
    "the same claim elsewhere": issue(quote="sum(numbers)"),
}


@pytest.mark.parametrize("name", REPEATS)
def test_a_declined_issue_stays_settled(name: str):
    ledger = (issue(quote="len(numbers)", status="declined", reason="It cannot be empty."),)
    assert raise_issues(ledger, review(REPEATS[name]), DRAFT, 2) == ledger


@pytest.mark.parametrize("name", REPEATS)
def test_a_fixed_issue_that_is_raised_again_is_open_again(name: str):
    older = issue(quote="len(numbers)", status="fixed", reason="A guard.", severity="high")
    [entry] = raise_issues((older,), review(REPEATS[name]), DRAFT, 3)
    assert (entry.id, entry.status, entry.reason, entry.round) == ("C1", "open", "", 3)
    assert (entry.severity, entry.claim) == ("high", REPEATS[name].claim)


def test_a_dismissed_issue_that_is_raised_again_is_a_new_one():
    ledger = (issue(status="dismissed", reason=NOT_RAISED_AGAIN),)
    assert statuses(raise_issues(ledger, review(issue()), DRAFT, 3)) == {
        "C1": "dismissed",
        "C2": "open",
    }


def test_an_open_issue_is_met_before_a_declined_one():
    ledger = (issue(quote="total", status="declined"), issue("C2", quote="return total"))
    after = raise_issues(ledger, review(issue(quote="total", claim="Newer.")), DRAFT, 2)
    assert after == (ledger[0], issue("C2", "Newer.", quote="total"))


# What the refiner did

CHANGED = DRAFT.replace("len(numbers)", "max(len(numbers), 1)")
OPEN = (issue(quote="total / len(numbers)"), issue("C2", "No types."))


@pytest.mark.parametrize(
    "line",
    [
        "C1 fixed: a guard",
        "c1 Fixed: a guard",
        "- C1 fixed: a guard",
        "1. **C1** fixed: a guard",
        "**C1 fixed:** a guard",
        "**C1 fixed**: a guard",
        "[C1] fixed: a guard",
        "(C1) fixed - a guard",
        "C1: fixed - a guard",
        "C1 – Fixed. a guard",
        "C1 [high] fixed: a guard",
        "C01 fixed: a guard",
        "Issue C1 is fixed: a guard",
        "Fixed C1: a guard",
        "Fixed [C1]: a guard",
        "**Fixed:** C1: a guard",
        "✅ C1 fixed: a guard",
        "C1 arreglado: a guard",
        "C1 está arreglada: a guard",
        "* **C1**: corregido: a guard",
        "Arreglado C1: a guard",
        "Problema C1 resuelto：a guard",
    ],
)
def test_a_fixed_issue_is_read_however_small_models_write_it(line: str):
    first, second = close_issues(OPEN, f"{CHANGED}\n\n{line}\n", DRAFT, CHANGED)
    assert (first.status, first.reason) == ("fixed", "a guard")
    assert second == OPEN[1]
    assert strip_closing(f"{CHANGED}\n\n{line}\n") == CHANGED


@pytest.mark.parametrize(
    "line", ["C1 declined: never empty", "C1: rechazado – never empty", "Rejected C1: never empty"]
)
def test_a_declined_issue_keeps_its_reason_and_needs_no_change(line: str):
    first, second = close_issues(OPEN, f"{DRAFT}\n{line}", DRAFT, DRAFT)
    assert (first.status, first.reason) == ("declined", "never empty")
    assert second == OPEN[1]


@pytest.mark.parametrize(
    "line", ["C1 declined", "C1 declined:", "**C1 rechazado:** -", "C1 declined: …"]
)
def test_declining_without_a_reason_leaves_an_issue_open(line: str):
    assert close_issues(OPEN, f"{CHANGED}\n{line}", DRAFT, CHANGED) == OPEN


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("Fixed: a guard", "fixed"),
        ("**Arreglado:** a guard", "fixed"),
        ("Declined: a guard", "declined"),
        ("Rechazado - a guard", "declined"),
    ],
)
def test_a_last_line_without_an_id_closes_the_only_open_issue(line: str, status: str):
    ledger = (OPEN[0], issue("C2", status="dismissed"))
    first, second = close_issues(ledger, f"{CHANGED}\n\n{line}", DRAFT, CHANGED)
    assert (first.status, first.reason, second) == (status, "a guard", ledger[1])


@pytest.mark.parametrize(
    "answer",
    [
        f"Fixed: a guard\n\n{CHANGED}",
        f"{CHANGED}\nFixed costs are high.",
        f"{CHANGED}\nIt is fixed: a guard",
        f"{CHANGED}\nC9 fixed: a guard",
        f"{CHANGED}\nC1 not fixed: a guard",
        f"{CHANGED}\nC12 fixed: a guard",
        f"{CHANGED}\n```\nC1 fixed: a guard\n```",
        CHANGED,
        "",
    ],
)
def test_what_is_not_mentioned_in_a_closing_line_stays_open(answer: str):
    assert close_issues(OPEN[:1], answer, DRAFT, CHANGED) == OPEN[:1]


def test_a_last_line_without_an_id_closes_nothing_if_two_issues_are_open():
    assert close_issues(OPEN, f"{CHANGED}\nFixed: a guard", DRAFT, CHANGED) == OPEN


def test_closing_lines_count_after_a_fence_that_nobody_closes():
    answer = "```python\nreturn 0\n\nC1 fixed: a guard\nC2 declined: Python"
    assert statuses(close_issues(OPEN, answer, DRAFT, "return 0")) == {
        "C1": "fixed",
        "C2": "declined",
    }


def test_of_two_lines_about_an_issue_the_first_holds():
    # Small models write both forms that they were shown.
    answer = "C2 fixed: types\nC2 declined: no need"
    assert close_issues(OPEN, answer, DRAFT, CHANGED)[1].status == "fixed"


@pytest.mark.parametrize("status", ["fixed", "declined", "dismissed", "void"])
def test_what_is_not_open_cannot_be_closed(status: str):
    ledger = (issue(status=status, reason="As it was."),)
    answer = "C1 declined: something else\nFixed: it"
    assert close_issues(ledger, answer, DRAFT, CHANGED) == ledger


AROUND = "one\ntwo\nthree\nfour\nfive"


@pytest.mark.parametrize(
    ("quote", "old", "new", "counts"),
    [
        ("three", AROUND, AROUND.replace("three", "3"), True),
        ("three", AROUND, AROUND.replace("three", "three of them"), True),
        ("three", AROUND, AROUND.replace("three", "    three"), True),
        ("three", AROUND, AROUND.replace("three", "Three"), True),
        ("three", AROUND, AROUND.replace("two", "2"), True),
        ("three", AROUND, AROUND.replace("four", "4"), True),
        ("three", AROUND, AROUND.replace("three", "guard\nthree"), True),
        ("three", AROUND, AROUND.replace("two\n", ""), True),
        ("three", AROUND, "", True),
        ("two ... four", AROUND, AROUND.replace("three", "3"), True),
        ("two three", AROUND, AROUND.replace("two", "2"), True),
        ("one", f"one\n\n{AROUND}", f"one\n\n{AROUND}".replace("two", "2"), True),
        ("three", AROUND, AROUND, False),
        ("THREE", AROUND, AROUND.replace("\n", "\n\n"), False),
        ("three", AROUND, f"```python\n{AROUND}\n```", False),
        ("three", AROUND, f"{AROUND}  \nsix", False),
        ("three", AROUND, AROUND.replace("one", "1").replace("five", "5"), False),
        ("two ... four", AROUND, f"zero\n{AROUND}", False),
        ("", AROUND, f"{AROUND}\nsix", True),
        ("", AROUND, AROUND, False),
        ("", "a b\n", "\na   b", False),
        ("not there", AROUND, AROUND, False),
        ("not there", AROUND, f"{AROUND}\nsix", True),
    ],
)
def test_fixed_needs_a_change_at_the_quote(quote: str, old: str, new: str, counts: bool):
    [entry] = close_issues((issue(quote=quote),), "C1 fixed: done", old, new)
    expected = ("fixed", "done") if counts else ("open", NOTHING_CHANGED)
    assert (entry.status, entry.reason) == expected


@pytest.mark.parametrize(
    ("answer", "draft"),
    [
        ("x = 1\nC1 fixed: a\nC2 declined: b\n", "x = 1"),
        ("x = 1\n\n- C1 fixed: a\n\n- C2 declined: b", "x = 1"),
        ("x = 1\r\n\r\nFixed: a", "x = 1"),
        ("x = 1\nArreglado: a", "x = 1"),
        ("C1 fixed: a\nx = 1\n", "C1 fixed: a\nx = 1\n"),
        ("x\nFixed: a\ny\nFixed: b", "x\nFixed: a\ny"),
        ("C1 fixed: a\nFixed: b\n", "C1 fixed: a\nFixed: b\n"),
        ("Prices fixed: two", "Prices fixed: two"),
        ("x\nFixed costs are high.", "x\nFixed costs are high."),
        ("  x = 1\n\n", "  x = 1\n\n"),
        ("", ""),
    ],
)
def test_only_the_closing_lines_at_the_end_are_stripped(answer: str, draft: str):
    assert strip_closing(answer) == draft


# What the prompts show


def test_open_issues_come_by_severity_and_number_down_to_the_floor():
    ledger = (
        issue("C1", severity="low"),
        issue("C10", severity="high"),
        issue("C2", severity="high"),
        issue("C3", severity="high", status="fixed"),
        issue("C4", severity="medium"),
    )
    assert [entry.id for entry in open_issues(ledger)] == ["C2", "C10", "C4", "C1"]
    assert [entry.id for entry in open_issues(ledger, "medium")] == ["C2", "C10", "C4"]
    assert [entry.id for entry in open_issues(ledger, "high")] == ["C2", "C10"]


def test_settled_issues_come_by_number_without_open_and_void_ones():
    ledger = (
        issue("C10", status="fixed"),
        issue("C2", status="declined"),
        issue("C3"),
        issue("C4", status="void"),
        issue("C1", status="dismissed"),
    )
    assert [entry.id for entry in settled_issues(ledger)] == ["C1", "C2", "C10"]


@pytest.mark.parametrize(
    ("entry", "lang", "line"),
    [
        (issue(quote="a b"), "en", 'C1 [medium] "a b": It fails.'),
        (issue(), "es", "C1 [medium] It fails."),
        (issue(claim='Here "a b" fails.', quote="a b"), "en", 'C1 [medium] Here "a b" fails.'),
        (issue(reason=NOTHING_CHANGED), "en", "C1 [medium] It fails."),
        (issue(status="fixed", reason="x"), "en", "C1 [medium] It fails. (fixed: x)"),
        (issue(status="fixed"), "es", "C1 [medium] It fails. (arreglado)"),
        (issue(status="declined", reason="no"), "es", "C1 [medium] It fails. (rechazado: no)"),
        (issue(status="dismissed", reason="x"), "en", "C1 [medium] It fails. (dismissed)"),
        (issue(status="dismissed", reason="x"), "es", "C1 [medium] It fails. (descartado)"),
        (issue(claim="a\n# Role\x00\u2028\u202eb"), "en", "C1 [medium] a # Role b"),
    ],
)
def test_an_issue_is_listed_in_one_line(entry: Issue, lang: Language, line: str):
    assert listed([entry], lang, "nothing") == line


def test_a_list_of_no_issues_says_so():
    assert listed([], "en", "No open issues.") == "No open issues."


def test_a_listed_claim_is_cut():
    assert listed([issue(claim="x" * 9_999)], "en", "") == f"C1 [medium] {'x' * LONGEST_PART}"


# For any text

texts = st.text(max_size=80)
pieces = st.sampled_from(
    [
        "[high]",
        "[low] ",
        "High: ",
        "C1 ",
        "fixed: ",
        "declined",
        '"',
        "`",
        "“",
        "”",
        "'",
        "...",
        "…",
    ]
    + ["\n", "\n\n", "```", "```py\n", "- ", "**", "No issue found", "a b", "total", "len(numbers)"]
)
critiques = texts | st.lists(pieces | texts, max_size=30).map("".join)
words = st.sampled_from(["It fails.", "it  FAILS.", "No types.", "Slow."])
quotes = st.sampled_from(["", "total", "return total", "len(numbers)", "not there", "...", "def…:"])
stati = st.sampled_from(["open", "fixed", "declined", "dismissed", "void"])
severities = st.sampled_from(["high", "medium", "low"])


@st.composite
def ledgers(draw: st.DrawFn) -> tuple[Issue, ...]:
    rows = draw(st.lists(st.tuples(words, quotes, stati, severities), max_size=6))
    return tuple(
        issue(f"C{n}", claim, quote=quote, status=status, severity=severity)
        for n, (claim, quote, status, severity) in enumerate(rows, start=1)
    )


def folded(text: str) -> str:
    return " ".join(text.casefold().split())


def fresh(ledger: tuple[Issue, ...]) -> Review:
    return review(*(issue(i.id, i.claim, quote=i.quote, severity=i.severity) for i in ledger))


@given(text=critiques)
@example("[h\u0131gh] a")
@example("H\u0130GH: a")
@example("[high] \ud800")
def test_any_critique_is_read_and_nothing_in_it_grows(text: str):
    read = parse_review(text)
    assert len(read.issues) <= MOST_ISSUES
    assert sum(len(found.claim) for found in read.issues) <= len(text)
    assert all(
        found.claim and len(found.quote) <= len(found.claim) + len(text) for found in read.issues
    )
    assert bool(read.issues) is (read.parsed_by == "lines")
    for found in read.issues:
        assert not {"\n", "\r", "\x00", "\u2028"} & set(found.claim + found.quote)


@given(text=critiques)
def test_a_quote_of_a_critique_stands_in_the_critique(text: str):
    found = parse_review(text).issues
    assert all(e.status == "open" for e in raise_issues((), review(*found), text, 1)) or not found


@given(ledger=ledgers(), found=ledgers())
def test_a_review_loses_no_issue_and_changes_no_settled_one_but_to_open_it_again(
    ledger: tuple[Issue, ...], found: tuple[Issue, ...]
):
    after = raise_issues(ledger, fresh(found), DRAFT, 2)
    assert [entry.id for entry in after] == [f"C{n + 1}" for n in range(len(after))]
    assert len(ledger) <= len(after) <= len(ledger) + len(found)
    for was, now in zip(ledger, after, strict=False):
        if was.status in ("declined", "dismissed", "void"):
            assert now == was
        elif was.status == "fixed":
            assert now == was or (now.status, now.round) == ("open", 2)
        else:
            assert now.status in ("open", "dismissed")
    assert all(entry.status in ("open", "void") for entry in after[len(ledger) :])


@given(ledger=ledgers(), found=ledgers())
def test_every_claim_of_a_review_is_in_the_ledger_unless_it_was_declined(
    ledger: tuple[Issue, ...], found: tuple[Issue, ...]
):
    after = raise_issues(ledger, fresh(found), DRAFT, 2)
    kept = [folded(entry.claim) for entry in after if entry.status in ("open", "void")]
    lost = [entry for entry in found if not any(folded(entry.claim) in claim for claim in kept)]
    assert not lost or any(entry.status == "declined" for entry in ledger)


@given(ledger=ledgers(), answer=critiques, old=critiques, new=critiques)
def test_a_refiner_changes_open_issues_only_and_loses_none(
    ledger: tuple[Issue, ...], answer: str, old: str, new: str
):
    after = close_issues(ledger, answer, old, new)
    assert [entry.id for entry in after] == [entry.id for entry in ledger]
    for was, now in zip(ledger, after, strict=True):
        assert was.status == "open" or now == was
        assert now.status != "declined" or now.reason or was.status == "declined"
        assert (now.claim, now.quote, now.severity) == (was.claim, was.quote, was.severity)


@given(ledger=ledgers(), draft=critiques)
def test_nothing_is_fixed_while_the_draft_is_the_same(ledger: tuple[Issue, ...], draft: str):
    answer = "\n".join(f"{entry.id} fixed: done" for entry in ledger)
    after = close_issues(ledger, answer, draft, draft)
    assert statuses(after) == statuses(ledger)


@given(answer=critiques)
def test_stripping_is_done_once_and_keeps_the_beginning(answer: str):
    stripped = strip_closing(answer)
    assert answer.startswith(stripped)
    assert strip_closing(stripped) == stripped


@given(ledger=ledgers(), claims=st.lists(texts, max_size=3), lang=st.sampled_from(["en", "es"]))
def test_a_list_has_one_line_for_each_issue(
    ledger: tuple[Issue, ...], claims: list[str], lang: Language
):
    found = parse_review("\n".join(f"[high] {claim}" for claim in claims)).issues
    shown = listed((*ledger, *found), lang, "nothing")
    assert len(shown.splitlines()) == max(len(ledger) + len(found), 1)


# From hostile hands

MEGABYTE = 1_000_000
HOSTILE = [
    "[",
    "]",
    "(",
    "{}",
    '"',
    "'",
    "`",
    "“",
    "«",
    "“«「'\"",
    "\n",
    "\n \n",
    " ",
    "*",
    "-",
    ".",
    "1",
    "1.",
    "C1",
    "_",
    "\x00",
    "[high",
    "[high]",
    "[high]\n",
    '[high] "',
    '[high] "\n',
    "[high] 'a",
    "high: ",
    "severity: ",
    "worst issue ",
    "issue 1 ",
    "no issue ",
    "```",
    "```\n",
    "```py\n",
    "a\n",
    "aa ",
    "a ... ",
    "C1 fixed: ",
    "C1 fixed: a\n",
    "Fixed:\n",
    "ﷺ",
    "\ud800",
]
FUNCTIONS: dict[str, Callable[[str], object]] = {
    "parse": parse_review,
    "raise": lambda text: raise_issues((), parse_review(f"[high] {text}"), text, 1),
    "close": lambda text: close_issues((issue(quote="aa"),), f"{text}\nC1 fixed: x", text, text),
    "strip": strip_closing,
}


UNMEASURABLE_S = 1.0
"""What says nothing: a collection of garbage takes as long."""


def is_worth_its_time(name: str, unit: str) -> bool:
    return name in ("parse", "strip") or unit in ("\n", "a\n", '[high] "', "aa ", "a ... ", "ﷺ")


def grows_with_length(work: Callable[[int], object]) -> bool:
    """Whether four times the text takes about four times as long, and not sixteen."""

    def cost(size: int) -> float:
        start = time.process_time()
        work(size)
        return time.process_time() - start

    return cost(MEGABYTE) < 8 * cost(MEGABYTE // 4) + UNMEASURABLE_S


@pytest.mark.parametrize(
    ("name", "unit"),
    [(name, unit) for name in FUNCTIONS for unit in HOSTILE if is_worth_its_time(name, unit)],
    ids=ascii,
)
def test_of_anything_a_megabyte_costs_what_its_length_does(name: str, unit: str):
    # One ligature can stand for eighteen letters.
    length = len(unicodedata.normalize("NFKC", unit))
    assert grows_with_length(lambda size: FUNCTIONS[name](unit * (size // length)))


@pytest.mark.parametrize("unit", ["a", "a ", "a\n", "a ... ", "`", "{", "\n"], ids=ascii)
def test_a_quote_of_a_megabyte_costs_what_its_length_does(unit: str):
    def work(size: int) -> None:
        text = unit * (size // len(unit))
        ledger = (issue(quote=text, claim=text),)
        close_issues(ledger, "C1 fixed: x", text, text)
        raise_issues(ledger, review(*ledger), text, 2)
        listed(ledger, "en", "")

    assert grows_with_length(work)
