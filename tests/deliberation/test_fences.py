import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.deliberation.fences import fenced_blocks, is_fence, without_blocks

texts = st.lists(
    st.sampled_from(["```", "````", "~~~", "```json", "\n", "a", " ", "`"]), max_size=30
).map("".join)


def test_blocks_have_their_label_and_body():
    text = "a\n```Python x\nb\n```\nc\n~~~\nd\n~~~"
    blocks = [(block.label, block.body, block.closed) for block in fenced_blocks(text)]
    assert blocks == [("python x", "b", True), ("", "d", True)]


def test_a_block_ends_only_at_a_fence_as_long_as_its_own():
    assert [block.body for block in fenced_blocks("````\n```\na\n```\n````")] == ["```\na\n```"]


def test_a_block_that_nothing_closes_goes_on_to_the_end():
    (block,) = fenced_blocks("a\n```py\nb\nc")
    assert (block.body, block.closed, block.end) == ("b\nc", False, 11)


def test_a_block_that_nothing_closes_hides_nothing():
    assert without_blocks("a\n```\nb") == "a\n```\nb"


@given(text=texts)
def test_hiding_blocks_keeps_every_place(text: str):
    hidden = without_blocks(text)
    assert len(hidden) == len(text)
    assert all(now in (before, " ") for now, before in zip(hidden, text, strict=True))


@pytest.mark.parametrize(("line", "expected"), [("```", True), (" ~~~x", True), ("a ```", False)])
def test_a_fence_is_a_line_of_its_own(line: str, expected: bool):
    assert is_fence(line) is expected
