"""`uadbench bench`: how fast this machine is, beside what its hardware allows."""
