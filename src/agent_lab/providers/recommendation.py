"""Which local models suit this machine, the best first, and which two for a debate. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from agent_lab.contracts import Contract, ModelFit
from agent_lab.providers.registries.model_registry import Capability, ModelEntry

LEAST_TOKENS_PER_S = 4.0
"""A token is about three quarters of a word: that is 180 words a minute, as people read aloud (183:
Brysbaert 2019, doi 10.1016/j.jml.2019.104047). What comes slower is waited for.
"""


class Recommendation(Contract):
    """A local model that this machine can run."""

    key: str
    family: str
    fit: ModelFit
    present: bool
    """Whether its weights are here."""
    tokens_per_s: float | None
    """That it writes at the most, by the memory's bandwidth; None: unknown."""
    reasons: tuple[str, ...]
    """What speaks for it and against it, in English."""


class _Candidate(NamedTuple):
    entry: ModelEntry
    fit: ModelFit
    present: bool
    speaks: bool
    """Whether it is known to speak the language that was asked for."""
    tokens_per_s: float | None
    slow: bool
    has_partner: bool = False
    """Whether a model of another family fits beside it."""


class _Rule(NamedTuple):
    better: Callable[[_Candidate], float]
    """The more, the better."""
    reason: Callable[[_Candidate], str]
    """What a person is told; empty: nothing."""


def _speed(candidate: _Candidate) -> str:
    if candidate.tokens_per_s is None:
        return ""
    written = f"about {candidate.tokens_per_s:.3g} tokens/s at the most"
    return f"{written}: slow" if candidate.slow else written


def _memory(candidate: _Candidate) -> str:
    fit = candidate.fit
    when = "now" if fit.fits == "now" else "once other models are unloaded"
    return f"fits {when}: {fit.need_gb:.3g} of {fit.limit_gb:.3g} GB"


def _parameters(candidate: _Candidate) -> str:
    billions = candidate.entry.parameters_b
    return f"{billions:.3g} billion parameters" if billions else "of unknown size"


# The first rule in which two models differ decides. Of models that fit, the one of more parameters
# is taken, not the one of more bits for each: at the same size, twice the parameters at 4 bits beat
# 8 or 16 bits (Dettmers and Zettlemoyer 2022, "The case for 4-bit precision", arXiv 2212.09720).
_RULES = (
    _Rule(lambda c: c.speaks, lambda c: "" if c.speaks else "its languages are not known"),
    _Rule(lambda c: not c.slow, _speed),
    _Rule(lambda c: c.fit.fits == "now", _memory),
    _Rule(
        lambda c: c.has_partner,
        lambda c: "leaves room for a model of another family" if c.has_partner else "",
    ),
    _Rule(lambda c: c.entry.parameters_b, _parameters),
    _Rule(
        lambda c: c.present,
        lambda c: "is on this machine" if c.present else f"{c.entry.bytes / 1e9:.1f} GB to fetch",
    ),
)


def recommend(
    entries: Iterable[ModelEntry],
    fits: Mapping[str, ModelFit | None],
    *,
    present: Collection[str],
    language: str | None = None,
    capability: Capability | None = None,
    bandwidth_gb_s: float | None = None,
    least_tokens_per_s: float = LEAST_TOKENS_PER_S,
) -> tuple[Recommendation, ...]:
    """Rank the models that this machine has memory for.

    Args:
        entries: Models of the registry.
        fits: Whether each fits, by key; a model without one takes no memory here, and is left out.
        present: Keys of the models whose weights are here.
        language: ISO 639-1 code of a language that it must speak; one whose languages are not
            known comes after those that do.
        capability: What it must be able to do.
        bandwidth_gb_s: GB (10^9 bytes) that the memory of the models gives in a second; None:
            unknown, and no model is called slow.
        least_tokens_per_s: Models that write less in a second come after the others.

    Returns:
        The best first; empty if none fits.
    """
    candidates = []
    for entry in entries:
        fit = fits.get(entry.key)
        if fit is None or fit.fits == "never" or not _suits(entry, language, capability):
            continue
        tokens_per_s = estimated_tokens_per_s(entry, bandwidth_gb_s)
        slow = tokens_per_s is not None and tokens_per_s < least_tokens_per_s
        speaks = language is None or bool(entry.languages)
        candidates.append(_Candidate(entry, fit, entry.key in present, speaks, tokens_per_s, slow))
    ranked = [_with_partner(candidate, candidates) for candidate in candidates]
    ranked.sort(key=lambda c: tuple(rule.better(c) for rule in _RULES), reverse=True)
    return tuple(_recommendation(candidate) for candidate in ranked)


def recommend_pair(
    ranked: Sequence[Recommendation],
) -> tuple[Recommendation, Recommendation] | None:
    """Choose two models of different families that fit into the memory together.

    The weaker of the two is as good as it can be, and then the other one: a debate needs both.

    Args:
        ranked: As `recommend` gives them.

    Returns:
        The better one first; None: no two go together.
    """
    for number, second in enumerate(ranked):
        for first in ranked[:number]:
            if _go_together((first.family, first.fit), (second.family, second.fit)):
                return first, second
    return None


def estimated_tokens_per_s(entry: ModelEntry, bandwidth_gb_s: float | None) -> float | None:
    """Estimate how many tokens a model writes in a second, at the most.

    For each, all weights that work on it are read from memory once, and that is what takes long.

    Args:
        entry: The model.
        bandwidth_gb_s: GB (10^9 bytes) that the memory gives in a second; None: unknown.

    Returns:
        None if it is unknown.
    """
    if bandwidth_gb_s is None or not entry.bytes:
        return None
    share = 1.0
    if entry.active_parameters_b and entry.parameters_b:
        share = entry.active_parameters_b / entry.parameters_b
    return bandwidth_gb_s * 1e9 / (entry.bytes * share)


def _suits(entry: ModelEntry, language: str | None, capability: Capability | None) -> bool:
    if capability is not None and capability not in entry.capabilities:
        return False
    return language is None or not entry.languages or language in entry.languages


def _with_partner(candidate: _Candidate, others: Iterable[_Candidate]) -> _Candidate:
    own = (candidate.entry.family, candidate.fit)
    found = any(_go_together(own, (other.entry.family, other.fit)) for other in others)
    return candidate._replace(has_partner=found)


def _go_together(one: tuple[str, ModelFit], other: tuple[str, ModelFit]) -> bool:
    """Whether two models of known, different families fit together, once all others are gone."""
    (family, fit), (other_family, other_fit) = one, other
    if not family or not other_family or family == other_family:
        return False
    return fit.need_gb + other_fit.need_gb <= min(fit.limit_gb, other_fit.limit_gb)


def _recommendation(candidate: _Candidate) -> Recommendation:
    reasons = (rule.reason(candidate) for rule in _RULES)
    return Recommendation(
        key=candidate.entry.key,
        family=candidate.entry.family,
        fit=candidate.fit,
        present=candidate.present,
        tokens_per_s=candidate.tokens_per_s,
        reasons=tuple(reason for reason in reasons if reason),
    )
