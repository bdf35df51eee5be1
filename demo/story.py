#!/usr/bin/env python3
"""Shows Serin in a terminal: a canary release of Bookinfo's `reviews`, from 50 % to takeover and rollback.

`make demo` runs it. It starts two versions of the service and `serin standalone` in front of them, changes the release step by
step, asks as a thousand users through Envoy, and compares each answer with that of `serin explain` for the same request.
A single difference ends it with exit code 1. It stops whatever it starts.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from stage import ENVOY, LOOK, PEOPLE, SERIN, SIGNALS, Request, Serin, Stopped, StoryError, say, start_reviews


@dataclass
class Group:
    """A thousand requests, and who got what."""

    label: str
    got: list
    expected: list
    reasons: Counter = field(default_factory=Counter)

    def count(self, version):
        return self.got.count(version)

    def explained(self):
        """What `serin explain` counts."""
        return f"{self.expected.count('v1'):>4}:{self.expected.count('v2'):<4}"

    def on(self, version):
        """The persons who got a version."""
        return {person for person, got in zip(PEOPLE, self.got) if got == version}


class Story:
    def __init__(self, serin):
        self.serin = serin
        self.number = 0
        self.groups = []

    def title(self, title, text):
        self.number += 1
        say(f"\n{LOOK.bold(f'{self.number}. {title}')}\n   {LOOK.dim(text)}")

    def thousand(self, label, make=Request):
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
        say(f"   {label:<22} {' '.join(counts)}   explain {group.explained()} {verdict}")
        if not equal:
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
            raise StoryError(f"this does not hold: {text}")
        say(f"   {LOOK.good('ok')} {text}")

    def tell(self):
        serin, change = self.serin, self.serin.change
        self.title(
            "A canary gets half of the users",
            "weight: 50%, sticky by the cookie `user`. Two users reload 20 times, on 20 connections.",
        )
        split = {answer["id"]: answer["version"] for answer in serin.explain([Request(person) for person in PEOPLE])}
        pair = [next(person for person in PEOPLE if split[person] == version) for version in ("v1", "v2")]
        for person in pair:
            answers = [serin.once(Request(person)) for _ in range(20)]
            seen = [version for version, _ in answers]
            say(f"   {person}  {' '.join(LOOK.version(version, version) for version in seen)}")
            for review in json.loads(answers[-1][1])["reviews"]:
                stars = LOOK.star * review.get("rating", {}).get("stars", 0) or "no stars"
                text = review["text"].split(".")[0] + "."
                say(f"      {LOOK.version(seen[-1], stars.ljust(8))}  {LOOK.dim(text)}")
            if set(seen) != {split[person]}:
                raise StoryError(f"{person} did not stay: {Counter(seen)}, and serin explain says {split[person]}")

        self.title(
            "A thousand users",
            "Each bar is 1000 requests through Envoy; `serin explain` must give the same 1000 answers.",
        )
        half = self.thousand("weight 50%")
        again = self.thousand("the same, once more")
        self.claim(half.got == again.got, f"0 of {len(PEOPLE)} users changed their version")

        self.title("Why?", f"serin explain -f reviews.yaml --header 'cookie: user={pair[1]}'")
        for line in serin.why(Request(pair[1])).splitlines():
            say(f"   {line}")

        self.title("Rules", "A header, a cookie or a path decides before the weight does; a near miss does not match.")
        change("+ 3 rules", weight="50%")

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
        self.claim(all(group.count("v2") == len(PEOPLE) for group in granted), "every request that a rule matches gets v2")
        self.claim(all(group.got == half.got for group in others), "all other requests follow the weight")

        self.title(
            "Nobody picks a version",
            "Every user sends the routing header x-serin-version, with the version of the others.",
        )
        spoofed = self.thousand(
            "x-serin-version: ...",
            lambda person: Request(person, headers=(("x-serin-version", "v1" if split[person] == "v2" else "v2"),)),
        )
        self.claim(spoofed.got == half.got, "the header is ignored")

        self.title("The canary grows", "Users who have v2 keep it: a change moves only the difference.")
        had, steps = set(), [("50%", "5%"), ("5%", "25%"), ("25%", "50%")]
        for was, now in steps:
            change(f"weight: {was} {LOOK.arrow} {now}", weight=now)
            group = self.thousand(f"weight {now}")
            has = group.on("v2")
            if had:
                fell = had - has
                self.claim(not fell, f"{len(fell)} of the {len(had)} users who had v2 fell back; {len(has - had)} more have it now")
            had = has
        if had == half.on("v2"):
            say(f"   {LOOK.good('ok')} at 50% the same {len(had)} users have v2 as in step 2")

        self.title("Take over", "Every user gets the new version at once, whatever the rules say.")
        change("+ takeover: v2", weight="50%", takeover="v2")
        taken = self.thousand("takeover: v2")
        self.claim(taken.count("v2") == len(PEOPLE), f"v2 answers all {len(PEOPLE)}")

        self.title("Roll back", "The next request of every user goes to stable, testers included.")
        change(f"takeover: v2 {LOOK.arrow} v1", weight="50%", takeover="v1")
        back = [self.thousand("takeover: v1"), self.thousand("takeover: v1, and qa", header("qa"))]
        self.claim(not any(group.count("v2") for group in back), "v2 answers no request")

        self.by_itself()

    def by_itself(self):
        """Canaries that go their way without anybody: one that is bad, and one that is good."""
        self.title(
            "A bad canary is rolled back by itself",
            "v3 gets 10 % for an hour, then everybody. One in five of its answers is a 500, and nobody watches.",
        )
        analysed = "  analysis: {metrics: [{failures: {}, margin: 2%}]}\n"
        steps = "  steps: [{weight: 10%, hold: 1h}, {weight: 100%}]\n"
        self.serin.release("  canaries: [{version: v3}]\n" + steps + analysed)
        after, _ = self.watch(lambda told: "RolledBack" in told)
        self.claim(after < 30, f"{after:.0f} s after its first failure v3 gets nobody any more")
        answers = self.serin.visits([Request(person) for person in PEOPLE])
        self.claim(answers == [(200, "v1")] * len(PEOPLE), f"v1 answers all {len(PEOPLE)}, and no answer is an error")

        self.title(
            "A good canary goes to everybody by itself",
            "v2 gets 10 %, 50 %, then everybody. Each step waits until v2 is shown to be no worse than v1.",
        )
        steps = "  steps: [{weight: 10%}, {weight: 50%}, {weight: 100%}]\n"
        self.serin.release("  canaries: [{version: v2}]\n" + steps + analysed)
        _, fell = self.watch(lambda told: "Completed" in told)
        self.claim(not fell, "nobody who had v2 fell back on the way")

    def watch(self, is_over, cap=90):
        """Asks as a thousand persons again and again, and shows what serin says, until one of its lines ends it.

        Answers with the seconds since the first failure, and with how many persons have left a canary.
        """
        requests = [Request(person) for person in PEOPLE]
        begun, failed, had, fell, heard = time.monotonic(), None, set(), 0, len(self.serin.lines)
        while True:
            self.serin.check()
            answers = self.serin.visits(requests)
            now = time.monotonic()
            on = {person for person, (_, version) in zip(PEOPLE, answers) if version != "v1"}
            errors = sum(status != 200 for status, _ in answers)
            failed = failed or (now if errors else None)
            fell, had = fell + len(had - on), on
            told = [line for line in self.serin.lines[heard:] if "bookinfo/reviews" in line]
            heard += len(self.serin.lines[heard:])
            bar = LOOK.bar(len(PEOPLE) - len(on), len(on))
            wrong = LOOK.bad(f"{errors} errors") if errors else ""
            if told or now - begun < 1:
                say(f"   {now - begun:>4.0f} s  {len(PEOPLE) - len(on):>4} {bar} {len(on):>4}  {wrong}")
            for line in told:
                text = line.split("bookinfo/reviews: ")[-1]
                for part in textwrap.wrap(text, 84, subsequent_indent="  "):
                    say(f"           {LOOK.dim(part)}")
            if any(is_over(line) for line in told):
                return now - (failed or now), fell
            if now - begun > cap:
                raise StoryError(f"it does not end within {cap} s:\n{self.serin.log()}")

    def summary(self, seconds):
        say(f"\n{LOOK.bold('Summary')}\n   {'requests with':<22} {'v1':>5} {'v2':>5}     explain         why")
        for group in self.groups:
            v1, v2 = (LOOK.version(version, f"{group.count(version):>5}") for version in ("v1", "v2"))
            why = ", ".join(reason for reason, _ in group.reasons.most_common())
            say(f"   {group.label:<22} {v1} {v2}     {group.explained()} {LOOK.good('equal')}  {LOOK.dim(why)}")
        say(f"   {self.serin.requests} requests through Envoy in {seconds:.1f} s, each of the table's answered as `serin explain` says")


def shown(path):
    """A path as one would type it here."""
    with contextlib.suppress(ValueError):
        path = path.relative_to(Path.cwd())
    return shlex.quote(str(path))


def hint():
    say(f"""
{LOOK.bold('Make it yours')}: your service, your servers, your rules
   cp demo/reviews.yaml my.yaml
   ENVOY_BIN={shown(ENVOY)} {shown(SERIN)} standalone -f my.yaml --control control.yaml --console 127.0.0.1:9900
   make demo KEEP=1     {LOOK.dim('leaves this one running, to play with')}""")


def play(serin):
    """Leaves it running until Ctrl-C, or a signal."""
    serin.change("without takeover", weight="50%")
    curl = f"curl -s http://{serin.listen}/reviews/0"
    say(f"""
{LOOK.bold('It runs until Ctrl-C.')} Play with it:
   The console:       http://{serin.console}/
   {curl} -H 'cookie: user=ann'
   {curl} -H 'cookie: user=ann' -H 'x-team: qa'
   {curl.replace('/reviews/', '/preview/')}
   {shown(SERIN)} explain -f {serin.file} --header 'cookie: user=ann'
   curl -s http://{serin.admin}/stats/prometheus | grep decisions_total
   Change the weight: edit {serin.file}
   The access log:    tail -f {serin.file.parent / 'access.log'}""")
    heard = len(serin.lines)
    with contextlib.suppress(Stopped):
        while True:
            time.sleep(0.2)
            for line in serin.lines[heard:]:
                say(f"   {LOOK.dim(line)}")
                heard += 1
            serin.check()


def perform(stack, keep):
    """Starts all, tells the story, and plays if asked."""
    started = time.monotonic()
    with SIGNALS.later():
        directory = Path(tempfile.mkdtemp(prefix="serin-demo-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
    v1, v2 = (start_reviews(stack, version) for version in ("v1", "v2"))
    v3 = start_reviews(stack, "v3", failing=5)
    path = f"   a user {LOOK.arrow} Envoy with Serin's filter {LOOK.arrow} "
    say(LOOK.bold("Serin: a canary release of Bookinfo's reviews, sticky per user") + "\n")
    say(path + LOOK.version("v1", f"reviews v1, no stars     {LOOK.light * 3}"))
    say(" " * len(path) + LOOK.version("v2", f"reviews v2, black stars  {LOOK.full * 3}"))
    say(f"\n   {LOOK.dim('starting two versions of reviews and `serin standalone` ...')}")
    serin = Serin(stack, directory, v1, v2, v3)
    say(f"   {LOOK.dim(f'serving on {serin.listen} after {time.monotonic() - started:.1f} s')}")
    say(f"   the console, while this runs: {LOOK.bold(f'http://{serin.console}/')}")
    story = Story(serin)
    story.tell()
    story.summary(time.monotonic() - started)
    if keep:
        play(serin)


def run(keep):
    """The whole; nothing of it stays."""
    for path, fix in [(SERIN, "make build"), (ENVOY, "make envoy")]:
        if not path.is_file():
            raise StoryError(f"no {path}; `{fix}` makes it")
    with contextlib.ExitStack() as stack:
        try:
            perform(stack, keep)
        finally:
            # What was started is stopped now, and no signal may get in between.
            SIGNALS.ignore()
    hint()


def main():
    parser = argparse.ArgumentParser(description="Tell the story of Serin in a terminal.")
    parser.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C, to play with")
    asked = parser.parse_args()

    sys.stdout.reconfigure(errors="replace")
    SIGNALS.catch()
    try:
        run(asked.keep)
    except Stopped:
        return 128 + SIGNALS.number
    except BrokenPipeError:
        # Nobody reads any more; not even the interpreter's last flush may fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except StoryError as error:
        say(f"\n{LOOK.bad('error:')} {error}")
        return 1
    except (OSError, http.client.HTTPException, subprocess.SubprocessError) as error:
        say(f"\n{LOOK.bad('error:')} {type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
