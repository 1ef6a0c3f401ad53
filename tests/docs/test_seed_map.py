"""What the map of the first lab says is where it says."""

import importlib
import re
from collections.abc import Iterator

import pytest

from agent_lab.api.server import create_app
from agent_lab.config import Settings, environment_keys
from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "docs" / "seed-map.md").read_text("utf-8")
NAME = re.compile(r"`(agent_lab(?:\.\w+)+)`")
OPERATION = re.compile(r"`(GET|POST) (/[\w/{}]*)`")
FILE = re.compile(r"`((?:src|scripts|requirements|docs)/[\w./]+)`")
KEY = re.compile(r"`([A-Z]{2,}(?:_[A-Z]+)*)`")


def now() -> Iterator[str]:
    """The cells of the tables that say where things are now."""
    for line in TEXT.splitlines():
        cells = line.strip("|").split(" | ")
        if line.startswith("| ") and len(cells) > 1:
            yield cells[1]


CELLS = list(now())


def found(pattern: re.Pattern[str]) -> list[tuple[str, ...]]:
    return [match.groups() for cell in CELLS for match in pattern.finditer(cell)]


@pytest.mark.parametrize("name", sorted({name for (name,) in found(NAME)}))
def test_every_name_is_there(name: str):
    module, _, attribute = name.rpartition(".")
    assert getattr(importlib.import_module(module), attribute) is not None


@pytest.mark.parametrize("path", sorted({path for (path,) in found(FILE)}))
def test_every_file_is_there(path: str):
    assert (REPOSITORY / path).exists()


def test_every_operation_is_there(settings: Settings):
    described = create_app(settings).openapi()["paths"]
    operations = found(OPERATION)
    assert operations
    for method, path in operations:
        assert method.lower() in described[path], (method, path)


def test_the_first_labs_paths_that_stay_are_there(settings: Settings):
    assert {"/orchestrate", "/inference"} <= set(create_app(settings).openapi()["paths"])


def test_keys_that_are_said_to_be_the_same_are_settings_and_the_others_are_none():
    settings = {key for field in Settings.model_fields.values() for key in environment_keys(field)}
    rows = [line for line in TEXT.split("## Environment keys")[1].splitlines() if "| `" in line]
    for row in rows:
        keys = set(KEY.findall(row.split(" | ")[0]))
        assert keys
        assert keys & settings == (set() if "*not yet*" in row else keys)
