"""Where a flow comes from: a shipped one by its name, any other from a JSON file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from agent_lab.errors import InvalidRequestError

if TYPE_CHECKING:
    from agent_lab.contracts import JsonObject
    from agent_lab.flows.graph_configs import FlowConfig

SUFFIX = ".json"
_HINT = "agent-lab flows schema"


class Source(NamedTuple):
    """A flow, or what should be one."""

    label: str
    """As it was asked for."""
    content: "FlowConfig | JsonObject"
    """A file's content is not checked yet."""

    @property
    def is_file(self) -> bool:
        """Whether it is none of the shipped flows."""
        return isinstance(self.content, dict)

    def flow(self) -> "FlowConfig":
        """Read the flow.

        Raises:
            InvalidFlowError: It is none; every fault is named.
        """
        from agent_lab.flows.flow_validator import read_flow

        return read_flow(self.content) if isinstance(self.content, dict) else self.content


def read_source(name: str) -> Source:
    """Find a flow: a file, if there is one of this name or it ends in `.json`.

    Raises:
        UnknownFlowError: No shipped flow has this name.
        InvalidRequestError: The file cannot be read, or holds no JSON object.
    """
    from agent_lab.flows.graph_configs import get_flow_config

    path = Path(name)
    if name.endswith(SUFFIX) or (path.exists() and not path.is_dir()):
        return Source(name, _read_object(path))
    return Source(name, get_flow_config(name))


def read_sources(names: Sequence[str] | None) -> list[Source]:
    """As `read_source`, for several; none: every shipped flow."""
    from agent_lab.flows.graph_configs import list_available_flows

    return [read_source(name) for name in names or list_available_flows()]


def _read_object(path: Path) -> "JsonObject":
    try:
        content = json.loads(path.read_text("utf-8"), object_pairs_hook=_without_doubles)
    except OSError as error:
        _refuse(path, f"cannot be read: {(error.strerror or str(error)).lower()}")
    except UnicodeDecodeError:
        _refuse(path, "cannot be read: it is not UTF-8 text")
    except json.JSONDecodeError as error:
        _refuse(path, f"is no JSON: line {error.lineno}, column {error.colno}: {error.msg}")
    except RecursionError:
        _refuse(path, "cannot be read: it is nested too deeply")
    except KeyError as error:
        _refuse(path, f"has the field `{error.args[0]}` twice in one object")
    if not isinstance(content, dict):
        _refuse(path, f"holds no JSON object but {_kind(content)}")
    return content


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON would keep the last one, and lose the others without a word."""
    found = dict[str, Any]()
    for name, value in pairs:
        if name in found:
            raise KeyError(name)
        found[name] = value
    return found


def _refuse(path: Path, reason: str) -> NoReturn:
    raise InvalidRequestError(f"The flow file `{path}` {reason}.", hint=_HINT) from None


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")
