"""Datasets: one file each, whose docstring is the data card."""
