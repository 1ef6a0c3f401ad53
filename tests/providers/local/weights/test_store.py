import asyncio
import hashlib
import os
import random
import shutil
import signal
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pydantic
import pytest
from pydantic import SecretStr

from agent_lab.config import Settings
from agent_lab.contracts import PullProgress
from agent_lab.errors import (
    ConfigurationError,
    ProviderUnavailableError,
    StorageError,
    WeightsCorruptError,
    WeightsMissingError,
)
from agent_lab.providers.local.weights import hub as hub_source
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.registries.model_registry import ModelEntry
from tests.providers.local.weights.hub_double import HubDouble

MIB = 1 << 20
CONTENT = random.Random(7).randbytes(3 * MIB + 17)  # noqa: S311
WRONG = bytes(len(CONTENT))
HUB_SOURCE = "hf:owner/repo@main#tiny.gguf"
HUB_PATH = "/owner/repo/resolve/main/tiny.gguf"
NO_HUB = "http://127.0.0.1:9"


def make_entry(*sources: str, content: bytes = CONTENT, **fields: object) -> ModelEntry:
    facts: dict[str, object] = {
        "key": "tiny",
        "provider": "local",
        "file": "tiny.gguf",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "sources": sources,
        "context_window": 512,
    }
    return ModelEntry.model_validate(facts | fields)


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"tiny.gguf.lock"}


FINISHED = {"tiny.gguf", "tiny.gguf.verified"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder: `tmp_path` is also the test's home."""
    folder = tmp_path / "weights"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class PullTo:
    """A pull that goes on until `done` bytes are here; then the test goes on."""

    def __init__(self, store: WeightsStore, entry: ModelEntry, done: int) -> None:
        self.reached = asyncio.Event()
        self._done = done
        self.task = asyncio.create_task(store.pull(entry, self._hear))

    def _hear(self, progress: PullProgress) -> None:
        if progress.phase == "download" and progress.done >= self._done:
            self.reached.set()


# --- Is the file there, and is it the right one ---


def test_missing_weights_name_model_folder_and_pull_command(folder: Path) -> None:
    with pytest.raises(WeightsMissingError) as caught:
        WeightsStore(folder).verified_path(make_entry())
    assert "`tiny`" in caught.value.message
    assert f"`{folder}`" in caught.value.message
    assert caught.value.hint == "agent-lab models pull tiny"


def test_weights_with_another_sha256_are_corrupt(folder: Path) -> None:
    file = folder / "tiny.gguf"
    file.write_bytes(WRONG)
    entry = make_entry()
    with pytest.raises(WeightsCorruptError) as caught:
        WeightsStore(folder).verified_path(entry)
    assert f"`{file}`" in caught.value.message
    assert entry.sha256[:12] in caught.value.message
    assert hashlib.sha256(WRONG).hexdigest()[:12] in caught.value.message
    assert caught.value.hint == "agent-lab models pull tiny --force"
    assert leftovers(folder) == {"tiny.gguf"}


def test_weights_of_another_size_are_corrupt_and_not_present(folder: Path) -> None:
    (folder / "tiny.gguf").write_bytes(CONTENT[:-1])
    store = WeightsStore(folder)
    assert not store.present(make_entry())
    with pytest.raises(WeightsCorruptError, match=f"{len(CONTENT)} bytes.*{len(CONTENT) - 1}"):
        store.verified_path(make_entry())


def test_stamped_file_is_trusted_until_its_time_of_change_moves(folder: Path) -> None:
    file, store, entry = folder / "tiny.gguf", WeightsStore(folder), make_entry()
    file.write_bytes(CONTENT)
    store.verified_path(entry)
    before = file.stat().st_mtime_ns
    file.write_bytes(WRONG)
    os.utime(file, ns=(before, before))
    assert store.verified_path(entry) == file  # nobody read it again
    os.utime(file, ns=(before + 1, before + 1))
    with pytest.raises(WeightsCorruptError):
        store.verified_path(entry)


@pytest.mark.parametrize("stamp", ["", "{", "[]", '{"sha256": 1}'])
def test_damaged_stamp_means_that_the_file_is_hashed_again(folder: Path, stamp: str) -> None:
    file = folder / "tiny.gguf"
    file.write_bytes(WRONG)
    (folder / "tiny.gguf.verified").write_text(stamp, encoding="utf-8")
    with pytest.raises(WeightsCorruptError):
        WeightsStore(folder).verified_path(make_entry())


def test_stamp_counts_only_for_the_sha256_that_it_was_given_for(folder: Path) -> None:
    (folder / "tiny.gguf").write_bytes(CONTENT)
    store = WeightsStore(folder)
    store.verified_path(make_entry())
    with pytest.raises(WeightsCorruptError):
        store.verified_path(make_entry(sha256="0" * 64))


def test_folder_that_takes_no_stamp_serves_all_the_same(folder: Path) -> None:
    (folder / "tiny.gguf").write_bytes(CONTENT)
    (folder / "tiny.gguf.verified").mkdir()
    assert WeightsStore(folder).verified_path(make_entry()) == folder / "tiny.gguf"


def test_entry_without_sha256_takes_the_operators_own_file(folder: Path) -> None:
    (folder / "tiny.gguf").write_bytes(b"my own")
    entry = make_entry(sha256="", bytes=0)
    store = WeightsStore(folder)
    assert store.present(entry)
    assert store.verified_path(entry) == folder / "tiny.gguf"
    assert leftovers(folder) == {"tiny.gguf"}


def test_model_without_weights_file_is_never_present(folder: Path) -> None:
    assert not WeightsStore(folder).present(make_entry(file=""))
    with pytest.raises(ConfigurationError, match="`tiny` has no weights file"):
        WeightsStore(folder).path(make_entry(file=""))


@pytest.mark.parametrize("file", ["../tiny.gguf", "a/b.gguf", "/etc/passwd", "a\\b"])
def test_registry_refuses_weights_outside_the_folder(file: str) -> None:
    with pytest.raises(pydantic.ValidationError):
        make_entry(file=file)


@pytest.mark.parametrize("file", [".", "..", "../x", "/etc/passwd", "a/b"])
def test_store_refuses_weights_outside_the_folder(folder: Path, file: str) -> None:
    entry = make_entry().model_copy(update={"file": file})
    with pytest.raises(ConfigurationError, match="not a file name"):
        WeightsStore(folder).path(entry)


def test_store_is_set_up_from_the_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    settings = Settings(model_cache_dir=folder / "w", hf_token=SecretStr("t"), offline=True)
    assert WeightsStore.from_settings(settings).folder == folder / "w"


# --- Pulling from the hub ---


async def test_pull_fetches_verifies_and_stamps(folder: Path) -> None:
    heard: list[PullProgress] = []
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        store = WeightsStore(folder / "new" / "folder", hub_endpoint=hub.address)
        file = await store.pull(make_entry(HUB_SOURCE), heard.append)
    assert file.read_bytes() == CONTENT
    assert file.stat().st_mode & 0o777 == 0o600
    assert leftovers(file.parent) == FINISHED
    assert hub.requests[0].headers["accept-encoding"] == "identity"
    assert "range" not in hub.requests[0].headers
    assert heard[0] == PullProgress(HUB_SOURCE, 0, len(CONTENT), "download")
    assert heard[-1] == PullProgress(HUB_SOURCE, len(CONTENT), len(CONTENT), "download")
    assert [p.done for p in heard] == sorted(p.done for p in heard)


async def test_pull_needs_no_source_when_the_file_is_there(folder: Path) -> None:
    (folder / "tiny.gguf").write_bytes(CONTENT)
    store = WeightsStore(folder, hub_endpoint=NO_HUB)
    assert await store.pull(make_entry("nonsense")) == folder / "tiny.gguf"
    assert set(os.listdir(folder)) == FINISHED


async def test_pull_replaces_a_corrupt_file(folder: Path) -> None:
    (folder / "tiny.gguf").write_bytes(WRONG)
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        store = WeightsStore(folder, hub_endpoint=hub.address)
        assert (await store.pull(make_entry(HUB_SOURCE))).read_bytes() == CONTENT


async def test_source_with_wrong_bytes_is_deleted_and_the_next_one_is_asked(
    folder: Path,
) -> None:
    right = folder / "right"
    right.write_bytes(CONTENT)
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = WRONG
        store = WeightsStore(folder / "w", hub_endpoint=hub.address)
        with pytest.raises(ProviderUnavailableError) as caught:
            await store.pull(make_entry(HUB_SOURCE))
        assert leftovers(folder / "w") == set()
        heard: list[PullProgress] = []
        entry = make_entry(HUB_SOURCE, f"file:{right}", "file:/never/asked")
        file = await store.pull(entry, heard.append)
    assert "`hf:owner/repo@main#tiny.gguf`: gave a file with sha256" in caught.value.message
    assert file.read_bytes() == CONTENT
    assert list(dict.fromkeys(p.source for p in heard)) == [HUB_SOURCE, f"file:{right}"]
    assert len(hub.requests) == 2


async def test_cancelled_pull_leaves_nothing_present_and_the_next_fetches_the_rest(
    folder: Path,
) -> None:
    entry, half = make_entry(HUB_SOURCE), MIB + 5
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        hub.holds_at = [half]
        store = WeightsStore(folder, hub_endpoint=hub.address)
        pull = PullTo(store, entry, half)
        await pull.reached.wait()
        pull.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pull.task
        assert not store.present(entry)
        assert (folder / "tiny.gguf.partial").read_bytes() == CONTENT[:half]
        heard: list[PullProgress] = []
        file = await store.pull(entry, heard.append)
    assert hub.requests[1].headers["range"] == f"bytes={half}-"
    assert hub.served == [half, len(CONTENT) - half]
    assert PullProgress(HUB_SOURCE, half, len(CONTENT), "verify") in heard
    assert file.read_bytes() == CONTENT
    assert leftovers(folder) == FINISHED


async def test_ctrl_c_keeps_what_was_downloaded(folder: Path) -> None:
    entry, half = make_entry(HUB_SOURCE), 2 * MIB
    program = (
        "import asyncio, pathlib, sys\n"
        "from agent_lab.providers.local.weights.store import WeightsStore\n"
        "from agent_lab.providers.registries.model_registry import ModelEntry\n"
        "store = WeightsStore(pathlib.Path(sys.argv[1]), hub_endpoint=sys.argv[2])\n"
        "entry = ModelEntry.model_validate_json(sys.argv[3])\n"
        "asyncio.run(store.pull(entry, lambda p: sys.stdout.write(f'{p.done}\\n')))\n"
    )
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        hub.holds_at = [half]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "-c", program),
            *(str(folder), hub.address, entry.model_dump_json()),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async for line in process.stdout:
            if int(line) == half:
                break
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert b"KeyboardInterrupt" in errors
    assert (folder / "tiny.gguf.partial").read_bytes() == CONTENT[:half]
    assert not WeightsStore(folder).present(entry)


async def test_server_that_ignores_range_is_read_from_the_start(folder: Path) -> None:
    (folder / "tiny.gguf.partial").write_bytes(CONTENT[:MIB])
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        hub.honours_range = False
        store = WeightsStore(folder, hub_endpoint=hub.address)
        file = await store.pull(make_entry(HUB_SOURCE))
    assert hub.requests[0].headers["range"] == f"bytes={MIB}-"
    assert hub.served == [len(CONTENT)]
    assert file.read_bytes() == CONTENT


async def test_cut_download_is_continued_at_once_while_it_brings_bytes(folder: Path) -> None:
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        hub.holds_at = [MIB]
        store = WeightsStore(folder, hub_endpoint=hub.address)
        pull = PullTo(store, make_entry(HUB_SOURCE), MIB)
        await pull.reached.wait()
        hub.release.set()
        assert (await pull.task).read_bytes() == CONTENT
    assert hub.requests[1].headers["range"] == f"bytes={MIB}-"


async def test_download_that_stays_cut_is_given_up_and_kept(folder: Path) -> None:
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        hub.holds_at = [MIB, 0]
        store = WeightsStore(folder, hub_endpoint=hub.address)
        pull = PullTo(store, make_entry(HUB_SOURCE), MIB)
        await pull.reached.wait()
        hub.release.set()
        with pytest.raises(ProviderUnavailableError, match="the connection was cut"):
            await pull.task
    assert len(hub.requests) == 2
    assert (folder / "tiny.gguf.partial").read_bytes() == CONTENT[:MIB]


async def test_stalled_download_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_source, "READ_TIMEOUT_S", 0.05)
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        hub.holds_at = [0]
        store = WeightsStore(folder, hub_endpoint=hub.address)
        with pytest.raises(ProviderUnavailableError, match=r"nothing came for 0\.05 s"):
            await store.pull(make_entry(HUB_SOURCE))
    assert leftovers(folder) == set()


async def test_download_without_length_that_ends_early_is_cut(folder: Path) -> None:
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT[:-1]
        hub.says_length = hub.honours_range = False
        store = WeightsStore(folder, hub_endpoint=hub.address)
        with pytest.raises(ProviderUnavailableError, match="ended at 3145744 of 3145745 bytes"):
            await store.pull(make_entry(HUB_SOURCE))
        assert not store.present(make_entry())


async def test_download_without_length_that_does_not_end_is_not_read_to_its_end(
    folder: Path,
) -> None:
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT + WRONG
        hub.says_length = False
        store = WeightsStore(folder, hub_endpoint=hub.address)
        with pytest.raises(ProviderUnavailableError, match="gave more than 3145745 bytes"):
            await store.pull(make_entry(HUB_SOURCE))
    assert leftovers(folder) == set()


async def test_file_of_another_length_is_refused_before_anything_is_lost(folder: Path) -> None:
    (folder / "tiny.gguf.partial").write_bytes(CONTENT[:MIB])
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT + b"more"
        store = WeightsStore(folder, hub_endpoint=hub.address)
        with pytest.raises(ProviderUnavailableError, match="a file of 3145749 bytes instead of"):
            await store.pull(make_entry(HUB_SOURCE))
    assert (folder / "tiny.gguf.partial").read_bytes() == CONTENT[:MIB]


async def test_answer_with_another_range_is_refused(folder: Path) -> None:
    (folder / "tiny.gguf.partial").write_bytes(CONTENT[:MIB])
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        hub.range_shift = 1
        store = WeightsStore(folder, hub_endpoint=hub.address)
        with pytest.raises(ProviderUnavailableError, match="another range"):
            await store.pull(make_entry(HUB_SOURCE))


async def test_damaged_beginning_is_fetched_anew(folder: Path) -> None:
    (folder / "tiny.gguf.partial").write_bytes(WRONG[:MIB])
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        store = WeightsStore(folder, hub_endpoint=hub.address)
        assert (await store.pull(make_entry(HUB_SOURCE))).read_bytes() == CONTENT
    assert ["range" in request.headers for request in hub.requests] == [True, False]


async def test_download_that_was_complete_but_not_named_needs_no_request(folder: Path) -> None:
    (folder / "tiny.gguf.partial").write_bytes(CONTENT)
    store = WeightsStore(folder, hub_endpoint=NO_HUB)
    assert (await store.pull(make_entry(HUB_SOURCE))).read_bytes() == CONTENT


async def test_without_sha256_no_download_is_continued(folder: Path) -> None:
    (folder / "tiny.gguf.partial").write_bytes(WRONG + b"longer than the file")
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        store = WeightsStore(folder, hub_endpoint=hub.address)
        file = await store.pull(make_entry(HUB_SOURCE, sha256=""))
    assert file.read_bytes() == CONTENT
    assert "range" not in hub.requests[0].headers


@pytest.mark.parametrize(
    ("status", "clause"),
    [
        (401, "HTTP 401: it wants a token that may read the repository (HF_TOKEN)"),
        (403, "HTTP 403: it wants a token that may read the repository (HF_TOKEN)"),
        (404, "HTTP 404: it has no such file"),
        (429, "HTTP 429: too many requests, try later"),
        (500, "HTTP 500."),
    ],
)
async def test_refusal_of_the_hub_is_said(folder: Path, status: int, clause: str) -> None:
    async with HubDouble() as hub:
        hub.status = status
        store = WeightsStore(folder, hub_endpoint=hub.address)
        with pytest.raises(ProviderUnavailableError) as caught:
            await store.pull(make_entry(HUB_SOURCE))
    assert f"`{HUB_SOURCE}`: `127.0.0.1` answered {clause}" in caught.value.message
    assert leftovers(folder) == set()


async def test_every_source_has_its_clause_when_all_fail(folder: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        hub = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ProviderUnavailableError) as caught:
            await WeightsStore(folder, hub_endpoint=hub).pull(
                make_entry(HUB_SOURCE, "file:/no/such/file")
            )
    error = caught.value
    assert f"`{HUB_SOURCE}`: the host cannot be reached" in error.message
    assert "`file:/no/such/file`: cannot be read (No such file or directory)" in error.message
    assert (error.provider, error.model) == ("weights", "tiny")
    for fix in ("HTTPS_PROXY", "HF_ENDPOINT", str(folder / "tiny.gguf")):
        assert fix in error.hint


async def test_entry_without_sources_says_so(folder: Path) -> None:
    with pytest.raises(ProviderUnavailableError, match="its entry names no source"):
        await WeightsStore(folder).pull(make_entry())


async def test_unknown_source_is_an_error_before_anything_is_fetched(folder: Path) -> None:
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        store = WeightsStore(folder, hub_endpoint=hub.address)
        with pytest.raises(ConfigurationError, match="`ftp:x` is not a source of weights"):
            await store.pull(make_entry(HUB_SOURCE, "ftp:x"))
    assert hub.requests == []


# --- Tokens, redirects, proxies ---


async def test_token_goes_to_the_hub_and_not_to_where_it_redirects(folder: Path) -> None:
    (folder / "tiny.gguf.partial").write_bytes(CONTENT[:MIB])
    async with HubDouble() as hub, HubDouble() as storage:
        hub.redirects = {HUB_PATH: "/moved", "/moved": f"{storage.address}/blob?sig=a%2Bb%7ec"}
        storage.files["/blob?sig=a%2Bb%7ec"] = CONTENT
        store = WeightsStore(folder, hub_endpoint=hub.address, hub_token="secret")
        assert (await store.pull(make_entry(HUB_SOURCE))).read_bytes() == CONTENT
    assert [r.headers.get("authorization") for r in hub.requests] == ["Bearer secret"] * 2
    assert "authorization" not in storage.requests[0].headers
    assert storage.requests[0].headers["range"] == f"bytes={MIB}-"


async def test_passwords_of_netrc_are_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = folder / "netrc"
    netrc.write_text("default login me password secret\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with HubDouble() as hub, HubDouble() as storage:
        hub.redirects = {HUB_PATH: f"{storage.address}/blob"}
        storage.files["/blob"] = CONTENT
        store = WeightsStore(folder / "w", hub_endpoint=hub.address, hub_token="token")
        await store.pull(make_entry(HUB_SOURCE))
    assert hub.requests[0].headers["authorization"] == "Bearer token"
    assert "authorization" not in storage.requests[0].headers


async def test_redirects_that_do_not_end_are_given_up(folder: Path) -> None:
    async with HubDouble() as hub:
        hub.redirects = {HUB_PATH: HUB_PATH}
        store = WeightsStore(folder, hub_endpoint=hub.address)
        with pytest.raises(ProviderUnavailableError, match="more than 5 times"):
            await store.pull(make_entry(HUB_SOURCE))
    assert len(hub.requests) == 6


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[::1"])
async def test_redirect_away_from_http_is_refused(folder: Path, target: str) -> None:
    async with HubDouble() as hub:
        hub.redirects = {HUB_PATH: target}
        store = WeightsStore(folder, hub_endpoint=hub.address)
        with pytest.raises(ProviderUnavailableError, match="is not an http or https address"):
            await store.pull(make_entry(HUB_SOURCE))


@pytest.mark.parametrize("endpoint", ["", "hub.example", "file:///tmp", "http://"])
async def test_hub_endpoint_that_is_no_address_is_said(folder: Path, endpoint: str) -> None:
    store = WeightsStore(folder, hub_endpoint=endpoint, hub_token="t")
    with pytest.raises(ProviderUnavailableError, match="is not an http or https address"):
        await store.pull(make_entry(HUB_SOURCE))


@pytest.mark.parametrize("scheme", ["", "http://", "http://me:secret@"])
async def test_proxy_of_the_environment_is_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    async with HubDouble() as proxy:
        proxy.files[HUB_PATH] = CONTENT
        monkeypatch.setenv("HTTP_PROXY", proxy.address.replace("http://", scheme))
        store = WeightsStore(folder, hub_endpoint="http://hub.invalid")
        assert (await store.pull(make_entry(HUB_SOURCE))).read_bytes() == CONTENT
    assert proxy.requests[0].target == f"http://hub.invalid{HUB_PATH}"
    assert ("proxy-authorization" in proxy.requests[0].headers) == ("@" in scheme)


@pytest.mark.parametrize(
    ("proxy", "clause"),
    [(NO_HUB, "the proxy cannot be reached"), ("socks5://127.0.0.1:9", "proxy")],
)
async def test_proxy_that_does_not_serve_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, proxy: str, clause: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    store = WeightsStore(folder, hub_endpoint="http://hub.invalid")
    with pytest.raises(ProviderUnavailableError, match=clause):
        await store.pull(make_entry(HUB_SOURCE))


# --- Offline, disk, processes ---


async def test_offline_asks_no_network_source(folder: Path) -> None:
    own = folder / "own"
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        store = WeightsStore(folder / "w", hub_endpoint=hub.address, offline=True)
        entry = make_entry(HUB_SOURCE, "pypi:nothing==1#x", f"file:{own}")
        with pytest.raises(ProviderUnavailableError) as caught:
            await store.pull(entry)
        assert caught.value.message.count("not asked (offline)") == 2
        assert "AGENT_LAB_OFFLINE" in caught.value.hint
        own.write_bytes(CONTENT)
        assert (await store.pull(entry)).read_bytes() == CONTENT
    assert hub.requests == []


async def test_two_pulls_of_one_file_fetch_it_once(folder: Path) -> None:
    entry, waited = make_entry(HUB_SOURCE), asyncio.Event()

    def hear(progress: PullProgress) -> None:
        if progress.phase == "waiting":
            waited.set()
            hub.release.set()

    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        hub.holds_at = [MIB]
        first = PullTo(WeightsStore(folder, hub_endpoint=hub.address), entry, MIB)
        await first.reached.wait()
        second = WeightsStore(folder, hub_endpoint=hub.address).pull(entry, hear)
        files = await asyncio.gather(first.task, second)
    assert waited.is_set()
    assert files[0] == files[1]
    assert sum(hub.served) == len(CONTENT)
    assert leftovers(folder) == FINISHED


async def test_full_disk_is_said_before_anything_is_fetched(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**7))
    entry = make_entry(HUB_SOURCE, bytes=1_500_000_000)
    async with HubDouble() as hub:
        with pytest.raises(StorageError, match=r"1\.50 GB more.*0\.01 GB are free"):
            await WeightsStore(folder, hub_endpoint=hub.address).pull(entry)
    assert hub.requests == []


async def test_what_was_downloaded_needs_no_disk_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    (folder / "tiny.gguf.partial").write_bytes(CONTENT)
    await WeightsStore(folder, hub_endpoint=NO_HUB).pull(make_entry(HUB_SOURCE))


async def test_folder_that_cannot_be_made_names_the_setting(folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    with pytest.raises(StorageError) as caught:
        await WeightsStore(folder / "file" / "models").pull(make_entry(HUB_SOURCE))
    assert f"`{folder / 'file' / 'models'}`" in caught.value.message
    assert "MODEL_CACHE_DIR" in caught.value.hint


async def test_disk_that_fills_up_on_the_way_stops_the_pull(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # /dev/full takes no byte: ENOSPC at the first write, from the kernel itself.
    (folder / "tiny.gguf.partial").symlink_to("/dev/full")
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        store = WeightsStore(folder, hub_endpoint=hub.address)
        with pytest.raises(StorageError, match="cannot be written"):
            await store.pull(make_entry(HUB_SOURCE, "file:/never/asked"))
