"""Which earlier texts are about what a new text is about, by the words that they share."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_READ = 4000
"""Characters of each text."""

# Where one character is a word: Han, kana, Hangul.
_CJK = (
    "\u1100-\u11ff\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fd-\u30ff\u3131-\u318e"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(f"[{_CJK}]|[^\\W_{_CJK}]+")
# "función" and "funciones" are one word once the accent is gone, and many write without accents.
_NO_ACCENTS = str.maketrans("áéíóúü", "aeiouu")
_SHORTEST_PLURAL = 4
_ENGLISH = """a about after again all also am an and any are as at be because been before being but
by can cannot could d did do does doing don down each few for from had has have having he her here
hers him his how i if in into is it its just ll m me more most my no nor not now of off on once only
or other our out over own please re s same she should so some such t than that the their them then
there these they this those through to too under until up us ve very was we were what when where
which while who whom why will with would you your yours"""
_SPANISH = """a al algo algun alguna algunas alguno algunos ante antes aqui asi aun aunque bien cada
como con contra cual cuales cuando cuanto de del desde donde dos e el ella ellas ellos en entre era
eran es esa esas ese eso esos esta estaba estan estas este esto estos estoy favor fue fueron ha hace
hacia han hasta hay la las le les lo los mas me mi mis mucho muy nada ni no nos nosotros o os otra
otras otro otros para pero poco por porque puede pueden pues que quien quienes se sea ser si sido
sin sobre solo son soy su sus tambien tan tanto te tiene tienen todo todos tu tus u un una unas uno
unos usted ustedes va y ya yo"""
# What to do, not what about.
_REQUESTS = """describe explain give help make show tell write ayuda dame dime escribe explica haz
muestra"""
_STOP_WORDS = frozenset(f"{_ENGLISH} {_SPANISH} {_REQUESTS}".split())


def most_relevant(
    query: str, texts: Sequence[str], *, limit: int, least: float = 0.25
) -> list[int]:
    """The texts that are about what a query is about.

    A text's score is the share of the query's information that it holds: of the sum over the
    query's distinct words of their inverse document frequency, log((n + 1) / df), n texts with the
    query among them, df of which have the word. So a rare word counts much, a word of nearly all
    texts next to nothing (K. Spärck Jones, A statistical interpretation of term specificity and its
    application in retrieval, Journal of Documentation 28, 1972). English and Spanish stop words
    count nothing; the first 4,000 characters of each text are read.

    Args:
        query: The new text.
        texts: The earlier ones, oldest first.
        limit: How many to return at most.
        least: The lowest score that will do, 0 to 1.

    Returns:
        Indexes of `texts`, the most relevant first, of equal ones the later first; none for a query
        without a word that counts.
    """
    wanted, held = _words(query), [_words(text) for text in texts]
    if not wanted:
        return []
    spread = Counter(word for words in (wanted, *held) for word in words & wanted)
    weight = {word: math.log((len(held) + 2) / count) for word, count in spread.items()}
    # fsum, since the order of a set differs from process to process, and so would a plain sum.
    whole = math.fsum(weight.values())
    scores = [math.fsum(weight[word] for word in words & wanted) / whole for words in held]
    ranked = sorted(range(len(held)), key=lambda index: (-scores[index], -index))
    return [index for index in ranked if scores[index] >= least][: max(limit, 0)]


def _words(text: str) -> frozenset[str]:
    """The distinct words that count, plurals folded into their singular."""
    folded = unicodedata.normalize("NFKC", text[:_READ]).casefold().translate(_NO_ACCENTS)
    return frozenset(_singular(word) for word in _WORD.findall(folded) if word not in _STOP_WORDS)


def _singular(word: str) -> str:
    """One form for `house` and `houses`, `papel` and `papeles`; not always a word."""
    if len(word) < _SHORTEST_PLURAL:
        return word
    if word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return word.removesuffix("e") if len(word) >= _SHORTEST_PLURAL else word
