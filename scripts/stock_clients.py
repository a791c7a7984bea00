"""Clients that keep a stock of preparations and ask from it, and the ledger of what the servers saw of them."""
import collections
import json
import pathlib
import random

import trial_support as trial

DROPPED = "a preparation of the stock was dropped"
# What a client says when nobody was there for as long as it waits: neither wrong nor lost.
AWAY = ("server.status_502]", "server.status_504]", "server.store]", "server.unconfirmed]", "server.claim_log]",
        "network.unreachable]")


class StockClients(trial.Clients):
    """Each fills its stock, asks until it is empty, and so on until stopped. Some commands are killed on the way:
    SIGKILL at a moment that is uniform over a little more than what such a command took before."""

    def __init__(self, *arguments, stock, kill_chance=0.0):
        super().__init__(*arguments)
        self.stock, self.kill_chance = stock, kill_chance
        self.moments = {kind: collections.deque(maxlen=50) for kind in ("prepare", "infer")}
        self.promised = set()  # preparations that were in a client's stock, by name

    def folder_of(self, key):
        return pathlib.Path(key + ".stock")

    def ready(self):
        """Names of what is in the stocks of all clients now."""
        return {file.stem for key in self.keys for file in self.folder_of(key).glob("*.preparation")}

    def _kill_after(self, kind):
        times = sorted(self.moments[kind])
        if not times or random.random() >= self.kill_chance:
            return None
        return random.uniform(0, 1.1 * times[len(times) // 2])

    def _note_end(self, kind, command):
        if command.killed:
            self.counts[kind + " killed"] += 1
        elif command.exit_code == 0:
            self.moments[kind].append(command.seconds)
        dropped = [note for note in command.notes if DROPPED in note]
        self.counts["dropped"] += len(dropped)
        for note in dropped:
            self.errors[note] += 1

    def _prepare(self, key):
        url, model, options = self.arguments
        command = trial.Command(["prepare", "--server", url, "--model", model, "--key", key, "--json", "--stock",
                                 str(self.stock), *options], self._kill_after("prepare"))
        with self.lock:
            self._note_end("prepare", command)
            self.promised |= {file.stem for file in self.folder_of(key).glob("*.preparation")}
            if command.result is not None:
                self.counts["prepared"] += command.result["made"]
            elif not command.killed:
                self.counts["prepare failed"] += 1
                self.errors[command.error] += 1

    def _ask(self, key, turn, kill_after):
        url, model, options = self.arguments
        picture = self.pictures[turn % len(self.pictures)]
        answer = trial.Answer(url, model, key, picture, options, kill_after)
        with self.lock:
            self._note_end("infer", answer)
            self.counts["from stock"] += answer.from_stock
        if not answer.killed:
            self.judge(answer, picture)
        return answer

    def judge(self, answer, picture):
        super().judge(answer, picture)
        with self.lock:
            if answer.exit_code != 0 and answer.error.endswith(AWAY):
                self.counts["lost"] -= 1
                self.counts["away"] += 1

    def _run(self, number, key):
        turn = number
        while not self.stopping.is_set():
            self._prepare(key)
            for _ in range(self.stock):
                if self.stopping.is_set():
                    break
                self._ask(key, turn, self._kill_after("infer"))
                turn += 1

    def use_up(self):
        """After stop(): what is in the stocks must be good for an answer each. Gives how many were not."""
        bad = 0
        for key in self.keys:
            for turn in range(len(list(self.folder_of(key).glob("*.preparation")))):
                bad += not self._ask(key, turn, None).from_stock
        return bad

    def kills(self):
        with self.lock:
            return self.counts["prepare killed"] + self.counts["infer killed"]


class Ledger:
    """What the servers saw: the lines that `popcorn serve --preparation-ledger` wrote, of all replicas."""

    def __init__(self, files):
        self.prepared, self.claims = set(), collections.defaultdict(set)
        self.bodies, self.answered = collections.defaultdict(set), set()
        for file in files:
            for line in pathlib.Path(file).read_text().splitlines():
                self._take(json.loads(line))

    def _take(self, line):
        name = line["preparation"]
        if line["event"] == "prepared":
            self.prepared.add(name)
        elif line["event"] == "claimed":
            self.claims[name].add(line["claim"])
        elif line["event"] == "online":
            self.bodies[name, line["round"]].add(line["body"])
        elif line["event"] == "answered":
            self.answered.add((name, line["round"]))

    def used(self):
        return {name for name, _ in self.bodies}

    def used_twice(self):
        """Preparations that two claimers got, or that a server took two different messages of a round for."""
        return {name for name, names in self.claims.items() if len(names) > 1} | {
            name for (name, _), bodies in self.bodies.items() if len(bodies) > 1}

    def unclaimed(self):
        """Preparations that a server took a message for which it had given to nobody."""
        return self.used() - set(self.claims)

    def report(self, clients):
        """Compares with the stocks; gives how much is wrong."""
        promised, used = clients.promised, self.used()
        never = promised - set(self.claims) - clients.ready()
        print(f"ledger: {len(self.prepared)} prepared  {len(self.claims)} claimed  {len(used)} used  "
              f"used twice {len(self.used_twice())}  used unclaimed {len(self.unclaimed())}")
        print(f"stocks: {len(promised)} promised  {len(promised & used)} used  {len(never)} taken by a client that "
              f"ended before its claim  {clients.counts['from stock']} gave an answer  "
              f"promised and lost {clients.counts['dropped']}")
        return len(self.used_twice()) + len(self.unclaimed()) + clients.counts["dropped"]
