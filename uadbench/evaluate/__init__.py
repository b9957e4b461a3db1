"""Scores for any two folders of NIfTI files, with no method involved."""
