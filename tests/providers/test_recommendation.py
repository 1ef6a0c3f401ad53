"""Which local models suit a machine, and which two suit a debate."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.contracts import ModelFit
from agent_lab.providers.recommendation import (
    Recommendation,
    estimated_tokens_per_s,
    recommend,
    recommend_pair,
)
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry

LOCAL = [entry for entry in ModelRegistry.load().all() if entry.provider == "local"]


def make_entry(key: str, parameters_b: float = 1, **fields: Any) -> ModelEntry:
    facts = {
        "key": key,
        "family": key,
        "provider": "local",
        "context_window": 8192,
        "parameters_b": parameters_b,
        "bytes": round(parameters_b * 6e8),
        "min_vram_gb": parameters_b,
        "languages": ("en",),
    }
    return ModelEntry.model_validate(facts | fields)


def fit_of(entry: ModelEntry, limit: float, spare: float | None = None) -> ModelFit:
    """Whether a model fits into so many GB, of which so many are spare."""
    spare = limit if spare is None else spare
    need = entry.min_vram_gb
    fits = "now" if need <= spare else "after_unload" if need <= limit else "never"
    return ModelFit(fits=fits, need_gb=need, limit_gb=limit, spare_gb=spare)


def ranked(
    entries: Iterable[ModelEntry],
    limit: float = 100,
    spare: float | None = None,
    present: Iterable[str] = (),
    **wishes: Any,
) -> tuple[Recommendation, ...]:
    entries = list(entries)
    fits = {entry.key: fit_of(entry, limit, spare) for entry in entries}
    return recommend(entries, fits, present=set(present), **wishes)


def keys(recommendations: Iterable[Recommendation] | None) -> list[str]:
    return [recommendation.key for recommendation in recommendations or ()]


def test_the_larger_of_two_models_that_fit_is_better():
    entries = [make_entry("small", 1), make_entry("large", 8), make_entry("middle", 3)]
    assert keys(ranked(entries)) == ["large", "middle", "small"]


def test_more_parameters_are_better_than_more_bits_for_each():
    entries = [make_entry("few-16-bit", 4, bytes=8e9), make_entry("many-4-bit", 8, bytes=5e9)]
    assert keys(ranked(entries)) == ["many-4-bit", "few-16-bit"]


def test_a_model_that_never_fits_is_not_recommended():
    assert keys(ranked([make_entry("fits", 4), make_entry("never", 5)], limit=4.5)) == ["fits"]


def test_a_model_that_takes_no_memory_here_is_not_recommended():
    remote, unasked = make_entry("remote"), make_entry("unasked")
    assert recommend([remote, unasked], {"remote": None}, present=()) == ()


def test_a_model_that_fits_now_comes_before_one_that_others_must_leave_for():
    best, other = ranked([make_entry("now", 1), make_entry("later", 8)], limit=10, spare=2)
    assert (best.key, other.key) == ("now", "later")
    assert "fits now: 1 of 10 GB" in best.reasons
    assert "fits once other models are unloaded: 8 of 10 GB" in other.reasons


def test_a_model_that_leaves_room_for_another_family_comes_before_a_larger_one():
    best, second, third = ranked(
        [make_entry("fills", 9), make_entry("leaves", 7), make_entry("tiny", 1)], limit=9.5
    )
    assert (best.key, second.key, third.key) == ("leaves", "tiny", "fills")
    assert "leaves room for a model of another family" in best.reasons
    assert "leaves room for a model of another family" not in third.reasons


def test_without_a_language_models_of_every_language_are_equal():
    entries = [make_entry("english", 2), make_entry("unknown", 3, languages=())]
    assert keys(ranked(entries)) == ["unknown", "english"]


def test_a_model_must_speak_the_language_and_unknown_ones_come_last():
    spanish = make_entry("spanish", 1, languages=("en", "es"))
    unknown = make_entry("unknown", 3, languages=())
    found = ranked([make_entry("english", 2), unknown, spanish], language="es")
    assert keys(found) == ["spanish", "unknown"]
    assert "its languages are not known" in found[1].reasons
    assert "its languages are not known" not in found[0].reasons


def test_a_model_must_be_able_to_do_what_is_asked():
    thinking = make_entry("thinking", capabilities=("chat", "reasoning"))
    assert keys(ranked([make_entry("plain", 8), thinking], capability="reasoning")) == ["thinking"]


def test_a_model_writes_as_many_tokens_as_the_memory_gives_its_weights():
    entry = make_entry("dense", 8, bytes=5e9)
    assert estimated_tokens_per_s(entry, 40) == 8
    assert estimated_tokens_per_s(entry, None) is None
    assert estimated_tokens_per_s(make_entry("unknown", bytes=0), 40) is None


def test_of_a_mixture_of_experts_only_the_weights_that_work_are_read():
    entry = make_entry("mixture", 30, bytes=18e9, active_parameters_b=3)
    assert estimated_tokens_per_s(entry, 18) == pytest.approx(10)


def test_a_model_that_is_too_slow_comes_after_the_others_and_says_so():
    found = ranked([make_entry("large", 30), make_entry("small", 3)], bandwidth_gb_s=20)
    assert keys(found) == ["small", "large"]
    assert "about 11.1 tokens/s at the most" in found[0].reasons
    assert "about 1.11 tokens/s at the most: slow" in found[1].reasons
    assert [round(r.tokens_per_s or 0, 2) for r in found] == [11.11, 1.11]


def test_how_slow_is_too_slow_can_be_said():
    entries = [make_entry("large", 30), make_entry("small", 3)]
    assert keys(ranked(entries, bandwidth_gb_s=20, least_tokens_per_s=1))[0] == "large"


def test_no_model_is_called_slow_where_the_bandwidth_is_not_known():
    best = ranked([make_entry("large", 30), make_entry("small", 3)])[0]
    assert (best.key, best.tokens_per_s) == ("large", None)
    assert not any("tokens/s" in reason for reason in best.reasons)


def test_of_equal_models_the_one_that_is_here_comes_first():
    found = ranked([make_entry("away", 2), make_entry("here", 2)], present=["here"])
    assert [(r.key, r.present) for r in found] == [("here", True), ("away", False)]
    assert "is on this machine" in found[0].reasons
    assert "1.2 GB to fetch" in found[1].reasons


def test_a_model_of_unknown_size_comes_last():
    found = ranked([make_entry("unknown", 0), make_entry("known", 1)])
    assert keys(found) == ["known", "unknown"]
    assert "of unknown size" in found[1].reasons


def test_a_pair_is_of_two_families_that_fit_together():
    entries = [make_entry("a8", 8, family="a"), make_entry("a7", 7, family="a"), make_entry("b", 2)]
    assert keys(recommend_pair(ranked(entries, limit=10))) == ["a8", "b"]
    assert keys(recommend_pair(ranked(entries, limit=9.5))) == ["a7", "b"]
    assert recommend_pair(ranked(entries, limit=8.5)) is None


def test_the_weaker_of_a_pair_is_as_good_as_it_can_be():
    entries = [make_entry("giant", 9), make_entry("one", 5), make_entry("two", 4), make_entry("x")]
    assert keys(recommend_pair(ranked(entries, limit=10))) == ["one", "two"]


def test_models_of_unknown_family_make_no_pair():
    entries = [make_entry("one", family=""), make_entry("two", family="")]
    assert recommend_pair(ranked(entries)) is None


def test_nothing_is_recommended_where_nothing_fits():
    assert ranked(LOCAL, limit=0.1) == ()
    assert recommend_pair(()) is None


@pytest.mark.parametrize(
    ("limit", "billions"), [(1, 0.1), (4, 1), (8, 3), (16, 7), (32, 12), (80, 70)]
)
@pytest.mark.parametrize("language", ["en", "es"])
def test_the_shipped_models_have_one_for_every_machine(
    limit: float, billions: float, language: str
):
    found = ranked(LOCAL, limit, language=language)
    sizes = {entry.key: entry.parameters_b for entry in LOCAL}
    if language == "en" or limit > 1:
        assert sizes[found[0].key] >= billions
    if limit > 1:
        assert recommend_pair(found) is not None


@given(
    limit=st.floats(0.1, 200),
    spare=st.floats(0, 1),
    bandwidth=st.none() | st.floats(1, 4000),
    language=st.sampled_from([None, "en", "es", "xx"]),
)
def test_whatever_is_recommended_fits_and_so_does_the_pair(
    limit: float, spare: float, bandwidth: float | None, language: str | None
):
    found = ranked(LOCAL, limit, limit * spare, bandwidth_gb_s=bandwidth, language=language)
    assert all(r.fit.fits != "never" and r.reasons for r in found)
    assert len(set(keys(found))) == len(found)
    pair = recommend_pair(found)
    if pair is not None:
        first, second = pair
        assert first.family != second.family
        assert first.fit.need_gb + second.fit.need_gb <= limit
        assert found.index(first) < found.index(second)
