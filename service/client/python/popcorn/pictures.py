"""What may be given as an input, as arrays."""
import os

import numpy

from .errors import UsageError


def samples_of(picture) -> numpy.ndarray:
    """A picture as height x width or height x width x 3 bytes.

    picture: an array of whole numbers of 0 to 255, of booleans, or of fractions of 0.0 to 1.0; a PIL image; a path.
    """
    if isinstance(picture, (str, os.PathLike)):
        picture = _opened(picture)
    if hasattr(picture, "convert") and hasattr(picture, "mode"):  # a PIL image
        return numpy.asarray(picture.convert("L" if picture.mode in ("1", "L", "I", "I;16") else "RGB"))
    samples = numpy.asarray(picture)
    if samples.size == 0:
        raise UsageError("a picture has no pixels", "picture.shape")
    if samples.dtype == bool:
        samples = samples.astype(numpy.uint8) * 255
    if samples.dtype.kind == "f":
        if not numpy.isfinite(samples).all() or samples.min() < 0 or samples.max() > 1:
            raise UsageError("a picture of fractions has values of 0.0 to 1.0", "picture.range")
        samples = numpy.rint(samples * 255)
    if samples.dtype.kind not in "uif":
        raise UsageError(f"a picture cannot be made of {samples.dtype}", "picture.type")
    if samples.min() < 0 or samples.max() > 255:
        raise UsageError("a picture has values of 0 to 255", "picture.range")
    return numpy.ascontiguousarray(samples, dtype=numpy.uint8)


def _opened(path):
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise UsageError("pictures are read from files with PIL (python3-pil), which is not installed",
                         "picture.pil") from error
    try:
        with Image.open(path) as picture:
            return ImageOps.exif_transpose(picture)
    except OSError as error:
        from .errors import FileError
        raise FileError(f"{os.fspath(path)}: {error}", "picture.file") from error


def integers_of(values) -> numpy.ndarray:
    """An encoded input: whole numbers, in the order channel, row, column."""
    integers = numpy.asarray(values)
    if integers.dtype.kind not in "ui":
        raise UsageError("an encoded input is made of whole numbers", "input.type")
    return numpy.ascontiguousarray(integers.reshape(-1), dtype=numpy.int64)
