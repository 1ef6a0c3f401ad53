"""Words, English and Spanish, without accents, that give no reason to change an answer."""

_ABOUT_OTHERS = """
other others another peer peers agent agents member members majority consensus everyone everybody
most all both several many colleague colleagues participant participants debater debaters agree
agrees agreed agreement disagree disagrees two three four five six seven eight nine say says said
saying get gets got give gives gave given think thinks thought believe believes find finds found
reach reached arrive arrived conclude concluded choose chose chosen otro otros otra otras demas
agente agentes miembro miembros mayoria consenso todos todas ambos varios varias muchos companero
companeros companera companeras participante participantes coincide coinciden acuerdo dos tres
cuatro cinco seis siete ocho nueve dice dicen dijo dijeron dan dieron creen piensa piensan llega
llegan llegaron obtiene obtienen obtuvieron concluye concluyen elige eligen eligieron model models
solver solvers expert experts people person persons team crowd rest obtain obtains obtained compute
computes computed calculate calculated come comes came state states stated claim claims claimed
suggest suggests suggested indicate indicates indicated pick picks picked select selected vote votes
voted go goes went hold holds unanimous unanimously overwhelming common popular shared according
among opinion opinions view views modelo modelos experto expertos gente persona personas equipo
resto calculan calcularon sostienen afirman indican indica sugieren sugiere votan votaron votos
ve ven vieron see sees saw seen
prefieren unanime unanimidad segun comun entre opiniones responde responden respondieron contesta
contestan contestaron dio llego obtuvo cree
"""
_EMPTY = """
quote quotes quoted word words phrase line palabra palabras cita citas citada citadas frase linea
otherwise convince convinces convinced persuade persuades persuaded likewise similarly agreeing
contrario convence convencen convencio convencieron convencido convencida manera forma igualmente
the this that these those it its is are was were be been being am my mine me we our you they them
their he she his her of to in on at by from with for as and or but not no so than then thus
therefore hence because since if which who what have has had do does did can could should would must
may might will now here there just only also more very clearly indeed actually really isnt wasnt
dont doesnt didnt cant ive im thats an answer answers answered result results solution solutions
response responses option value conclusion prefer correct right wrong incorrect error mistake false
true different differ differs differently same better best likely sure convincing persuasive
reliable trust follow following change changed changing switch switched previous earlier old new
instead rather final one ones yes text group else un una unos unas el la los las lo este esta esto
ese esa eso es son era fue ser estan yo mi mis nos nuestro nuestra su sus le les se de del al en por
para con como pero ni sino mas que quien porque pues ya si luego asi entonces tanto ha han hay debe
deberia puede seria ahora aqui solo tambien muy claramente realmente respuesta respuestas resultado
resultados solucion soluciones opcion valor creo correcto correcta correctos bien mal equivocado
equivocada incorrecto incorrecta falso falsa verdadero diferente distinto distinta distintos igual
mejor probable seguro convincente fiable confio sigo seguir cambio cambie cambiado cambiar anterior
antigua nueva nuevo texto grupo uno seem seems appear appears see up out go join align aligned match
matches consistent based per too well good bad parece parecen veo tras ante correctas falsas
distintas diferentes
"""

ABOUT_OTHERS = frozenset(_ABOUT_OTHERS.split())
"""About others, how many they are and that they answer something."""
EMPTY = frozenset(_EMPTY.split())
"""About the answer, that it is right, wrong or new; and words that join others."""
