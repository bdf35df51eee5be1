#!/usr/bin/env python3
"""Tells the story of Serin in a terminal: a canary release of Bookinfo's `reviews`, from 50 % to take over and roll back.

`make demo` runs it. It starts two versions of the service and `serin standalone` in front of them, changes the release step by
step, asks as a thousand persons through Envoy, and compares each answer with what `serin explain` says of the same request.
One difference, and it ends with exit code 1. Whatever it starts, it stops.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERIN = Path(os.environ.get("SERIN") or Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug/serin").absolute()
ENVOY = Path(os.environ.get("ENVOY_BIN") or ROOT / "target/venv/envoy").absolute()
HOST = "reviews.bookinfo.svc.cluster.local"
PEOPLE = [f"person-{number:04}" for number in range(1, 1001)]
CONNECTIONS = 4
# So many answers in a row, each on a connection of its own, must agree before a change counts as visible in every worker.
AGREE = 24
CAP = 30.0


class StoryError(Exception):
    """The story cannot go on; the message says why."""


# === how it looks ===


class Look:
    """Colours on a terminal, plain text elsewhere; blocks and stars where the encoding has them."""

    def __init__(self, out=sys.stdout):
        self.colours = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        try:
            "█░★→≠".encode(out.encoding or "ascii")
            self.full, self.light, self.star, self.arrow, self.unequal = "█░★→≠"
        except UnicodeEncodeError:
            self.full, self.light, self.star, self.arrow, self.unequal = "#", ".", "*", "->", "!="

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
        """The version that answered, and its body."""
        self.client.request("GET", request.path, headers={"host": HOST, **dict(request.all_headers())})
        answer = self.client.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise StoryError(f"{request.path} as {request.person}: status {answer.status}: {body.decode(errors='replace')}")
        return answer.headers["x-reviews-version"], body

    def close(self):
        self.client.close()


@dataclass
class Group:
    """A thousand requests, and who got what."""

    label: str
    got: list
    expected: list
    reasons: Counter = field(default_factory=Counter)

    def count(self, version):
        return self.got.count(version)

    def on(self, version):
        """The persons who got a version."""
        return {person for person, got in zip(PEOPLE, self.got) if got == version}


# === what is started, and stopped ===


def free_addresses(count):
    """Addresses that nobody has at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def stop(process):
    """Ends a process in order, and with all that it started if it does not end."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=12)
        except subprocess.TimeoutExpired:
            # It leads a group of its own.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def start_reviews(stack, version):
    """Starts a version of the service; says where it listens."""
    command = [sys.executable, str(ROOT / "demo/reviews.py"), version, "--until-stdin-ends"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    stack.callback(stop, process)
    line = process.stdout.readline()
    if not line:
        raise StoryError(f"reviews {version} does not start; its message is above")
    return line.split()[-1]


class Serin:
    """A running `serin standalone`, and the file that it serves."""

    def __init__(self, stack, directory, v1, v2):
        self.file = directory / "reviews.yaml"
        self.listen, self.admin = free_addresses(2)
        template = (ROOT / "demo/reviews.yaml").read_text(encoding="utf-8")
        template = template[template.index("apiVersion") :]
        for old, new in [
            ("127.0.0.1:8080", self.listen),
            ("127.0.0.1:9901", self.admin),
            ("127.0.0.1:9081", v1),
            ("127.0.0.1:9082", v2),
            ('accessLog: ""', f"accessLog: {json.dumps(str(directory / 'access.log'))}"),
        ]:
            template = replace(template, old, new)
        self.template = template
        self.requests = 0
        self.lines = []
        self.serves = threading.Event()
        self.write(weight="50%", rules=False)
        command = [str(SERIN), "standalone", "-f", str(self.file), "--state-dir", str(directory / "state")]
        environment = {**os.environ, "ENVOY_BIN": str(ENVOY)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="replace", env=environment, start_new_session=True,
        )
        stack.callback(stop, self.process)
        threading.Thread(target=self.listen_to_log, daemon=True).start()
        until = time.monotonic() + CAP
        while not self.serves.wait(0.02):
            self.check()
            if time.monotonic() > until:
                raise StoryError(f"serin does not serve within {CAP:.0f} s:\n{self.log()}")
        self.check()

    def listen_to_log(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if "serving on" in line:
                self.serves.set()

    def log(self):
        return "\n".join(f"  | {line}" for line in self.lines[-15:])

    def check(self):
        if self.process.poll() is not None:
            time.sleep(0.1)  # its last lines are still being read
            raise StoryError(f"serin ended with exit code {self.process.returncode}:\n{self.log()}")

    def write(self, weight, rules=True, takeover=None):
        """Replaces the file in one step, as an editor does."""
        text = replace(self.template, "weight: 50%", f"weight: {weight}")
        if not rules:
            text = text[: text.index("  rules:\n")]
        if takeover:
            text += f"  takeover: {takeover}\n"
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
        """Changes the file and waits until every worker answers by it: some persons whose version changes are asked."""
        probes = [Request(person) for person in PEOPLE] + [Request(person, headers=(("x-team", "qa"),)) for person in PEOPLE]
        before = [answer["version"] for answer in self.explain(probes)]
        start = time.monotonic()
        self.write(**release)
        after = [answer["version"] for answer in self.explain(probes)]
        moved = [(probe, now) for probe, was, now in zip(probes, before, after) if was != now]
        if not moved:
            raise StoryError(f"{shown}: changes the version of nobody, so that nobody can see it")
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
                raise StoryError(f"{shown}: not visible within {CAP:.0f} s; {probe} still gets {version}\n{self.log()}")
            time.sleep(0.005)
        say(f"   {LOOK.bold('reviews.yaml')}  {shown}  {LOOK.dim(f'seen after {1000 * (since - start):.0f} ms')}")

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

        def part(mine):
            connection = Connection(self.listen)
            try:
                return [connection.ask(request)[0] for request in mine]
            finally:
                connection.close()

        self.requests += len(requests)
        share = -(-len(requests) // CONNECTIONS)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            parts = pool.map(part, [requests[at : at + share] for at in range(0, len(requests), share)])
            return [version for mine in parts for version in mine]


def replace(text, old, new):
    if text.count(old) != 1:
        raise StoryError(f"demo/reviews.yaml has `{old}` {text.count(old)} times, not once")
    return text.replace(old, new)


# === the story ===


class Story:
    def __init__(self, serin):
        self.serin = serin
        self.number = 0
        self.groups = []

    def title(self, title, text):
        self.number += 1
        say(f"\n{LOOK.bold(f'{self.number}. {title}')}\n   {LOOK.dim(text)}")

    def thousand(self, label, make=Request, note=""):
        """Asks as a thousand persons, shows who got what, and compares each answer with `serin explain`."""
        requests = [make(person) for person in PEOPLE]
        answers = self.serin.explain(requests)
        expected = [answer["version"] for answer in answers]
        reasons = Counter(answer["rule"] or answer["reason"] for answer in answers)
        group = Group(label, self.serin.all(requests), expected, reasons)
        self.groups.append(group)
        v1, v2 = group.count("v1"), group.count("v2")
        equal = group.got == expected
        verdict = LOOK.good("equal") if equal else LOOK.bad("DIFFERENT")
        counts = [LOOK.version("v1", f"v1 {v1:>4}"), LOOK.bar(v1, v2), LOOK.version("v2", f"{v2:>4} v2")]
        say(f"   {label:<22} {' '.join(counts)}   explain {expected.count('v1'):>4}:{expected.count('v2'):<4} {verdict}{note and f'  {note}'}")
        if not equal or v1 + v2 != len(PEOPLE):
            wrong = [at for at, pair in enumerate(zip(group.got, expected)) if pair[0] != pair[1]]
            first = requests[wrong[0]]
            raise StoryError(
                f"{label}: {len(wrong)} of {len(PEOPLE)} answers are not what `serin explain` says; "
                f"{first.person} got {group.got[wrong[0]]}:\n{self.serin.why(first)}{self.serin.log()}"
            )
        return group

    def claim(self, holds, text):
        """Something that must be so."""
        if not holds:
            raise StoryError(f"not so: {text}")
        say(f"   {LOOK.good('ok')} {text}")

    def tell(self):
        serin, change = self.serin, self.serin.change
        self.title("A canary gets half of the people", "weight: 50%, sticky by the cookie `user`. One person refreshes 20 times, on 20 connections.")
        split = {answer["id"]: answer["version"] for answer in serin.explain([Request(person) for person in PEOPLE])}
        pair = [next(person for person in PEOPLE if split[person] == version) for version in ("v1", "v2")]
        for person in pair:
            answers = [serin.once(Request(person)) for _ in range(20)]
            seen = [version for version, _ in answers]
            shown = " ".join(LOOK.version(version, version) for version in seen)
            say(f"   {person}  {shown}")
            for review in json.loads(answers[-1][1])["reviews"]:
                stars = review.get("rating", {}).get("stars", 0)
                text = review["text"].split(".")[0] + "."
                say(f"      {LOOK.version(seen[-1], (LOOK.star * stars).ljust(5))} {LOOK.dim(text)}")
            if set(seen) != {split[person]}:
                raise StoryError(f"{person} did not stay: {Counter(seen)}, and serin explain says {split[person]}")

        self.title("A thousand persons", "Each bar is 1000 requests through Envoy. Each single answer must be what `serin explain` says of it.")
        half = self.thousand("weight 50%")
        again = self.thousand("the same, once more")
        self.claim(half.got == again.got, f"0 of {len(PEOPLE)} persons changed sides")

        self.title("Why?", f"serin explain -f reviews.yaml --header 'cookie: user={pair[1]}'")
        for line in serin.why(Request(pair[1])).splitlines():
            say(f"   {line}")

        self.title("Rules", "A header, a cookie or a path wins over the weight; what is nearly the same does not.")
        change(f"+ 3 rules", weight="50%")

        def header(value):
            return lambda person: Request(person, headers=(("x-team", value),))

        rules = [
            ("x-team: qa", header("qa")),
            ("cookie beta=1", lambda person: Request(person, cookies="; beta=1")),
            ("path /preview/0", lambda person: Request(person, path="/preview/0")),
        ]
        near = [
            ("x-team: dev", header("dev")),
            ("cookie beta=0", lambda person: Request(person, cookies="; beta=0")),
            ("path /previews/0", lambda person: Request(person, path="/previews/0")),
        ]
        granted = [self.thousand(*rule) for rule in rules]
        others = [self.thousand(*rule) for rule in near]
        self.claim(all(group.count("v2") == len(PEOPLE) for group in granted), "who has the rule gets v2")
        self.claim(all(group.got == half.got for group in others), "everybody else gets what the weight gives")
        self.title("Nobody picks a version", "Everybody sends the header that routes, x-serin-version, with the version that they have not.")
        spoofed = self.thousand(
            "x-serin-version: ...",
            lambda person: Request(person, headers=(("x-serin-version", "v1" if split[person] == "v2" else "v2"),)),
        )
        self.claim(spoofed.got == half.got, "it is not obeyed")

        self.title("The canary grows", "Who has v2 keeps it: a change moves only the difference.")
        had, steps = set(), [("50%", "5%"), ("5%", "25%"), ("25%", "50%")]
        for was, now in steps:
            change(f"weight: {was} {LOOK.arrow} {now}", weight=now)
            group = self.thousand(f"weight {now}")
            has = group.on("v2")
            if had:
                fell = had - has
                self.claim(not fell, f"{len(fell)} of the {len(had)} who had v2 fell back; {len(has - had)} came")
            had = has
        if had == half.on("v2"):
            say(f"   {LOOK.good('ok')} at 50% it is the same {len(had)} persons as in step 2")

        self.title("Take over", "Everybody to the new version, at once; rules do not matter now.")
        change("+ takeover: v2", weight="50%", takeover="v2")
        taken = self.thousand("takeover: v2")
        self.claim(taken.count("v2") == len(PEOPLE), f"v2 answers all {len(PEOPLE)}")

        self.title("Roll back", "Everybody is free on the next request, testers too.")
        change(f"takeover: v2 {LOOK.arrow} v1", weight="50%", takeover="v1")
        back = [self.thousand("takeover: v1"), self.thousand("x-team: qa", header("qa"))]
        self.claim(not any(group.count("v2") for group in back), "v2 answers nobody")

    def summary(self, seconds):
        say(f"\n{LOOK.bold('Summary')}\n   {'who was asked as':<22} {'v1':>5} {'v2':>5}   {'explain':<9} {'':<10} why")
        for group in self.groups:
            v1, v2 = (LOOK.version(version, f"{group.count(version):>5}") for version in ("v1", "v2"))
            expected = f"{group.expected.count('v1'):>4}:{group.expected.count('v2'):<4}"
            why = ", ".join(reason for reason, _ in group.reasons.most_common())
            say(f"   {group.label:<22} {v1} {v2}   {expected} {LOOK.good('equal'):<10} {LOOK.dim(why)}")
        say(f"   {self.serin.requests} requests through Envoy in {seconds:.1f} s, each answered as `serin explain` says")


def shown(path):
    """A path as one would type it here."""
    with contextlib.suppress(ValueError):
        path = path.relative_to(Path.cwd())
    return shlex.quote(str(path))


def hint():
    say(f"""
{LOOK.bold('Make it yours')}: your service, your servers, your rules
   cp demo/reviews.yaml my.yaml
   ENVOY_BIN={shown(ENVOY)} {shown(SERIN)} standalone -f my.yaml
   make demo KEEP=1     {LOOK.dim('leaves this one running, to play with')}""")


def play(serin):
    """Leaves it running until Ctrl-C."""
    serin.change("without takeover", weight="50%")
    curl = f"curl -s http://{serin.listen}/reviews/0"
    say(f"""
{LOOK.bold('It runs until Ctrl-C.')} Play with it:
   {curl} -H 'cookie: user=ann'
   {curl} -H 'cookie: user=ann' -H 'x-team: qa'
   {curl.replace('/reviews/', '/preview/')}
   {shown(SERIN)} explain -f {serin.file} --header 'cookie: user=ann'
   curl -s http://{serin.admin}/stats/prometheus | grep serin_
   Change the weight: edit {serin.file}
   The access log:    tail -f {serin.file.parent / 'access.log'}""")
    heard = len(serin.lines)
    while True:
        time.sleep(0.2)
        for line in serin.lines[heard:]:
            say(f"   {LOOK.dim(line)}")
            heard += 1
        serin.check()


def run(keep):
    for path, fix in [(SERIN, "make build"), (ENVOY, "make envoy")]:
        if not path.is_file():
            raise StoryError(f"no {path}; `{fix}` makes it")
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="serin-demo-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        v1, v2 = (start_reviews(stack, version) for version in ("v1", "v2"))
        say(LOOK.bold("Serin: a canary release of Bookinfo's reviews, sticky for each person"))
        say(f"\n   a person {LOOK.arrow} Envoy with serin's filter {LOOK.arrow} {LOOK.version('v1', f'reviews v1, no stars {LOOK.light * 3}')}")
        say(f"                                     {LOOK.arrow} {LOOK.version('v2', f'reviews v2, black stars {LOOK.full * 3}')}")
        say(LOOK.dim("\n   starting two versions of reviews and `serin standalone` ..."))
        serin = Serin(stack, directory, v1, v2)
        say(f"   {LOOK.dim(f'it serves on {serin.listen} after {time.monotonic() - started:.1f} s')}")
        story = Story(serin)
        story.tell()
        story.summary(time.monotonic() - started)
        if keep:
            play(serin)
        # A second signal must not keep anything alive.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    hint()


def main():
    parser = argparse.ArgumentParser(description="Tell the story of Serin in a terminal.")
    parser.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C, to play with")
    asked = parser.parse_args()

    def end(number, _):
        for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        run(asked.keep)
    except StoryError as error:
        say(f"\n{LOOK.bad('error:')} {error}")
        return 1
    except (OSError, http.client.HTTPException, subprocess.SubprocessError) as error:
        say(f"\n{LOOK.bad('error:')} {type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
