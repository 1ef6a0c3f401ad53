import asyncio
import os
import stat
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from agent_lab.errors import ConfigurationError, StorageError
from agent_lab.providers.registries import operator_file
from agent_lab.providers.registries.model_registry import CostProfile, ModelEntry, ModelRegistry
from agent_lab.providers.registries.operator_file import add_entry

MINE = """\
# my models
[models.mine]   # keep
provider = "vllm"
context_window = 1_000

# about the other
[models."other.1"]
provider = 'local'
file = "other.gguf"
sha256 = "{}"
context_window = 8
""".format("b" * 64)


def make_entry(key: str = "tiny-1.5", **fields: object) -> ModelEntry:
    facts: dict[str, object] = {
        "key": key,
        "family": "tiny",
        "provider": "local",
        "engine": "llamacpp",
        "file": "tiny.gguf",
        "bytes": 1_000_000,
        "sha256": "a" * 64,
        "sources": ("hf:owner/repo@main#tiny.gguf",),
        "context_window": 512,
        "capabilities": ("chat", "stream", "json_schema"),
        "cost_profile": CostProfile(input=0, output=0),
        "min_vram_gb": 0.4,
        "licence": 'MIT, "as is" — 許諾',
    }
    return ModelEntry.model_validate(facts | fields)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    # In a folder of its own: `tmp_path` is also the test's home.
    file = tmp_path / "folder" / "mine.toml"
    file.parent.mkdir()
    file.write_text(MINE, encoding="utf-8")
    return file


def others(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"mine.toml", "mine.toml.lock"}


def test_new_file_says_what_it_is_and_loads(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "models.toml"
    add_entry(file, make_entry())
    assert ModelRegistry.load(file).get("tiny-1.5") == make_entry()
    assert file.read_text("utf-8").startswith("# Your own models and providers")
    assert '[models."tiny-1.5"]\nfamily = "tiny"\n' in file.read_text("utf-8")


def test_every_byte_of_the_file_stays(file: Path) -> None:
    add_entry(file, make_entry())
    add_entry(file, make_entry("second"))
    text = file.read_text("utf-8")
    assert text.startswith(MINE + '\n[models."tiny-1.5"]\n')
    keys = [entry.key for entry in ModelRegistry.load(file).all()]
    assert keys[-4:] == ["mine", "other.1", "tiny-1.5", "second"]
    assert others(file.parent) == set()


def test_comments_alone_are_a_file_too(file: Path) -> None:
    file.write_text("# nothing yet", encoding="utf-8")
    add_entry(file, make_entry())
    assert file.read_text("utf-8").startswith('# nothing yet\n\n[models."tiny-1.5"]\n')


@pytest.mark.parametrize("key", ["mine", "other.1", "smollm2-135m"])
def test_key_that_is_taken_is_refused(file: Path, key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        add_entry(file, make_entry(key))
    assert caught.value.message == f"There is a model `{key}` already."
    assert "--key" in caught.value.hint
    assert "--replace" in caught.value.hint
    assert file.read_text("utf-8") == MINE


def test_replaced_entry_is_where_the_old_one_was(file: Path) -> None:
    add_entry(file, make_entry("mine"), replace=True)
    text = file.read_text("utf-8")
    assert text.startswith('# my models\n[models."mine"]\nfamily = "tiny"\n')
    assert text.endswith(MINE.partition("context_window = 1_000\n")[2])
    assert ModelRegistry.load(file).get("mine") == make_entry("mine")


def test_shipped_model_can_be_replaced_on_purpose(file: Path) -> None:
    add_entry(file, make_entry("smollm2-135m"), replace=True)
    assert ModelRegistry.load(file).get("smollm2-135m") == make_entry("smollm2-135m")


def test_entry_never_mixes_with_a_shipped_one_of_another_kind(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="would mix with the model of this key"):
        add_entry(file, make_entry("gpt-4o-mini"), replace=True)
    assert file.read_text("utf-8") == MINE
    assert others(file.parent) == set()


def test_two_models_never_share_a_weights_file(file: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        add_entry(file, make_entry(file="other.gguf"))
    assert "`other.gguf`, where `other.1` has others" in caught.value.message
    assert "--key other.1 --replace" in caught.value.hint
    assert file.read_text("utf-8") == MINE


def test_the_same_weights_may_have_two_entries(file: Path) -> None:
    add_entry(file, make_entry(file="other.gguf", sha256="b" * 64))
    assert ModelRegistry.load(file).get("tiny-1.5").file == "other.gguf"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[models.x", "is not TOML"),
        ("[modles.x]\n", "may hold only tables"),
        ("[models.x]\nprovider = 1\n", "`models.x` is not a valid entry"),
        ('models = { x = { provider = "vllm", context_window = 8 } }\n', "is written in a way"),
    ],
)
def test_file_that_cannot_take_it_stays_as_it_is(file: Path, text: str, message: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        add_entry(file, make_entry())
    assert file.read_text("utf-8") == text
    assert others(file.parent) == set()


def test_permissions_stay(file: Path) -> None:
    file.chmod(0o640)
    add_entry(file, make_entry())
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_link_stays_a_link(file: Path) -> None:
    link = file.parent / "link.toml"
    link.symlink_to("mine.toml")
    add_entry(link, make_entry())
    assert link.is_symlink()
    assert "tiny-1.5" in file.read_text("utf-8")


def test_what_a_crash_left_is_in_nobodys_way(file: Path) -> None:
    (file.parent / "mine.toml.new").write_text("half", encoding="utf-8")
    add_entry(file, make_entry())
    assert others(file.parent) == set()


def test_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError) as caught:
        add_entry(tmp_path / "file" / "models.toml", make_entry())
    assert f"`{tmp_path / 'file' / 'models.toml'}` cannot be written" in caught.value.message
    assert "AGENT_LAB_MODELS_FILE" in caught.value.hint


def test_full_disk_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match="No space left"):
        add_entry(file, make_entry())
    assert file.read_text("utf-8") == MINE
    assert others(file.parent) == set()


def test_file_that_another_process_changes_is_waited_for_only_so_long(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator_file, "LOCK_TIMEOUT_S", 0)
    with (
        FileLock(f"{file}.lock"),
        pytest.raises(StorageError, match="is being changed by another process"),
    ):
        add_entry(file, make_entry())


def test_threads_that_add_at_once_lose_nothing(file: Path) -> None:
    keys = [f"new-{number}" for number in range(8)]
    threads = [threading.Thread(target=add_entry, args=(file, make_entry(key))) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(keys) < {entry.key for entry in ModelRegistry.load(file).all()}


async def test_processes_that_add_at_once_lose_nothing(file: Path) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from agent_lab.providers.registries.model_registry import ModelEntry;"
        "from agent_lab.providers.registries.operator_file import add_entry;"
        "[add_entry(Path(sys.argv[1]), ModelEntry(key=f'{sys.argv[2]}-{number}',"
        " provider='vllm', context_window=8)) for number in range(5)]"
    )
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(file), name)
        for name in ("one", "two")
    ]
    assert [await process.wait() for process in started] == [0, 0]
    keys = {entry.key for entry in ModelRegistry.load(file).all()}
    assert {f"{name}-{number}" for name in ("one", "two") for number in range(5)} < keys
