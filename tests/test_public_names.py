"""The public surface: what `agent_lab` promises."""

import agent_lab


def test_every_public_name_loads():
    for name in agent_lab.__all__:
        assert getattr(agent_lab, name) is not None


def test_public_names_are_sorted_and_complete():
    assert agent_lab.__all__ == sorted(agent_lab.__all__)
    assert set(agent_lab._HOMES) | {"__version__"} == set(agent_lab.__all__)
