"""Understands what a hub's API says of a model repository: `GET /api/models/OWNER/REPO/…`.

Cards are written by people, and mirrors leave fields out: what is missing, or of another kind than
it should be, counts as not said.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from agent_lab.providers.local.weights.gguf_choice import HubFile

_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_LICENCE = frozenset({"", "other", "unknown"})


class HubModel(NamedTuple):
    """A model repository at one commit."""

    commit: str
    gated: bool
    """Whether its files are only for those who accepted its conditions."""
    licence: str
    """Identifier or name; empty: not said."""
    base_model: str
    """The repository of the model that this one was made of; empty: not said."""
    chat_template: str
    """That of its GGUF files; empty: not said."""
    files: tuple[HubFile, ...]
    parameters: int = 0
    """Of its GGUF files; 0: not said."""


def read_hub_model(answer: bytes) -> HubModel:
    """Read the answer of the API.

    Raises:
        ValueError: It is not JSON, or not of a repository; the text says what it lacks.
    """
    said = _mapping(orjson.loads(answer))
    commit, siblings = _text(said.get("sha")), said.get("siblings")
    if not _COMMIT.fullmatch(commit) or not isinstance(siblings, list):
        raise ValueError("`sha` or `siblings` is missing")
    card = _mapping(said.get("cardData"))
    return HubModel(
        commit=commit,
        gated=bool(said.get("gated")),
        licence=_licence(card, said.get("tags")),
        base_model=_text(card.get("base_model")),
        chat_template=_text(_mapping(said.get("gguf")).get("chat_template")),
        files=tuple(_file(_mapping(sibling)) for sibling in siblings),
        parameters=_number(_mapping(said.get("gguf")).get("total")),
    )


def _file(said: Mapping[str, Any]) -> HubFile:
    large = _mapping(said.get("lfs"))
    # Older hubs call it `oid`, as Git's large file storage itself does.
    digest = _text(large.get("sha256")) or _text(large.get("oid")).removeprefix("sha256:")
    return HubFile(
        path=_text(said.get("rfilename")),
        bytes=_number(large.get("size")) or _number(said.get("size")),
        sha256=digest if _SHA256.fullmatch(digest) else "",
    )


def _licence(card: Mapping[str, Any], tags: object) -> str:
    tagged = [
        tag.removeprefix("license:")
        for tag in (tags if isinstance(tags, list) else ())
        if isinstance(tag, str) and tag.startswith("license:")
    ]
    # The name says more than `other`.
    said: Sequence[str] = (_text(card.get("license")), _text(card.get("license_name")), *tagged)
    return next((licence for licence in said if licence not in _NO_LICENCE), "")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """A text, or the first one of a list; empty: there is none."""
    texts = value if isinstance(value, list) else [value]
    return next((text for text in texts if isinstance(text, str)), "")


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
