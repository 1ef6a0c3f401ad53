"""The words, English and Spanish in one table, by which a task says what answer it wants.

A pattern meets a text without accents, of which quotes and code were taken out.
"""

from agent_lab.deliberation.task_words import START

LONGEST_YES_OR_NO = 30
"""Words of a question that is taken as one for yes or no though it does not say so."""

CHOOSE = (
    r"\?|\b(?:which|choose|select|pick|correct|best|following|multiple choice|cual|elige|escoge"
    r"|selecciona|marca|correcta?|mejor|siguientes?|opcion)\b|_{2,}|\.\.\.|…|:\s*$"
)
SEVERAL_CHOICES = (
    r"\b(?:all that|all the correct|select all|(?:choose|pick|which|select) (?:two|three|all)"
    r"|todas las (?:que|correctas)|(?:elige|selecciona|marca|escoge) (?:dos|tres|todas)|rank|order"
    r"|ordena)\b"
)
TO_DO = (
    r"(?:explain|describe|prove|calculate|compute|find|write|list|solve|show|determine|explica"
    r"|describe|demuestra|calcula|halla|escribe|enumera|resuelve|determina)\b"
)
TO_EXPLAIN = (
    r"\b(?:explain|why|describe|discuss|compare|list|how (?:do|does|can|should|could|would)"
    r"|explica|por que|comenta|compara|enumera|como (?:se|puedo|puede|debo|funciona))\b"
)
# A condition or a scene may stand before the question: `If …, how many …`.
_ASKS = rf"(?:[^\n]*?[,;]\s*[¿]?(?:then\s+|entonces\s+)?)?{START}[¿]?"
_FIND = r"(?:calculate|compute|find|determine|tell me|calcula|halla|determina|dime|averigua)"
_QUANTITIES = (
    r"(?:sum|total|product|difference|quotient|remainder|average|mean|median|area|perimeter|volume"
    r"|probability|percentage|speed|cost|price|distance|number|value|age|square root|length"
    r"|suma|producto|diferencia|cociente|resto|promedio|media|mediana|perimetro|volumen"
    r"|probabilidad|porcentaje|velocidad|coste|costo|precio|distancia|numero|valor|edad"
    r"|raiz cuadrada|longitud)"
)
HOW_MANY = (
    rf"{_ASKS}(?:{_FIND}\s+)?(?:(?:in|at|to|for|of|by|a|en|por|de)\s+)?"
    r"(?:how (?:many|much|old|tall)|(?:what|que) (?:year|a[nñ]o|edad)"
    r"|cuant[oa]s?(?! (?:antes|mas|menos|mayor)))\b"
)
# Only where the task has digits.
QUANTITY = (
    rf"{_ASKS}(?:(?:calculate|compute|evaluate|calcula|calcule|evalua)\b"
    r"|(?:what is|what's)\s+(?:the value of\s+)?[-(]?\d"
    r"|(?:what(?: is|'s| was| will be)|find|determine|cual (?:es|era|sera)|halla|determina"
    r"|encuentra)\s+(?:(?:the|its|his|her|their|el|la|su)\s+)?(?:[\w']+\s+){0,2}?"
    rf"{_QUANTITIES}\b)"
)
# An equation of the first degree; others may have several solutions.
EQUATION = (
    rf"(?:^|\n){START}(?:solve|resuelve)\b"
    r"(?![^\n]*(?:\^|\*\*|[²³]|\bsystem|\bsistema|\band\b|\by\b))[^\n=]*="
)
SEVERAL_NUMBERS = (
    r"\b(?:how (?:many|much)|cuant[oa]s?)\b[^?]*\b(?:how (?:many|much)|cuant[oa]s?)\b"
    r"|\b(?:sum and|suma y|average and|media y|area and|area y)\b"
)
FORMULA = (
    r"\b(?:derivatives?|integrals?|expressions?|formulas?|simplify|factori[sz]e|matrix|equation of"
    r"|intervals?|estimate|derivadas?|integrales|expresion(?:es)?|simplifica|factoriza|matriz"
    r"|ecuacion de|intervalo|estima)\b"
)
YES_OR_NO_SAID = (
    r"\b(?:yes[ /](?:or )?no|yes-or-no|true[ /](?:or )?false|si[ /](?:o )?no(?= *[?.)\n]|$)"
    r"|verdadero[ /](?:o )?falso|cierto[ /](?:o )?falso)\b"
    rf"|(?:^|[¿\n.!?]\s*){START}(?:is it (?:true|correct|the case)|es (?:cierto|verdad|correcto))\b"
)
YES_OR_NO = (
    r"(?:(?:is|are|was|were|does|did|has|have)\s+(?!you\b|i\b|we\b|there (?:an?|any)\b"
    r"|it (?:worth|ok|okay|possible|safe|good|bad|a good)\b)"
    r"|(?:es|son|fue|era|existen?|tienen?)\s+(?!posible|buen|mal|segur|recomendable|conveniente))"
)
OPINION = r"\b(?:or|o|u|better|best|should|mejor|peor|deberia)\b"
IN_A_WORD = (
    r"\b(?:(?:in|with|using|en|con|usando)\s+(?:(?:only|just|solo)\s+)?(?:a single word|one word"
    r"|two words|una(?: sola)? palabra|dos palabras)|one-word (?:answer|reply|response)"
    r"|(?:only|just) (?:one|a single) word|(?:only|just) (?:the|its|his|her) name"
    r"|(?:solo|solamente|unicamente) (?:el|su) nombre|una sola palabra)\b"
)
EACH = r"\b(?:each|every|per|cada)\b"
# One thing: the noun before `of` or `that` is no plural.
NAME_THE = (
    rf"{START}(?:name|nombra|di el nombre de|dime el nombre de)\s*(?:\b(?:the|el|la)|l)\s+"
    r"(?:[\w-]+\s+){0,2}?[\w-]*(?:[^\Ws]|ss)\s+(?:of|that|who|which|where|in|with|de|del|que|donde"
    r"|en|con)\b(?!.*\b(?:and|y)\b)"
)
