import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.errors import (
    AgentLabError,
    ConfigurationError,
    InvalidRequestError,
    ProviderAuthError,
    ProviderRateLimitError,
    ProviderUnavailableError,
)
from agent_lab.providers.local.weights import hub_repository
from agent_lab.providers.local.weights.gguf_choice import HubFile
from agent_lab.providers.local.weights.hub import HubAccess, HubSource
from agent_lab.providers.local.weights.hub_model import read_hub_model
from agent_lab.providers.local.weights.hub_repository import (
    describe_repository,
    new_model,
    parse_spec,
)
from agent_lab.providers.local.weights.new_entry import RepositoryFacts
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from agent_lab.providers.registries.operator_file import add_entry
from tests.providers.local.gguf_files import gguf_bytes
from tests.providers.local.weights.hub_double import HubDouble

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILE = "Tiny-1B-Instruct-Q4_K_M.gguf"
CONTENT = gguf_bytes()
API = "/api/models/owner/Tiny-GGUF/revision/main?blobs=true"
RESOLVED = f"/owner/Tiny-GGUF/resolve/{COMMIT}/{FILE}"
NO_HUB = HubAccess("http://127.0.0.1:9")


def sibling(path: str, content: bytes = CONTENT) -> dict[str, Any]:
    digest, size = hashlib.sha256(content).hexdigest(), len(content)
    lfs = {"sha256": digest, "size": size, "pointerSize": 135}
    return {"rfilename": path, "blobId": "b" * 40, "size": size, "lfs": lfs}


def said(**changed: Any) -> dict[str, Any]:
    """What the hub's API answers."""
    return {
        "id": "owner/Tiny-GGUF",
        "sha": COMMIT,
        "gated": False,
        "tags": ["gguf", "en", "license:apache-2.0"],
        "cardData": {"license": "apache-2.0", "base_model": "owner/Tiny-1B-Instruct"},
        "gguf": {"total": 1, "architecture": "llama", "chat_template": "{{ messages }}"},
        "siblings": [{"rfilename": "README.md", "size": 9}, sibling(FILE)],
    } | changed


def serve(hub: HubDouble, **changed: Any) -> None:
    hub.files[API] = json.dumps(said(**changed)).encode()
    hub.files[RESOLVED] = CONTENT


async def describe(hub: HubDouble, spec: str = "hf:owner/Tiny-GGUF") -> RepositoryFacts:
    return await describe_repository(HubAccess(hub.address, "secret"), parse_spec(spec))


async def model_of(hub: HubDouble, spec: str = "hf:owner/Tiny-GGUF") -> ModelEntry:
    return await new_model(HubAccess(hub.address), spec, key=None, offline=False)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


# --- Which repository ---


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        ("hf:o/r", HubSource("o", "r", "main", "")),
        ("hf:o/r@v1.0", HubSource("o", "r", "v1.0", "")),
        ("hf:o/r#a/b.gguf", HubSource("o", "r", "main", "a/b.gguf")),
        ("hf:o/r@dev#b.gguf", HubSource("o", "r", "dev", "b.gguf")),
    ],
)
def test_spec_names_a_repository_and_maybe_revision_and_file(spec: str, source: HubSource) -> None:
    assert parse_spec(spec) == source


@given(st.one_of(st.text(), st.text().map("hf:{}".format), st.text().map("hf:o/r{}".format)))
def test_any_text_is_a_spec_or_an_invalid_request(spec: str) -> None:
    try:
        source = parse_spec(spec)
    except InvalidRequestError:
        return
    assert HubSource.parse(f"{source.owner}/{source.repo}@{source.revision}#x")


@pytest.mark.parametrize(
    "spec", ["", "o/r", "hf:o", "hf:o/r@", "hf:o/r#", "hf:../r", "hf:o/r#../x", "hf:o/r@a/b"]
)
def test_other_specs_are_refused_with_the_form(spec: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_spec(spec)
    assert f"`{spec}`" in caught.value.message
    assert "hf:OWNER/REPO[@REVISION][#FILE]" in caught.value.message


# --- What the hub says ---


def test_answer_of_an_older_hub_calls_the_digest_oid() -> None:
    siblings = [{"rfilename": FILE, "size": 134, "lfs": {"oid": "sha256:" + "c" * 64, "size": 7}}]
    model = read_hub_model(json.dumps(said(siblings=siblings)).encode())
    assert model.files == (HubFile(FILE, 7, "c" * 64),)


@pytest.mark.parametrize(
    ("card", "tags", "licence"),
    [
        ({"license": "mit"}, ["license:apache-2.0"], "mit"),
        ({"license": "other", "license_name": "gemma-terms"}, ["license:other"], "gemma-terms"),
        ({"license": ["mit", "bsd"]}, [], "mit"),
        ({"license": False}, ["en", "license:llama3.2"], "llama3.2"),
        (None, ["license:apache-2.0", None], "apache-2.0"),
        ({"license": "other"}, None, ""),
    ],
)
def test_licence_is_the_cards_or_the_tags(card: Any, tags: Any, licence: str) -> None:
    model = read_hub_model(json.dumps(said(cardData=card, tags=tags)).encode())
    assert model.licence == licence


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys((*said(), "author"), JSON)))
def test_card_of_any_kind_is_read_or_refused(changed: dict[str, Any]) -> None:
    try:
        model = read_hub_model(json.dumps(said(**changed)).encode())
    except ValueError:
        assert {"sha", "siblings"} & set(changed)
        return
    assert all(isinstance(file.bytes, int) for file in model.files)


# --- Asking ---


async def test_repository_is_described_at_its_commit() -> None:
    async with HubDouble() as hub:
        serve(hub)
        facts = await describe(hub)
    assert str(facts.source) == f"hf:owner/Tiny-GGUF@{COMMIT}#{FILE}"
    assert facts.file == HubFile(FILE, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert facts.header.context_length == 512
    assert facts.model.base_model == "owner/Tiny-1B-Instruct"
    assert [request.target for request in hub.requests] == [API, RESOLVED]
    assert hub.requests[1].headers["range"] == f"bytes=0-{len(CONTENT) - 1}"
    assert {r.headers["authorization"] for r in hub.requests} == {"Bearer secret"}


async def test_revision_and_file_of_the_spec_are_asked_for() -> None:
    other = "sub/other-F16.gguf"
    async with HubDouble() as hub:
        answer = json.dumps(said(siblings=[sibling(FILE), sibling(other)])).encode()
        hub.files[API.replace("main", "v2")] = answer
        hub.files[RESOLVED.replace(FILE, other)] = CONTENT
        facts = await describe(hub, f"hf:owner/Tiny-GGUF@v2#{other}")
    assert str(facts.source) == f"hf:owner/Tiny-GGUF@{COMMIT}#{other}"


async def test_token_goes_to_no_other_host() -> None:
    async with HubDouble() as hub, HubDouble() as storage:
        serve(hub)
        hub.redirects[RESOLVED] = f"{storage.address}/blob?signature=x%2Fy"
        storage.files["/blob?signature=x%2Fy"] = CONTENT
        await describe(hub)
    assert "authorization" not in storage.requests[0].headers
    assert storage.requests[0].headers["range"] == f"bytes=0-{len(CONTENT) - 1}"


async def test_renamed_repository_is_followed() -> None:
    async with HubDouble() as hub:
        serve(hub)
        hub.files["/new"] = hub.files.pop(API)
        hub.redirects[API] = "/new"
        assert (await describe(hub)).file.path == FILE


async def test_head_is_fetched_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_repository, "FIRST_READ", 100)
    async with HubDouble() as hub:
        serve(hub)
        facts = await describe(hub)
    assert facts.header.vocabulary == 64
    pieces = [request.headers["range"] for request in hub.requests[1:]]
    assert pieces[:2] == ["bytes=0-99", "bytes=100-199"]
    assert len(pieces) > 3
    assert sum(hub.served[1:]) < len(CONTENT)


async def test_head_is_fetched_up_to_the_most_that_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_repository, "FIRST_READ", 1500)
    monkeypatch.setattr(hub_repository, "MOST_READ", 2900)
    async with HubDouble() as hub:
        serve(hub)
        assert (await describe(hub)).header.layers == 2
    assert [r.headers["range"] for r in hub.requests[1:]] == ["bytes=0-1499", "bytes=1500-2899"]


async def test_server_that_ignores_range_is_read_only_as_far_as_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_repository, "FIRST_READ", 2000)
    async with HubDouble() as hub:
        serve(hub)
        hub.honours_range = False
        # The rest never comes: who waits for it waits for ever.
        hub.holds_at = [10_000, 2000, 4000]
        assert (await describe(hub)).header.layers == 2
    assert len(CONTENT) > 4000
    assert hub.served[1:] == [2000, 4000]


async def test_head_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_repository, "FIRST_READ", 100)
    monkeypatch.setattr(hub_repository, "MOST_READ", 300)
    async with HubDouble() as hub:
        serve(hub)
        with pytest.raises(ConfigurationError, match="has more than"):
            await describe(hub)


async def test_file_that_is_no_gguf_is_refused_with_its_source() -> None:
    async with HubDouble() as hub:
        content = b"PK" + CONTENT[2:]
        serve(hub, siblings=[sibling(FILE, content)])
        hub.files[RESOLVED] = content
        with pytest.raises(ConfigurationError, match="is no whole GGUF file") as caught:
            await describe(hub)
    assert f"`hf:owner/Tiny-GGUF@{COMMIT}#{FILE}`" in caught.value.message
    assert "pull" not in caught.value.hint


@pytest.mark.parametrize(
    "file",
    [
        {"rfilename": FILE},
        {"rfilename": FILE, "size": 100},
        {"rfilename": FILE, "lfs": {"sha256": "d" * 64}},
        {"rfilename": FILE, "lfs": {"sha256": "x", "size": 100}},
    ],
)
async def test_file_without_size_or_sha256_is_refused(file: dict[str, Any]) -> None:
    async with HubDouble() as hub:
        serve(hub, siblings=[file])
        with pytest.raises(ConfigurationError, match=f"no size and sha256 of `{FILE}`"):
            await describe(hub)


async def test_file_whose_name_no_source_can_hold_is_not_chosen() -> None:
    async with HubDouble() as hub:
        serve(hub, siblings=[sibling("my model-Q4_K_M.gguf"), sibling("../x-Q4_K_M.gguf")])
        with pytest.raises(ConfigurationError, match="has no GGUF file of a model"):
            await describe(hub)


# --- What can go wrong ---


@pytest.mark.parametrize(
    ("refusal", "kind", "message", "hint"),
    [
        ((401, ""), ProviderAuthError, "`owner/Tiny-GGUF` wants a token", "HF_TOKEN"),
        ((403, ""), ProviderAuthError, "`owner/Tiny-GGUF` wants a token", "HF_TOKEN"),
        ((403, "GatedRepo"), ProviderAuthError, "is gated", "Accept the conditions"),
        ((401, "RepoNotFound"), ConfigurationError, "no repository `owner/Tiny-GGUF`", "name"),
        ((404, ""), ConfigurationError, "no repository `owner/Tiny-GGUF`", "name"),
        ((404, "RevisionNotFound"), ConfigurationError, "no revision `main`", "`@`"),
        ((404, "EntryNotFound"), ConfigurationError, "has no file", "`#`"),
        ((429, ""), ProviderRateLimitError, "no more requests", "later"),
        ((503, "Unheard"), ProviderUnavailableError, "answered HTTP 503", "HF_ENDPOINT"),
    ],
)
async def test_refusal_is_an_error_with_its_way_out(
    refusal: tuple[int, str], kind: type[AgentLabError], message: str, hint: str
) -> None:
    async with HubDouble() as hub:
        hub.refusals[API] = refusal
        with pytest.raises(kind) as caught:
            await describe(hub)
    assert type(caught.value) is kind
    assert message in caught.value.message
    assert f"answered HTTP {refusal[0]}" in caught.value.message
    assert hint in caught.value.hint


async def test_gated_repository_may_be_seen_and_not_read() -> None:
    async with HubDouble() as hub:
        serve(hub, gated="manual")
        hub.refusals[RESOLVED] = (401, "GatedRepo")
        with pytest.raises(ProviderAuthError, match="is gated") as caught:
            await describe(hub)
    assert "HF_TOKEN" in caught.value.hint


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"sha": "main"}', b"[" * 9999])
async def test_answer_of_something_else_is_no_repository(body: bytes) -> None:
    async with HubDouble() as hub:
        hub.files[API] = body
        with pytest.raises(ProviderUnavailableError, match="describes no repository"):
            await describe(hub)


async def test_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_repository, "MOST_ANSWER_BYTES", 100)
    async with HubDouble() as hub:
        serve(hub)
        with pytest.raises(ProviderUnavailableError, match="more than 100 bytes"):
            await describe(hub)


async def test_head_that_is_cut_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_repository, "FIRST_READ", 2000)
    async with HubDouble() as hub:
        serve(hub)
        hub.release.set()
        hub.holds_at = [10_000, 1500]
        hub.says_length = False
        with pytest.raises(ProviderUnavailableError, match="ended at 1500 of"):
            await describe(hub)


async def test_hub_that_cannot_be_reached_is_unavailable() -> None:
    with pytest.raises(ProviderUnavailableError) as caught:
        await new_model(NO_HUB, "hf:o/r", key=None, offline=False)
    assert "`o/r`" in caught.value.message
    assert "HTTPS_PROXY" in caught.value.hint


async def test_offline_nothing_is_asked() -> None:
    with pytest.raises(ConfigurationError) as caught:
        await new_model(NO_HUB, "hf:o/r", key=None, offline=True)
    assert "AGENT_LAB_OFFLINE" in caught.value.message
    assert "Unset AGENT_LAB_OFFLINE" in caught.value.hint


# --- The whole way ---


async def test_model_of_a_repository_is_added_and_pulled(tmp_path: Path) -> None:
    async with HubDouble() as hub:
        serve(hub)
        entry = await model_of(hub)
        add_entry(tmp_path / "models.toml", entry)
        loaded = ModelRegistry.load(tmp_path / "models.toml").get("tiny-1b-instruct")
        assert loaded == entry
        store = WeightsStore(tmp_path / "weights", hub_endpoint=hub.address)
        file = await store.pull(loaded)
    assert file == store.verified_path(loaded)
    assert file.read_bytes() == CONTENT
    assert (loaded.family, loaded.context_window, loaded.licence) == ("tiny", 512, "apache-2.0")


async def test_memory_is_that_of_one_chat_within_the_models_window() -> None:
    async with HubDouble() as hub:
        serve(hub)
        entry = await model_of(hub)
    # 256 MiB of earlier prompts, a process, and little else: the model is tiny.
    assert entry.min_vram_gb == 0.4
