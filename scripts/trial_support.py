"""What the trials of the service share: real server processes on free ports, clients, counts."""
import collections
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
POPCORN = pathlib.Path(os.environ.get("POPCORN", ROOT / "build" / "popcorn"))
SAMPLES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "models" / "samples").glob("*.png"))


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

    def must_live(self):
        """Ends the trial when the process has ended by itself."""
        if self.process.poll() is not None:
            last = pathlib.Path(self.log).read_text(errors="replace").splitlines()[-5:]
            print("\n".join(["the last lines of its log:", *last]))
            raise SystemExit(f"{self.arguments[1]} ended by itself with code {self.process.returncode}")

    def memory(self, field="VmRSS"):
        """Resident bytes, now or (VmHWM) at most."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        return 0

    def processor_seconds(self):
        """User and system time so far, with that of its children that live."""
        def fields(pid):
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()

        def of(pid):
            return sum(int(ticks) for ticks in fields(pid)[11:13]) / os.sysconf("SC_CLK_TCK")

        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sum(of(pid) for pid in [self.process.pid, *children])

    def note_peak(self):
        self.peak = max(self.peak, self.memory("VmHWM"))


class Command:
    """A command of popcorn that prints JSON, run to its end or until it is killed."""

    def __init__(self, arguments, kill_after=None):
        started = time.monotonic()
        process = subprocess.Popen([POPCORN, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, cwd=ROOT)
        self.killed = False
        try:
            out, errors = process.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
            out, errors = process.communicate()
            self.killed = True
        self.seconds = time.monotonic() - started
        self.exit_code = process.returncode
        lines = errors.strip().splitlines()
        self.error = lines[-1] if self.exit_code != 0 and lines else ""
        self.notes = [line for line in lines if line.startswith("popcorn: note: ")]
        self.result = json.loads(out) if self.exit_code == 0 else None


class Answer(Command):
    def __init__(self, url, model, key, picture, options, kill_after=None):
        super().__init__(["infer", "--server", url, "--model", model, "--key", key, "--json", *options, picture],
                         kill_after)
        self.logits, self.retries, self.restarts, self.from_stock = None, 0, 0, False
        if self.result is not None:
            result = self.result["results"][0]
            self.logits, self.retries, self.restarts = result["logits"], result["retries"], result["restarts"]
            self.from_stock = result["from_stock"]


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


def add_stock_option(parser):
    parser.add_argument("--stock", type=int, help="preparations that a client makes at a time; 0 = none")


def with_stock(arguments):
    if arguments.stock is None:
        arguments.stock = 4 if (arguments.engine or "").startswith("shares") else 0
    return arguments


def start_redis(folder, port, keeps):
    """With an append-only file that is flushed at each write, or all in memory."""
    keep = ("yes", "--appendfsync", "always") if keeps else ("no",)
    return Child([executable("redis-server"), "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", *keep,
                  "--dir", folder], folder / "redis.log")


def start_replicas(arguments, folder, redis_port, options_of=lambda replica: ()):
    """As many servers on one store as the arguments say; they and their ports."""
    key = folder / "store.key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    ports = [free_port() for _ in range(arguments.replicas)]
    replicas = [serve(arguments.model, arguments.bits, arguments.engine, port, folder / f"replica{i}.log",
                      "--session-store", f"redis://127.0.0.1:{redis_port}/0", "--store-key", key, *options_of(i))
                for i, port in enumerate(ports)]
    for port in ports:
        wait_for_port(port)
    return replicas, ports


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
        self.keys = [str(folder / f"client{i}.key.json") for i in range(count)]
        for key in self.keys:
            make_key(key, bits)
        self.threads = [threading.Thread(target=self._run, args=(i, key), daemon=True) for i, key in enumerate(self.keys)]

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
            self.judge(Answer(url, model, key, picture, options), picture)
            self.after()

    def judge(self, answer, picture):
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


def make_clients(with_stock_class, arguments, folder, url, pictures, expected, **options):
    """Clients as the arguments want them, with a stock or without one."""
    common = (folder, url, arguments.model, arguments.bits, arguments.engine, arguments.clients, pictures, expected)
    return with_stock_class(*common, stock=arguments.stock, **options) if arguments.stock else Clients(*common)
