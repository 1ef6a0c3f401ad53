import inspect
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from agent_lab import errors
from agent_lab.errors import (
    AgentLabError,
    ConfigurationError,
    ContextLengthError,
    InvalidFlowError,
    ProviderError,
    ProviderTimeoutError,
    RunFailedError,
    StorageError,
    UnknownNameError,
    ValidationError,
)

_BRANCH = re.compile(r"^(?P<indent>[ │]*)[├└]── (?P<name>\w+)(?P<note>.*)$")


class Drawn(NamedTuple):
    name: str
    parent: str
    note: str


def drawn_tree() -> Iterator[Drawn]:
    """The tree of the module's docstring, line by line, each with the class that it hangs on."""
    ancestors = ["AgentLabError"]
    for line in (errors.__doc__ or "").splitlines():
        if branch := _BRANCH.match(line):
            depth = (len(branch["indent"]) - 4) // 4 + 1
            del ancestors[depth:]
            yield Drawn(branch["name"], ancestors[-1], branch["note"])
            ancestors.append(branch["name"])


def error_classes() -> list[type[AgentLabError]]:
    members = (value for _, value in inspect.getmembers(errors, inspect.isclass))
    return [m for m in members if issubclass(m, AgentLabError)]


TREE = list(drawn_tree())
CLASSES = error_classes()
UNKNOWN_NAME_ERRORS = [cls for cls in CLASSES if issubclass(cls, UnknownNameError)]


def by_name(cls: type[AgentLabError]) -> str:
    return cls.__name__


def test_the_drawn_tree_has_more_than_one_level():
    assert {d.parent for d in TREE} > {"AgentLabError", "ConfigurationError", "ProviderError"}


@pytest.mark.parametrize("drawn", TREE, ids=lambda drawn: drawn.name)
def test_every_drawn_class_is_a_subclass_of_the_one_above_it(drawn: Drawn):
    assert issubclass(getattr(errors, drawn.name), getattr(errors, drawn.parent))


@pytest.mark.parametrize("cls", CLASSES, ids=by_name)
def test_every_class_is_drawn_in_the_tree(cls: type[AgentLabError]):
    assert cls.__name__ in {"AgentLabError", *(d.name for d in TREE)}


def test_exactly_the_classes_drawn_as_retryable_are_retryable():
    assert {cls.__name__ for cls in CLASSES if cls.retryable} == {
        d.name for d in TREE if "(retryable)" in d.note
    }


@pytest.mark.parametrize("cls", CLASSES, ids=by_name)
def test_every_class_has_a_code_of_its_own(cls: type[AgentLabError]):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", cls.code)
    assert [other.__name__ for other in CLASSES if other.code == cls.code] == [cls.__name__]


@pytest.mark.parametrize("cls", CLASSES, ids=by_name)
def test_every_class_has_an_http_status_of_an_error(cls: type[AgentLabError]):
    assert type(cls.http_status) is int
    assert 400 <= cls.http_status <= 599


@pytest.mark.parametrize("cls", CLASSES, ids=by_name)
def test_every_class_has_an_exit_code_that_the_command_line_documents(cls: type[AgentLabError]):
    assert type(cls.exit_code) is int
    assert 1 <= cls.exit_code <= 5


@pytest.mark.parametrize(
    ("cls", "exit_code"),
    [
        (RunFailedError, 1),
        (UnknownNameError, 2),
        (ValidationError, 3),
        (InvalidFlowError, 3),
        (ConfigurationError, 4),
        (StorageError, 4),
        (ProviderError, 5),
        (ProviderTimeoutError, 5),
    ],
)
def test_exit_codes_say_what_the_documentation_says(cls: type[AgentLabError], exit_code: int):
    assert cls.exit_code == exit_code


def test_a_context_length_error_is_never_retried_although_it_is_a_provider_error():
    error = ContextLengthError("`tiny` takes 512 tokens.", provider="local", model="tiny")
    assert isinstance(error, ProviderError)
    assert not error.retryable


def test_an_error_carries_message_hint_and_a_copy_of_its_details():
    details = {"name": "x"}
    error = AgentLabError("`x` is wrong.", hint="agent-lab doctor", details=details)
    details["name"] = "changed"
    assert (str(error), error.message, error.hint) == (
        "`x` is wrong.",
        "`x` is wrong.",
        "agent-lab doctor",
    )
    assert error.details == {"name": "x"}


def test_an_error_without_hint_and_details_has_empty_ones():
    error = AgentLabError("`x` is wrong.")
    assert (error.hint, error.details) == ("", {})


def test_a_provider_error_says_who_failed_and_how_long_to_wait():
    error = ProviderError(
        "busy", provider="openai", model="m", status_code=429, retry_after=2.5, hint="h"
    )
    assert (error.provider, error.model, error.status_code, error.retry_after, error.hint) == (
        "openai",
        "m",
        429,
        2.5,
        "h",
    )


@pytest.mark.parametrize("cls", UNKNOWN_NAME_ERRORS, ids=by_name)
def test_an_unknown_name_lists_the_near_names_and_no_others(cls: type[UnknownNameError]):
    error = cls("chalenge", ["debate", "challenge", "single"], "agent-lab flows list")
    assert str(error) == f"Unknown {cls.kind} `chalenge`; did you mean `challenge`."
    assert error.hint == "agent-lab flows list"
    assert error.details == {
        "name": "chalenge",
        "near": ["challenge"],
        "known": ["challenge", "debate", "single"],
    }


@pytest.mark.parametrize("cls", UNKNOWN_NAME_ERRORS, ids=by_name)
def test_an_unknown_name_lists_all_names_when_none_is_near(cls: type[UnknownNameError]):
    error = cls("zzz", ["debate", "challenge"])
    assert str(error) == f"Unknown {cls.kind} `zzz`; known are `challenge`, `debate`."
    assert error.details["near"] == []


def test_an_unknown_name_says_so_when_there_are_no_names_at_all():
    assert str(UnknownNameError("zzz", [])) == "Unknown name `zzz`; known are none."


def test_an_invalid_flow_carries_every_fault_for_people_and_programs():
    error = InvalidFlowError("mine", ["Node `a` is wrong.", "Node `b` is wrong."])
    assert str(error) == "Flow `mine` cannot run: Node `a` is wrong. Node `b` is wrong."
    assert error.faults == ("Node `a` is wrong.", "Node `b` is wrong.")
    assert error.details == {"faults": ["Node `a` is wrong.", "Node `b` is wrong."]}
