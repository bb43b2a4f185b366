"""Finding files and text: the tools ``glob`` and ``grep``."""
