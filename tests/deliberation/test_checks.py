import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.contracts import Language
from agent_lab.deliberation.check_kinds import (
    JsonCheck,
    JudgeCheck,
    LengthCheck,
    RegexCheck,
)
from agent_lab.deliberation.checks import (
    CheckResult,
    accepted,
    judge_result,
    parse_verdict,
    run_check,
    total_score,
)

MEGABYTE = 1_000_000
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}

texts = st.text(max_size=300)
languages = st.sampled_from(["en", "es"])
checks = st.sampled_from(
    [
        LengthCheck(min_words=3, max_words=5),
        LengthCheck(max_characters=10, min_words=1),
        JsonCheck(),
        JsonCheck(schema=PERSON),
        RegexCheck(pattern="a+b"),
        RegexCheck(pattern=r"(?i)\bno\b", absent=True, message={"en": "no no", "es": "sin no"}),
    ]
)
results = st.lists(
    st.builds(
        CheckResult,
        check=st.just("judge"),
        score=st.floats(0, 1),
        passed=st.booleans(),
        problem=st.just(""),
        weight=st.floats(0, exclude_min=True, allow_infinity=False),
        required=st.booleans(),
    ),
    max_size=6,
)


def problem(check: LengthCheck | JsonCheck | RegexCheck, text: str, lang: Language = "en") -> str:
    result = run_check(check, text, lang)
    assert (result.score, result.passed) == ((0.0, False) if result.problem else (1.0, True))
    return result.problem


def result(score: float, *, weight: float = 1, required: bool = False) -> CheckResult:
    return CheckResult(
        check="judge",
        score=score,
        passed=score >= 0.5,
        problem="",
        weight=weight,
        required=required,
    )


@pytest.mark.parametrize(
    ("check", "text", "lang", "said"),
    [
        (
            LengthCheck(max_words=100),
            "a " * 240,
            "en",
            "The answer has 240 words; at most 100 are wanted.",
        ),
        (
            LengthCheck(max_words=100),
            "a " * 240,
            "es",
            "La respuesta tiene 240 palabras; se piden como máximo 100.",
        ),
        (LengthCheck(min_words=3), "one", "en", "The answer has 1 word; at least 3 are wanted."),
        (
            LengthCheck(min_words=3),
            "una",
            "es",
            "La respuesta tiene 1 palabra; se piden al menos 3.",
        ),
        (
            LengthCheck(min_characters=5),
            " ab\n",
            "en",
            "The answer has 2 characters; at least 5 are wanted.",
        ),
        (
            LengthCheck(max_characters=1),
            "ab",
            "es",
            "La respuesta tiene 2 caracteres; se piden como máximo 1.",
        ),
        (
            LengthCheck(min_words=3, max_characters=4),
            "too long",
            "en",
            "The answer has 2 words; at least 3 are wanted. "
            "The answer has 8 characters; at most 4 are wanted.",
        ),
    ],
)
def test_a_length_that_is_wrong_is_told_with_both_numbers(
    check: LengthCheck, text: str, lang: Language, said: str
):
    assert problem(check, text, lang) == said


@pytest.mark.parametrize("words", [3, 4, 5])
def test_both_ends_of_a_length_belong_to_it(words: int):
    assert problem(LengthCheck(min_words=3, max_words=5), "a " * words) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        (" \n\t ", 0),
        ("don't stop-over - now", 4),
        ("niño, ¿qué tal?", 3),
        ("今天天气很好。", 6),
        ("私はカツ丼です", 7),
        ("用 Python 写，好", 4),
        ("안녕하세요 여러분", 2),
        ("Привет, мир", 2),
        ("मेरा नाम", 2),
        ("a\u00a0b\u3000c", 3),
    ],
)
def test_words_are_what_space_parts_and_every_character_where_none_does(text: str, words: int):
    assert problem(LengthCheck(min_words=words, max_words=words), text) == ""


@given(text=texts)
def test_a_length_is_wrong_in_one_direction_at_most(text: str):
    shorter, longer = (
        run_check(check, text, "en").passed
        for check in (LengthCheck(max_words=9), LengthCheck(min_words=10))
    )
    assert shorter is not longer


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Ada", "age": 36}',
        'Sure!\n```json\n{"name": "Ada"}\n```\nAnything else?',
        'Here: {"name": "Ada"} (see [1]).',
    ],
)
def test_json_that_fits_passes_wherever_it_stands(text: str):
    assert problem(JsonCheck(schema=PERSON), text) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"age": 3}', '`$` required: "name"'),
        ('{"name": 3}', '`$.name` type: ["string"]'),
        ('{"name": "Ada", "age": -1}', "`$.age` minimum: 0"),
        ('{"name": "Ada", "x": 1}', '`$` additionalProperties: ["x"]'),
        ("[]", '`$` type: ["object"]'),
    ],
)
def test_json_that_does_not_fit_is_told_where_and_why(text: str, said: str):
    start, end = "The JSON of the answer does not fit the schema that is wanted: ", "."
    assert problem(JsonCheck(schema=PERSON), text) == f"{start}{said}{end}"
    assert said in problem(JsonCheck(schema=PERSON), text, "es")


def test_several_faults_are_told_at_once_but_not_all_of_many():
    told = problem(JsonCheck(schema={"items": {"type": "string"}}), "[1, 2, 3, 4, 5]")
    assert told.count(";") == 2
    assert "`$[0]`" in told


@pytest.mark.parametrize(
    "text", ["", "no", "{'name': 'Ada'}", '{"name": "Ada"', "NaN", '["\\ud800"]']
)
def test_what_is_no_json_is_told_in_the_language_of_the_run(text: str):
    assert problem(JsonCheck(), text) == "The answer holds no valid JSON, which is what is wanted."
    assert "JSON válido" in problem(JsonCheck(), text, "es")


def test_the_json_that_is_meant_decides_not_any_that_would_fit():
    text = 'Not {"name": "Ada"} but\n```json\n{"name": 3}\n```'
    assert "type" in problem(JsonCheck(schema=PERSON), text)


def test_a_hostile_name_or_value_makes_no_long_problem():
    check = JsonCheck(schema={"additionalProperties": {"enum": ["x" * 5000]}})
    assert len(problem(check, json.dumps({"k" * 100_000: 1}))) < 400


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    [
        "[" + '"a",' * 250_000 + '"a"]',
        '[{"a":' * 150_000,
        '{"a":"' + "b" * MEGABYTE + '"}',
        "{}" * 500_000,
    ],
)
def test_a_megabyte_of_json_or_nearly_json_is_checked_in_linear_time(text: str):
    check = JsonCheck(schema={"items": {"type": "integer"}, "maxProperties": 0, "minProperties": 1})
    assert problem(check, text) != ""


@pytest.mark.parametrize(
    ("pattern", "absent", "text", "passes"),
    [
        ("colou?r", False, "the color", True),
        ("colou?r", False, "the hue", False),
        ("colou?r", True, "the color", False),
        ("colou?r", True, "the hue", True),
        ("(?i)^hola", False, "HOLA", True),
        ("^b$", False, "a\nb", False),
        ("(?m)^b$", False, "a\nb", True),
        ("[à-ÿ]", False, "niño", True),
        (r"\p{Han}", False, "天", True),
        ("b", False, "\ud800b", True),
        ("", False, "", True),
    ],
)
def test_a_pattern_occurs_or_is_absent_as_declared(
    pattern: str, absent: bool, text: str, passes: bool
):
    assert (problem(RegexCheck(pattern=pattern, absent=absent), text) == "") is passes


def test_a_pattern_that_fails_is_told_or_what_the_declaration_says_instead():
    assert "`a`" in problem(RegexCheck(pattern="a"), "b")
    assert "`[{]0}`" in problem(RegexCheck(pattern="[{]0}"), "b")
    check = RegexCheck(pattern="a", absent=True)
    assert problem(check, "a") != problem(check, "a", "es")
    message: dict[Language, str] = {"en": "Say it without an a.", "es": "Dilo sin a."}
    check = RegexCheck(pattern="a", absent=True, message=message)
    assert problem(check, "a") == "Say it without an a."
    assert problem(check, "a", "es") == "Dilo sin a."
    check = RegexCheck(pattern="a", absent=True, message={"es": "Dilo sin a."})
    assert problem(check, "a", "en") == "Dilo sin a."


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+$", "a" * 100_000 + "b"),
        ("(a|aa)+$", "a" * 100_000 + "b"),
        ("(x+x+)+y", "x" * MEGABYTE),
        ("(.*)(.*)(.*)(.*)[a-z]{500}$", "x1" * (MEGABYTE // 2)),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", "a" * MEGABYTE),
    ],
)
def test_no_pattern_hangs(pattern: str, text: str):
    assert problem(RegexCheck(pattern=pattern), text) != ""


JUDGE = JudgeCheck(question={"en": "Is it polite?", "es": "¿Es cortés?"}, weight=2, required=True)


def test_a_judge_passes_what_gets_half_of_the_points():
    for points, passed in ((10, True), (5, True), (4.9, False), (0, False)):
        found = judge_result(JUDGE, json.dumps({"score": points, "reason": "so"}), "en")
        assert found is not None
        assert (found.score, found.passed) == (points / 10, passed)
        assert found.problem == ("" if passed else "so")
        assert (found.check, found.weight, found.required) == ("judge", 2, True)


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", "The judge gives 3 of 10 points for: Is it polite?"),
        ("es", "El juez da 3 de 10 puntos por: ¿Es cortés?"),
    ],
)
@pytest.mark.parametrize("answer", ["score: 3", '{"score": 3}', '{"score": 3, "reason": "  "}'])
def test_a_judge_without_a_reason_is_told_with_points_and_question(
    answer: str, lang: Language, said: str
):
    found = judge_result(JUDGE, answer, lang)
    assert found is not None
    assert found.problem == said


def test_a_long_reason_is_cut():
    found = judge_result(JUDGE, json.dumps({"score": 1, "reason": "why " * 1000}), "en")
    assert found is not None
    assert len(found.problem) == 300
    assert found.problem.endswith("…")


@pytest.mark.parametrize("answer", ["", "It is good.", '{"score": true}', '{"score": 11}'])
def test_a_judge_who_gives_no_verdict_gives_no_result(answer: str):
    assert judge_result(JUDGE, answer, "en") is None
    assert parse_verdict(answer) is None


@pytest.mark.parametrize(
    ("answer", "score"), [('{"score": 7}', 0.7), ("0/10", 0), ("score: 10", 1)]
)
def test_a_verdict_is_scaled_to_one(answer: str, score: float):
    assert parse_verdict(answer) == score


@given(check=checks, text=texts, lang=languages)
def test_a_check_never_fails_and_says_what_is_wrong_exactly_when_something_is(
    check: LengthCheck | JsonCheck | RegexCheck, text: str, lang: Language
):
    found = run_check(check, text, lang)
    assert found.check == check.check
    assert 0 <= found.score <= 1
    assert found.passed is (found.problem == "")
    assert found == run_check(check, text, lang)


@given(text=texts, lang=languages)
def test_a_verdict_is_none_or_from_0_to_1(text: str, lang: Language):
    score, found = parse_verdict(text), judge_result(JUDGE, text, lang)
    assert (score is None) is (found is None)
    assert score is None or 0 <= score <= 1


def test_no_results_have_no_score_and_accept_all():
    assert total_score([]) is None
    assert accepted([], 1)


def test_the_total_is_the_mean_by_weight():
    assert total_score([result(1, weight=3), result(0)]) == 0.75
    assert total_score([result(0.7)] * 3) == 0.7


def test_a_required_check_decides_and_so_does_the_threshold():
    good, bad = result(1, weight=99), result(0.4, weight=1)
    assert accepted([good, bad], 0.9)
    assert not accepted([good, bad], 0.995)
    assert not accepted([good, bad.model_copy(update={"required": True})], 0)
    assert accepted([good.model_copy(update={"required": True}), bad], 0.9)


@given(found=results, threshold=st.floats(0, 1))
def test_a_total_lies_between_the_lowest_and_the_highest_score(
    found: list[CheckResult], threshold: float
):
    total = total_score(found)
    assert (total is None) is (not found)
    if total is not None:
        assert min(r.score for r in found) <= total <= max(r.score for r in found)
    passed = all(r.passed for r in found if r.required)
    assert accepted(found, threshold) is (total is None or (passed and total >= threshold))
