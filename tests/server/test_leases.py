"""A lease ends when its holder leaves or falls silent."""

import pytest

from voxseed.server.leases import SILENCE_SECONDS, Leases, TakenError


def test_a_silent_client_loses_its_case():
    now = [0.0]
    leases = Leases(clock=lambda: now[0])
    leases.claim("a", "one")
    now[0] = SILENCE_SECONDS
    with pytest.raises(TakenError):
        leases.claim("a", "two")
    leases.claim("a", "one")
    now[0] = 2 * SILENCE_SECONDS + 1
    leases.claim("a", "two")
    with pytest.raises(TakenError):
        leases.claim("a", "one")


def test_only_the_holder_releases():
    leases = Leases()
    leases.claim("a", "one")
    leases.release("a", "two")
    with pytest.raises(TakenError):
        leases.claim("a", "two")
    leases.release("a", "one")
    leases.claim("a", "two")
