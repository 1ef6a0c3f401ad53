"""The kit finds every fault that is planted, by the check that is meant for it and no other."""

import pytest

from agent_lab.providers.conformance import CHECKS, check_provider
from tests.conformance.planted import FAULTS, Honest, subject


async def test_an_honest_provider_passes_every_check():
    report = await check_provider(subject(Honest))
    assert report.failed == {}
    assert report.not_applicable == {}
    assert report.passed == tuple(CHECKS)


@pytest.mark.parametrize("faulty", FAULTS, ids=lambda faulty: faulty.__name__)
async def test_a_fault_is_found_by_the_checks_that_are_meant_for_it(faulty: type[Honest]):
    report = await check_provider(subject(faulty))
    assert set(report.failed) == FAULTS[faulty], report


def test_every_check_finds_a_fault():
    assert set().union(*FAULTS.values()) == set(CHECKS)
