"""The module pages say of every file what its source and the import contracts say."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

sys.path.append(str(REPOSITORY / "scripts"))

from module_pages import modules_jsonl, modules_page

SOURCE = REPOSITORY / "src" / "agent_lab"
PYPROJECT = REPOSITORY / "pyproject.toml"


@pytest.fixture(scope="module")
def records() -> dict[str, dict[str, Any]]:
    parsed = [json.loads(line) for line in modules_jsonl(SOURCE, PYPROJECT).splitlines()]
    return {record["path"]: record for record in parsed}


def test_every_file_has_a_record_in_the_order_of_the_paths(records):
    files = [path.relative_to(REPOSITORY).as_posix() for path in SOURCE.rglob("*.py")]
    assert list(records) == sorted(files)
    assert all(record["role"] for record in records.values())


def test_a_record_tells_names_types_and_imports(records):
    contracts = records["src/agent_lab/contracts/base.py"]
    assert contracts["depends_on"] == ["agent_lab.errors"]
    assert "pydantic" in contracts["external"]
    assert not {"collections", "typing"} & set(contracts["external"])
    request = next(each for each in contracts["public"] if each["name"] == "Request")
    (parse,) = request["methods"]
    assert parse["signature"] == "parse(fields: Mapping[str, Any]) -> Self"
    assert parse["raises"] == ["InvalidRequestError"]
    lab = records["src/agent_lab/lab.py"]
    assert {"Settings", "ProviderGateway"} <= set(lab["inputs"])
    assert {"Lab", "RunRecord"} <= set(lab["outputs"])


def test_limits_are_those_of_the_import_contracts(records):
    layers, *others = records["src/agent_lab/flows/conditions.py"]["does_not"]
    assert "agent_lab.deliberation, agent_lab.providers, agent_lab.storage (" in layers
    (pure,) = (limit for limit in others if "(Flows and deliberation are pure)" in limit)
    assert {"asyncio", "random", "time", "datetime"} <= set(re.findall(r"\w+", pure))
    hidden = (
        "May not import agent_lab.providers.local, agent_lab.providers.remote "
        "(Only providers knows where a model runs)."
    )
    assert hidden in others
    assert hidden not in records["src/agent_lab/providers/provider_gateway.py"]["does_not"]


def test_every_record_has_its_row_and_its_link_leads_to_the_file(records):
    targets = re.findall(r"\]\(\.\./([^)]+)\)", modules_page(SOURCE, PYPROJECT))
    assert sorted(targets) == list(records)


def test_a_module_that_does_not_say_what_it_is_for_is_an_error(tmp_path: Path):
    package = tmp_path / "src" / "lab"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""The lab."""\n', "utf-8")
    (package / "silent.py").write_text("# Nothing.\n", "utf-8")
    with pytest.raises(ValueError, match=r"`src/lab/silent\.py` has no docstring"):
        modules_page(package, tmp_path / "pyproject.toml")
