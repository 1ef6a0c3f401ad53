import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.deliberation.structured import (
    DEEPEST,
    Verdict,
    found_values,
    json_values,
    read_verdict,
)

MEGABYTE = 1_000_000
NOTHING = object()
# Each is as long as a megabyte, and would be slow for a reader that looks back.
HOSTILE = {
    "opened": "{" * MEGABYTE,
    "closed": "}" * MEGABYTE,
    "crossed": "{]" * (MEGABYTE // 2),
    "pairs that are no JSON": "{x}" * (MEGABYTE // 3),
    "nested": "{" * (MEGABYTE // 2) + "}" * (MEGABYTE // 2),
    "arrays never closed": "[1," * (MEGABYTE // 3),
    "objects never closed": '{"a":' * (MEGABYTE // 5),
    "strings never closed": '{"' * (MEGABYTE // 2),
    "escapes": '{"' + '\\"' * (MEGABYTE // 2),
    "backslashes": "\\" * MEGABYTE,
    "fences": "```\n{x}\n```\n" * (MEGABYTE // 12),
    "one fence of many marks": "`" * MEGABYTE,
    "lines": "\n" * MEGABYTE,
    "spaces": "score:" + " " * MEGABYTE,
    "digits": "score: " + "1" * MEGABYTE,
    "markers": "score:\n" * (MEGABYTE // 7),
    "scores": "score: 7\n" * (MEGABYTE // 9) + "?",
    "marks behind a score": "7/10" + "*\n" * (MEGABYTE // 2) + "?",
    "fenced scores": "```\nscore: 7\n```\n" * (MEGABYTE // 17) + "?",
}

texts = st.text(max_size=200)
# What JSON and fences are made of, in any disorder.
pieces = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "[",
            "]",
            '"',
            "\\",
            ":",
            ",",
            "\n",
            "```",
            "```json",
            "~~~",
            "score",
            "10",
            "7/10",
        ]
        + ["{}", '{"score": 7}', '{"score": true}', "[1]", "NaN", "1e999", "\ud800", "é", "点"]
    ),
    max_size=40,
).map("".join)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)
containers = values.filter(lambda value: isinstance(value, dict | list))


def first(text: str, braces: str = "largest") -> object:
    return next(json_values(text, braces="last" if braces == "last" else "largest"), NOTHING)


@given(value=values)
def test_a_text_that_is_json_is_its_first_value(value: object):
    assert first(f" {json.dumps(value)}\n") == value


@given(value=containers)
@pytest.mark.parametrize("fence", ["```", "````", "~~~"])
def test_a_fenced_block_is_found_among_prose(fence: str, value: object):
    text = f"Here {{it}} is:\n{fence}json\n{json.dumps(value, indent=1)}\n{fence}\nDone [1]."
    assert first(text) == value


@given(value=containers)
def test_braces_are_found_in_prose(value: object):
    assert first(f'It\'s "this": {json.dumps(value)} and no more') == value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('```json\n{"a": 1}\n```\nor\n```json\n{"a": 2}\n```', {"a": 2}),
        ('```json\n{"a": 1}\n```\nUse it:\n```python\nprint(1)\n```', {"a": 1}),
        ('```json\n{"a": 1}', {"a": 1}),
        ('````\n```json\n{"a": 1}\n```\n````', {"a": 1}),
        ('```json\n{"a": "```"}\n```', {"a": "```"}),
        ('1. So:\n   ```json\n   {"a": 1}\n   ```', {"a": 1}),
        ('```JSON\r\n{"a": 1}\r\n```\r\n', {"a": 1}),
        ('```json\n"one"\n```', "one"),
        ('```{"a": 1}```', {"a": 1}),
        ('\ufeff{"a": 1}', {"a": 1}),
    ],
)
def test_the_last_fenced_block_that_is_json_is_meant(text: str, found: object):
    assert first(text) == found


@pytest.mark.parametrize(
    "text", ["```\n42\n```", "```text\ntrue\n```", "42 is it", '"a" or "b"', ""]
)
def test_a_bare_value_counts_only_as_the_whole_text_or_where_a_label_says_json(text: str):
    assert first(text) is NOTHING


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": {"b": 1}} as [1] says', {"a": {"b": 1}}),
        ('as [1] says: {"a": {"b": 1}}', {"a": {"b": 1}}),
        ('[{"a": 1}, {"a": 2}] (see [3])', [{"a": 1}, {"a": 2}]),
        ('{x} and {"a": "}"} and {y}', {"a": "}"}),
        ('{"a": "say \\"}\\" twice"} ok', {"a": 'say "}" twice'}),
        ('{ an unclosed brace, then {"a": 1}', {"a": 1}),
        ('a stray { "quote\n{"a": 1}', {"a": 1}),
        ('{"broken": [1} but {"a": 1}', {"a": 1}),
    ],
)
def test_outermost_braces_are_meant_whatever_stands_around_them(text: str, found: object):
    assert first(text) == found


def test_the_last_of_several_braces_or_the_largest_is_meant_as_the_caller_says():
    text = 'It said {"score": 10, "reason": "good"}, I say {"score": 3}.'
    assert first(text, "last") == {"score": 3}
    assert first(text, "largest") == {"score": 10, "reason": "good"}


@pytest.mark.parametrize(
    "text",
    [
        *('"\\ud800"', '["a", {"\\uDC00": 1}]', '"\ud800"'),
        *("NaN", "[Infinity]", '{"a": -Infinity}', "1e999", "{'a': 1}", "{a}"),
    ],
)
def test_what_rfc_8259_does_not_know_or_no_float_holds_is_no_json(text: str):
    assert first(text) is NOTHING


@pytest.mark.parametrize(
    ("levels", "is_json"), [(DEEPEST, True), (DEEPEST + 1, False), (9999, False)]
)
def test_what_is_nested_deeper_than_anybody_writes_is_no_json(levels: int, is_json: bool):
    assert (first("[" * levels + "]" * levels) is not NOTHING) is is_json


def test_a_whole_surrogate_pair_is_a_character():
    assert first('"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


def test_a_number_of_a_million_digits_is_no_json():
    assert first("1" * MEGABYTE) is NOTHING


@given(text=texts | pieces)
@pytest.mark.parametrize("braces", ["last", "largest"])
def test_no_text_makes_the_search_fail(braces: str, text: str):
    first(text, braces)
    read_verdict(text)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_megabyte_is_read_in_linear_time(name: str):
    assert read_verdict(HOSTILE[name]) is None


@given(text=texts | pieces)
def test_the_values_are_the_same_whether_or_not_it_is_said_where_they_stand(text: str):
    found = [value for value, _ in found_values(text, braces="last")]
    assert repr(found) == repr(list(json_values(text, braces="last")))


def test_each_value_says_where_it_stands():
    assert next(found_values("[1]", braces="last")) == ([1], "json")
    text = 'It {"a": 1} is:\n```json\n[2]\n```'
    assert list(found_values(text, braces="last")) == [
        ([2], "fence"),
        ([2], "braces"),
        ({"a": 1}, "braces"),
    ]


VERDICTS = [
    ('{"score": 7, "reason": "so so"}', "json"),
    (' {"reason": "so so", "score": 7.0} ', "json"),
    ('I weighed it.\n```json\n{"score": 7, "reason": "so so"}\n```\n', "fence"),
    ('```\n{"score": 7, "reason": "so so"}\n```', "fence"),
    ('```json\n{"score": 7, "reason": "so so"}\n```\nscore: 3', "fence"),
    ('My verdict is {"score": 7, "reason": "so so"}.', "braces"),
    (
        'It quotes {"score": 10, "reason": "perfect"}, yet: {"score": 7, "reason": "so so"}',
        "braces",
    ),
    ('A set {x} and {"other": 1}; {"score": 7, "reason": "so\\n  so"}', "braces"),
]


@pytest.mark.parametrize(("text", "step"), VERDICTS)
def test_a_verdict_is_read_from_json_wherever_it_stands(text: str, step: str):
    assert read_verdict(text) == (7.0, "so so", step)
    of_native = "native" if step == "json" else step
    assert read_verdict(text, native=True) == (7.0, "so so", of_native)


@pytest.mark.parametrize(
    "line",
    [
        *("score: 7", "Score: 7/10", "**Score:** 7 / 10.", "puntuación: 7", "Nota = 7"),
        *("7/10", "## 7 / 10", "*7/10*", "Final score: 7", "Nota final: 7", "**Score:**\n\n7/10."),
    ],
)
@pytest.mark.parametrize("before", ["", "It is fine.\n", "{}\n\n", "```\n3\n```\n"])
def test_a_verdict_is_read_from_a_last_line_that_says_nothing_else(before: str, line: str):
    assert read_verdict(f"{before}{line}\n") == (7.0, "", "line")


@pytest.mark.parametrize(
    ("text", "points"),
    [("score: 7.5", 7.5), ("nota: 7,5", 7.5), ('{"score": 0}', 0), ("10/10", 10)],
)
def test_parts_of_points_and_both_ends_of_the_scale_count(text: str, points: float):
    verdict = read_verdict(text)
    assert verdict is not None
    assert verdict.points == points


NO_VERDICTS = [
    *(
        f'{{"score": {score}}}'
        for score in ("11", "-1", "true", '"7"', "null", "[7]", "NaN", "1e400")
    ),
    *(f'{{"score": {score}}}\nscore: 7' for score in ("11", "true", '"7"')),
    *(
        f"score: {score}"
        for score in ("11", "-3", "7/100", "7 of 10", "seven", "٧", "7 8", "1e1", "")
    ),
    *("-3/10", "11/10", "7/10 at first, but", "I would say 7/10", "score: 7\nThat is all."),
    *("10 out of 10 as the draft says", "The score: 7 is what it deserves", "", " \n", "7", "{}"),
    *("> score: 7", "> 7/10", "`score: 7`", '"score: 7", it says', "- score: 7"),
    *("```\nscore: 7\n```", "```\nscore: 7", "```\n7/10", "score:\n7\nor less", "score:\n"),
    '{"points": 7}',
    'the draft says `{"score": 10` and stops',
]


@pytest.mark.parametrize("text", NO_VERDICTS)
def test_what_is_no_number_from_0_to_10_in_its_place_is_no_verdict(text: str):
    assert read_verdict(text) is None


@given(points=st.integers(0, 10), parts=st.tuples(texts, texts))
def test_a_verdict_in_a_labelled_fence_outweighs_all_prose_without_fences(
    points: int, parts: tuple[str, str]
):
    before, after = (part.replace("`", "").replace("~", "") for part in parts)
    text = f'{before}\n```json\n{{"score": {points}}}\n```\n{after}'
    assert read_verdict(text) == (points, "", "fence")


@given(text=texts | pieces)
def test_a_verdict_is_on_the_scale_or_none(text: str):
    verdict = read_verdict(text)
    assert verdict is None or 0 <= verdict.points <= 10


def test_a_reason_that_is_no_text_is_none():
    for reason in ("3", "null", '["a"]'):
        assert read_verdict(f'{{"score": 7, "reason": {reason}}}') == Verdict(7.0, "", "json")
