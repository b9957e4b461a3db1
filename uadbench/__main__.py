"""`python -m uadbench`."""

from uadbench.cli import main

main()
