"""What every caller of a flow can wish for, whatever the path is called."""

from typing import Literal

from pydantic import Field, JsonValue

from agent_lab.api.wire.names import InputName, ModelKey, RoleName, StrategyName
from agent_lab.contracts import (
    Attachment,
    Budget,
    CachePolicy,
    Contract,
    DataPolicy,
    Language,
    Seed,
    Temperature,
    TokenLimit,
)


class Wishes(Contract):
    """How a flow is to be run."""

    inputs: dict[InputName, JsonValue] = Field(default_factory=dict)
    """Values of the flow's named inputs, such as `rounds`; `GET /api/flows/{name}` lists them."""
    attachments: tuple[Attachment, ...] = ()
    """Documents that every role sees beside the question."""
    model: ModelKey | None = None
    """For every role that has no model of its own; None: the default model."""
    models: dict[RoleName, ModelKey] = Field(default_factory=dict)
    """Role to model key; overrides the flow."""
    strategy: StrategyName | None = None
    max_tokens: TokenLimit | None = None
    """Longest text of a turn, in tokens."""
    temperature: Temperature | None = None
    seed: Seed | None = None
    lang: Language | None = None
    """Language of the prompts; None: that of the question."""
    budget: Budget | None = None
    """What the run may cost; each call is checked before it is made."""
    data_policy: DataPolicy | None = None
    """`local`: no text may leave this machine; None: it may, if a remote model was named."""
    cache: CachePolicy = "default"
    """Whether stored answers will do; `default`: where a model is asked at temperature 0."""
    baseline: Literal["self_consistency"] | None = None
    """What the run is compared with: votes of its best single member, for as many tokens again."""
