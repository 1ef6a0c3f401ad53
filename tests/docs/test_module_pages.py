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
KEYS = {
    *("path", "module", "layer", "role", "public"),
    *("inputs", "outputs", "depends_on", "external", "does_not"),
}

CONTRACTS = """
[[tool.importlinter.contracts]]
name = "Layers"
type = "layers"
containers = ["lab"]
layers = ["top", "(spare)", "left | right", "one : two", "bottom"]
ignore_imports = ["lab.bottom -> lab.top.door"]

[[tool.importlinter.contracts]]
name = "Pure"
type = "forbidden"
source_modules = ["lab.*.deep"]
forbidden_modules = ["time"]

[[tool.importlinter.contracts]]
name = "Hidden"
type = "protected"
protected_modules = ["lab.right.secret"]
allowed_importers = ["lab.right"]
ignore_imports = ["lab.left.deep -> lab.right.secret"]

[[tool.importlinter.contracts]]
name = "A kind that nobody knows yet"
type = "novel"
"""
FILES = {
    "__init__.py": '''
        """The lab."""
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from lab.bottom import Thing
        __all__ = ["Thing"]
        ''',
    "top/__init__.py": '"""The way in | out."""',
    "top/door.py": '''
        """Opens.

        The rest is not its role.
        """
        import logging
        from typing import TYPE_CHECKING, Annotated, Self
        from lab import one
        if TYPE_CHECKING:
            import aiohttp
            from lab.bottom import Thing
        logger = logging.getLogger(__name__)
        LIMIT = 3
        """How many."""
        class Door:
            """A door."""
            width: Annotated[int, "cm"]
            _secret: str
            def __init__(self, thing: "Thing", /, *, code: str = "") -> None: ...
            @classmethod
            async def find(cls) -> Self:
                """Find one.

                Raises:
                    LookupError: There is none,
                        not even a closed one.
                    OSError: The wall fell.
                """
        def paint(doors: list[Door], hue: str = "one of the many colours that we all like") -> None:
            """Paint."""
            from lab.two import brush
            import rich
        def _hidden() -> None: ...
        ''',
    "left/deep.py": '"""Left."""',
    "right/secret.py": '"""Right."""',
    "one.py": '"""One."""',
    "two.py": '"""Two."""',
    "bottom.py": '"""Bottom."""\nclass Thing:\n    """A thing."""',
    "unlayered.py": '"""In no layer yet."""',
}


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """A package with every kind of import, name and contract."""
    source, pyproject = tmp_path / "src" / "lab", tmp_path / "pyproject.toml"
    for name, text in FILES.items():
        file = source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(re.sub(r"^ {8}", "", text, flags=re.MULTILINE).lstrip("\n"), "utf-8")
    pyproject.write_text(CONTRACTS, "utf-8")
    return source, pyproject


def records(source: Path, pyproject: Path) -> dict[str, dict[str, Any]]:
    parsed = [json.loads(line) for line in modules_jsonl(source, pyproject).splitlines()]
    assert [record["path"] for record in parsed] == sorted(record["path"] for record in parsed)
    return {record["module"]: record for record in parsed}


def test_every_file_with_code_has_a_record_and_no_other():
    empty = re.compile(r'"""[^"]*"""\s*')
    with_code = {
        path.relative_to(REPOSITORY).as_posix()
        for path in SOURCE.rglob("*.py")
        if path.name != "__init__.py" or not empty.fullmatch(path.read_text("utf-8"))
    }
    found = records(SOURCE, PYPROJECT).values()
    assert {record["path"] for record in found} == with_code
    for record in found:
        assert set(record) == KEYS
        assert record["role"]


def test_limits_are_those_of_the_import_contracts():
    found = records(SOURCE, PYPROJECT)
    assert found["agent_lab.contracts"]["depends_on"] == ["agent_lab.errors"]
    conditions = found["agent_lab.flows.conditions"]["does_not"]
    pure = next(limit for limit in conditions if "Flows and deliberation are pure" in limit)
    assert {"asyncio", "random", "time", "datetime"} <= set(re.findall(r"\w+", pure))
    assert any("agent_lab.orchestrator" in limit for limit in conditions)
    assert not any("xllamacpp" in limit for limit in found["agent_lab.plugins"]["does_not"])


def test_every_link_of_the_page_leads_to_a_file():
    targets = re.findall(r"\]\((\.\./[^)]+)\)", modules_page(SOURCE, PYPROJECT))
    assert len(targets) == len(records(SOURCE, PYPROJECT))
    for target in targets:
        assert (REPOSITORY / "docs" / target).is_file(), target


def test_a_record_tells_names_types_and_imports(small: tuple[Path, Path]):
    door = records(*small)["lab.top.door"]
    assert door["role"] == "Opens."
    limit, cls, paint = door["public"]
    assert (limit["signature"], limit["summary"]) == ("LIMIT = 3", "How many.")
    assert cls["signature"] == "Door(thing: Thing, /, *, code: str='')"
    assert cls["fields"] == {"width": "int"}
    assert [method["signature"] for method in cls["methods"]] == ["async find() -> Self"]
    assert cls["methods"][0]["raises"] == ["LookupError", "OSError"]
    assert paint["signature"] == "paint(doors: list[Door], hue: str=...) -> None"
    assert door["inputs"] == ["Door", "Thing"]
    assert door["outputs"] == ["Door"]
    assert door["depends_on"] == ["lab.bottom (types only)", "lab.one", "lab.two"]
    assert door["external"] == ["aiohttp (types only)", "rich"]


def test_a_name_that_is_passed_on_tells_its_home(small: tuple[Path, Path]):
    (thing,) = records(*small)["lab"]["public"]
    assert (thing["name"], thing["kind"], thing["home"]) == ("Thing", "class", "lab.bottom")


def test_every_form_of_contract_is_understood_or_left_out(small: tuple[Path, Path]):
    found = records(*small)
    hidden = "May not import lab.right.secret (Hidden)."
    assert found["lab.left.deep"]["does_not"] == [
        "May not import lab.top, lab.spare (Layers: above it).",
        "May not import lab.right (Layers: beside it).",
        "May not import time (Pure; not through another module either).",
    ]
    assert found["lab.one"]["does_not"] == [
        "May not import lab.top, lab.spare, lab.left, lab.right (Layers: above it).",
        hidden,
    ]
    assert "May not import lab.top, " in found["lab.bottom"]["does_not"][0]
    assert ", except lab.top.door (Layers: above it)." in found["lab.bottom"]["does_not"][0]
    assert found["lab.unlayered"]["does_not"] == [hidden]
    assert len(found["lab.right.secret"]["does_not"]) == 2


def test_the_page_has_the_layers_from_top_to_bottom(small: tuple[Path, Path]):
    page = modules_page(*small)
    layers = ["lab", "top", "left", "right", "one", "two", "bottom", "unlayered"]
    assert re.findall(r"^## (.+)", page, re.MULTILINE) == layers
    assert "## top\n\nThe way in | out.\n" in page
    assert "| [door.py](../src/lab/top/door.py) | Opens. " in page
    assert "| `LIMIT`, `Door`, `paint` | one, two |" in page


@pytest.mark.parametrize("name", ["top/silent.py", "right/__init__.py"])
def test_a_module_that_does_not_say_what_it_is_for_is_an_error(small: tuple[Path, Path], name: str):
    (small[0] / name).write_text("# Nothing.\n", "utf-8")
    with pytest.raises(ValueError, match=f"`src/lab/{name}` has no docstring"):
        modules_page(*small)
