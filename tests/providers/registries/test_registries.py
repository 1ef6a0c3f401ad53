from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.errors import ConfigurationError, UnknownModelError, UnknownStrategyError
from agent_lab.providers.registries.model_registry import CostProfile, ModelEntry, ModelRegistry
from agent_lab.providers.registries.registry_file import merge
from agent_lab.providers.registries.strategy_registry import StrategyRegistry

SIZES = {
    "qwen2.5-coder-1.5b": 1_117_320_768,
    "qwen2.5-coder-0.5b": 491_400_064,
    "smollm2-135m": 98_362_432,
}
LOADERS: dict[str, Any] = {"models": ModelRegistry.load, "strategies": StrategyRegistry.load}


@pytest.fixture
def operator_file(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_shipped_models_are_listed_in_file_order():
    keys = [entry.key for entry in ModelRegistry.load().all()]
    assert keys[:3] == list(SIZES)
    assert {"gpt-4o-mini", "claude-sonnet-4-6", "ollama"} < set(keys)


@pytest.mark.parametrize(("key", "size"), SIZES.items())
def test_a_shipped_model_is_pinned_by_size_and_sha256(key: str, size: int):
    entry = ModelRegistry.load().get(key)
    assert entry.bytes == size
    assert len(entry.sha256) == 64
    assert set(entry.sha256) <= set("0123456789abcdef")


def test_no_two_shipped_models_share_a_file_or_a_digest():
    entries = [entry for entry in ModelRegistry.load().all() if entry.file]
    assert len({e.file for e in entries}) == len({e.sha256 for e in entries}) == len(entries)


@pytest.mark.parametrize("key", SIZES)
def test_a_shipped_model_can_be_fetched_and_run(key: str):
    entry = ModelRegistry.load().get(key)
    assert (entry.provider, entry.engine) == ("local", "llamacpp")
    assert [source.split(":")[0] for source in entry.sources] == ["hf", "pypi"]
    assert "@" in entry.sources[0]
    assert "==" in entry.sources[1]
    assert entry.cost_profile == CostProfile(input=0, output=0)
    assert entry.licence.startswith("Apache-2.0")


def test_a_shipped_model_names_a_shipped_strategy_and_strategies_name_shipped_models():
    models, strategies = ModelRegistry.load(), StrategyRegistry.load()
    for entry in models.all():
        strategies.get(entry.default_strategy)
    for strategy in strategies.all():
        for key in strategy.fallbacks:
            models.get(key)


def test_the_shipped_strategies_are_listed_in_file_order():
    names = [strategy.name for strategy in StrategyRegistry.load().all()]
    assert names == ["optimized", "precise", "creative", "greedy"]


def test_greedy_always_draws_the_likeliest_token():
    sampling = StrategyRegistry.load().get("greedy").sampling
    assert (sampling.temperature, sampling.top_k) == (0.0, 1)


def test_an_operators_fields_change_a_shipped_entry_and_leave_its_other_fields(operator_file):
    path = operator_file('[models."smollm2-135m"]\ncontext_window = 2048\n')
    mine = ModelRegistry.load(path)
    shipped = ModelRegistry.load()
    assert mine.get("smollm2-135m") == shipped.get("smollm2-135m").model_copy(
        update={"context_window": 2048}
    )
    assert mine.all()[:2] == shipped.all()[:2]


def test_a_table_inside_an_entry_is_merged_field_by_field(operator_file):
    path = operator_file("[strategies.precise]\nsampling = { temperature = 0.0 }\n")
    mine, shipped = StrategyRegistry.load(path).get("precise"), StrategyRegistry.load()
    sampling = shipped.get("precise").sampling
    assert mine.sampling == sampling.model_copy(update={"temperature": 0.0})
    assert mine.limits == shipped.get("precise").limits


def test_a_list_of_an_operator_replaces_the_shipped_one(operator_file):
    path = operator_file('[models."smollm2-135m"]\nsources = ["file:/weights/mine.gguf"]\n')
    assert ModelRegistry.load(path).get("smollm2-135m").sources == ("file:/weights/mine.gguf",)


def test_a_new_key_adds_an_entry_after_the_shipped_ones(operator_file):
    path = operator_file('[models."mine-7b"]\nprovider = "scripted"\ncontext_window = 100\n')
    registry = ModelRegistry.load(path)
    assert [e.key for e in registry.all()] == [
        *(e.key for e in ModelRegistry.load().all()),
        "mine-7b",
    ]
    assert registry.get("mine-7b").cost_profile is None


def test_a_new_strategy_can_be_added(operator_file):
    path = operator_file(
        "[strategies.terse]\n"
        "sampling = { temperature = 0.1, top_p = 1.0, top_k = 0 }\n"
        "limits = { max_tokens = 8, timeout_s = 5 }\n"
    )
    assert StrategyRegistry.load(path).get("terse").limits.max_tokens == 8


@pytest.mark.parametrize("kind", LOADERS)
def test_an_empty_operators_file_changes_nothing(operator_file, kind: str):
    assert LOADERS[kind](operator_file("# nothing yet\n")).all() == LOADERS[kind]().all()


MINIMAL = '[models."mine"]\nprovider = "local"\ncontext_window = 100\n'


@pytest.mark.parametrize(
    ("kind", "text", "entry", "field"),
    [
        ("models", MINIMAL + "colour = 1\n", "models.mine", "colour"),
        ("models", '[models."mine"]\nprovider = "local"\n', "models.mine", "context_window"),
        ("models", '[models."mine"]\ncontext_window = 1\n', "models.mine", "provider"),
        ("models", '[models."smollm2-135m"]\nbytes = -1\n', "models.smollm2-135m", "bytes"),
        ("models", MINIMAL + 'sha256 = "abc"\n', "models.mine", "sha256"),
        ("models", MINIMAL + 'file = "../../etc/passwd"\n', "models.mine", "file"),
        ("models", MINIMAL + 'capabilities = ["chat", "cook"]\n', "models.mine", "capabilities.1"),
        ("models", MINIMAL + "cost_profile = { input = 1 }\n", "models.mine", "cost_profile.out"),
        ("models", MINIMAL.replace("mine", "Mine!"), "models.Mine!", "key"),
        ("strategies", "[strategies.greedy]\ntop_k = 1\n", "strategies.greedy", "top_k"),
        (
            "strategies",
            "[strategies.greedy]\nsampling = { temperature = 3 }\n",
            "strategies.greedy",
            "sampling.temperature",
        ),
        ("strategies", "[strategies.mine]\n", "strategies.mine", "sampling"),
    ],
)
def test_a_wrong_field_is_an_error_that_names_entry_and_field_and_file(
    operator_file, kind: str, text: str, entry: str, field: str
):
    path = operator_file(text)
    with pytest.raises(ConfigurationError) as caught:
        LOADERS[kind](path)
    assert f"`{entry}`" in caught.value.message
    assert f"`{field}" in caught.value.message
    assert str(path) in caught.value.hint


def test_an_unknown_field_is_answered_with_the_fields_that_there_are(operator_file):
    with pytest.raises(ConfigurationError) as caught:
        ModelRegistry.load(operator_file(MINIMAL + "colour = 1\n"))
    assert set(ModelEntry.model_fields) <= set(
        caught.value.hint.replace(",", "").replace(".", "").split()
    )


@pytest.mark.parametrize("kind", LOADERS)
def test_an_unknown_table_is_an_error_that_names_it_and_the_right_one(operator_file, kind: str):
    path = operator_file("[model.mine]\nprovider = 'local'\n")
    with pytest.raises(ConfigurationError) as caught:
        LOADERS[kind](path)
    assert "`model`" in caught.value.message
    assert f"`[{kind}.NAME]`" in caught.value.message
    assert str(path) in caught.value.message


@pytest.mark.parametrize("text", ["models = 3\n", "models = []\n", "[[models]]\nkey = 'a'\n"])
def test_entries_that_are_no_tables_are_an_error(operator_file, text: str):
    with pytest.raises(ConfigurationError, match=r"`\[models\.NAME\]`; it has `models`"):
        ModelRegistry.load(operator_file(text))


def test_an_entry_that_is_no_table_is_an_error_that_names_it(operator_file):
    with pytest.raises(ConfigurationError, match=r"`models\.mine` in .* must be a table"):
        ModelRegistry.load(operator_file("[models]\nmine = 3\n"))


@pytest.mark.parametrize("kind", LOADERS)
def test_a_file_that_is_not_toml_is_an_error_that_names_it(operator_file, kind: str):
    path = operator_file("[models\n")
    with pytest.raises(ConfigurationError, match=f"`{path}` is not TOML"):
        LOADERS[kind](path)


def test_a_file_that_is_not_utf8_is_an_error_that_names_it(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b'[models."m\xff"]\n')
    with pytest.raises(ConfigurationError, match=f"`{path}` is not TOML"):
        ModelRegistry.load(path)


@pytest.mark.parametrize("kind", LOADERS)
def test_a_missing_file_is_an_error_that_names_it_and_its_settings(tmp_path: Path, kind: str):
    path = tmp_path / "absent.toml"
    with pytest.raises(ConfigurationError) as caught:
        LOADERS[kind](path)
    assert f"`{path}`" in caught.value.message
    assert f"AGENT_LAB_{kind.upper()}_FILE" in caught.value.hint


def test_a_folder_in_place_of_the_file_is_an_error(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ModelRegistry.load(tmp_path)


def test_an_entry_cannot_take_another_key_than_its_tables_name(operator_file):
    path = operator_file(MINIMAL + 'key = "smollm2-135m"\n')
    with pytest.raises(ConfigurationError, match=r"models\.mine.*`key`"):
        ModelRegistry.load(path)


def test_an_unknown_model_lists_the_near_ones_and_the_command_that_lists_all():
    with pytest.raises(UnknownModelError) as caught:
        ModelRegistry.load().get("qwen2.5-coder-1.5")
    assert caught.value.details["near"][0] == "qwen2.5-coder-1.5b"
    assert "did you mean `qwen2.5-coder-1.5b`" in caught.value.message
    assert caught.value.hint == "agent-lab models list"


def test_an_unknown_model_lists_all_of_few_when_none_is_near():
    with pytest.raises(UnknownModelError) as caught:
        ModelRegistry.load().get("zzz")
    assert all(f"`{entry.key}`" in caught.value.message for entry in ModelRegistry.load().all())


def test_an_unknown_strategy_lists_the_near_ones():
    with pytest.raises(UnknownStrategyError, match=r"`gredy`; did you mean `greedy`"):
        StrategyRegistry.load().get("gredy")


tables = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
mappings = st.dictionaries(st.sampled_from("abc"), tables, max_size=3)


@given(base=mappings)
def test_merging_nothing_or_itself_changes_nothing(base: dict[str, Any]):
    assert merge(base, {}) == merge({}, base) == merge(base, base) == base


@given(base=mappings, over=mappings)
def test_merging_keeps_what_only_one_side_has_and_takes_the_rest_from_over(
    base: dict[str, Any], over: dict[str, Any]
):
    merged = merge(base, over)
    assert merged.keys() == base.keys() | over.keys()
    for key, value in merged.items():
        if key not in over:
            assert value == base[key]
        elif not (isinstance(over[key], dict) and isinstance(base.get(key), dict)):
            assert value == over[key]
        else:
            assert value == merge(base[key], over[key])
