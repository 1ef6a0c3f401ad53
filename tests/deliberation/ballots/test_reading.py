import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from agent_lab.contracts import Language
from agent_lab.deliberation.ballots.ballot import PAYLOADS, Ballot, Payload
from agent_lab.deliberation.ballots.reading import (
    BallotReading,
    Preference,
    read_ballot,
    read_preference,
)
from agent_lab.deliberation.ballots.schemas import (
    LINE_WORDS,
    PREFERENCE_SCHEMA,
    BallotKind,
    ReplyKind,
    ballot_instructions,
    ballot_schema,
    repair_instructions,
)
from agent_lab.providers.local.engines.bounded_schema import bounded
from agent_lab.providers.remote.openai_provider import is_strict
from tests.deliberation.ballots.peers_defects import CASES, Case

LABELS = ("A", "B", "C")
KINDS: tuple[BallotKind, ...] = (*PAYLOADS, "preference")
LANGUAGES: tuple[Language, ...] = ("en", "es")
MEGABYTE = 1_000_000
# Each would be slow for a reader that looks back.
HOSTILE = {
    "markers": "VOTE: B\n" * (MEGABYTE // 8),
    "markers without a value": "VOTE:\n" * (MEGABYTE // 6),
    "blanks behind a marker": "VOTE:" + " " * MEGABYTE,
    "lines behind a marker": "RANKING:" + "\n" * MEGABYTE + "x",
    "a list without an end": "RANKING:" + "\n1. A" * (MEGABYTE // 5),
    "labels without an end": "APPROVED: " + "A," * (MEGABYTE // 2),
    "scores without an end": "SCORES: " + "A=7, " * (MEGABYTE // 5),
    "words without a number": "SCORES: " + "A " * (MEGABYTE // 2),
    "one long word": "VOTE: " + "A" * MEGABYTE,
    "emphasis": "*" * MEGABYTE,
    "headings": "# " * (MEGABYTE // 2),
    "fenced markers": "```\nVOTE: B\n```\n" * (MEGABYTE // 16),
    "objects": '{"vote": 1}\n' * (MEGABYTE // 12),
}

texts = st.text(max_size=200)
# What ballots are made of, in any disorder.
pieces = st.lists(
    st.sampled_from(
        [
            *("{", "}", "[", "]", '"', ":", "=", ",", ">", "\n", " ", "**", "```", "```json\n"),
            *("VOTE:", "VOTO:", "RANKING:", "ORDEN:", "APPROVED:", "SCORES:", "NOTAS:", "VERDICT:"),
            *('"choice"', '"ranking"', '"approved"', '"scores"', '"verdict"', '{"choice": "B"}'),
            *(
                "A",
                "B",
                "C",
                "D",
                "none",
                "Response A",
                "7",
                "7/10",
                "NaN",
                "true",
                "1. ",
                "\ud800",
            ),
        ]
    ),
    max_size=40,
).map("".join)
reasons = st.text(st.characters(codec="utf-8"), max_size=40)
points = st.integers(0, 10)
one_label = st.sampled_from((*LABELS, "none"))
several_labels = st.lists(st.sampled_from(LABELS), unique=True)
values: dict[BallotKind, st.SearchStrategy[Any]] = {
    "choice": one_label,
    "verdict": one_label,
    "approved": several_labels,
    "ranking": several_labels,
    "scores": st.fixed_dictionaries(dict.fromkeys(LABELS, points)),
}


def read(text: str, payload: Payload, *, native: bool = False) -> BallotReading | None:
    return read_ballot(text, payload, LABELS, native=native)


def expected(payload: Payload, value: Any) -> dict[str, Any]:
    """What a reading has of a valid value."""
    if payload == "verdict":
        return {"verdict": "" if value == "none" else value}
    if value in ("none", []):
        return {"abstain": True}
    return {payload: tuple(value) if isinstance(value, list) else value}


def counts(reading: BallotReading | None) -> bool:
    return reading is not None and not reading.problem


def labels_in(reading: BallotReading) -> set[str]:
    single = {reading.choice, reading.verdict} - {None, ""}
    several = {*(reading.approved or ()), *(reading.ranking or ()), *(reading.scores or {})}
    return {*several, *(label for label in single if label)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.payload}-{case.text[:40]!a}")
def test_a_text_says_exactly_the_ballot_that_its_voter_cast(case: Case):
    assert read(case.text, case.payload) == case.expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.payload}-{case.text[:40]!a}")
def test_a_schema_changes_only_what_the_step_is_called(case: Case):
    of_native = read(case.text, case.payload, native=True)
    if of_native is None or case.expected is None:
        assert of_native == case.expected
    else:
        assert of_native._replace(parsed_by=case.expected.parsed_by) == case.expected


def test_the_whole_text_of_a_model_that_was_held_to_a_schema_is_native():
    for text in ('{"reason": "", "choice": "B"}', ' {"choice": "B"}\n', '"B"', "B"):
        assert read(text, "choice", native=True) == BallotReading("native", choice="B")
    assert read('So: {"choice": "B"}', "choice", native=True) == BallotReading("braces", choice="B")


@given(data=st.data(), reason=reasons)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_ballot_that_fits_its_schema_reads_back_exactly(
    payload: Payload, data: st.DataObject, reason: str
):
    value = data.draw(values[payload])
    said = {"reason": reason, payload: value}
    Draft202012Validator(ballot_schema(payload, LABELS)).validate(said)
    text = json.dumps(said, ensure_ascii=data.draw(st.booleans()))
    fields = {**expected(payload, value), "reason": " ".join(reason.split())}
    assert read(text, payload, native=True) == BallotReading("native", **fields)
    assert read(text, payload) == BallotReading("json", **fields)
    fenced = f"B is weak. A and B…\n```json\n{text}\n```\nVOTE: A"
    assert read(fenced, payload) == BallotReading("fence", **fields)
    assert read(f"So I say {text} and no more.", payload) == BallotReading("braces", **fields)


@given(data=st.data())
@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_reading_without_a_problem_is_a_ballot_of_one_payload_or_an_abstention(
    payload: Payload, data: st.DataObject
):
    reading = read(json.dumps({payload: data.draw(values[payload])}), payload)
    assert reading is not None
    said = {name: getattr(reading, name) for name in (*PAYLOADS, "abstain", "parsed_by")}
    ballot = Ballot(voter="v", **said)
    assert ballot.payloads == (() if ballot.abstain else (payload,))


@given(data=st.data())
@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_ballot_in_a_last_line_reads_as_in_json(
    payload: Payload, lang: Language, data: st.DataObject
):
    value = data.draw(values[payload])
    written = value if isinstance(value, str) else "none"
    if value and isinstance(value, list):
        written = (" > " if payload == "ranking" else ", ").join(value)
    elif isinstance(value, dict):
        written = ", ".join(f"{label}={number}" for label, number in value.items())
    text = f"La crítica, the critique.\n{LINE_WORDS[payload][lang]}: {written}\n"
    assert read(text, payload) == BallotReading("line", **expected(payload, value))


@given(text=texts | pieces, native=st.booleans())
def test_no_text_makes_a_reader_fail_or_gives_a_label_that_nobody_offered(text: str, native: bool):
    for payload in PAYLOADS:
        reading = read(text, payload, native=native)
        if reading is not None:
            assert labels_in(reading) <= set(LABELS)
            given = [reading.abstain, bool(reading.problem), getattr(reading, payload) is not None]
            assert given.count(True) == 1
    preference = read_preference(text, native=native)
    assert preference is None or preference.preferred in ("A", "B", "")


@given(word=st.text(max_size=12).filter(lambda word: '"' not in word and "\\" not in word))
def test_a_word_that_is_no_label_is_never_one(word: str):
    bare = word.strip().casefold()
    for payload, text in (
        ("choice", json.dumps({"choice": word})),
        ("ranking", json.dumps({"ranking": [word, "B"]})),
        ("scores", json.dumps({"scores": {"B": 1, "C": 1, word: 1}})),
    ):
        reading = read(text, payload)  # type: ignore[arg-type]
        if bare not in ("a", "b", "c", "none", "ninguna", "ninguno"):
            assert reading == BallotReading("json", problem="unknown_option")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_megabyte_of_ballots_is_read_in_linear_time(name: str):
    for payload in PAYLOADS:
        reading = read(HOSTILE[name], payload)
        assert reading is None or reading.problem or reading.choice == "B"


@pytest.mark.parametrize(
    ("ranked", "scored", "contradicts"),
    [
        (["A", "B", "C"], {"A": 9, "B": 5, "C": 1}, False),
        (["A", "B", "C"], {"A": 5, "B": 5, "C": 5}, False),
        (["A", "B", "C"], {"A": 5, "B": 9, "C": 1}, True),
        (["A"], {"A": 5, "B": 5, "C": 1}, False),
        (["A"], {"A": 5, "B": 1, "C": 9}, True),
        (["A", "B"], {"C": 1}, False),
        (["A", "B"], {"A": 1, "B": 2}, True),
        (["A", "B"], {"A": 1, "D": 2}, False),
        (["A", "B"], {"A": 1, "B": "2"}, False),
        (["A", "B"], None, False),
    ],
)
def test_a_ranking_outranks_scores_beside_it_and_is_flagged_where_they_contradict_it(
    ranked: list[str], scored: dict[str, int] | None, contradicts: bool
):
    said = json.dumps({"scores": scored, "ranking": ranked})
    assert read(said, "ranking") == BallotReading(
        "json", ranking=tuple(ranked), contradicts_scores=contradicts
    )


def test_scores_that_a_ranking_beside_them_contradicts_are_invalid():
    said: dict[str, Any] = {"ranking": ["B", "A"], "scores": {"A": 9, "B": 5, "C": 1}}
    assert read(json.dumps(said), "scores") == BallotReading("json", problem="contradicts_ranking")
    agreed = {**said, "ranking": ["A", "B"]}
    assert read(json.dumps(agreed), "scores") == BallotReading("json", scores=said["scores"])


def test_labels_of_more_than_one_letter_and_digits_are_labels_too():
    assert read_ballot("VOTE: Option 10", "choice", ("2", "10"), native=False) == BallotReading(
        "line", choice="10"
    )
    scores = read_ballot("SCORES: 2=7,10=3", "scores", ("2", "10"), native=False)
    assert scores == BallotReading("line", scores={"2": 7.0, "10": 3.0})


@pytest.mark.parametrize(
    ("text", "preferred", "by"),
    [
        ('{"reason": "r", "preference": "A"}', "A", "json"),
        ('{"reason": "r", "preference": "none"}', "", "json"),
        ('```json\n{"reason": "r", "preference": "b"}\n```', "B", "fence"),
        ('I say {"reason": "r", "preference": "Response B"}.', "B", "braces"),
    ],
)
def test_a_preference_is_one_of_two_or_neither(text: str, preferred: Any, by: Any):
    assert read_preference(text, native=False) == Preference(preferred, "r", by)


def test_a_preference_can_be_native_or_a_last_line():
    assert read_preference('{"reason": "", "preference": "B"}', native=True) == ("B", "", "native")
    assert read_preference("PREFERENCE: A", native=False) == ("A", "", "line")
    assert read_preference("Preferencia: ninguna", native=False) == ("", "", "line")


@pytest.mark.parametrize(
    "text",
    [
        *('{"preference": "C"}', '{"preference": "C"}\nPREFERENCE: A', '{"preference": 1}'),
        *("A is better than B", "PREFERENCE: C", '{"verdict": "A"}', ""),
    ],
)
def test_what_is_none_of_two_is_no_preference(text: str):
    assert read_preference(text, native=False) is None


@pytest.mark.parametrize("with_reason", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_every_host_knows_the_keywords_of_a_schema(kind: BallotKind, with_reason: bool):
    schema = ballot_schema(kind, LABELS, with_reason=with_reason)
    known = {"type", "properties", "required", "additionalProperties", "items", "enum"}

    def keywords(part: dict[str, Any]) -> set[str]:
        inner = [
            *part.get("properties", {}).values(),
            *([part["items"]] if "items" in part else []),
        ]
        return set(part).union(*map(keywords, inner))

    assert keywords(schema) <= known
    assert is_strict(schema)
    assert list(schema["properties"]) == (["reason"] if with_reason else []) + [kind]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(("choice", value) for value in ("D", "a", "", None, ["A"])),
        *(("approved", value) for value in (["D"], "A", ["none"], None)),
        *(("ranking", value) for value in (["A", 1], "A > B")),
        *(("scores", value) for value in ({"A": 7, "B": 3}, {"A": 11, "B": 1, "C": 1}, {}, [7])),
        *(("verdict", value) for value in ("A or B", 1)),
        *(("preference", value) for value in ("D", None)),
    ],
)
def test_a_schema_refuses_what_is_no_ballot(kind: BallotKind, value: Any):
    validator = Draft202012Validator(ballot_schema(kind, LABELS))
    assert not validator.is_valid({"reason": "", kind: value})


def test_a_schema_without_a_critique_asks_for_the_ballot_alone():
    validator = Draft202012Validator(ballot_schema("choice", LABELS, with_reason=False))
    assert validator.is_valid({"choice": "A"})
    assert not validator.is_valid({"reason": "", "choice": "A"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_with_bounds_for_local_models_takes_the_same_ballots(kind: BallotKind):
    schema = bounded(ballot_schema(kind, LABELS), max_tokens=200)
    sample = {"scores": {"A": 7, "B": 0, "C": 10}, "approved": ["A"], "ranking": ["B", "A", "C"]}
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"reason": "It holds.", kind: sample.get(kind, "none")})
    assert not validator.is_valid({"reason": "x" * 2000, kind: sample.get(kind, "none")})


def test_the_schema_of_a_preference_has_the_critique_first():
    assert ballot_schema("preference", ("A", "B")) == PREFERENCE_SCHEMA
    assert list(PREFERENCE_SCHEMA["properties"]) == ["reason", "preference"]


@pytest.mark.parametrize("labels", [("A",), ("A", "B"), ("C", "A", "B"), tuple("ABCDEFGHI")])
@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_examples_of_the_instructions_are_no_ballots_until_their_gaps_are_filled(
    payload: Payload, lang: Language, labels: tuple[str, ...]
):
    asked, example, line = ballot_instructions(payload, labels, lang).split("\n")
    assert ", ".join(labels) in asked
    line = line[line.index(LINE_WORDS[payload][lang]) :]
    assert not counts(read_ballot(example, payload, labels, native=False))
    assert not counts(read_ballot(line, payload, labels, native=False))

    def filled(text: str) -> str:
        fill = iter(labels)
        numbered = re.sub("<(?:number|número)>", "7", text.replace(", …", ""))
        return re.sub("<(?:letter|letra)>", lambda _: next(fill), numbered)

    of_json = read_ballot(filled(example), payload, labels, native=False)
    assert of_json is not None
    assert counts(of_json)
    assert read_ballot(filled(line), payload, labels, native=False) == of_json._replace(
        parsed_by="line", reason=""
    )
    value = json.loads(filled(example)[example.index("{") :])
    Draft202012Validator(ballot_schema(payload, labels)).validate(value)


@pytest.mark.parametrize("kind", [*PAYLOADS, "preference", "score"])
def test_a_repair_asks_in_both_languages_for_the_part_alone_and_suggests_no_ballot(
    kind: ReplyKind,
):
    asked = [repair_instructions(kind, lang) for lang in LANGUAGES]
    assert "JSON object alone" in asked[0]
    assert "solo con el objeto JSON" in asked[1]
    assert all(f'{{"{kind}": ' in text for text in asked)
    assert "reason" not in "".join(asked)
    if kind in PAYLOADS:
        assert not any(counts(read(text, kind)) for text in asked)
