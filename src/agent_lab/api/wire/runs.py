"""Runs: how they are asked for, and which of them a list shows."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
)
from pydantic_core import PydanticCustomError

from agent_lab.api.wire.examples import RUN
from agent_lab.api.wire.names import FlowName, Prompt
from agent_lab.api.wire.wishes import Wishes
from agent_lab.contracts import (
    Contract,
    JsonObject,
    RunRecord,
    RunRequest,
    RunStatus,
)
from agent_lab.storage.run_queries import RunFilter

MOST_LISTED = 200
"""Runs of one page."""
RUN_ID = r"^[0-9A-HJKMNP-TV-Z]{26}$"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)
_NAME = r"^[^\x00]{1,200}$"  # a NUL is in no name, and Postgres cannot even be asked for it


class StartRequest(Wishes):
    """What is asked of a new run. Only `flow` and `input` are required; unknown fields are refused.

    But for `background`, the fields are those of Python's `RunRequest` and of `agent-lab run`.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [RUN]})

    flow: FlowName
    input: Prompt
    background: StrictBool = False
    """Answer at once, and go on without the caller, in another process if this one dies. Else the
    answer comes with the run's end, and the caller's leaving stops it.
    """

    def to_run_request(self) -> RunRequest:
        """What the lab is asked to run."""
        return RunRequest.parse({name: getattr(self, name) for name in RunRequest.model_fields})


class AnswerRequest(Contract):
    """What a person says for whom a run waits."""

    text: Prompt
    turn: str | None = Field(None, examples=["review:0:0"])
    """Which turn it is, where several are awaited: `path:visit:retry`."""


def _written(value: Any) -> Any:
    """Numbers stand for moments nowhere else in this API."""
    if isinstance(value, str) and not _MOMENT.match(value):
        raise PydanticCustomError("moment", "this is no time such as 2026-11-24T09:30:00Z")
    return value


def _in_range(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("moment", "this is in no year from 1 to 9999, UTC") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_in_range)]
"""A point in time with its zone."""


class ListQuery(Contract):
    """Which runs are listed; what is left out is no condition."""

    status: RunStatus | None = None
    flow: Annotated[str, Field(pattern=_NAME)] | None = None
    owner: Annotated[str, Field(pattern=_NAME)] | None = None
    since: Moment | None = None
    """Begun at that time, or later."""
    until: Moment | None = None
    """Begun before."""
    after: Annotated[str, Field(pattern=RUN_ID)] | None = None
    """`next` of the page before."""
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 50
    """Runs of a page."""

    def to_filter(self) -> RunFilter:
        """The conditions."""
        return RunFilter(self.status, self.flow, self.owner, self.since, self.until)


def accepted(description: str) -> JsonObject:
    """How the answer is described that a run goes on without its caller."""
    location = {"description": "Path of the run.", "schema": {"type": "string"}}
    return {"model": RunRecord, "description": description, "headers": {"Location": location}}
