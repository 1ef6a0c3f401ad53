"""What a run is, as it was settled when it was started; nothing of it changes later."""

from datetime import datetime
from functools import cached_property
from typing import Any

import orjson
from pydantic import Field

from agent_lab.contracts import Contract, JsonObject, Language, RunRequest
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.storage.commits import Row
from agent_lab.storage.shared_texts import join_text, split_text
from agent_lab.storage.tables import microseconds

_APART = {"flow", "input", "lang", "seed"}
"""Fields of a request that a record shows by themselves."""


class Setting(Contract):
    """What was found out when the run was started, and must not come out otherwise later."""

    cast: tuple[JsonObject, ...] = ()
    """Each role with the model that is going to answer, and the one that was meant."""
    models: dict[str, str] = Field(default_factory=dict)
    """The model for each wish; the empty wish: none."""
    price_table: str = ""
    flows: dict[str, str] = Field(default_factory=dict)
    """The versions of the flows that its nodes run, by name."""


class RunHeader(Contract):
    """A run, before anything has happened in it."""

    id: str
    owner: str | None
    flow: str
    flow_version: str
    request: RunRequest
    lang: Language
    seed: int
    head: str
    """The beginning that every role's first message shares."""
    setting: Setting
    created_at: datetime

    @cached_property
    def options(self) -> JsonObject:
        """The request, without what a record shows by itself."""
        return self.request.model_dump(mode="json", exclude=_APART)

    def started(self) -> JsonObject:
        """The payload of its `RUN_STARTED`."""
        run = {
            "owner": self.owner,
            "flow": self.flow,
            "flow_version": self.flow_version,
            "input": self.request.input,
            "lang": self.lang,
            "seed": self.seed,
            "options": self.options,
            "price_table": self.setting.price_table,
        }
        return {"runId": self.id, "run": run, "cast": list(self.setting.cast)}

    def known_texts(self) -> dict[str, str]:
        """The texts that its prompts are going to hold, by name."""
        return {"input": self.request.input, "head": self.head}

    def to_row(self) -> Row:
        """What the table of runs keeps of it."""
        setting = self.setting.model_dump(mode="json", exclude_defaults=True)
        setting["head"] = split_text(self.head, {"input": self.request.input})
        return {
            "id": self.id,
            "flow": self.flow,
            "flow_version": self.flow_version,
            "owner": self.owner,
            "lang": self.lang,
            "seed": self.seed,
            "input": self.request.input,
            "options": self.request.model_dump_json(exclude_defaults=True, exclude=_APART),
            "setting": orjson.dumps(setting).decode(),
            "created_at": microseconds(self.created_at),
        }


def header_of(row: Any) -> RunHeader:
    """Read what `RunHeader.to_row` wrote."""
    fields = {"flow": row.flow, "input": row.input, "lang": row.lang, "seed": row.seed}
    setting = dict(row.setting)
    head = join_text(setting.pop("head"), {"input": row.input})
    return RunHeader(
        id=row.id,
        owner=row.owner,
        flow=row.flow,
        flow_version=row.flow_version,
        request=RunRequest.model_validate({**row.options, **fields}),
        lang=row.lang,
        seed=row.seed,
        head=head,
        setting=Setting.model_validate(setting),
        created_at=row.created_at,
    )


def flow_row(flow: FlowConfig) -> Row:
    """What the table of flow versions keeps of a flow."""
    definition = flow.model_dump(mode="json", exclude_defaults=True)
    return {
        "version": flow.version,
        "name": flow.name,
        "definition": orjson.dumps(definition).decode(),
    }
