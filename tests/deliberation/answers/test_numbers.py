from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent_lab.deliberation.answers.numbers import (
    MOST_DIGITS,
    last_number,
    number_key,
    read_number,
)

KEYS = {
    # signs and digits
    "42": "42",
    "+42": "42",
    "-5": "-5",
    "−5": "-5",
    "- 5": "-5",
    "–5": "-5",
    "-0": "0",
    "007": "7",
    "４２": "42",
    ".5": "0.5",
    "5.": "5",
    "3.140": "3.14",
    "42.0": "42",
    # thousands and decimals
    "1,234.5": "1234.5",
    "1.234,5": "1234.5",
    "1,234": "1234",
    "1.234": "1.234",
    "1,234,567": "1234567",
    "1.234.567": "1234567",
    "1 234 567": "1234567",
    "1\u202f234,5": "1234.5",
    "1'234'567": "1234567",
    "1_000": "1000",
    "3,14": "3.14",
    "0,125": "0.125",
    "1234,567": "1234.567",
    r"1\,234": "1234",
    "1{,}234": "1234",
    # fractions
    "3/4": "0.75",
    "2/3": "2/3",
    "-4/6": "-2/3",
    "8 / 2": "4",
    "3 1/2": "3.5",
    "1½": "1.5",
    "⅔": "2/3",
    r"\frac{3}{4}": "0.75",
    r"\dfrac34": "0.75",
    r"3\frac{1}{2}": "3.5",
    r"-\frac{2}{3}": "-2/3",
    # powers of ten and magnitudes
    "1e3": "1000",
    "1.5E-2": "0.015",
    "3 × 10^8": "300000000",
    r"3 \times 10^{8}": "300000000",
    "10²": "100",
    "10^-3": "0.001",
    "2 million": "2000000",
    "2 millones": "2000000",
    "2 mil": "2000",
    "3 mil millones": "3000000000",
    "1.5 billion": "1500000000",
    "5k": "5000",
    "5 km": "5",
    "2 dozen eggs": "24",
    # percent, currency, units
    "50%": "50",
    "50 %": "50",
    r"50\%": "50",
    "0.5": "0.5",
    "$1,234.50": "1234.5",
    "-$3.50": "-3.5",
    "$-3.50": "-3.5",
    "1.234,50 €": "1234.5",
    "USD 50": "50",
    "42 apples": "42",
    "42 km/h": "42",
    "9.8 m/s²": "9.8",
    "90°": "90",
    r"90^\circ": "90",
    r"42\text{ km}": "42",
    # words around it
    "63 (because 7*9)": "63",
    "63, because 7*9": "63",
    "63. That is 7*9.": "63",
    "63 because 7*9 = 63": "63",
    "6*7 = 42": "42",
    "42 = 6*7": "42",
    "x = 3/4": "0.75",
    "≈ 3.14": "3.14",
    "about 42": "42",
    "There are 42 apples left.": "42",
    "seven": "7",
    "dieciséis": "16",
}
NONE = [
    "",
    "none",
    "6*7",
    "6 * 7",
    "7 + 5",
    "3, 4",
    "3 or 4",
    "between 3 and 5",
    "3-4",
    "not 42",
    "It isn't 42",
    "more than 5",
    "> 5",
    "cannot be told from 3 facts",
    "no se puede saber con 2 datos",
    "x-5",
    "2x",
    "2x + 3",
    "2^10",
    "±5",
    "2π",
    r"2\pi",
    r"3\sqrt{2}",
    "x = 3, y = 4",
    "1,2,3",
    "1.2.3",
    "12:30",
    "2024-05-01",
    "1/2/2024",
    "1/0",
    "5 feet 3 inches",
    "H2O",
    "NaN",
    "Infinity",
    "1" * (MOST_DIGITS + 1),
    "1e999",
]
numbers = st.fractions(max_denominator=10**6) | st.decimals(
    allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9
).map(Fraction)
texts = st.text(max_size=60) | st.lists(
    st.sampled_from(
        [
            *"0123456789.,'_/+-*×^=%$€ ()[]{}\\xkeE½²∞",
            "\\frac",
            "10^",
            " and ",
            "mil",
            "42",
            "1,234",
        ]
    ),
    max_size=30,
).map("".join)


def key(value: str) -> str | None:
    number = read_number(value)
    return None if number is None else number.key


@pytest.mark.parametrize(("value", "expected"), KEYS.items())
def test_a_number_has_the_key_of_its_value(value: str, expected: str):
    assert key(value) == expected


@pytest.mark.parametrize("value", NONE)
def test_what_is_no_single_number_is_not_read_as_one(value: str):
    assert read_number(value) is None


def test_a_percentage_is_its_number_and_no_share():
    assert key("50%") == key("50") != key("0.5")


@given(number=numbers)
def test_a_key_is_read_as_itself(number: Fraction):
    spelled = number_key(number)
    assert spelled is not None
    assert key(spelled) == spelled


@given(number=numbers)
def test_a_key_is_the_exact_value(number: Fraction):
    assert Fraction(number_key(number) or "") == number


@given(number=st.integers(-(10**12), 10**12), places=st.integers(0, 6))
def test_equal_numbers_in_different_spellings_have_equal_keys(number: int, places: int):
    value = Fraction(number, 10**places)
    plain = f"{number // 10**places if places == 0 else number / 10**places:.{places}f}"
    assume(Fraction(plain) == value)
    whole, point, decimals = plain.partition(".")
    english = f"{int(whole):,}" if int(whole) or not whole.startswith("-") else "-0"
    spellings = [
        plain,
        plain.replace("-", "−"),
        english + point + decimals,
        f"{value.numerator}/{value.denominator}",
        rf"$\frac{{{abs(value.numerator)}}}{{{value.denominator}}}$" if value >= 0 else plain,
        f"{plain} apples",
        f"x = {plain}",
        f"{plain}%",
    ]
    if len(decimals) not in (0, 3):
        spellings.append(english.replace(",", ".") + "," + decimals)
    assert {spelling: key(spelling) for spelling in spellings} == dict.fromkeys(
        spellings, number_key(value)
    )


@given(value=texts)
def test_the_display_of_a_number_has_the_same_key(value: str):
    number = read_number(value)
    if number is not None:
        assert key(number.display) == number.key


@given(line=texts)
def test_the_last_number_has_the_key_of_its_display(line: str):
    number = last_number(line)
    if number is not None:
        assert key(number.display) == number.key


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("First 3, then 4.", "4"),
        ("7 * 9 = 63", "63"),
        ("She pays $1,234.50 for it.", "1234.5"),
        ("We met at 12:30 on 1/2/2024, all 5 of us.", "5"),
    ],
)
def test_the_last_number_of_a_line_is_found(line: str, expected: str):
    number = last_number(line)
    assert number is not None
    assert number.key == expected


def test_a_line_without_a_number_has_no_last_one():
    assert last_number("no number, but H2O and 2^10") is None
