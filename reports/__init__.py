"""Reports: one file for each kind of output, made from finished run folders."""
