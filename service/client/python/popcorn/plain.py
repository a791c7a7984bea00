"""The same networks in the clear, for whoever has their weights: what the encrypted answer must equal."""
import os

from ._popcorn import Answer, PlainModel as _PlainModel
from .pictures import integers_of, samples_of


class PlainModel(_PlainModel):
    """A .popcorn file."""

    def __init__(self, file):
        super().__init__(os.fspath(file))

    def evaluate(self, image) -> Answer:
        """The exact plaintext answer for a picture, as Client.classify() takes it."""
        return self._evaluate_picture(samples_of(image))

    def evaluate_encoded(self, values) -> Answer:
        """The same for an input that is encoded already."""
        return self._evaluate_input(integers_of(values))


def evaluate(file, image) -> Answer:
    """PlainModel(file).evaluate(image)"""
    return PlainModel(file).evaluate(image)
