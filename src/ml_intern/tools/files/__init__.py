"""Files: the tools ``read``, ``write`` and ``edit``."""
