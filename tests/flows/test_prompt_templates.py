import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.contracts import Language
from agent_lab.errors import InvalidRequestError
from agent_lab.flows.prompt_templates import (
    LONGEST_PROMPT,
    format_prompt_template,
    in_language,
    placeholders,
)

names = st.from_regex(r"[a-z_][a-z0-9_]{0,12}", fullmatch=True)
# Pieces that a template language might act on, mixed with any text.
hostile = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "{{",
            "}}",
            "{x}",
            "{other}",
            "{x.__class__}",
            "{0}",
            "$x",
            "%s",
            "\\1",
            "\\g<0>",
        ]
    )
    | st.text(max_size=8),
    max_size=8,
).map("".join)
braceless = st.text(alphabet=st.characters(exclude_characters="{}", codec="utf-8"))


@pytest.mark.parametrize(
    "template",
    [
        "{x.__class__}",
        "{x.__init__.__globals__}",
        "{x[0]}",
        "{x!r}",
        "{x:>1000000}",
        "{x:y}",
        '{"a": 1}',
        '{"a": "x"}',
        "{}",
        "{0}",
        "{ x }",
        "{X}",
        "{x-y}",
        "{x y}",
        "{ñ}",
        "{x\n}",
        "{x",
        "x}",
        "def f(): return {x: 1}",
        "%(x)s $x ${x .}",
    ],
)
def test_braces_that_hold_no_bare_name_stay_literal(template: str):
    assert placeholders(template) == set()
    assert format_prompt_template(template, {"x": "VALUE"}) == template


def test_a_format_specification_around_a_known_name_makes_nothing_larger():
    assert len(format_prompt_template("{x:>1000000}", {"x": "a"})) == len("{x:>1000000}")


@pytest.mark.parametrize(
    ("template", "prompt"),
    [
        ("{{x}}", "{x}"),
        ("{{}}", "{}"),
        ("{{", "{"),
        ("}}", "}"),
        ("{{{x}}}", "{VALUE}"),
        ("{{{{x}}}}", "{{x}}"),
        ('{{"a": "{x}"}}', '{"a": "VALUE"}'),
        ("{x}{x}", "VALUEVALUE"),
        ("{x}}}", "VALUE}"),
        ("", ""),
    ],
)
def test_doubled_braces_stand_for_single_ones(template: str, prompt: str):
    assert format_prompt_template(template, {"x": "VALUE"}) == prompt


@given(name=names, value=hostile, prefix=braceless, suffix=braceless)
def test_a_value_enters_exactly_as_it_is(name: str, value: str, prefix: str, suffix: str):
    prompt = format_prompt_template(f"{prefix}{{{name}}}{suffix}", {name: value, "other": "O"})
    assert prompt == prefix + value + suffix


@given(first=hostile, second=hostile)
def test_a_value_cannot_ask_for_another_value(first: str, second: str):
    values = {"x": first, "other": second, "unused": "UNUSED"}
    assert format_prompt_template("{x}|{other}", values) == f"{first}|{second}"


@given(template=hostile, value=hostile)
def test_any_template_either_renders_or_names_what_is_missing(template: str, value: str):
    try:
        prompt = format_prompt_template(template, {"x": value})
    except InvalidRequestError:
        assert placeholders(template) - {"x"}
    else:
        assert placeholders(template) <= {"x"}
        assert len(prompt) <= len(template) + template.count("{x}") * len(value)


@given(st.sets(names, max_size=5))
def test_placeholders_are_the_names_of_a_template(wanted: set[str]):
    template = ", ".join(f"{{{name}}}" for name in sorted(wanted))
    assert placeholders(template + " {{escaped}} {x.attribute}") == wanted


def test_an_unknown_name_is_an_error_that_names_it_and_the_known_ones():
    with pytest.raises(InvalidRequestError) as caught:
        format_prompt_template("{creater_output}", {"user_input": "", "creator_output": ""})
    assert "`{creater_output}`" in caught.value.message
    assert "`{creator_output}`, `{user_input}`" in caught.value.message


def test_an_unknown_name_is_no_error_where_it_is_escaped():
    assert format_prompt_template("{{nobody}}", {}) == "{nobody}"


def test_a_value_that_no_placeholder_asks_for_is_not_used():
    assert format_prompt_template("text", {"x": "VALUE"}) == "text"


def test_an_empty_value_is_a_value():
    assert format_prompt_template("[{x}]", {"x": ""}) == "[]"


def test_a_prompt_of_the_longest_length_is_taken():
    assert len(format_prompt_template("{x}", {"x": "a" * LONGEST_PROMPT})) == LONGEST_PROMPT


def test_a_prompt_above_the_longest_length_is_an_error_that_gives_both_lengths():
    with pytest.raises(InvalidRequestError, match=f"{LONGEST_PROMPT + 1} .*{LONGEST_PROMPT}"):
        format_prompt_template("b{x}", {"x": "a" * LONGEST_PROMPT})


def test_many_small_placeholders_cannot_pass_the_size_cap():
    with pytest.raises(InvalidRequestError, match="at most"):
        format_prompt_template("{x}" * 1000, {"x": "a" * (LONGEST_PROMPT // 999)})


def test_a_text_for_every_language_is_the_same_in_both():
    assert in_language("Solve.", "es") == in_language("Solve.", "en") == "Solve."


def test_a_localized_text_is_given_in_the_language_asked_for():
    text: dict[Language, str] = {"en": "Solve.", "es": "Resuelve."}
    assert in_language(text, "es") == "Resuelve."
    assert in_language(text, "en") == "Solve."


def test_a_text_that_exists_in_one_language_is_given_in_that_one():
    assert in_language({"es": "Resuelve."}, "en") == "Resuelve."


def test_a_text_in_no_language_is_empty():
    assert in_language({}, "en") == ""
