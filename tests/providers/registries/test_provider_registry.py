"""Where models live is data: shipped entries, an operator's own, and rules for both."""

from pathlib import Path
from typing import Any

import pydantic
import pytest

from agent_lab.errors import ConfigurationError
from agent_lab.providers.registries.model_registry import ModelRegistry
from agent_lab.providers.registries.provider_registry import (
    ProviderEntry,
    ProviderRegistry,
    RateLimits,
    Timeouts,
    checked_base_url,
    is_loopback,
)

SHIPPED = ProviderRegistry.load()
REMOTE = {
    "openai": ("https://api.openai.com/v1", "OPENAI_API_KEY", "bearer"),
    "anthropic": ("https://api.anthropic.com", "ANTHROPIC_API_KEY", "x-api-key"),
}
SERVERS_HERE = ("vllm", "ollama", "llama-server", "lmstudio")
GROQ = (
    '[providers.groq]\napi = "openai"\nbase_url = "https://api.groq.com/openai/v1"\n'
    'api_key_env = "GROQ_API_KEY"\n'
)
MODEL = '[models.fast]\nprovider = "groq"\nmodel = "llama"\ncontext_window = 100\n'


@pytest.fixture
def operator_file(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def entry(**fields: Any) -> ProviderEntry:
    return ProviderEntry.model_validate({"name": "host", "api": "openai", **fields})


def test_the_shipped_providers_are_listed_in_file_order():
    names = [host.name for host in SHIPPED.all()]
    assert names == ["local", "openai", "anthropic", *SERVERS_HERE]


@pytest.mark.parametrize(("name", "reached"), REMOTE.items())
def test_a_shipped_remote_provider_has_its_address_key_and_prices_and_is_not_here(
    name: str, reached: tuple[str, str, str]
):
    host = SHIPPED.get(name)
    assert (host.base_url, host.api_key_env, host.auth) == reached
    assert host.prices == name
    assert host.stays_local is False
    assert host.base_url_env == f"{name.upper()}_BASE_URL"


@pytest.mark.parametrize("name", SERVERS_HERE)
def test_a_shipped_server_is_on_this_machine_can_be_moved_and_says_how_it_is_started(name: str):
    host = SHIPPED.get(name)
    assert is_loopback(host.base_url or "")
    assert host.stays_local is None
    assert host.base_url_env.endswith("_BASE_URL")
    assert host.start_hint


def test_anthropics_version_is_named_with_every_request():
    assert SHIPPED.get("anthropic").headers == {"anthropic-version": "2023-06-01"}


def test_every_shipped_model_lives_at_a_shipped_provider():
    names = {host.name for host in SHIPPED.all()}
    assert {model.provider for model in ModelRegistry.load().all()} <= names


def test_a_provider_without_an_entry_is_a_plugin_of_its_name():
    assert SHIPPED.get("mine") == ProviderEntry(name="mine", api="mine")
    assert ProviderRegistry().all() == []


def test_an_operators_host_is_one_entry_after_the_shipped_ones(operator_file):
    mine = ProviderRegistry.load(operator_file(GROQ))
    assert mine.all() == [*SHIPPED.all(), mine.get("groq")]
    assert mine.get("groq") == ProviderEntry(
        name="groq",
        api="openai",
        base_url="https://api.groq.com/openai/v1",
        api_key_env="GROQ_API_KEY",
    )


def test_one_file_may_hold_hosts_and_models(operator_file):
    path = operator_file(GROQ + MODEL)
    assert ProviderRegistry.load(path).get("groq").api == "openai"
    assert ModelRegistry.load(path).get("fast").provider == "groq"
    assert len(ProviderRegistry.load(path).all()) == len(SHIPPED.all()) + 1
    assert len(ModelRegistry.load(path).all()) == len(ModelRegistry.load().all()) + 1


def test_an_operators_fields_change_a_shipped_host_and_leave_its_other_fields(operator_file):
    path = operator_file(
        "[providers.openai]\nlimits = { requests_per_minute = 5 }\n"
        '[providers.anthropic]\nheaders = { anthropic-beta = "x" }\n'
    )
    mine = ProviderRegistry.load(path)
    limits = RateLimits(requests_per_minute=5)
    assert mine.get("openai") == SHIPPED.get("openai").model_copy(update={"limits": limits})
    assert mine.get("anthropic").headers == {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "x",
    }


@pytest.mark.parametrize("loader", [ProviderRegistry.load, ModelRegistry.load])
@pytest.mark.parametrize(
    "text",
    ["[provider.mine]\napi = 'openai'\n", "[host.a]\n" + GROQ, "provider = 3\n[models]\n"],
)
def test_an_unknown_table_is_named_with_those_that_there_may_be(operator_file, loader, text: str):
    path = operator_file(text)
    with pytest.raises(ConfigurationError) as caught:
        loader(path)
    unknown = "`host`" if "host" in text else "`provider`"
    assert f"it has {unknown}." in caught.value.message
    assert "`[providers.NAME]`, `[models.NAME]`" in caught.value.message
    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("text", "where", "field"),
    [
        ("[providers.mine]\n", "providers.mine", "api"),
        ("[providers.mine]\napi = 'Open AI'\n", "providers.mine", "api"),
        ("[providers.Mine]\napi = 'openai'\n", "providers.Mine", "name"),
        ("[providers.openai]\ncolour = 1\n", "providers.openai", "colour"),
        ("[providers.openai]\nauth = 'basic'\n", "providers.openai", "auth"),
        ("[providers.openai]\nbase_url = 'ftp://x'\n", "providers.openai", "base_url"),
        ("[providers.openai]\napi_key_env = 'SECRET'\n", "providers.openai", "api_key_env"),
        ("[providers.openai.limits]\nconcurrency = 0\n", "providers.openai", "limits.conc"),
        ("[providers.openai.timeouts]\nread_s = 1\n", "providers.openai", "timeouts.read_s"),
    ],
)
def test_a_wrong_field_is_an_error_that_names_entry_and_field_and_file(
    operator_file, text: str, where: str, field: str
):
    path = operator_file(text)
    with pytest.raises(ConfigurationError) as caught:
        ProviderRegistry.load(path)
    assert f"`{where}`" in caught.value.message
    assert f"`{field}" in caught.value.message
    assert str(path) in caught.value.hint


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
        ("http://127.0.0.1:8000/v1//", "http://127.0.0.1:8000/v1"),
        ("HTTPS://Host:443", "HTTPS://Host:443"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("http://10.0.0.7:8000", "http://10.0.0.7:8000"),
    ],
)
def test_a_good_address_is_taken_without_the_slash_at_its_end(url: str, checked: str):
    assert checked_base_url(url) == entry(base_url=url).base_url == checked


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "an address like"),
        ("api.openai.com/v1", "an address like"),
        ("/v1", "an address like"),
        ("ftp://host/v1", "an address like"),
        ("file:///etc/passwd", "an address like"),
        ("unix:///run/host.sock", "an address like"),
        ("https://", "an address like"),
        ("https:///v1", "an address like"),
        ("https://user@host/v1", "no user"),
        ("https://user:secret@host/v1", "no user"),
        ("https://:secret@host/v1", "no user"),
        ("https://host/v1?key=secret", "no user"),
        ("https://host/v1#part", "no user"),
        ("http://169.254.169.254/latest", "metadata"),
        ("http://169.254.0.1", "metadata"),
        ("http://metadata.google.internal/v1", "metadata"),
        ("http://METADATA.google.internal:80/v1", "metadata"),
        ("http://metadata.goog", "metadata"),
        ("http://[fe80::1]/v1", "metadata"),
        ("http://[fe80::1%25eth0]/v1", "metadata"),
        ("http://[febf::1]:8000/v1", "metadata"),
        ("http://[fd00:ec2::254]/", "metadata"),
    ],
)
def test_an_address_that_a_key_should_never_be_sent_to_is_refused(url: str, reason: str):
    with pytest.raises(pydantic.ValidationError, match=reason) as caught:
        entry(base_url=url)
    assert "secret" not in str(caught.value)


def test_an_address_that_cannot_be_read_is_refused():
    with pytest.raises(pydantic.ValidationError, match="base_url"):
        entry(base_url="http://[::1")


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:8000/v1", True),
        ("http://LOCALHOST", True),
        ("http://127.0.0.1", True),
        ("http://127.8.9.10:1/v1", True),
        ("http://[::1]:8000", True),
        ("https://api.openai.com/v1", False),
        ("http://10.0.0.7", False),
        ("http://192.168.0.2", False),
        ("http://0.0.0.0:8000", False),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://example.com/?localhost", False),
        ("http://example.com/127.0.0.1", False),
        ("", False),
    ],
)
def test_only_an_address_of_this_machine_is_one(url: str, here: bool):
    assert is_loopback(url) is here


@pytest.mark.parametrize("name", ["HOST_API_KEY", "HOST_TOKEN", "A_KEY", "K2_KEY"])
def test_the_variable_of_a_key_is_one_whose_value_is_never_shown(name: str):
    assert entry(api_key_env=name).api_key_env == name


@pytest.mark.parametrize(
    "name",
    ["", "HOST", "HOST_SECRET", "HOST_API_KEY_2", "KEY", "host_api_key", "HOST-KEY", "2_KEY"],
)
def test_another_variable_for_a_key_is_refused(name: str):
    with pytest.raises(pydantic.ValidationError, match="api_key_env"):
        entry(api_key_env=name)


@pytest.mark.parametrize("field", RateLimits.model_fields)
@pytest.mark.parametrize("value", [0, -1, 1.5, float("inf"), "many"])
def test_a_limit_is_a_whole_positive_number(field: str, value: object):
    assert entry(limits={field: 1}).limits == RateLimits.model_validate({field: 1})
    with pytest.raises(pydantic.ValidationError, match=f"limits.{field}"):
        entry(limits={field: value})


@pytest.mark.parametrize("field", Timeouts.model_fields)
@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), None])
def test_a_timeout_is_a_positive_finite_number_of_seconds(field: str, value: object):
    assert entry(timeouts={field: 0.5}).timeouts == Timeouts.model_validate({field: 0.5})
    with pytest.raises(pydantic.ValidationError, match=f"timeouts.{field}"):
        entry(timeouts={field: value})


def test_without_limits_a_host_takes_what_it_is_asked_and_is_not_waited_for_forever():
    host = entry()
    assert set(host.limits.model_dump().values()) == {None}
    assert all(0 < seconds < 600 for seconds in host.timeouts.model_dump().values())
