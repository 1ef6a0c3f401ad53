import socket
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator, HttpOptions
from jsonschema_rs import ValidationError as SchemaError
from pydantic import TypeAdapter, ValidationError

from agent_lab.deliberation.check_kinds import (
    Check,
    JsonCheck,
    JudgeCheck,
    LengthCheck,
    RegexCheck,
    validator_of,
)
from agent_lab.deliberation.checks import run_check

CHECK: TypeAdapter[Any] = TypeAdapter(Check)


@pytest.mark.parametrize(
    "declared",
    [
        {"check": "length", "max_words": 100},
        {"check": "length", "min_characters": 0, "weight": 0.5, "required": True},
        {"check": "json", "schema": {"type": "object", "required": ["name"]}},
        {"check": "json"},
        {"check": "regex", "pattern": "a", "absent": True, "message": {"es": "nada de a"}},
        {"check": "judge", "question": "Is it polite?", "model": "smollm3-3b"},
        {"check": "judge", "question": {"en": "Is it polite?", "es": "¿Es cortés?"}, "weight": 2},
    ],
)
def test_a_declared_check_says_by_name_what_it_is_and_comes_back_as_it_was_written(
    declared: dict[str, Any],
):
    check = CHECK.validate_python(declared)
    written = check.model_dump(by_alias=True)
    assert declared.items() <= written.items()
    assert CHECK.validate_json(check.model_dump_json(by_alias=True)) == check


@pytest.mark.parametrize(
    "declared",
    [
        {"check": "speed", "max_seconds": 1},
        {"check": "length", "max_words": 3, "max_seconds": 1},
        {"check": "json", "schema_": {}},
        {"max_words": 3},
        {"check": "length"},
        {"check": "length", "min_words": 5, "max_words": 4},
        {"check": "length", "min_characters": 5, "max_characters": 4, "max_words": 1},
        {"check": "length", "max_words": -1},
        {"check": "length", "max_words": True},
        {"check": "length", "max_words": "3"},
        {"check": "length", "max_words": 10**4000},
        {"check": "length", "max_words": 3, "weight": 0},
        {"check": "length", "max_words": 3, "weight": float("nan")},
        {"check": "length", "max_words": 3, "weight": float("inf")},
        {"check": "length", "max_words": 3, "required": "yes"},
        {"check": "json", "schema": [1]},
        {"check": "judge", "question": ""},
        {"check": "judge", "question": {}},
        {"check": "judge", "question": {"en": " "}},
        {"check": "judge", "question": {"fr": "Poli ?"}},
    ],
)
def test_a_declaration_that_is_wrong_or_could_never_work_is_refused(declared: dict[str, Any]):
    with pytest.raises(ValidationError):
        CHECK.validate_python(declared)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "("),
        ("a{1000}{1000}", "a{1000}"),
        (r"(a)\1", "back-references"),
        ("(?=a)", "look-around"),
    ],
)
def test_a_pattern_that_is_none_or_could_hang_is_refused_with_the_reason(pattern: str, why: str):
    with pytest.raises(ValidationError, match="`pattern` is no regular expression") as caught:
        RegexCheck(pattern=pattern)
    assert why in str(caught.value)


SELF_MADE: Any = {"a": object()}


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "person"}, "person"),
        ({"required": "name"}, "name"),
        ({"pattern": "("}, "regex"),
        ({"pattern": "(?=a)"}, "regex"),
        ({"$ref": "#/$defs/gone"}, "gone"),
        ({"const": float("nan")}, "JSON"),
        ({"properties": {"\ud800": {}}}, "surrogates"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, r"\$schema"),
        (SELF_MADE, "object"),
    ],
)
def test_a_schema_that_is_none_is_refused_with_the_reason(schema: dict[str, Any], why: str):
    with pytest.raises(ValidationError, match=why):
        JsonCheck(schema=schema)


def test_a_schema_that_is_nested_without_end_is_refused():
    schema: dict[str, Any] = {}
    for _ in range(5000):
        schema = {"not": schema}
    with pytest.raises(ValidationError, match="stands alone"):
        JsonCheck(schema=schema)


def test_a_schema_may_refer_to_itself_and_say_that_it_is_2020_12():
    draft = "https://json-schema.org/draft/2020-12/schema"
    tree = {"$schema": draft, "type": "array", "items": {"$ref": "#"}}
    assert run_check(JsonCheck(schema=tree), "[[], [[]]]", "en").passed
    assert "`$[0][0]` type" in run_check(JsonCheck(schema=tree), "[[1]]", "en").problem
    assert run_check(JsonCheck(schema={"$ref": "#"}), "1", "en").passed


def _referring(uri: str) -> list[dict[str, Any]]:
    return [
        {"$ref": uri},
        {"$dynamicRef": uri},
        {"$ref": f"{uri}#/$defs/a"},
        {"properties": {"a": {"items": {"$ref": uri}}}},
        {"$defs": {"never used": {"$ref": uri}}},
        {"$id": uri, "$ref": "other.json"},
        {"$schema": uri},
    ]


# What fetches nothing anyway: a word of no meaning here, or a value.
def _harmless(uri: str) -> list[dict[str, Any]]:
    return [
        {"unknown": {"$ref": uri}},
        {"const": {"$ref": uri}},
        {"properties": {"$ref": {"type": "string"}}},
        {"properties": {"a": {"$id": f"{uri}/a", "$schema": uri}}},
    ]


@pytest.fixture
def listener():
    """A socket that a fetch would have to knock at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


def _uri(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"


def _was_called(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_no_schema_makes_us_call_another_machine(listener: socket.socket):
    for schema in _referring(_uri(listener)):
        with pytest.raises(ValidationError, match="schema"):
            JsonCheck(schema=schema)
    for schema in _harmless(_uri(listener)):
        run_check(JsonCheck(schema=schema), '{"a": {"$ref": "x"}}', "en")
    assert not _was_called(listener)


def test_the_listener_notices_a_validator_that_does_call(listener: socket.socket):
    with pytest.raises(SchemaError):
        Draft202012Validator({"$ref": _uri(listener)}, http_options=HttpOptions(timeout=0.2))
    assert _was_called(listener)


def test_no_schema_makes_us_read_a_file(tmp_path: Path):
    file = tmp_path / "schema.json"
    file.write_text('{"$defs": {"a": {}}}', encoding="utf-8")
    # It is there to be read, by a validator that does.
    Draft202012Validator({"$ref": file.as_uri()})
    for schema in _referring(file.as_uri()):
        with pytest.raises(ValidationError, match="schema"):
            JsonCheck(schema=schema)
    for schema in ({"$ref": str(file)}, {"$ref": "schema.json"}, {"$ref": "../schema.json"}):
        with pytest.raises(ValidationError, match="stands alone"):
            JsonCheck(schema=schema)


@pytest.mark.parametrize("schema", [{}, {"type": "object"}])
def test_every_validator_is_built_to_fetch_nothing(schema: dict[str, Any]):
    with pytest.raises(SchemaError, match="Retrieval is disabled"):
        validator_of({**schema, "$ref": "http://127.0.0.1:9/"})


@pytest.mark.parametrize("kind", [LengthCheck, JsonCheck, RegexCheck, JudgeCheck])
def test_no_check_knows_of_time(kind: type[LengthCheck]):
    names = " ".join(kind.model_fields)
    assert not any(word in names for word in ("second", "time", "speed", "latency"))
