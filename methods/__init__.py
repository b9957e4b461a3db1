"""Methods: one file each, a folder past 300 lines."""
