"""Dice, volumes and surface distances of a pair of masks."""
