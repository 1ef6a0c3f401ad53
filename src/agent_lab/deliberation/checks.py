"""Runs the declared checks of an answer: a score, and what is wrong in words that help its author.

A check holds or does not, score 1 or 0; only a judge says how far. How fast an answer came, and how
long it took, say nothing about its quality: no check reads that.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError
from pydantic import Field

from agent_lab.contracts import Contract, Language
from agent_lab.deliberation.check_kinds import (
    JsonCheck,
    JudgeCheck,
    LengthCheck,
    RegexCheck,
    validator_of,
    wording,
)
from agent_lab.deliberation.structured import MOST_POINTS, json_values, read_verdict

_PASSES = 0.5
_MOST_FAULTS = 3
_LONGEST_PART, _LONGEST_REASON = 100, 300
# Of a longer answer only the first fault is looked for: the validator lists one or all.
_FAULTS_LISTED_UP_TO = 50_000

# Scripts that put no space between words, and the marks that part words there.
_CJK = "\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_CJK_MARKS = "\u3000-\u3004\u3008-\u3020\uff01-\uff0f\uff1a-\uff20"
_WORD = re.compile(f"[{_CJK}]|[^\\s{_CJK}{_CJK_MARKS}]+")
_UNITS: dict[str, dict[Language, tuple[str, str]]] = {
    "words": {"en": ("word", "words"), "es": ("palabra", "palabras")},
    "characters": {"en": ("character", "characters"), "es": ("carácter", "caracteres")},
}
_SAID: dict[str, dict[Language, str]] = {
    "too_little": {
        "en": "The answer has {0} {1}; at least {2} are wanted.",
        "es": "La respuesta tiene {0} {1}; se piden al menos {2}.",
    },
    "too_much": {
        "en": "The answer has {0} {1}; at most {2} are wanted.",
        "es": "La respuesta tiene {0} {1}; se piden como máximo {2}.",
    },
    "no_json": {
        "en": "The answer holds no valid JSON, which is what is wanted.",
        "es": "La respuesta no contiene JSON válido, que es lo que se pide.",
    },
    "misfit": {
        "en": "The JSON of the answer does not fit the schema that is wanted: {0}.",
        "es": "El JSON de la respuesta no cumple el esquema que se pide: {0}.",
    },
    "missing": {
        "en": "The answer holds nothing that matches `{0}`, which is what is wanted.",
        "es": "La respuesta no contiene nada que cumpla `{0}`, que es lo que se pide.",
    },
    "forbidden": {
        "en": "The answer holds something that matches `{0}`; nothing of the kind is wanted.",
        "es": "La respuesta contiene algo que cumple `{0}`; no se quiere nada así.",
    },
    "judged": {
        "en": "The judge gives {0:g} of {1} points for: {2}",
        "es": "El juez da {0:g} de {1} puntos por: {2}",
    },
}


class CheckResult(Contract):
    """What one check says of one answer."""

    check: str
    """Its kind."""
    score: float = Field(ge=0, le=1)
    passed: bool
    problem: str
    """What is wrong and what is wanted; empty if it passed."""
    weight: float = Field(gt=0)
    required: bool


def run_check(
    check: LengthCheck | JsonCheck | RegexCheck, text: str, lang: Language
) -> CheckResult:
    """Check an answer; the problem is worded in the language of the run."""
    problem = _PROBLEMS[check.check](check, text, lang)
    return _result(check, 0.0 if problem else 1.0, problem)


def judge_result(check: JudgeCheck, answer: str, lang: Language) -> CheckResult | None:
    """What a judge's answer says of the text that it judged; None: it is no verdict.

    The text passes with half of the points; else the judge's reason is the problem.
    """
    verdict = read_verdict(answer)
    if verdict is None:
        return None
    question = wording(check.question, lang)
    problem = verdict.reason or _SAID["judged"][lang].format(verdict.points, MOST_POINTS, question)
    score = verdict.points / MOST_POINTS
    return _result(check, score, "" if score >= _PASSES else _cut(problem, _LONGEST_REASON))


def parse_verdict(text: str) -> float | None:
    """A judge's score from 0 to 1, as `read_verdict` finds it; None: there is none that counts."""
    verdict = read_verdict(text)
    return None if verdict is None else verdict.points / MOST_POINTS


def total_score(results: Sequence[CheckResult]) -> float | None:
    """The mean of the scores by weight; None: there are no results."""
    if not results:
        return None
    # Shares of the heaviest, since the sum of the weights themselves can exceed every float.
    heaviest = max(result.weight for result in results)
    shares = [result.weight / heaviest for result in results]
    scores = [result.score for result in results]
    weighed = (score * share for score, share in zip(scores, shares, strict=True))
    mean = math.fsum(weighed) / math.fsum(shares)
    # Rounding must not put a mean of equal scores below a threshold that each of them reaches.
    return min(max(mean, min(scores)), max(scores))


def accepted(results: Sequence[CheckResult], threshold: float) -> bool:
    """Whether every required check passed and the total reaches the threshold."""
    total = total_score(results)
    if total is None:
        return True
    return total >= threshold and all(result.passed for result in results if result.required)


def _result(
    check: LengthCheck | JsonCheck | RegexCheck | JudgeCheck, score: float, problem: str
) -> CheckResult:
    return CheckResult(
        check=check.check,
        score=score,
        passed=not problem,
        problem=problem,
        weight=check.weight,
        required=check.required,
    )


def _length_problem(check: LengthCheck, text: str, lang: Language) -> str:
    words, characters = sum(1 for _ in _WORD.finditer(text)), len(text.strip())
    rows = (
        ("words", words, check.min_words, check.max_words),
        ("characters", characters, check.min_characters, check.max_characters),
    )
    said = []
    for unit, count, least, most in rows:
        noun = _UNITS[unit][lang][count != 1]
        if least is not None and count < least:
            said.append(_SAID["too_little"][lang].format(count, noun, least))
        if most is not None and count > most:
            said.append(_SAID["too_much"][lang].format(count, noun, most))
    return " ".join(said)


def _json_problem(check: JsonCheck, text: str, lang: Language) -> str:
    is_short = len(text) <= _FAULTS_LISTED_UP_TO
    for value in json_values(text, braces="largest"):
        faults = _faults(validator_of(check.schema_), value, is_short=is_short)
        return _SAID["misfit"][lang].format("; ".join(faults)) if faults else ""
    return _SAID["no_json"][lang]


def _faults(validator: Draft202012Validator, value: Any, *, is_short: bool) -> list[str]:
    try:
        if is_short:
            return [_fault(error) for error in islice(validator.iter_errors(value), _MOST_FAULTS)]
        validator.validate(value)
    except ValidationError as error:
        return [_fault(error)]
    return []


def _fault(error: ValidationError) -> str:
    """Where, which keyword, what it demands: the same in every language."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
    try:
        demand = ": " + json.dumps(error.kind.value, ensure_ascii=False)
    except TypeError:  # not what is demanded, but the faults of each alternative
        demand = ""
    return f"`{_cut('$' + ''.join(steps))}` {error.kind.name}{_cut(demand)}"


def _regex_problem(check: RegexCheck, text: str, lang: Language) -> str:
    # Half of a surrogate pair is no character, and the validator takes characters only.
    characters = text.encode(errors="replace").decode()
    if validator_of({"pattern": check.pattern}).is_valid(characters) is not check.absent:
        return ""
    said = _SAID["forbidden" if check.absent else "missing"][lang]
    return wording(check.message, lang) or said.format(check.pattern)


def _cut(text: str, longest: int = _LONGEST_PART) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


_PROBLEMS: dict[str, Callable[[Any, str, Language], str]] = {
    "length": _length_problem,
    "json": _json_problem,
    "regex": _regex_problem,
}
