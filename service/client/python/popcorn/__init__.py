"""Classify pictures on a server that does not see them.

    import popcorn
    client = popcorn.Client("https://host:8443", token="…")
    print(client.classify("mnist-conv2", image).label)

`image` is a NumPy array (height x width, or height x width x 3, whole numbers of 0 to 255), a PIL image, or
the path of a picture. The key pair never leaves this process.
"""
from ._popcorn import Answer, Key, Model, __version__
from .client import Client, Stock
from .errors import (AuthError, CheckError, FileError, InputError, NetworkError, PopcornError, RefusedError,
                     UsageError)
from .plain import PlainModel, evaluate
from .toolchain import compress

__all__ = ["Answer", "AuthError", "CheckError", "Client", "FileError", "InputError", "Key", "Model", "NetworkError",
           "PlainModel", "PopcornError", "RefusedError", "Stock", "UsageError", "compress", "evaluate",
           "__version__"]
