import os
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent_lab.config import Settings, environment_keys, load_settings
from agent_lab.errors import ConfigurationError

FIRST_LAB_KEYS = {
    "APP_ENV": "app_env",
    "LOG_LEVEL": "log_level",
    "PORT": "port",
    "OPENAI_API_KEY": "openai_api_key",
    "ANTHROPIC_API_KEY": "anthropic_api_key",
    "DEFAULT_PROVIDER": "default_provider",
    "CIRCUIT_BREAKER_MAX_FAILURES": "circuit_breaker_max_failures",
    "CIRCUIT_BREAKER_TIMEOUT": "circuit_breaker_timeout",
    "DEFAULT_STRATEGY": "default_strategy",
    "MAX_TOKENS_DEFAULT": "max_tokens_default",
    "MODEL_CACHE_DIR": "model_cache_dir",
    "MAX_VRAM_USAGE_GB": "max_vram_usage_gb",
}
FIRST_LAB_VALUES = {
    "APP_ENV": ("prod", "prod"),
    "LOG_LEVEL": ("DEBUG", "DEBUG"),
    "PORT": ("8080", 8080),
    "OPENAI_API_KEY": ("sk-one", SecretStr("sk-one")),
    "ANTHROPIC_API_KEY": ("sk-two", SecretStr("sk-two")),
    "DEFAULT_PROVIDER": ("openai", "openai"),
    "CIRCUIT_BREAKER_MAX_FAILURES": ("7", 7),
    "CIRCUIT_BREAKER_TIMEOUT": ("12.5", 12.5),
    "DEFAULT_STRATEGY": ("greedy", "greedy"),
    "MAX_TOKENS_DEFAULT": ("77", 77),
    "MODEL_CACHE_DIR": ("/weights", Path("/weights")),
    "MAX_VRAM_USAGE_GB": ("6.5", 6.5),
}
OTHER_VALUES = {
    "APP_ENV": "dev",
    "LOG_LEVEL": "ERROR",
    "PORT": "9090",
    "OPENAI_API_KEY": "sk-other",
    "ANTHROPIC_API_KEY": "sk-another",
    "DEFAULT_PROVIDER": "anthropic",
    "CIRCUIT_BREAKER_MAX_FAILURES": "9",
    "CIRCUIT_BREAKER_TIMEOUT": "99",
    "DEFAULT_STRATEGY": "precise",
    "MAX_TOKENS_DEFAULT": "11",
    "MODEL_CACHE_DIR": "/other",
    "MAX_VRAM_USAGE_GB": "2",
}


@pytest.fixture(autouse=True)
def _bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of ours is set, and every folder that settings look into is an empty one."""
    fields = {name.upper() for name in Settings.model_fields}
    ours = fields | set(FIRST_LAB_KEYS)
    for name in list(os.environ):
        if name.upper() in ours or name.upper().startswith(("AGENT_LAB_", "HF_", "XDG_")):
            monkeypatch.delenv(name)
    for folder in ("here", "user"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Write a key into one of the places that settings are read from."""

    def put(place: str, key: str, value: str) -> None:
        if place == "environment":
            monkeypatch.setenv(key, value)
            return
        path, line = {
            ".env": (tmp_path / "here" / ".env", f"{key}={value}\n"),
            "lab.toml": (tmp_path / "here" / "lab.toml", f'{key} = "{value}"\n'),
            "user's lab.toml": (
                tmp_path / "config" / "ai-agent-lab" / "lab.toml",
                f'{key} = "{value}"\n',
            ),
        }[place]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line, encoding="utf-8")

    return put


@pytest.mark.parametrize("key", FIRST_LAB_KEYS)
@pytest.mark.parametrize("prefix", ["", "AGENT_LAB_"])
def test_a_first_lab_key_is_read_with_and_without_our_prefix(
    monkeypatch: pytest.MonkeyPatch, prefix: str, key: str
):
    text, value = FIRST_LAB_VALUES[key]
    monkeypatch.setenv(prefix + key, text)
    assert getattr(load_settings(), FIRST_LAB_KEYS[key]) == value


@pytest.mark.parametrize("key", FIRST_LAB_KEYS)
def test_the_prefixed_key_wins_over_the_bare_one(monkeypatch: pytest.MonkeyPatch, key: str):
    text, value = FIRST_LAB_VALUES[key]
    monkeypatch.setenv(key, OTHER_VALUES[key])
    monkeypatch.setenv(f"AGENT_LAB_{key}", text)
    assert getattr(load_settings(), FIRST_LAB_KEYS[key]) == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("HOME", "/home/somebody"),
        ("HOST", "somebody's"),
        ("SHUTDOWN_GRACE_S", "5"),
        ("WARM_MODELS", "somebody's"),
        ("DEFAULT_MODEL", "somebody's"),
        ("LOCAL_CONTEXT", "4096"),
        ("LOCAL_THREADS", "3"),
        ("OUTPUTS_DIR", "/somebody's"),
        ("MODELS_FILE", "/somebody's"),
        ("STRATEGIES_FILE", "/somebody's"),
        ("OFFLINE", "true"),
    ],
)
def test_a_key_that_the_first_lab_did_not_have_is_read_with_the_prefix_only(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str
):
    default = Settings.model_fields[key.lower()].default
    monkeypatch.setenv(key, value)
    assert getattr(load_settings(), key.lower()) == default
    monkeypatch.setenv(f"AGENT_LAB_{key}", value)
    assert getattr(load_settings(), key.lower()) != default


def test_every_setting_names_its_environment_keys_and_the_usual_one_last():
    keys = {name: environment_keys(field) for name, field in Settings.model_fields.items()}
    assert keys["local_context"] == ["AGENT_LAB_LOCAL_CONTEXT"]
    assert keys["log_level"] == ["AGENT_LAB_LOG_LEVEL", "LOG_LEVEL"]
    assert keys["hf_token"] == ["HF_TOKEN"]


def test_every_environment_key_is_its_settings_name_but_for_the_prefix():
    for name, field in Settings.model_fields.items():
        for key in environment_keys(field):
            assert key.removeprefix("AGENT_LAB_") == name.upper()


def test_every_setting_is_described():
    assert [n for n, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    "key",
    [
        "HF_TOKEN",
        "AGENT_LAB_HOME",
        "MODEL_CACHE_DIR",
        "AGENT_LAB_MODEL_CACHE_DIR",
        "AGENT_LAB_OUTPUTS_DIR",
        "AGENT_LAB_MODELS_FILE",
        "AGENT_LAB_STRATEGIES_FILE",
        "AGENT_LAB_DEFAULT_MODEL",
        "AGENT_LAB_WARM_MODELS",
        "PORT",
        "DEFAULT_STRATEGY",
        "MAX_TOKENS_DEFAULT",
    ],
)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_an_empty_value_is_an_absent_one(put, place: str, key: str):
    name = key.removeprefix("AGENT_LAB_").lower()
    put(place, key, "")
    assert getattr(load_settings(), name) == Settings.model_fields[name].default


PLACES = ["argument", "environment", ".env", "lab.toml", "user's lab.toml"]
SPELLINGS = {
    "argument": ["default_strategy"],
    "environment": ["DEFAULT_STRATEGY", "AGENT_LAB_DEFAULT_STRATEGY"],
    ".env": ["DEFAULT_STRATEGY", "AGENT_LAB_DEFAULT_STRATEGY"],
    "lab.toml": ["default_strategy"],
    "user's lab.toml": ["default_strategy"],
}


def load_with(put: Callable[[str, str, str], None], values: dict[tuple[str, str], str]) -> Settings:
    overrides: dict[str, Any] = {}
    for (place, key), value in values.items():
        if place == "argument":
            overrides[key] = value
        else:
            put(place, key, value)
    return load_settings(**overrides)


@pytest.mark.parametrize(
    ("higher", "lower"),
    [
        ((upper, first), (below, second))
        for upper, below in combinations(PLACES, 2)
        for first in SPELLINGS[upper]
        for second in SPELLINGS[below]
    ],
    ids=lambda place: f"{place[0]}:{place[1]}",
)
def test_the_higher_place_wins_however_both_spell_the_key(
    put, higher: tuple[str, str], lower: tuple[str, str]
):
    settings = load_with(put, {higher: "wanted", lower: "unwanted"})
    assert settings.default_strategy == "wanted"


@pytest.mark.parametrize("place", PLACES)
def test_every_place_alone_wins_over_the_default(put, place: str):
    settings = load_with(put, {(place, SPELLINGS[place][0]): "wanted"})
    assert settings.default_strategy == "wanted"


def test_places_are_mixed_key_by_key(put):
    put("environment", "LOG_LEVEL", "ERROR")
    put(".env", "APP_ENV", "prod")
    put("lab.toml", "default_model", "here")
    put("user's lab.toml", "local_threads", "3")
    settings = load_settings(default_strategy="greedy")
    assert (settings.log_level, settings.app_env, settings.default_model) == (
        "ERROR",
        "prod",
        "here",
    )
    assert (settings.local_threads, settings.default_strategy) == (3, "greedy")


@pytest.mark.parametrize(
    ("value", "names"), [("a, b", ("a", "b")), ("a", ("a",)), (" a ,, b,", ("a", "b"))]
)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_list_of_names_has_commas_between_them(
    put, place: str, value: str, names: tuple[str, ...]
):
    put(place, "AGENT_LAB_WARM_MODELS", value)
    assert load_settings().warm_models == names


def test_a_list_of_names_can_be_one_of_toml():
    Path("lab.toml").write_text('warm_models = ["a", "b"]\n', encoding="utf-8")
    assert load_settings().warm_models == ("a", "b")


def test_an_argument_that_is_none_expresses_no_wish(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEFAULT_STRATEGY", "greedy")
    assert load_settings(default_strategy=None).default_strategy == "greedy"


def test_without_any_key_the_lab_works_on_its_own(tmp_path: Path):
    settings = load_settings()
    assert (settings.app_env, settings.log_level, settings.offline) == ("dev", "WARNING", False)
    assert settings.outputs_dir == Path("outputs")
    assert settings.home_folder == tmp_path / "user/.local/share/ai-agent-lab"
    assert settings.weights_folder == tmp_path / "user/.cache/ai-agent-lab/models"


def test_the_users_folders_follow_the_xdg_variables(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    settings = load_settings()
    assert settings.home_folder == Path("/data/ai-agent-lab")
    assert settings.weights_folder == Path("/cache/ai-agent-lab/models")


def test_a_users_folder_whose_xdg_variable_is_empty_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert load_settings().weights_folder == tmp_path / "user/.cache/ai-agent-lab/models"


def test_a_relative_weights_folder_is_taken_from_the_labs_home(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AGENT_LAB_HOME", "/srv/lab")
    monkeypatch.setenv("MODEL_CACHE_DIR", "models/weights")
    assert load_settings().weights_folder == Path("/srv/lab/models/weights")


def test_a_relative_weights_folder_is_taken_from_the_default_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MODEL_CACHE_DIR", "./models")
    expected = tmp_path / "user/.local/share/ai-agent-lab/models"
    assert load_settings().weights_folder == expected


def test_an_absolute_weights_folder_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AGENT_LAB_HOME", "/srv/lab")
    monkeypatch.setenv("MODEL_CACHE_DIR", "/weights")
    assert load_settings().weights_folder == Path("/weights")


@pytest.mark.parametrize("key", ["AGENT_LAB_HOME", "MODEL_CACHE_DIR"])
def test_a_tilde_is_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str):
    monkeypatch.setenv(key, "~/lab")
    assert load_settings().weights_folder.is_relative_to(tmp_path / "user")
    assert "~" not in str(load_settings().home_folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("LOG_LEVEL", "LOUD"),
        ("APP_ENV", "staging"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("MAX_TOKENS_DEFAULT", "0"),
        ("MAX_TOKENS_DEFAULT", "many"),
        ("AGENT_LAB_LOCAL_CONTEXT", "255"),
        ("AGENT_LAB_LOCAL_THREADS", "-1"),
        ("AGENT_LAB_OFFLINE", "perhaps"),
    ],
)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_wrong_value_is_a_configuration_error_that_names_the_key(
    put, place: str, key: str, value: str
):
    put(place, key, value)
    with pytest.raises(ConfigurationError, match=f"`(AGENT_LAB_)?{key}`"):
        load_settings()


def test_every_wrong_key_is_named_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    monkeypatch.setenv("AGENT_LAB_LOCAL_THREADS", "-1")
    with pytest.raises(ConfigurationError, match=r"LOG_LEVEL`.*AGENT_LAB_LOCAL_THREADS`"):
        load_settings()


def test_a_wrong_argument_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="`(AGENT_LAB_LOG_LEVEL|log_level)`"):
        load_settings(log_level="LOUD")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lab.toml", b"log_level = = 3"),
        ("lab.toml", b'log_level = "\xff"'),
        (".env", b"LOG_LEVEL=\xff"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_configuration_error_that_names_it(
    name: str, content: bytes
):
    Path(name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=name):
        load_settings()


def test_settings_cannot_be_changed():
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.offline = True  # type: ignore[misc]


def test_no_secret_shows_in_any_printed_form_of_the_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "canary-8f31")
    settings = load_settings()
    forms = (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json())
    assert [form for form in forms if "canary-8f31" in form] == []


def test_no_value_shows_in_the_error_about_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "canary-8f31")
    monkeypatch.setenv("LOG_LEVEL", "canary-2a70")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "canary" not in f"{caught.value} {caught.value.__cause__}"


def test_every_secret_is_given_to_the_redactor(monkeypatch: pytest.MonkeyPatch):
    values = {}
    for name, field in Settings.model_fields.items():
        if "SecretStr" in str(field.annotation):
            values[name] = f"canary-{name}"
            monkeypatch.setenv(environment_keys(field)[0], values[name])
    settings = load_settings()
    assert isinstance(settings.hf_token, SecretStr)
    assert set(settings.secrets()) == set(values.values())


def test_without_a_secret_the_redactor_is_given_none():
    assert load_settings().secrets() == []
