"""Says what it means when a hub refuses, and what to do about it."""

from typing import TYPE_CHECKING, NamedTuple

from agent_lab.errors import (
    AgentLabError,
    ConfigurationError,
    ProviderAuthError,
    ProviderError,
    ProviderRateLimitError,
    ProviderUnavailableError,
)
from agent_lab.providers.local.weights.hub import HubSource

if TYPE_CHECKING:
    from aiohttp import ClientResponse


class _Refusal(NamedTuple):
    """How an answer that is an error is said; `{name}` and `{source}` are filled in."""

    kind: type[AgentLabError]
    said: str
    hint: str


_TOKEN_HINT = "Set HF_TOKEN to a token that may read `{name}`"  # noqa: S105
_NO_REPOSITORY = _Refusal(
    ConfigurationError,
    "there is no repository `{name}`, or it is private",
    "Correct the name; of a private repository: " + _TOKEN_HINT,
)
# By the hub's own code, which says more than the status: who has no token hears 401 for a
# repository that does not exist.
_REFUSALS = {
    "GatedRepo": _Refusal(
        ProviderAuthError,
        "`{name}` is gated: its files are for those who accepted its conditions",
        "Accept the conditions on the page of `{name}`, and set HF_TOKEN to a token of the "
        "account that did",
    ),
    "RepoNotFound": _NO_REPOSITORY,
    "RevisionNotFound": _Refusal(
        ConfigurationError,
        "`{name}` has no revision `{source.revision}`",
        "Name a branch, tag or commit after `@`, or none: then it is `main`",
    ),
    "EntryNotFound": _Refusal(
        ConfigurationError,
        "`{name}` has no file `{source.file}`",
        "Name another file after `#`, or none: then one is chosen",
    ),
    "401": _Refusal(ProviderAuthError, "`{name}` wants a token that may read it", _TOKEN_HINT),
    "403": _Refusal(ProviderAuthError, "`{name}` wants a token that may read it", _TOKEN_HINT),
    "404": _NO_REPOSITORY,
    "429": _Refusal(ProviderRateLimitError, "it takes no more requests for now", "Try again later"),
}
_OTHER_REFUSAL = _Refusal(
    ProviderUnavailableError, "it cannot answer", "Try again later, or set HF_ENDPOINT to a mirror"
)


def check_status(answer: "ClientResponse", source: HubSource) -> None:
    """Go on only if the hub gives what it was asked for.

    Raises:
        ConfigurationError: There is no such repository, revision or file.
        ProviderAuthError: It wants a token, or the conditions accepted.
        ProviderRateLimitError: It takes no more requests for now.
        ProviderUnavailableError: It cannot answer.
    """
    if answer.status in (200, 206):
        return
    name, status = f"{source.owner}/{source.repo}", answer.status
    by_status = _REFUSALS.get(str(status), _OTHER_REFUSAL)
    refusal = _REFUSALS.get(answer.headers.get("X-Error-Code", ""), by_status)
    said = refusal.said.format(name=name, source=source)
    message = f"`{answer.url.host}` answered HTTP {status}: {said}."
    hint = refusal.hint.format(name=name)
    if issubclass(refusal.kind, ProviderError):
        raise refusal.kind(message, provider="weights", status_code=status, hint=hint)
    raise refusal.kind(message, hint=hint, details={"repository": name})
