"""What the figures share: which cases, which panels, which style."""
