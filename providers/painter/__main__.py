"""`python -m providers.painter`: one painter process, started by `providers.local`."""

from providers.painter.process import main

if __name__ == "__main__":
    main()
