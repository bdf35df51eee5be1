"""Parts of the story: its looks, its requests, and the processes that it starts and stops."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERIN = Path(os.environ.get("SERIN") or Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug/serin").absolute()
ENVOY = Path(os.environ.get("ENVOY_BIN") or ROOT / "target/venv/envoy").absolute()
HOST = "reviews.bookinfo.svc.cluster.local"
PEOPLE = [f"person-{number:04}" for number in range(1, 1001)]
CONNECTIONS = 4
# So many answers in a row, each on a connection of its own, must agree before a change counts as visible in every worker.
AGREE = 24
CAP = 60.0


class StoryError(Exception):
    """The story cannot go on; the message says why."""


class Stopped(BaseException):
    """A signal: whoever watches has seen enough."""


class Signals:
    """Makes an exception of the first signal, and ignores those that follow, so that all that was started is stopped."""

    ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self):
        self.number, self.held, self.deaf = None, False, False

    def catch(self):
        for number in self.ALL:
            signal.signal(number, self.heard)

    def ignore(self):
        self.deaf = True

    def heard(self, number, _):
        if not self.deaf:
            self.number, self.deaf = number, True
            if not self.held:
                raise Stopped

    @contextlib.contextmanager
    def later(self):
        """What is done here is done wholly: a process is not started without being noted."""
        self.held = True
        try:
            yield
        finally:
            self.held = False
        if self.number:
            raise Stopped


SIGNALS = Signals()


# === how it looks ===


class Look:
    """Colours on a terminal, plain text elsewhere; blocks and stars where the encoding has them."""

    def __init__(self, out=sys.stdout):
        self.colours = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        try:
            "█░★→".encode(out.encoding or "ascii")
            self.full, self.light, self.star, self.arrow = "█░★→"
        except UnicodeEncodeError:
            self.full, self.light, self.star, self.arrow = "#", ".", "*", "->"

    def paint(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else str(text)

    def bold(self, text):
        return self.paint("1", text)

    def dim(self, text):
        return self.paint("2", text)

    def good(self, text):
        return self.paint("32", text)

    def bad(self, text):
        return self.paint("1;31", text)

    def version(self, version, text):
        return self.paint("36" if version == "v1" else "33", text)

    def bar(self, v1, v2, width=30):
        """One bar for both; a version that anybody has is seen."""
        total = max(v1 + v2, 1)
        right = min(max(round(width * v2 / total), v2 > 0), width - (v1 > 0))
        return self.version("v1", self.light * (width - right)) + self.version("v2", self.full * right)


LOOK = Look()


def say(text=""):
    print(text, flush=True)


# === what is asked, and who answers ===


@dataclass(frozen=True)
class Request:
    """A GET of a person, with more headers and cookies."""

    person: str
    path: str = "/reviews/0"
    headers: tuple = ()
    cookies: str = ""

    def all_headers(self):
        return [("cookie", f"user={self.person}{self.cookies}"), *self.headers]

    def line(self):
        """The same for `serin explain --requests`."""
        headers = [(":path", self.path), (":authority", HOST), *self.all_headers()]
        return json.dumps({"id": self.person, "destination": f"{HOST}:9080", "headers": headers})


class Connection:
    """A connection to Envoy that is kept alive."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.client = http.client.HTTPConnection(host, int(port), timeout=10)

    def ask(self, request):
        """The version that answered, and its body; an error is none of its answers."""
        status, version, body = self.visit(request)
        if status != 200:
            text = body.decode(errors="replace")
            raise StoryError(f"{request.path} as {request.person}: status {status}: {text}")
        return version, body

    def visit(self, request):
        """The status of the answer, the version that it came from, and its body."""
        self.client.request("GET", request.path, headers={"host": HOST, **dict(request.all_headers())})
        answer = self.client.getresponse()
        body = answer.read()
        return answer.status, answer.headers["x-reviews-version"], body

    def close(self):
        self.client.close()


# === what is started, and stopped ===


def free_addresses(count):
    """Addresses that nobody has at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def start(stack, command, **options):
    """Starts a process that is stopped with the stack. It leads a group of its own: Ctrl-C reaches this process only."""
    with SIGNALS.later():
        process = subprocess.Popen(command, text=True, errors="replace", start_new_session=True, **options)
        stack.callback(stop, process)
    return process


def stop(process):
    """Ends a process in order; if it does not end so, together with all that it started."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=17)
    if process.returncode not in (0, -signal.SIGTERM):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def start_reviews(stack, version, failing=0):
    """Starts a version of the service; says where it listens."""
    command = [sys.executable, str(ROOT / "demo/reviews.py"), version, f"--failing={failing}", "--until-stdin-ends"]
    process = start(stack, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    line = process.stdout.readline()
    if not line:
        raise StoryError(f"reviews {version} does not start; its message is above")
    return line.split()[-1]


class Serin:
    """A running `serin standalone`, and the file that it serves."""

    def __init__(self, stack, directory, v1, v2, v3):
        self.file = directory / "reviews.yaml"
        self.control = directory / "control.yaml"
        self.listen, self.admin, self.console = free_addresses(3)
        template = (ROOT / "demo/reviews.yaml").read_text(encoding="utf-8")
        template = template[template.index("apiVersion") :]
        for old, new in [
            ("127.0.0.1:8080", self.listen),
            ("127.0.0.1:9901", self.admin),
            ("127.0.0.1:9081", v1),
            ("127.0.0.1:9082]", f"{v2}], v3: [{v3}]"),
            ('accessLog: ""', "accessLog: /dev/stdout\n  tracing: {sampling: 1%}"),
        ]:
            template = replace(template, old, new)
        self.template = template
        self.requests = 0
        self.lines = []
        self.serves = threading.Event()
        self.write(weight="50%", rules=False)
        command = [str(SERIN), "standalone", "-f", str(self.file), "--control", str(self.control), "--console", self.console]
        environment = {**os.environ, "ENVOY_BIN": str(ENVOY)}
        # The console reads along, and passes the access log on.
        log = stack.enter_context(open(directory / "access.log", "wb"))
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.PIPE}
        self.process = start(stack, command, env=environment, **streams)
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        until = time.monotonic() + CAP
        while not self.answers():
            self.check()
            if time.monotonic() > until:
                raise StoryError(f"serin does not serve within {CAP:.0f} s:\n{self.log()}")

    def read_log(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if "serving on" in line:
                self.serves.set()

    def answers(self):
        """Whether it serves: it says so, and somebody has an answer."""
        if self.serves.wait(0.02):
            with contextlib.suppress(OSError):
                self.once(Request(PEOPLE[0]))
                return True
        return False

    def log(self):
        return "\n".join(f"  | {line}" for line in self.lines[-15:])

    def check(self):
        if self.process.poll() is not None:
            self.reader.join(timeout=1)  # its last lines
            raise StoryError(f"serin ended with exit code {self.process.returncode}:\n{self.log()}")

    def write(self, weight, rules=True, takeover=None):
        """Replaces the file in one step, as an editor does."""
        text = replace(self.template, "weight: 50%", f"weight: {weight}")
        if not rules:
            text = text[: text.index("  rules:\n")]
        if takeover:
            text += f"  takeover: {takeover}\n"
        self.replace(text)

    def release(self, spec):
        """Replaces the release by one with other fields behind stable's."""
        text = self.template[: self.template.index("  canaries:\n")]
        self.replace(text + "  sticky: {by: [{cookie: user}]}\n" + spec)

    def replace(self, text):
        with open(self.file.with_suffix(".next"), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(self.file.with_suffix(".next"), self.file)

    def explain(self, requests):
        """What `serin explain` says of requests."""
        command = [str(SERIN), "explain", "-f", str(self.file), "--requests", "-"]
        lines = "".join(f"{request.line()}\n" for request in requests)
        done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=CAP)
        if done.returncode:
            raise StoryError(f"serin explain: {done.stderr.strip()}")
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        wrong = [answer for answer in answers if "error" in answer]
        if wrong or len(answers) != len(requests):
            raise StoryError(f"serin explain: {len(answers)} answers to {len(requests)} requests; {wrong[:1]}")
        return answers

    def why(self, request):
        """What `serin explain` says to people."""
        command = [str(SERIN), "explain", "-f", str(self.file), "--path", request.path]
        for name, value in request.all_headers():
            command += ["--header", f"{name}: {value}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=CAP).stdout

    def change(self, shown, **release):
        """Changes the file and waits until every worker answers by it: persons whose version changes are asked."""
        probes = [Request(person, headers=headers) for headers in ((), (("x-team", "qa"),)) for person in PEOPLE]
        before = [answer["version"] for answer in self.explain(probes)]
        start = time.monotonic()
        self.write(**release)
        after = [answer["version"] for answer in self.explain(probes)]
        moved = [(probe, now) for probe, was, now in zip(probes, before, after) if was != now]
        if not moved:
            raise StoryError(f"{shown}: no user changes version, so the change cannot be observed")
        agreed, asked, since = 0, 0, start
        while agreed < AGREE:
            probe, expected = moved[asked % len(moved)]
            version = self.once(probe)[0]
            asked += 1
            if version == expected:
                since = since if agreed else time.monotonic()
                agreed += 1
                continue
            agreed = 0
            self.check()
            if time.monotonic() > start + CAP:
                raise StoryError(f"{shown}: does not act within {CAP:.0f} s; {probe} still gets {version}\n{self.log()}")
            time.sleep(0.005)
        say(f"   {LOOK.bold('reviews.yaml')}  {shown}  {LOOK.dim(f'acts after {1000 * (since - start):.0f} ms')}")

    def once(self, request):
        """An answer on a connection of its own."""
        self.requests += 1
        connection = Connection(self.listen)
        try:
            return connection.ask(request)
        finally:
            connection.close()

    def all(self, requests):
        """The versions that answer requests, over a few connections."""
        return self.spread(requests, lambda connection, request: connection.ask(request)[0])

    def visits(self, requests):
        """The statuses and versions of the answers, errors included."""
        return self.spread(requests, lambda connection, request: connection.visit(request)[:2])

    def spread(self, requests, ask):
        def part(mine):
            connection = Connection(self.listen)
            try:
                return [ask(connection, request) for request in mine]
            finally:
                connection.close()

        self.requests += len(requests)
        share = -(-len(requests) // CONNECTIONS)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            parts = pool.map(part, [requests[at : at + share] for at in range(0, len(requests), share)])
            return [answer for mine in parts for answer in mine]


def replace(text, old, new):
    if text.count(old) != 1:
        raise StoryError(f"demo/reviews.yaml has `{old}` {text.count(old)} times, not once")
    return text.replace(old, new)
