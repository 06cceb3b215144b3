"""Kinds of annotation, each simulated from a dense label in a module of its own."""
