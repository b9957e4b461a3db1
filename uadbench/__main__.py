"""`python -m uadbench` and the script `uadbench`."""

import sys
from typing import NoReturn

from uadbench.errors import INTERRUPTED


def main() -> NoReturn:
    """Run the command line; Ctrl-C while it is being loaded ends it without a word."""
    try:
        from uadbench.cli import main as run
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
