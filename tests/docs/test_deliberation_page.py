"""The flows that the pages show are flows that pass their tests; the vote is that of a real run."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agent_lab.cli.main import execute
from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGE = (DOCS / "deliberation.md").read_text("utf-8")
BLOCK = re.compile(r"```(json|python)\n(.*?)```", re.DOTALL)
FLOWS = [
    block
    for page in sorted(DOCS.glob("*.md"))
    for kind, block in BLOCK.findall(page.read_text("utf-8"))
    if kind == "json" and '"entry_point"' in block
]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: json.loads(flow)["name"])
def test_a_flow_of_a_page_is_valid_and_passes_its_tests(flow: str, tmp_path: Path):
    written = tmp_path / "flow.json"
    written.write_text(flow, "utf-8")
    assert execute(["flows", "validate", str(written)]) == 0
    assert execute(["flows", "test", str(written)]) == 0


def test_the_vote_of_the_page_is_what_its_script_gives():
    blocks = BLOCK.findall(PAGE)
    (script,) = (block for kind, block in blocks if kind == "python" and "decision" in block)
    (shown,) = (block for kind, block in blocks if kind == "json" and '"tally"' in block)
    names: dict[str, Any] = {}
    exec(compile(script, "the page", "exec"), names)  # noqa: S102 - our own page
    assert_part_of(json.loads(shown), names["last"])


def assert_part_of(shown: Any, whole: Any) -> None:
    """What is shown is there, though some may be left out."""
    if isinstance(shown, dict):
        for name, value in shown.items():
            assert_part_of(value, whole[name])
    elif isinstance(shown, list):
        assert len(shown) <= len(whole)
        for value, other in zip(shown, whole, strict=False):
            assert_part_of(value, other)
    else:
        assert shown == whole
