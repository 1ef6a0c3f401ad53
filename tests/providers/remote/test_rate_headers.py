"""What hosts say of their limits is read in all their forms; nonsense says nothing."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from agent_lab.providers.base import RateReport
from agent_lab.providers.remote.rate_headers import rate_report, retry_after

SOON_S = 100
NONSENSE = ("", " ", "soon", "-1", "-0.5", "nan", "NaN", "inf", "-inf", "Infinity", "1e999", "1 2")
OPENAI = {
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-tokens": "6m0s",
}


def http_date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def rfc3339(seconds: float, zone: timezone = UTC) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).astimezone(zone).isoformat()


def reset_of(value: str) -> float | None:
    headers = {"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": value}
    report = rate_report(headers, 0.0)
    assert report is not None
    return report.requests_reset_s


def test_openais_form_is_read():
    assert rate_report(OPENAI, 7.0) == RateReport(7.0, 59, 1.0, 149984, 360.0)


def test_anthropics_form_is_read():
    report = rate_report(
        {
            "anthropic-ratelimit-requests-limit": "1000",
            "anthropic-ratelimit-requests-remaining": "999",
            "anthropic-ratelimit-requests-reset": rfc3339(SOON_S),
            "anthropic-ratelimit-tokens-remaining": "0",
            "anthropic-ratelimit-tokens-reset": rfc3339(-SOON_S),
        },
        7.0,
    )
    assert report is not None
    assert (report.requests_remaining, report.tokens_remaining) == (999, 0)
    assert report.requests_reset_s == pytest.approx(SOON_S, abs=5)
    assert report.tokens_reset_s == 0.0


def test_names_are_found_in_any_case_in_the_headers_of_an_answer():
    shouted = CIMultiDict({name.upper(): value for name, value in OPENAI.items()})
    assert rate_report(shouted, 7.0) == rate_report(OPENAI, 7.0)
    assert retry_after(CIMultiDict({"Retry-After-Ms": "250"})) == 0.25


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json"},
        {"x-ratelimit-limit-requests": "60", "x-ratelimit-reset-requests": "1s"},
    ],
)
def test_without_what_remains_there_is_no_report(headers: dict[str, str]):
    assert rate_report(headers, 0.0) is None


@pytest.mark.parametrize(
    ("headers", "report"),
    [
        ({"x-ratelimit-remaining-requests": "5"}, RateReport(0.0, requests_remaining=5)),
        ({"anthropic-ratelimit-tokens-remaining": "5"}, RateReport(0.0, tokens_remaining=5)),
        ({"x-ratelimit-remaining-tokens": "5.9"}, RateReport(0.0, tokens_remaining=5)),
    ],
)
def test_a_host_may_name_one_limit_only(headers: dict[str, str], report: RateReport):
    assert rate_report(headers, 0.0) == report


@pytest.mark.parametrize("value", NONSENSE)
def test_a_count_that_is_nonsense_says_nothing(value: str):
    assert rate_report({"x-ratelimit-remaining-requests": value}, 0.0) == RateReport(0.0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0s", 0.0),
        ("1s", 1.0),
        ("20ms", 0.02),
        ("7.66s", 7.66),
        ("6m0s", 360.0),
        ("2m59.56s", 179.56),
        ("1h0m0.5s", 3600.5),
        ("1d2h", 93600.0),
        ("1h2m3s4ms", 3723.004),
        ("1.5", 1.5),
        ("0", 0.0),
    ],
)
def test_a_duration_is_read_in_its_units(value: str, seconds: float):
    assert reset_of(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value", [*NONSENSE, "6m 0s", "6m0", "-3s", "1w", "s", "9" * 400 + "s", "2026-13-01T00:00:00Z"]
)
def test_a_duration_that_is_nonsense_says_nothing(value: str):
    assert reset_of(value) is None


@pytest.mark.parametrize(
    "moment",
    [
        rfc3339,
        lambda s: rfc3339(s).replace("+00:00", "Z"),
        lambda s: rfc3339(s).removesuffix("+00:00"),
        lambda s: rfc3339(s, timezone(timedelta(hours=-7))),
        lambda s: rfc3339(s, timezone(timedelta(hours=5, minutes=30))),
    ],
)
def test_a_moment_is_read_in_its_time_zone_and_as_now_when_it_is_over(
    moment: Callable[[float], str],
):
    assert reset_of(moment(SOON_S)) == pytest.approx(SOON_S, abs=5)
    assert reset_of(moment(-SOON_S)) == 0.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "4294967"}, 4294967.0),
        ({"retry-after-ms": "20"}, 0.02),
        ({"retry-after-ms": "20", "retry-after": "9"}, 0.02),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "-20", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "nan"}, None),
        ({"retry-after": http_date(-SOON_S)}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 -0000"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
        *(({"retry-after": value}, None) for value in NONSENSE),
    ],
)
def test_the_time_before_the_next_try_is_read(headers: dict[str, str], seconds: float | None):
    assert retry_after(headers) == seconds


def test_a_date_is_read_as_the_time_until_then():
    assert retry_after({"retry-after": http_date(SOON_S)}) == pytest.approx(SOON_S, abs=5)


NUMBERS = st.floats().map(str) | st.integers().map(str)
DATES = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Wed", "", "x"]),
    NUMBERS,
    st.sampled_from(["Oct", "October", "10", ""]),
    NUMBERS,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.sampled_from(["GMT", "+0100", "-9999", "+99999999", ""]),
)
MOMENTS = st.builds(
    "{}-{}-{}T{}:00:00{}".format, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.sampled_from("Zz+-")
)
DURATIONS = st.lists(st.builds("{}{}".format, NUMBERS, st.sampled_from(["ms", "s", "m", "h", "d"])))
VALUES = st.text() | NUMBERS | DATES | MOMENTS | DURATIONS.map("".join)


@given(value=VALUES)
def test_whatever_a_host_says_is_a_finite_time_or_nothing(value: str):
    report = rate_report(dict.fromkeys(OPENAI, value), 0.0)
    assert report is not None
    times = [report.requests_reset_s, report.tokens_reset_s, retry_after({"retry-after": value})]
    counts = [report.requests_remaining, report.tokens_remaining]
    assert all(n is None or (math.isfinite(n) and n >= 0) for n in [*times, *counts])
