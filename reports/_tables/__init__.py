"""What runs say together: which may be compared, in which columns, in which words."""
