#!/usr/bin/env python3
"""Runs tests by cargo, and says at the end what took how long and what was left out.

Usage: timed.py COMMAND...      each is a line for the shell

All of them run, also after one that fails. Where nothing may be left out (CI or
SERIN_REQUIRE_ALL is set) an ignored test is a failure, however its harness ended.
"""

import os
import re
import subprocess
import sys
import time

# So many lines of a failure are said again at the end.
SAID_AGAIN = 8
# So many tests are named that take longest, from so many seconds on.
SLOWEST, SLOW = 12, 20
# Lines of cargo and of its harnesses, without colours.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TARGET = re.compile(r"^\s+(?:Running (?:unittests )?(?P<file>\S+\.rs) \((?P<path>.*)\)|Doc-tests (?P<crate>\S+))$")
RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;.* finished in ([0-9.]+)s$")
ENVOY = re.compile(r"^Envoy ([0-9.]+)$")
LEFT_OUT = re.compile(r"^left out: (.*)$")
FAILURE = re.compile(r"^---- (\S.*?)(?: stdout)? ----$")
TOOK = re.compile(r"(?:^|\s)(\S+) took ([0-9.]+) s$")
BUILD = re.compile(r"^\s+Finished .* target\(s\) in (?:(\d+)m )?([0-9.]+)s$")


def name(match):
    """A target as its crate and its file."""
    if match["crate"]:
        return "doctests of " + match["crate"]
    crate = re.sub(r"-[0-9a-f]{16}$", "", os.path.basename(match["path"]))
    return crate if match["file"].startswith("tests/") else "unit tests of " + crate


class Record:
    """What was seen: rows of (seconds, name, passed, failed, ignored), and the first lines of what each failed test said."""

    def __init__(self):
        self.rows = []
        self.target = "?"
        self.where = ""
        self.failures = []
        self.slow = []
        self.within = False

    def read(self, line):
        self.keep(line)
        if match := TARGET.match(line):
            self.target = name(match) + self.where
        elif match := ENVOY.match(line):
            self.where = " on Envoy " + match[1]
        elif match := LEFT_OUT.match(line):
            self.rows.append((0.0, match[1], 0, 0, 1))
        elif match := RESULT.match(line):
            passed, failed, ignored = (int(number) for number in match.groups()[:3])
            self.rows.append((float(match[4]), self.target, passed, failed, ignored))
        elif (match := TOOK.search(line)) and float(match[2]) >= SLOW:
            self.slow.append((float(match[2]), f"{match[1]} of {self.target}"))
        elif match := BUILD.match(line):
            self.rows.append((60 * int(match[1] or 0) + float(match[2]), "build", 0, 0, 0))

    def keep(self, line):
        """A harness prints what failed at its end, under a title for each test."""
        if match := FAILURE.match(line):
            self.failures.append([f"{match[1]} of {self.target}:"])
            self.within = True
        elif line == "failures:" or RESULT.match(line):
            self.within = False
        elif self.within and line and len(self.failures[-1]) <= SAID_AGAIN:
            self.failures[-1].append("    " + line[:500])

    def total(self, column):
        return sum(row[column] for row in self.rows)


def run(command, record):
    # Which Envoy a command runs on says nothing about the next one.
    record.where = ""
    process = subprocess.Popen(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in process.stdout:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        record.read(COLOUR.sub("", line.decode(errors="replace").rstrip("\n")))
    return process.wait()


def main():
    record, start, code = Record(), time.monotonic(), 0
    for command in sys.argv[1:]:
        code = run(command, record) or code
    print("\n  seconds  passed  ignored")
    for seconds, target, passed, failed, ignored in sorted(record.rows, reverse=True):
        if seconds >= 1 or failed or ignored:
            print(f"{seconds:9.1f} {passed:7} {ignored:8}  {target}{': FAILED' if failed else ''}")
    passed, failed, ignored = (record.total(column) for column in (2, 3, 4))
    print(f"{time.monotonic() - start:9.1f} {passed:7} {ignored:8}  all\n")
    for seconds, test in sorted(record.slow, reverse=True)[:SLOWEST]:
        print(f"{seconds:9.1f}  {test}")
    print()
    for failure in record.failures:
        print("\n".join(failure) + "\n")
    strict = any(os.environ.get(variable, "") not in ("", "0", "false") for variable in ("CI", "SERIN_REQUIRE_ALL"))
    if ignored and strict:
        print("error: a test was ignored where nothing may be left out; its reason is above", file=sys.stderr)
        code = code or 1
    print(f"{passed} passed, {failed} failed, {ignored} skipped")
    return code


if __name__ == "__main__":
    sys.exit(main())
