"""Shell commands: the tools ``bash`` and ``background``."""
