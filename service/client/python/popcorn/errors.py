"""The exceptions of Popcorn: each has a stable `code` for programs and says in a sentence what was wrong."""


class PopcornError(Exception):
    """Something failed and no more precise kind applies.

    code: dotted and stable, "network.unreachable" for instance.
    """

    def __init__(self, message: str, code: str = "failed"):
        super().__init__(message)
        self.code = code

    def __reduce__(self):
        return type(self), (self.args[0], self.code)


class UsageError(PopcornError, ValueError):
    """An argument makes no sense."""


class InputError(PopcornError, ValueError):
    """A file, key, model, picture or answer is not what it should be."""


class FileError(PopcornError, OSError):
    """Reading or writing failed."""

    def __str__(self) -> str:
        return str(self.args[0])


class NetworkError(PopcornError, ConnectionError):
    """The server cannot be reached or went away."""

    def __str__(self) -> str:
        return str(self.args[0])


class AuthError(PopcornError, PermissionError):
    """The server does not know you, or what it knows is not enough."""

    def __str__(self) -> str:
        return str(self.args[0])


class RefusedError(PopcornError):
    """The server is there and says no: busy, over a limit, not served."""


class CheckError(PopcornError):
    """A check failed: the session is over and forgotten."""
