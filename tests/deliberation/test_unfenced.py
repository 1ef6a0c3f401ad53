"""What an author copied of the marks around others' texts does not reach the answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.deliberation.context import fence, unfenced

SECRET = b"x" * 32


@given(st.text(), st.sampled_from(["draft", "ux_expert_output", "open_issues"]))
def test_a_copied_fence_leaves_its_text(text: str, kind: str):
    assert unfenced(f"Before.\n{fence(kind, text, SECRET)}\nAfter.").startswith("Before.")
    assert f"<{kind} id=" not in unfenced(fence(kind, text, SECRET))


@pytest.mark.parametrize(
    "text",
    [
        "no marks",
        '<div id="main">\n</div>',
        "<draft>\n</draft>",
        '<draft id="xyz">',
        "  spaces stay \n",
        "</draft>",
    ],
)
def test_what_is_no_mark_of_ours_stays(text: str):
    assert unfenced(text) == text


def test_only_closings_of_copied_kinds_go():
    text = '<draft id="0123abcd">\n<b>bold</b>\n</draft>\n</open_issues>'
    assert unfenced(text) == "<b>bold</b>\n</open_issues>"
