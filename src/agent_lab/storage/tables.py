"""The tables. Times are microseconds since 1970, UTC; JSON is text, so both databases agree."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from typing_extensions import override

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ID = String(26)
_BIG = BigInteger().with_variant(Integer, "sqlite")


def microseconds(moment: datetime) -> int:
    """A point in time as the tables keep it."""
    return round(moment.timestamp() * 1e6)  # a float holds microseconds until the year 2255


class Moment(TypeDecorator[datetime]):
    """A point in time."""

    impl = BigInteger
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else microseconds(value)

    @override
    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


class Json(TypeDecorator[Any]):
    """JSON as text. What is written is text already: it is made before the commit's turn comes."""

    impl = Text
    cache_ok = True

    @override
    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else orjson.loads(value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

installation = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""What all processes that share this database must agree on."""

workers = Table(
    "workers",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("host", Text, nullable=False),
    Column("process", Text, nullable=False),
    Column("lease_until", Moment, nullable=False),
)
"""The processes that execute runs; one whose lease is over counts as dead."""

flow_versions = Table(
    "flow_versions",
    metadata,
    Column("version", String(16), primary_key=True),
    Column("name", Text, nullable=False),
    Column("definition", Json, nullable=False),
)
"""Every flow that was ever run, as it was then."""

runs = Table(
    "runs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("flow", Text, nullable=False),
    Column("flow_version", String(16), nullable=False),
    Column("status", Text, nullable=False),
    Column("owner", Text),  # whose run it is
    Column("worker", _ID),  # the process that executes it
    Column("epoch", Integer, nullable=False),  # the fence: grows with every new worker
    Column("detached", Boolean, nullable=False, server_default=false()),
    Column("cancel_asked", Boolean, nullable=False, server_default=false()),
    Column("idempotency_key", Text, unique=True),
    Column("request_digest", Text),
    Column("parent_run", _ID),
    Column("parent_seq", Integer),
    Column("lang", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("input", Text, nullable=False),
    Column("options", Json, nullable=False),
    Column("setting", Json, nullable=False),  # what was found out when it was started
    Column("output", Json),  # texts shared with the turns: see `shared_texts`
    Column("stop_reason", Text, nullable=False, server_default=""),
    Column("turn_count", Integer, nullable=False, server_default="0"),
    Column("tokens", BigInteger, nullable=False, server_default="0"),
    Column("cost_usd", Float),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Index(None, "status", "worker"),
    Index(None, "owner", "id"),
)

turns = Table(
    "turns",
    metadata,
    Column("id", _BIG, primary_key=True),
    Column("run_id", _ID, nullable=False),
    Column("path", Text, nullable=False),
    Column("visit", Integer, nullable=False),
    Column("retry", Integer, nullable=False),
    Column("node_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("sample", Integer, nullable=False),
    Column("status", Text, nullable=False),  # started, ok, failed
    Column("starts", Integer, nullable=False),  # how often it was asked
    Column("request_hash", String(64), nullable=False),
    Column("request", Json, nullable=False),
    Column("messages", Json, nullable=False),  # texts shared with other turns
    Column("seq", Integer),  # its end's place in the log
    Column("text", Text),
    Column("result", Json),
    Column("model_key", Text),
    Column("model_resolved", Text),
    Column("source", Text),
    Column("prompt_tokens", Integer),
    Column("cached_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("reasoning_tokens", Integer),
    Column("cost_usd", Float),
    Column("started_at", Moment, nullable=False),
    Column("seconds", Float),
    Column("from_run", _ID),
    UniqueConstraint("run_id", "path", "visit", "retry"),
)

run_events = Table(
    "run_events",
    metadata,
    Column("run_id", _ID, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("ts", Moment, nullable=False),
    Column("type", Text, nullable=False),
    Column("payload", Json, nullable=False),
    sqlite_with_rowid=False,
)
"""The log. Texts stand in `turns` and `runs` only; they are joined in when events are served."""
