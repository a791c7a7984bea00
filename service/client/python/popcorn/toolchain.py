"""The compression toolchain, which is a program of its own."""
import os
import shutil
import subprocess

from . import errors

_BY_EXIT_CODE = {2: errors.UsageError, 3: errors.InputError, 4: errors.FileError, 5: errors.NetworkError,
                 6: errors.AuthError, 7: errors.RefusedError, 8: errors.CheckError}


def compress(network, output, **options) -> str:
    """`popcorn compress NETWORK -o OUTPUT`: from an ONNX file to a .popcorn file. Returns the file's path.

    options: those of `popcorn compress --help`, with "_" for "-": data="samples", post_training=True, bits=6.
    The program is $POPCORN_EXECUTABLE, or `popcorn` in the PATH.
    """
    arguments = [_program(), "compress", os.fspath(network), "-o", os.fspath(output)]
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            arguments.append(option)
        elif value is not False and value is not None:
            arguments += [option, os.fspath(value) if isinstance(value, os.PathLike) else str(value)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise _error_of(done)
    return os.fspath(output)


def _program() -> str:
    program = os.environ.get("POPCORN_EXECUTABLE") or shutil.which("popcorn")
    if not program:
        raise errors.FileError("the program popcorn is not in the PATH; set POPCORN_EXECUTABLE", "popcorn.program")
    return program


def _error_of(done) -> errors.PopcornError:
    """From `popcorn: error: SENTENCE [CODE]`, the last such line."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("popcorn: error: ")]
    sentence = lines[-1][len("popcorn: error: "):] if lines else done.stderr.strip() or "popcorn compress failed"
    code = "compress.failed"
    if sentence.endswith("]") and " [" in sentence:
        sentence, code = sentence[:-1].rsplit(" [", 1)
    return _BY_EXIT_CODE.get(done.returncode, errors.PopcornError)(sentence, code)
