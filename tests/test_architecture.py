"""The rules of the tree that no other tool checks."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SOURCE = REPOSITORY / "src" / "agent_lab"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 50
HEAVY = {
    "aiohttp",
    "fastapi",
    "langchain_core",
    "langgraph",
    "opentelemetry",
    "prometheus_client",
    "pydantic_settings",
    "sqlalchemy",
    "torch",
    "transformers",
    "uvicorn",
    "xllamacpp",
}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_and_its_functions_stay_short(path: Path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    for part in ast.walk(ast.parse(text)):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            assert _length(part) <= LONGEST_FUNCTION, part.name


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code: the signature is a table of options, the docstring is prose."""
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize(
    "statement",
    [
        "import agent_lab",
        "from agent_lab.cli.main import execute; assert execute(['--help']) == 0",
        "from agent_lab.cli.main import execute; assert execute(['flows', 'list']) == 0",
    ],
)
def test_light_entries_load_nothing_heavy(statement: str):
    program = f"{statement}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    loaded = set(json.loads(printed.splitlines()[-1]))
    assert loaded & HEAVY == set()
    assert "agent_lab" in loaded


@pytest.mark.parametrize("lock", ["run", "dev"])
def test_locks_hold_the_pins_of_pyproject_and_hashes_only(lock: str):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    pins = [
        *project["dependencies"],
        *extras["llamacpp"],
        *(extras["dev"] if lock == "dev" else ()),
    ]
    text = (REPOSITORY / "requirements" / f"{lock}.lock").read_text("utf-8")
    locked = set(re.findall(r"^([\w.-]+==[\w.]+)", text, re.MULTILINE))
    assert {pin for pin in pins if not pin.startswith("ai-agent-lab")} <= locked
    assert "://" not in text
    requirements = re.split(r"\n(?=\S)", text.strip())
    assert [r for r in requirements if "--hash=sha256:" not in r and not r.startswith("#")] == []


def test_no_direct_dependency_is_unpinned():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    for requirement in [*project["dependencies"], *(r for extra in extras for r in extra)]:
        assert "==" in requirement or requirement.startswith("ai-agent-lab-v3["), requirement
