"""Where models live: the `[providers]` of `models.toml`, the operator's merged over them."""

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from agent_lab.config import SECRET_SUFFIXES
from agent_lab.contracts import Contract
from agent_lab.errors import UnknownProviderError
from agent_lab.plugins import NAME as PLUGIN_NAME
from agent_lab.providers.registries.registry_file import MODEL_FILE_TABLES, load_entries

_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?", re.IGNORECASE)
_METADATA_HOSTS = {"metadata.google.internal", "metadata.goog", "instance-data"}


def checked_base_url(url: str) -> str:
    """Refuse an address that a key should never be sent to; take a slash off its end.

    Raises:
        PydanticCustomError: It is not http(s), carries a password, or is a cloud's metadata.
    """
    if not _URL.fullmatch(url):
        raise PydanticCustomError(
            "base_url",
            "an address like `https://host/v1` is needed, with no user, password, query or "
            "fragment",
        )
    try:
        host, _ = urlsplit(url).hostname or "", urlsplit(url).port
    except ValueError:
        raise PydanticCustomError("base_url", "host or port cannot be") from None
    if host.rstrip(".") in _METADATA_HOSTS or _is_link_local(host.rstrip(".")):
        raise PydanticCustomError("base_url", "this address is the machine's own metadata")
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether an address is one of this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_link_local(host: str) -> bool:
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            # 2852039166 and 0xA9FEA9FE are addresses, too, for those who connect.
            address = ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, UnicodeEncodeError):
            return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_link_local) or str(address) == "fd00:ec2::254"


def _secret_name(name: str) -> str:
    if not name.endswith(SECRET_SUFFIXES):
        raise PydanticCustomError(
            "secret_name", "the name must end with _KEY or _TOKEN: such values are never shown"
        )
    return name


BaseUrl = Annotated[str, AfterValidator(checked_base_url)]
SecretName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$"), AfterValidator(_secret_name)]


class RateLimits(Contract):
    """What may be asked of a provider; None: as much as it takes."""

    requests_per_minute: int | None = Field(None, gt=0)
    tokens_per_minute: int | None = Field(None, gt=0)
    """Of prompts and answers together."""
    concurrency: int | None = Field(None, gt=0)
    """Calls at a time."""


class Timeouts(Contract):
    """How long a provider may be silent, in seconds; the whole call is bounded by its strategy."""

    connect_s: float = Field(10.0, gt=0)
    first_token_s: float = Field(300.0, gt=0)
    """From the request to the first piece of a stream, or to an answer that comes at once."""
    between_tokens_s: float = Field(60.0, gt=0)
    """From one piece of a stream to the next; keep-alive comments do not count."""


class ProviderEntry(Contract):
    """One provider: how it is reached, and what it takes."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    api: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """The code that speaks with it: `local`, `scripted`, `openai`, `anthropic`, or a plugin's."""
    base_url: BaseUrl | None = None
    """`https://HOST/v1` for `openai`, `https://HOST` for `anthropic`."""
    base_url_env: str = Field("", pattern=r"^([A-Z][A-Z0-9_]*)?$")
    """The variable that moves it elsewhere."""
    api_key_env: SecretName | None = None
    """The variable that holds its key; a host on this machine may do without one."""
    auth: Literal["bearer", "x-api-key"] = "bearer"
    """The header that carries the key."""
    headers: Mapping[str, str] = {}
    """Further headers of every request."""
    stays_local: bool | None = None
    """Whether its text stays on this machine; None: if its address is one of this machine."""
    unsupported_params: tuple[str, ...] = ()
    """Request parameters that none of its models takes; they are dropped and listed."""
    renamed_params: Mapping[str, str] = {}
    """Request parameters that it knows by another name."""
    limits: RateLimits = RateLimits()
    timeouts: Timeouts = Timeouts()
    prices: str = ""
    """Its name in the price table of `genai-prices`; empty: its models have no known price."""
    start_hint: str = ""
    """What to do when nothing answers."""


class ProviderRegistry:
    """Provider entries by name.

    Args:
        entries: The entries, in the order in which they are listed.
    """

    def __init__(self, entries: Iterable[ProviderEntry] = ()) -> None:
        self._entries = {entry.name: entry for entry in entries}

    @classmethod
    def load(cls, operator_file: Path | None = None) -> Self:
        """Load the shipped entries with the operator's file merged over them."""
        entries = load_entries(
            "models.toml", operator_file, MODEL_FILE_TABLES, "providers", "name", ProviderEntry
        )
        return cls(entries.values())

    def get(self, name: str) -> ProviderEntry:
        """Return the entry of `name`; a provider without one is a plugin that needs none.

        Raises:
            UnknownProviderError: There is none, and no plugin could be called so.
        """
        if name not in self._entries and not PLUGIN_NAME.fullmatch(name):
            raise UnknownProviderError(name, list(self._entries), "agent-lab models list")
        return self._entries.get(name) or ProviderEntry(name=name, api=name)

    def names(self) -> list[str]:
        """The names that have an entry, in file order."""
        return list(self._entries)

    def all(self) -> list[ProviderEntry]:
        """Every entry, in file order."""
        return list(self._entries.values())
