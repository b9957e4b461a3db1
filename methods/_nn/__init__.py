"""Network parts that several methods share."""
