"""`python -m mintari` is the command `mintari`."""

from mintari.cli import main

# Guarded: the processes that decode pictures import the main module again.
if __name__ == "__main__":
    main()
