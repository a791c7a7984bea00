"""The client: pictures in, answers out; one connection, one key."""
import asyncio
import threading
from typing import Callable, Iterable, List, Optional, Union

from ._popcorn import Answer, Key, Model, _Connection, _Options, _StockKeeper
from .errors import UsageError
from .pictures import integers_of, samples_of

Progress = Callable[[int, int, str], None]


class Client:
    """A connection to one server. Safe to share between threads, which take turns.

    url: "http://host:port" or "https://host[:port]"
    token: sent as "Authorization: Bearer"
    key: a Key; without it a pair of `key_bits` bits is made in memory when it is first wanted
    engine: "shares", "shares-fast" or "ciphertext"; the server's preference without it
    stock_folder: preparations that answers take from, see Stock
    ca_file: PEM of the authorities to trust; client_certificate, client_key: for servers that ask for one
    """

    def __init__(self, url: str, *, token: str = "", key: Optional[Key] = None, key_bits: int = 3072,
                 engine: str = "", sign_test: str = "", stock_folder: str = "", ca_file: str = "",
                 client_certificate: str = "", client_key: str = "", connect_timeout: int = 10,
                 round_timeout: int = 600):
        self._url = url
        self._options = dict(token=token, ca_file=ca_file, client_certificate=client_certificate,
                             client_key=client_key, engine=engine, sign_test=sign_test,
                             stock_folder=str(stock_folder), connect_timeout=connect_timeout,
                             round_timeout=round_timeout)
        self._connection = _Connection(url, _Options(**self._options))
        self._key = key
        self._key_bits = key_bits
        self._models = {}
        self._turn = threading.Lock()

    @property
    def key(self) -> Key:
        """The key pair, made now if there was none."""
        if self._key is None:
            self._key = Key.generate(self._key_bits)
        return self._key

    def models(self) -> List[str]:
        """Names of the models that the server has."""
        with self._turn:
            return self._connection.models()

    def model(self, name: str) -> Model:
        """What is known of a model; asked for once. Raises RefusedError, which lists what is served."""
        with self._turn:
            return self._model(name)

    def classify(self, model: Union[str, Model], image, *, progress: Optional[Progress] = None) -> Answer:
        """One inference: encrypts here, computes there, decrypts here.

        image: an array, a PIL image or a path; it is resized and its colours adapted as the model wants
        progress: called with rounds done, rounds in all and what the next is about; an exception of it ends all
        """
        samples = samples_of(image)
        with self._turn:
            return self._connection.classify_picture(self._model(model), self.key, samples, progress)

    def classify_encoded(self, model: Union[str, Model], values, *, progress: Optional[Progress] = None) -> Answer:
        """The same for channels x height x width whole numbers in the model's own range."""
        integers = integers_of(values)
        with self._turn:
            return self._connection.classify_input(self._model(model), self.key, integers, progress)

    def classify_many(self, model: Union[str, Model], images: Iterable, *,
                      progress: Optional[Callable[[int, Answer], None]] = None) -> List[Answer]:
        """One after the other on one connection. progress: called with how many are done and the last answer."""
        answers = []
        for image in images:
            answers.append(self.classify(model, image))
            if progress is not None:
                progress(len(answers), answers[-1])
        return answers

    async def classify_async(self, model: Union[str, Model], image, *,
                             progress: Optional[Progress] = None) -> Answer:
        """classify() in another thread, while the event loop goes on. Cancelling the task ends the inference."""
        work = asyncio.ensure_future(asyncio.to_thread(self.classify, model, image, progress=progress))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self.cancel()
            work.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise

    def cancel(self) -> None:
        """Ends the inference that runs, from another thread."""
        self._connection.cancel()

    def _model(self, model: Union[str, Model]) -> Model:
        if isinstance(model, Model):
            return model
        if model not in self._models:
            self._models[model] = self._connection.model(model)
        return self._models[model]


class Stock:
    """Keeps preparations for one model ready in the background, so that answers take their online phase alone.

        with popcorn.Stock(client, "mnist-conv2", count=5):
            …

    The client must have been made with `stock_folder`, and an engine that prepares ("shares", "shares-fast").
    """

    def __init__(self, client: Client, model: str, count: int):
        if count < 1:
            raise UsageError("a stock holds one preparation at least", "client.stock")
        self._keeper = _StockKeeper(client._url, model, client.key, count, _Options(**client._options))

    @property
    def ready(self) -> int:
        """How many were ready when it looked last, every other second."""
        return self._need().ready

    @property
    def problem(self) -> str:
        """Why it could make none when it tried last; empty when all is well. It goes on trying."""
        return self._need().problem

    def close(self) -> None:
        """Stops refilling, within about a second. What is ready stays."""
        self._keeper = None

    def _need(self) -> _StockKeeper:
        if self._keeper is None:
            raise UsageError("this stock is closed", "client.stock")
        return self._keeper

    def __enter__(self) -> "Stock":
        return self

    def __exit__(self, *_) -> None:
        self.close()
