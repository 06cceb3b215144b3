"""Seeds made of several numbers."""


def mixed_seed(*parts: int) -> int:
    """One seed from several small numbers, without collisions in practice."""
    seed = 0
    for part in parts:
        seed = (seed * 1_000_003 + part) % (2**63 - 1)
    return seed
