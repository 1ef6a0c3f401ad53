import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.observability.redaction import MASK, Redactor

KEY_LETTERS = string.ascii_letters + string.digits + "_-"
# Any text that is no part of the mask itself: a secret `redacted` could not be masked by it.
secrets = st.text(min_size=6, max_size=40).filter(lambda s: not set(s) & set("[]"))


@given(secret=secrets, before=st.text(), after=st.text())
def test_a_known_secret_never_survives(secret: str, before: str, after: str):
    before, after = (text.replace("]", "").replace("[", "") for text in (before, after))
    shown = Redactor([secret])(before + secret + after)
    assert secret not in shown.replace(MASK, "[]")
    assert MASK in shown


@given(known=st.lists(secrets, min_size=1, max_size=4), data=st.data())
def test_no_one_of_several_secrets_survives_even_where_one_contains_another(
    known: list[str], data: st.DataObject
):
    known += [data.draw(st.sampled_from(known)) + "-and-more"]
    texts = data.draw(st.permutations(known))
    shown = Redactor(known)(" | ".join(texts)).replace(MASK, "[]")
    assert [secret for secret in known if secret in shown] == []


@given(st.text(alphabet="áéíóúñ ¿?.,;\n", max_size=60))
def test_a_text_without_secrets_stays_as_it_is(text: str):
    assert Redactor(["canary-8f31"])(text) == text


@given(
    prefix=st.sampled_from(["sk-", "sk_", "hf_", "hf-", "lab_", "lab-"]),
    body=st.text(alphabet=KEY_LETTERS, min_size=12, max_size=64),
)
def test_what_looks_like_a_key_is_masked_although_nobody_named_it(prefix: str, body: str):
    assert Redactor()(f"key {prefix}{body} was refused") == f"key {MASK} was refused"


@given(st.text(alphabet=KEY_LETTERS + ".+/=~", min_size=1, max_size=64))
def test_what_stands_behind_bearer_is_masked_although_nobody_named_it(token: str):
    assert Redactor()(f"Authorization: Bearer {token}") == f"Authorization: Bearer {MASK}"


def test_a_bearer_token_in_printed_headers_is_masked_up_to_its_quote():
    shown = Redactor()("{'Authorization': 'Bearer abc.def', 'Accept': 'text/plain'}")
    assert shown == f"{{'Authorization': 'Bearer {MASK}', 'Accept': 'text/plain'}}"


def test_the_longer_of_two_secrets_is_masked_whole():
    assert Redactor(["canary", "canary-8f31"])("is canary-8f31 here?") == f"is {MASK} here?"


@pytest.mark.parametrize("secret", ["", "a", "token"])
def test_a_secret_too_short_to_be_one_leaves_text_readable(secret: str):
    assert Redactor([secret])("a token of esteem") == "a token of esteem"


@pytest.mark.parametrize("text", ["task-force-of-the-world", "risk-assessment-long", "sk-short"])
def test_ordinary_words_are_not_taken_for_keys(text: str):
    assert Redactor()(text) == text


def test_every_occurrence_is_masked():
    assert Redactor(["canary"])("canary, canary") == f"{MASK}, {MASK}"


def test_letters_that_mean_something_in_patterns_are_taken_literally():
    assert Redactor(["a.c(d)*+"])("abc(d)*+ a.c(d)*+") == f"abc(d)*+ {MASK}"
