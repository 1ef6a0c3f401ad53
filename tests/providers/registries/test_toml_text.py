import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.providers.registries.toml_text import with_table

FILE = """\
# mine
[models.a]  # the first
provider = "local"
context_window=5

# about b
[models."b.c"]
provider   = 'local'
[models."b.c".options]
x = [
  1,
]

[providers.x]  # between
api = "openai"
"""
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBER = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUE = st.recursive(
    TEXT | st.booleans() | NUMBER,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def test_new_table_is_appended_and_all_else_stays() -> None:
    text = with_table(FILE, "models", "n.1", {"provider": "local", "bytes": 1234567})
    assert text == FILE + '\n[models."n.1"]\nprovider = "local"\nbytes = 1_234_567\n'


def test_line_is_ended_before_a_table_follows() -> None:
    assert with_table("# end", "models", "n", {"x": 1}) == '# end\n\n[models."n"]\nx = 1\n'


def test_long_lists_are_written_an_item_a_line() -> None:
    text = with_table("", "models", "n", {"sources": ["x" * 60, "y" * 60]}) or ""
    assert text.splitlines()[1:] == ["sources = [", f'  "{"x" * 60}",', f'  "{"y" * 60}",', "]"]


def test_table_is_replaced_where_it_is_and_the_comment_behind_it_stays() -> None:
    text = with_table(FILE, "models", "a", {"provider": "vllm"}) or ""
    before, _, after = FILE.partition('[models.a]  # the first\nprovider = "local"\n')
    after = after.removeprefix("context_window=5\n")
    assert text == f'{before}[models."a"]\nprovider = "vllm"\n{after}'


def test_tables_of_a_replaced_table_go_with_it() -> None:
    text = with_table(FILE, "models", "b.c", {"provider": "vllm"}) or ""
    assert tomllib.loads(text)["models"]["b.c"] == {"provider": "vllm"}
    assert text.endswith('provider = "vllm"\n\n[providers.x]  # between\napi = "openai"\n')


def test_parts_of_a_table_that_lie_apart_become_one() -> None:
    apart = FILE + "[models.a.options]\ny = 1\n"
    text = with_table(apart, "models", "a", {"provider": "vllm"}) or ""
    assert text.count("models") == 3
    assert "y = 1" not in text


def test_line_ends_of_other_systems_stay() -> None:
    text = with_table(FILE.replace("\n", "\r\n"), "models", "a", {"provider": "vllm"}) or ""
    assert "[models.\"b.c\"]\r\nprovider   = 'local'\r\n" in text


@pytest.mark.parametrize(
    "text",
    [
        'models = { a = { provider = "local" } }',
        'models.a.provider = "local"',
        '[models]\na = { provider = "local" }',
        '[models."\\u0061"]\nprovider = "local"',
        "[models.a]\nprovider = '''\n[models.b]\n'''",
    ],
)
def test_table_in_a_form_that_is_not_known_is_left_to_a_person(text: str) -> None:
    assert tomllib.loads(text)["models"]["a"]["provider"]
    assert with_table(text, "models", "a", {"provider": "vllm"}) is None


def test_inline_group_takes_no_table() -> None:
    assert with_table('models = { a = { provider = "local" } }', "models", "n", {"x": 1}) is None


@given(st.dictionaries(TEXT, VALUE, max_size=4), TEXT)
def test_whatever_is_written_is_read_again(fields: dict[str, Any], key: str) -> None:
    text = with_table(FILE, "models", key, fields)
    assert text is not None
    assert tomllib.loads(text)["models"][key] == fields
    again = with_table(text, "models", key, {"x": True})
    assert again is None or tomllib.loads(again)["models"][key] == {"x": True}
