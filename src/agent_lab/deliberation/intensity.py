"""How much debaters seek agreement: a knob from 0 to 10, each level a wording.

How strongly debaters are told to agree changes what a debate is worth (Smit, Grinsztajn, Duckworth,
Barrett, Pretorius, "Should we be going MAD? A Look at Multi-Agent Debate Strategies for LLMs",
2023). No level here asks to give up a right answer, nor to contradict anybody: a debater may be the
first to speak.
"""

from typing import Annotated, TypeAlias

from pydantic import Field

from agent_lab.contracts import Language

AgreementLevel: TypeAlias = Annotated[int, Field(ge=0, le=10, strict=True)]
"""0: defend your answer. 10: look for what all can agree on."""
STANCES: dict[Language, tuple[str, ...]] = {
    "en": (
        "Defend your answer unless you find an error in it.",
        "Hold on to your answer; only an error that you have checked yourself may move you.",
        "Keep your answer while its reasoning stands, and test that reasoning first.",
        "Lean towards your answer, and look at each objection to it.",
        "Start from your answer, and weigh other answers with some doubt.",
        "Weigh your answer and other answers alike.",
        "Weigh other answers with good will, and check where they differ from yours.",
        "Look first for what is right in other answers, then for what is wrong.",
        "Take over what other answers have right, and keep only differences that matter.",
        "Seek common ground, and name what still keeps the answers apart.",
        "Look for what all can agree on.",
    ),
    "es": (
        "Defiende tu respuesta salvo que encuentres un error en ella.",
        "Mantén tu respuesta; solo un error que tú hayas comprobado puede moverte.",
        "Conserva tu respuesta mientras su razonamiento se sostenga, y ponlo a prueba primero.",
        "Inclínate por tu respuesta y examina cada objeción que haya contra ella.",
        "Parte de tu respuesta y sopesa las demás con cierta duda.",
        "Sopesa por igual tu respuesta y las demás.",
        "Sopesa las demás respuestas con buena voluntad y comprueba en qué difieren de la tuya.",
        "Busca primero lo acertado de las demás respuestas y después lo equivocado.",
        "Adopta lo acertado de las demás respuestas y conserva solo las diferencias que importan.",
        "Busca un terreno común y di qué separa todavía las respuestas.",
        "Busca aquello en lo que todos puedan estar de acuerdo.",
    ),
}
TRUTH: dict[Language, str] = {
    "en": "What is true counts more than this: never give up a right answer in order to agree, "
    "nor keep a wrong one in order to win.",
    "es": "Lo que es verdad cuenta más que esto: nunca abandones una respuesta correcta para estar "
    "de acuerdo, ni mantengas una equivocada para ganar.",
}


def agreement_clause(level: int, lang: Language) -> str:
    """What a debater is told about agreeing.

    Args:
        level: From 0 (defend your answer) to 10 (look for what all can agree on).
        lang: The language of the prompt.

    Raises:
        IndexError: There is no such level.
    """
    if level < 0:
        raise IndexError(f"There is no level {level}.")
    return f"{STANCES[lang][level]} {TRUTH[lang]}"
