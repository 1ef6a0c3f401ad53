"""Settings: one field for each environment key.

Every key is read with the prefix `AGENT_LAB_`; the keys that the first lab had are also read
without it. Order: what a caller passes, environment, `.env`, `lab.toml` here, `lab.toml` in the
user's configuration folder, default. Settings are read at the edge and handed on as arguments.
"""

import os
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from dotenv import dotenv_values
from pydantic import AliasChoices, BeforeValidator, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from typing_extensions import override

from agent_lab.contracts import field_problems
from agent_lab.errors import ConfigurationError


def _key(name: str, default: Any, description: str, **limits: Any) -> Any:
    """A field read from AGENT_LAB_NAME only."""
    return Field(default, validation_alias=f"AGENT_LAB_{name}", description=description, **limits)


def _first_lab_key(name: str, default: Any, description: str, **limits: Any) -> Any:
    """A field read from AGENT_LAB_NAME, and from NAME as the first lab wrote it."""
    alias = AliasChoices(f"AGENT_LAB_{name}", name)
    return Field(default, validation_alias=alias, description=description, **limits)


def _user_folder(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "ai-agent-lab"


def _listed(value: Any) -> Any:
    """Names with commas between them, as environments write lists."""
    return [v.strip() for v in value.split(",") if v.strip()] if isinstance(value, str) else value


LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    BeforeValidator(lambda level: str(level).upper()),
]


SECRET_SUFFIXES = ("_KEY", "_TOKEN")
"""How the names of variables end whose values are never shown."""


def _absent(value: Any) -> Any:
    """`OPENAI_API_KEY=` in a file means that there is none."""
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    return value if plain and plain.strip() else None


_EMPTY_IS_ABSENT = BeforeValidator(_absent)


def _variables() -> dict[str, str]:
    """The environment, over what `.env` says."""
    try:
        return {**{k: v or "" for k, v in dotenv_values(".env").items()}, **os.environ}
    except UnicodeDecodeError:  # `load_settings` says so
        return dict(os.environ)


class _LabToml(TomlConfigSettingsSource):
    """A `lab.toml`; one that cannot be read is an error that names it."""

    @override
    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        try:
            return super()._read_file(file_path)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"The file `{file_path}` cannot be read: {error}.") from error


class Settings(BaseSettings):
    """What the operator decides. `Settings()` reads the environment; arguments override it."""

    model_config = SettingsConfigDict(
        # Without the prefix, a bare field name would be a key, too: $HOME would become our home.
        env_prefix="AGENT_LAB_",
        env_ignore_empty=True,
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    app_env: Literal["dev", "prod"] = _first_lab_key(
        "APP_ENV", "dev", "`dev`: text logs, `/docs` is served; `prod`: JSON logs, no `/docs`."
    )
    log_level: LogLevel = _first_lab_key(
        "LOG_LEVEL", "WARNING", "Least severity that is logged (to stderr)."
    )
    host: str = _key("HOST", "127.0.0.1", "Address of `agent-lab serve`; loopback only.")
    port: int = _first_lab_key(
        "PORT", 8001, "Port of `agent-lab serve`; 0: any free one.", ge=0, le=65535
    )
    shutdown_grace_s: float = _key(
        "SHUTDOWN_GRACE_S",
        30.0,
        "Seconds that a server on its way out gives to the work that is being done.",
        ge=0,
    )
    warm_models: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = _key(
        "WARM_MODELS", (), "Model keys, with commas between them, that a server loads at its start."
    )
    default_model: str | None = _key(
        "DEFAULT_MODEL",
        None,
        "Model key for roles that name none. Unset: the demo model if its weights are here, "
        "else the largest pulled local model.",
    )
    default_provider: str = _first_lab_key(
        "DEFAULT_PROVIDER",
        "local",
        "Whose model answers when nobody names one: `local`, or a provider of models.toml, whose "
        "first model it is. Unless it is remote, text leaves this machine only where a remote "
        "model was named.",
    )
    default_strategy: str | None = _first_lab_key(
        "DEFAULT_STRATEGY", None, "Strategy where nobody names one; unset: the model's own."
    )
    max_tokens_default: int | None = _first_lab_key(
        "MAX_TOKENS_DEFAULT",
        None,
        "Longest answer in tokens where nobody asks for another; unset: the strategy's.",
        gt=0,
    )
    local_context: int = _key(
        "LOCAL_CONTEXT",
        8192,
        "Tokens of prompt and answer that a loaded local model can hold; more takes more memory. "
        "Never above the model's own window.",
        ge=256,
    )
    local_slots: int = _key(
        "LOCAL_SLOTS",
        0,
        "Calls that one local model answers at the same time, if there is memory for so many; each "
        "takes a window of its own. 0: 4 on a GPU, else one for every 4 cores, at most 4: on few "
        "cores several at a time are no faster, and those who wait find the shared head computed.",
        ge=0,
        le=64,
    )
    local_idle_unload_s: float = _key(
        "LOCAL_IDLE_UNLOAD_S",
        300.0,
        "Seconds after which a local model that nobody uses is unloaded; 0: never. Those of "
        "AGENT_LAB_WARM_MODELS, and those that were loaded by hand, stay.",
        ge=0,
    )
    max_vram_usage_gb: float | None = _first_lab_key(
        "MAX_VRAM_USAGE_GB",
        None,
        "Memory in GB (10^9 bytes) that all local models together may take: of the GPUs, or of the "
        "main memory where the engine uses none. Unset: all that is free.",
        gt=0,
    )
    local_threads: int = _key(
        "LOCAL_THREADS", 0, "Processor threads of a local model; 0: the cores there are.", ge=0
    )
    openai_api_key: Annotated[SecretStr | None, _EMPTY_IS_ABSENT] = _first_lab_key(
        "OPENAI_API_KEY", None, "Key of the provider `openai`."
    )
    anthropic_api_key: Annotated[SecretStr | None, _EMPTY_IS_ABSENT] = _first_lab_key(
        "ANTHROPIC_API_KEY", None, "Key of the provider `anthropic`."
    )
    openai_base_url: str | None = _first_lab_key(
        "OPENAI_BASE_URL", None, "Another address for `openai`, `/v1` included."
    )
    anthropic_base_url: str | None = _first_lab_key(
        "ANTHROPIC_BASE_URL", None, "Another address for `anthropic`, without `/v1`."
    )
    circuit_breaker_max_failures: int = _first_lab_key(
        "CIRCUIT_BREAKER_MAX_FAILURES",
        3,
        "Failures in a row after which a provider, or a model of it, is left alone.",
        ge=1,
    )
    circuit_breaker_timeout: float = _first_lab_key(
        "CIRCUIT_BREAKER_TIMEOUT", 60.0, "Seconds for which it is left alone.", gt=0
    )
    circuit_breaker_error_rate: float = _key(
        "CIRCUIT_BREAKER_ERROR_RATE",
        0.5,
        "Share of failures among its last 20 calls, at least 10 of them within the timeout, at "
        "which it is left alone, too; 1 and more: never for this reason.",
        gt=0,
    )
    max_attempts: int = _key(
        "MAX_ATTEMPTS",
        3,
        "How often one model is asked for one answer, while what goes wrong may pass; 1: once.",
        ge=1,
        le=10,
    )
    cache_max_entries: int = _key(
        "CACHE_MAX_ENTRIES",
        10_000,
        "Answers that one process keeps, to give them again when the same is asked; 0: none.",
        ge=0,
    )
    cache_max_mb: float = _key(
        "CACHE_MAX_MB", 64.0, "Memory in MB (10^6 bytes) that they may take; 0: none is kept.", ge=0
    )
    cache_ttl_s: float = _key(
        "CACHE_TTL_S", 0.0, "Seconds after which an answer is asked for anew; 0: never.", ge=0
    )
    home: Path | None = _key(
        "HOME", None, "Folder of the lab's own data; unset: the user's data folder."
    )
    model_cache_dir: Path | None = _first_lab_key(
        "MODEL_CACHE_DIR",
        None,
        "Folder of the weights; a relative one is taken from AGENT_LAB_HOME; unset: the user's "
        "cache folder.",
    )
    database_url: Annotated[SecretStr | None, _EMPTY_IS_ABSENT] = _key(
        "DATABASE_URL",
        None,
        "Where runs are kept: `sqlite:////folder/lab.db`, or `postgresql://user:password@host/db` "
        "(needs the extra `postgres`, and `agent-lab db upgrade`); unset: `lab.db` in "
        "AGENT_LAB_HOME.",
    )
    max_runs: int = _key("MAX_RUNS", 100, "Runs that one process executes at the same time.", ge=1)
    max_waiting_runs: int = _key(
        "MAX_WAITING_RUNS",
        1000,
        "Runs that wait for their turn at the most; more are refused with 429.",
        ge=0,
    )
    run_lease_s: float = _key(
        "RUN_LEASE_S",
        15.0,
        "Seconds after which a process that says nothing counts as dead, and others go on with "
        "its runs.",
        ge=0.5,
    )
    outputs_dir: Path = _key("OUTPUTS_DIR", Path("outputs"), "Folder of the saved runs.")
    models_file: Path | None = _key(
        "MODELS_FILE",
        None,
        "Your own models.toml, merged over the shipped one; unset: `models.toml` in "
        "AGENT_LAB_HOME, if there is one.",
    )
    strategies_file: Path | None = _key(
        "STRATEGIES_FILE", None, "Your own strategies.toml, merged over the shipped one."
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="Where spans of calls go, by OTLP over HTTP; unset: there are none. Needs the "
        "extra `otel`.",
    )
    offline: bool = _key("OFFLINE", False, "Never look for weights on the network.")
    hf_endpoint: str = Field(
        "https://huggingface.co",
        validation_alias="HF_ENDPOINT",
        description="The model hub that `hf:` sources are fetched from.",
    )
    hf_token: SecretStr | None = Field(
        None, validation_alias="HF_TOKEN", description="Token for gated repositories of the hub."
    )

    @property
    def home_folder(self) -> Path:
        """Folder of the lab's own data."""
        if self.home is None:
            return _user_folder("XDG_DATA_HOME", ".local/share")
        return self.home.expanduser()

    @property
    def own_models_file(self) -> Path:
        """The operator's models.toml, or where it would be."""
        return self.models_file or self.home_folder / "models.toml"

    @property
    def operator_models(self) -> Path | None:
        """The operator's models.toml; None: there is none, and none was named."""
        named = self.models_file is not None
        return self.own_models_file if named or self.own_models_file.is_file() else None

    @property
    def database(self) -> str:
        """The URL of the database."""
        if self.database_url is None:
            return f"sqlite:///{self.home_folder.absolute() / 'lab.db'}"
        return self.database_url.get_secret_value()

    @property
    def weights_folder(self) -> Path:
        """Folder of the weights."""
        if self.model_cache_dir is None:
            return _user_folder("XDG_CACHE_HOME", ".cache") / "models"
        return self.home_folder / self.model_cache_dir.expanduser()

    def secrets(self) -> list[str]:
        """Every secret value, for the redactor: keys of providers that are only data, too."""
        values = (getattr(self, name) for name in type(self).model_fields)
        own = [v.get_secret_value() for v in values if isinstance(v, SecretStr)]
        return own + [v for name, v in _variables().items() if name.endswith(SECRET_SUFFIXES)]

    def variable(self, name: str) -> str | None:
        """The value of an environment key that a registry entry names; None: unset or empty.

        Args:
            name: One of our own keys, or any other; those are read from environment and `.env`.
        """
        for field_name, field in type(self).model_fields.items():
            if name in environment_keys(field):
                value = getattr(self, field_name)
                plain = value.get_secret_value() if isinstance(value, SecretStr) else value
                return str(plain) if plain else None
        return _variables().get(name) or None

    @override
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put `lab.toml` below `.env`; see the module's docstring for the order."""
        user_file = _user_folder("XDG_CONFIG_HOME", ".config") / "lab.toml"
        files = (_LabToml(settings_cls, path) for path in ("lab.toml", user_file))
        return (init_settings, env_settings, dotenv_settings, *files)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; None in `overrides` means that the caller has no wish.

    Raises:
        ConfigurationError: A key has a value that it cannot have.
    """
    try:
        return Settings(**{name: v for name, v in overrides.items() if v is not None})
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"The file `.env` is not UTF-8 text: {error.reason}.") from error
    except pydantic.ValidationError as error:
        raise ConfigurationError(
            f"The configuration is wrong: {field_problems(error)}.",
            hint="Correct the environment, `.env` or `lab.toml`; keys: .env.example.",
        ) from error


def environment_keys(field: FieldInfo) -> list[str]:
    """The environment keys of a settings field; the last one is the one that people know."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [str(choice) for choice in choices]
