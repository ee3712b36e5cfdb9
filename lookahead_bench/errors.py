"""Errors that are a user's to mend: each is shown as one line, without a traceback."""


class ConfigError(ValueError):
    """A wrong configuration: key, value, rule, remedy. The command exits 2."""


class DataError(RuntimeError):
    """Data that is missing or damaged: what to put where. The command exits 1."""


class RunError(RuntimeError):
    """A run that cannot be had as it stands: held by another process, or damaged. The command exits 1."""
