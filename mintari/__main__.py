"""`python -m mintari` is the command `mintari`."""

from mintari.cli import main

main()
