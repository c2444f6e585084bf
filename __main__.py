"""`python -m bai_tui` is the same as the command `bai-tui`."""

from .app.cli.entry import main

if __name__ == "__main__":
    main()
