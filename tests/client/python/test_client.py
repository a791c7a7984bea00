"""The Python package against a real server process: `test_client.py EXECUTABLE MODELS-FOLDER`.

Ends with Catch2's kind of summary, so that the suite's count takes it in.
"""
import asyncio
import contextlib
import json
import os
import pathlib
import pickle
import re
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import numpy
import popcorn

EXECUTABLE, MODELS = (pathlib.Path(argument) for argument in sys.argv[1:3])
SAMPLES = sorted((MODELS / "samples").glob("[0-9]_[12].png"))
TOKEN = "t" * 32


class Server:
    """`popcorn serve` of two models on a free port, with a token."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        tokens = pathlib.Path(self.folder.name) / "tokens"
        tokens.write_text(TOKEN + " name=tests\n")
        tokens.chmod(0o600)
        self.process = subprocess.Popen(
            [EXECUTABLE, "serve", "mnist-mlp", "mnist-conv2", "--port", "0", "--tokens", tokens,
             "--sessions-per-day", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.url = None
        for line in self.process.stdout:
            found = re.search(r"http://[0-9.]+:[0-9]+", line)
            if found:
                self.url = found.group()
                break
        if self.url is None:
            raise RuntimeError("popcorn serve did not say where it listens")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.process.stdout.close()
        self.folder.cleanup()


class ClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.key = popcorn.Key.generate(2048)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def client(self, **options):
        return popcorn.Client(self.server.url, token=TOKEN, key=self.key, **options)

    def test_the_three_lines(self):
        client = popcorn.Client(self.server.url, token=TOKEN, key_bits=2048)
        self.assertIn("mnist-conv2", client.models())
        answer = client.classify("mnist-conv2", SAMPLES[7 * 2])
        self.assertEqual(answer.label, "7")
        self.assertEqual(client.key.bits, 2048)
        self.assertGreater(answer.rounds, 1)
        self.assertGreater(answer.bytes_up, 1000)
        self.assertGreater(answer.probability, 0.5)

    def test_every_kind_of_picture_gives_the_plaintext_logits(self):
        from PIL import Image
        client = self.client(engine="shares")
        plain = popcorn.PlainModel(MODELS / "mnist-mlp.popcorn")
        path = SAMPLES[5]
        with Image.open(path) as opened:
            grey = opened.convert("L")
        array = numpy.asarray(grey)
        expected = client.classify("mnist-mlp", path)
        self.assertEqual(expected.index, 2)
        for picture in (str(path), grey, array, array.astype(numpy.int32), array / 255.0,
                        numpy.stack([array] * 3, axis=2), array.tolist()):
            answer = client.classify("mnist-mlp", picture)
            self.assertEqual(answer.logits, expected.logits)
        exact = self.client(engine="ciphertext").classify("mnist-mlp", path)
        self.assertIn(plain.evaluate(path).logits, (exact.logits, expected.logits))
        self.assertEqual(popcorn.evaluate(MODELS / "mnist-mlp.popcorn", path).label, "2")

    def test_python_and_the_command_line_give_the_same_bits(self):
        client = self.client(engine="shares")
        with tempfile.TemporaryDirectory() as folder:
            key, token = pathlib.Path(folder) / "key.json", pathlib.Path(folder) / "token"
            self.key.save(str(key))
            self.assertEqual(stat.S_IMODE(os.stat(key).st_mode), 0o600)
            token.write_text(TOKEN)
            token.chmod(0o600)
            done = subprocess.run([EXECUTABLE, "infer", "--server", self.server.url, "--model", "mnist-mlp", "--key",
                                   key, "--token-file", token, "--engine", "shares", "--json", *SAMPLES],
                                  capture_output=True, text=True, check=True)
        results = json.loads(done.stdout)["results"]
        told = []
        answers = client.classify_many("mnist-mlp", SAMPLES, progress=lambda done, answer: told.append(done))
        self.assertEqual(told, list(range(1, len(SAMPLES) + 1)))
        self.assertEqual([answer.logits for answer in answers],
                         [[int(logit) for logit in result["logits"]] for result in results])

    def test_keys(self):
        with tempfile.TemporaryDirectory() as folder:
            path = str(pathlib.Path(folder) / "key.json")
            self.key.save(path)
            self.assertEqual(popcorn.Key.load(path).fingerprint, self.key.fingerprint)
            os.chmod(path, 0o644)
            with self.assertRaises(popcorn.InputError) as caught:
                popcorn.Key.load(path)
            self.assertEqual(caught.exception.code, "key.permissions")
        again = popcorn.Key.from_json(self.key.to_json())
        self.assertEqual(again.fingerprint, self.key.fingerprint)
        # What python-paillier's own tool writes has these fields alone.
        fields = json.loads(self.key.to_json())
        phe = {name: fields[name] for name in ("kty", "key_ops", "lambda", "mu", "pub", "kid") if name in fields}
        phe["pub"] = {name: fields["pub"][name] for name in ("kty", "alg", "n", "key_ops", "kid")
                      if name in fields["pub"]}
        self.assertEqual(popcorn.Key.from_json(json.dumps(phe)).fingerprint, self.key.fingerprint)
        self.assertNotIn(self.key.to_json()[10:40], repr(self.key))
        with self.assertRaises(popcorn.UsageError):
            popcorn.Key.generate(1024)

    def test_errors_have_their_kind_and_code(self):
        with self.assertRaises(popcorn.AuthError):
            popcorn.Client(self.server.url, token="wrong" * 8, key=self.key).models()
        with self.assertRaises(popcorn.RefusedError) as caught:
            self.client().classify("no-such-model", SAMPLES[0])
        self.assertEqual(caught.exception.code, "model.not_found")
        self.assertIn("mnist-mlp", str(caught.exception))
        with self.assertRaises(popcorn.NetworkError) as caught:
            popcorn.Client("http://127.0.0.1:9", key=self.key, connect_timeout=2).models()
        self.assertIsInstance(caught.exception, ConnectionError)
        with self.assertRaises(popcorn.UsageError):
            popcorn.Client("ftp://x")
        for wrong in (numpy.full((28, 28), 300), numpy.full((28, 28), -1), numpy.zeros((28, 28, 2), numpy.uint8),
                      numpy.zeros(784, numpy.uint8), numpy.zeros((0, 0)), numpy.full((28, 28), 1.5),
                      numpy.array([["a"]])):
            with self.assertRaises(popcorn.UsageError):
                self.client().classify("mnist-mlp", wrong)
        with self.assertRaises(popcorn.FileError):
            self.client().classify("mnist-mlp", "/no/such/picture.png")
        with self.assertRaises(popcorn.InputError):
            self.client().classify_encoded("mnist-mlp", [1, 2, 3])
        error = pickle.loads(pickle.dumps(popcorn.InputError("a sentence", "a.code")))
        self.assertEqual((str(error), error.code), ("a sentence", "a.code"))

    def test_encoded_inputs(self):
        client = self.client(engine="shares")
        model = client.model("mnist-mlp")
        self.assertEqual(model.shape, (1, 28, 28))
        self.assertEqual(len(model.labels), 10)
        zeros = numpy.zeros(model.shape, dtype=numpy.int16)
        self.assertEqual(len(client.classify_encoded(model, zeros).logits), 10)
        with self.assertRaises(popcorn.UsageError):
            client.classify_encoded(model, zeros / 2)

    def test_progress_and_an_exception_of_it(self):
        told = []
        client = self.client(engine="shares")
        answer = client.classify("mnist-mlp", SAMPLES[0], progress=lambda *what: told.append(what))
        self.assertEqual([done for done, _, _ in told], list(range(answer.rounds)))
        self.assertTrue(all(rounds == answer.rounds and step for _, rounds, step in told))

        def fail(done, rounds, step):
            if done == 2:
                raise KeyError("mine")

        with self.assertRaises(KeyError):
            client.classify("mnist-mlp", SAMPLES[0], progress=fail)
        self.assertEqual(client.classify("mnist-mlp", SAMPLES[0]).logits, answer.logits)

    def test_asyncio_goes_on_meanwhile_and_can_cancel(self):
        async def both():
            client = self.client(engine="shares")
            ticks = 0
            task = asyncio.ensure_future(client.classify_async("mnist-conv2", SAMPLES[6]))
            while not task.done():
                ticks += 1
                await asyncio.sleep(0.002)
            return task.result(), ticks

        answer, ticks = asyncio.run(both())
        self.assertEqual(answer.label, "3")
        self.assertGreater(ticks, 3)

        async def cancelled():
            client = self.client(engine="ciphertext")
            begun = asyncio.Event()
            loop = asyncio.get_running_loop()
            task = asyncio.ensure_future(client.classify_async(
                "mnist-conv2", SAMPLES[6], progress=lambda *_: loop.call_soon_threadsafe(begun.set)))
            await begun.wait()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(cancelled())

    def test_other_threads_run_while_one_waits(self):
        client = self.client(engine="shares")
        counted, stop = [0], threading.Event()

        def count():
            while not stop.is_set():
                counted[0] += 1
                time.sleep(0.001)

        thread = threading.Thread(target=count)
        thread.start()
        client.classify("mnist-conv2", SAMPLES[0])
        stop.set()
        thread.join()
        self.assertGreater(counted[0], 10)

    def test_answers_from_a_stock(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o700)
            client = self.client(engine="shares", stock_folder=folder)
            with popcorn.Stock(client, "mnist-mlp", count=2) as stock:
                deadline = time.monotonic() + 120
                while stock.ready < 1 and time.monotonic() < deadline:
                    time.sleep(0.1)
                self.assertGreaterEqual(stock.ready, 1, stock.problem)
            answer = client.classify("mnist-mlp", SAMPLES[2])
            self.assertTrue(answer.from_stock)
            self.assertEqual(answer.logits, self.client(engine="shares").classify("mnist-mlp", SAMPLES[2]).logits)
            with self.assertRaises(popcorn.UsageError):
                stock.ready

    def test_every_block_of_the_documentation_runs(self):
        """In the documents' order, a namespace each, against this server in place of the one they name."""
        root = MODELS.parent
        for document, least in (("docs/python.md", 8), ("service/client/python/README.md", 1)):
            blocks = re.findall(r"^```python\n(.*?)^```$", (root / document).read_text(), re.MULTILINE | re.DOTALL)
            self.assertGreaterEqual(len(blocks), least)
            names = {}
            for number, block in enumerate(blocks):
                block = block.replace('"http://127.0.0.1:8080"', f'"{self.server.url}", token="{TOKEN}"')
                with self.subTest(document=document, block=number), contextlib.chdir(root):
                    exec(compile(block, f"{document}, block {number}", "exec"), names)
            self.assertEqual(names["client"].models(), self.client().models())

    def test_compress_says_what_the_toolchain_says(self):
        os.environ["POPCORN_EXECUTABLE"] = str(EXECUTABLE)
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(popcorn.PopcornError) as caught:
                popcorn.compress(folder + "/missing.onnx", folder + "/out.popcorn", data=folder, post_training=True)
            self.assertRegex(caught.exception.code, r"^[a-z_]+\.[a-z_.]+$")
            self.assertFalse(os.path.exists(folder + "/out.popcorn"))


def main():
    loaded = unittest.defaultTestLoader.loadTestsFromTestCase(ClientTest)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(loaded)
    failed = len(result.failures) + len(result.errors)
    print(f"test cases: {result.testsRun} | {result.testsRun - failed} passed | {failed} failed")
    return 0 if failed == 0 and result.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
