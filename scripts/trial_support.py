"""What the trials of the service share: real server processes on free ports, clients, counts."""
import collections
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
POPCORN = ROOT / "build" / "popcorn"
SAMPLES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "samples").glob("*.png"))


def fail(sentence, code=1):
    print(f"{pathlib.Path(sys.argv[0]).name}: {sentence}", file=sys.stderr)
    sys.exit(code)


def executable(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        fail(f"{name} is not installed; scripts/install-deps installs it")
    return found


def require_build():
    if not POPCORN.exists():
        fail("build/popcorn is missing; build it first: cmake --preset release && cmake --build build")


def data_folder():
    """Of the data sets: POPCORN_DATA, else beside the project; None when there is none."""
    folder = pathlib.Path(os.environ.get("POPCORN_DATA") or ROOT.parent / "shared" / "data")
    return folder if folder.is_dir() else None


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_port(port, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    fail(f"nothing answers on port {port}")


class Child:
    """A process that ends with this one, its output in a file."""

    def __init__(self, arguments, log):
        self.arguments, self.log = [str(argument) for argument in arguments], log
        self.start()

    peak = 0  # resident bytes at most, of this child and those that it was before it was killed

    def start(self):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=ROOT)

    def kill(self):
        self.note_peak()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.note_peak()
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def memory(self, field="VmRSS"):
        """Resident bytes, now or (VmHWM) at most."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        return 0

    def note_peak(self):
        self.peak = max(self.peak, self.memory("VmHWM"))


class Answer:
    def __init__(self, url, model, key, picture, options):
        command = [POPCORN, "infer", "--server", url, "--model", model, "--key", key, "--json", *options, picture]
        started = time.monotonic()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT)
        self.seconds = time.monotonic() - started
        self.exit_code = done.returncode
        self.error = done.stderr.strip().splitlines()[-1] if done.returncode != 0 and done.stderr.strip() else ""
        self.logits, self.retries, self.restarts = None, 0, 0
        if done.returncode == 0:
            result = json.loads(done.stdout)["results"][0]
            self.logits, self.retries, self.restarts = result["logits"], result["retries"], result["restarts"]


def percentile(sorted_values, share):
    if not sorted_values:
        return float("nan")
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def print_times(clients, elapsed):
    seconds = sorted(clients.seconds)
    print(f"throughput {60 * len(seconds) / elapsed:.1f} inferences/min  inference p50 {percentile(seconds, 0.5):.2f} s  "
          f"p95 {percentile(seconds, 0.95):.2f} s (with the start of the client's process)")


def key_options(bits):
    return [] if bits in (2048, 3072, 4096) else ["--insecure-test-key"]


def engine_options(engine):
    return ["--engine", engine] if engine else []


def make_key(path, bits):
    subprocess.run([POPCORN, "keygen", "--bits", str(bits), *key_options(bits), "-o", path], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)


def serve(model, bits, engine, port, log, *options):
    return Child([POPCORN, "serve", model, "--port", port, "--sessions-per-day", 0, "--sessions-per-token", 0,
                  "--connections-per-address", 0, "--keys-per-minute", 0, *key_options(bits), *engine_options(engine), *options], log)


class Clients:
    """Clients that ask one after the other until they are stopped, each with its own key."""

    def __init__(self, folder, url, model, bits, engine, count, pictures, expected, after=lambda: None):
        self.counts = collections.Counter()
        self.errors = collections.Counter()
        self.seconds = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.after = after
        self.arguments = (url, model, key_options(bits) + engine_options(engine))
        self.pictures, self.expected = pictures, expected
        keys = [str(folder / f"client{i}.key.json") for i in range(count)]
        for key in keys:
            make_key(key, bits)
        self.threads = [threading.Thread(target=self._run, args=(i, key)) for i, key in enumerate(keys)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _run(self, number, key):
        url, model, options = self.arguments
        turn = number
        while not self.stopping.is_set():
            picture = self.pictures[turn % len(self.pictures)]
            turn += 1
            answer = Answer(url, model, key, picture, options)
            with self.lock:
                self.counts["sessions"] += 1
                self.counts["retries"] += answer.retries
                self.counts["restarts"] += answer.restarts
                if answer.exit_code != 0:
                    self.counts["lost"] += 1
                    self.errors[answer.error] += 1
                elif answer.logits != self.expected[picture]:
                    self.counts["wrong"] += 1
                else:
                    self.seconds.append(answer.seconds)
            self.after()


def reference(folder, model, bits, engine, pictures):
    """The answers of an undisturbed server with memory of its own, to compare with."""
    port = free_port()
    server = serve(model, bits, engine, port, folder / "reference.log")
    wait_for_port(port)
    key = str(folder / "reference.key.json")
    make_key(key, bits)
    answers = {}
    for picture in pictures:
        answer = Answer(f"http://127.0.0.1:{port}", model, key, picture, key_options(bits) + engine_options(engine))
        if answer.exit_code != 0:
            fail(f"the undisturbed server failed: {answer.error}")
        answers[picture] = answer.logits
    server.stop()
    return answers
