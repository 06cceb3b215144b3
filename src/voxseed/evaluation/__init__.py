"""Comparing predictions with labels: rows, statistics, tables, figures and the report."""
