import re
from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from agent_lab.contracts import Language
from agent_lab.deliberation.intensity import TRUTH, AgreementLevel, agreement_clause

LEVELS = range(11)
LANGUAGES: tuple[Language, ...] = get_args(Language)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_there_are_eleven_wordings(lang: Language):
    assert len({agreement_clause(level, lang) for level in LEVELS}) == 11


def test_the_knob_goes_from_defence_to_common_ground():
    assert agreement_clause(0, "en").startswith(
        "Defend your answer unless you find an error in it."
    )
    assert agreement_clause(10, "en").startswith("Look for what all can agree on.")
    assert agreement_clause(0, "es").startswith("Defiende tu respuesta salvo que")
    assert agreement_clause(10, "es").startswith("Busca aquello en lo que todos puedan estar de")


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("level", LEVELS)
def test_each_says_that_truth_outranks_stance(level: int, lang: Language):
    clause = agreement_clause(level, lang)
    assert clause.endswith(TRUTH[lang])
    assert clause.count(TRUTH[lang]) == 1


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("level", LEVELS)
def test_none_asks_to_rebut_or_counts_heads(level: int, lang: Language):
    asking = r"(?i)rebut|refut|attack|oppose|counter|majority|rebat|ataca|opon|mayor[ií]a|[0-9]"
    assert not re.search(asking, agreement_clause(level, lang))


@pytest.mark.parametrize("level", [-1, 11])
def test_there_is_no_other_level(level: int):
    with pytest.raises(IndexError):
        agreement_clause(level, "en")
    with pytest.raises(ValidationError):
        TypeAdapter(AgreementLevel).validate_python(level)
