#!/usr/bin/env python3
"""Draws the pictures of the documentation beside this file, as SVG for light and dark pages.

    docs/pictures/draw.py [--check]

`--check` writes nothing and exits with 1 where a picture is another one.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent

STYLE = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f }
.small { font-size: 12px } .note { fill: #57606a; font-size: 12px } .strong { font-weight: 600 }
.code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 12px }
.box { fill: #f6f8fa; stroke: #8c959f } .own { fill: #ddf4ff; stroke: #0969da }
.line { stroke: #57606a; stroke-width: 1.3; fill: none } .dash { stroke-dasharray: 4 3 }
.grid { stroke: #8c959f; stroke-opacity: .45 } .head { fill: #57606a }
.v1 { fill: #afb8c1 } .v2 { fill: #fb8f44 } .v3 { fill: #6cb6ff } .hatch { stroke: #24292f; stroke-width: 1.4 }
.halo { paint-order: stroke; stroke: #ffffff; stroke-width: 5px; stroke-linejoin: round }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note { fill: #9198a1 }
  .box { fill: #161b22; stroke: #6e7681 } .own { fill: #0c2d6b; stroke: #4493f8 }
  .line { stroke: #9198a1 } .head { fill: #9198a1 } .halo { stroke: #0d1117 }
  .v1 { fill: #57606a } .v2 { fill: #bc4c00 } .v3 { fill: #1f6feb } .hatch { stroke: #e6edf3 }
}
"""


class Picture:
    """The elements of a picture."""

    def __init__(self, title, width, height):
        self.title, self.width, self.height, self.parts = title, width, height, []

    def add(self, element):
        self.parts.append(element)

    def text(self, x, y, text, kind="", anchor="start"):
        cls = f' class="{kind}"' if kind else ""
        at = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self.add(f'<text x="{x:g}" y="{y:g}"{cls}{at}>{escape(text)}</text>')

    def rect(self, x, y, width, height, kind, radius=0):
        corner = f' rx="{radius}"' if radius else ""
        self.add(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" class="{kind}"{corner}/>')

    def box(self, x, y, width, height, lines, kind="box", first="strong"):
        """A box with lines in its middle."""
        self.rect(x, y, width, height, kind, 6)
        top = y + height / 2 - 8 * (len(lines) - 1) + 4.5
        for number, line in enumerate(lines):
            self.text(x + width / 2, top + 16 * number, line, first if number == 0 else "note", "middle")

    def line(self, points, arrow=True, dash=False, kind="line"):
        path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
        end = ' marker-end="url(#arrow)"' if arrow else ""
        self.add(f'<path d="{path}" class="{kind}{" dash" if dash else ""}"{end}/>')

    def svg(self):
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        defs = (
            '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto-start-reverse">'
            '<path d="M0 0 L10 5 L0 10 z" class="head"/></marker>'
            '<pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<line x1="0" y1="0" x2="0" y2="7" class="hatch"/></pattern></defs>'
        )
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<title>{escape(self.title)}</title>\n'
            f"<style>\n{STYLE}</style>\n{defs}\n{body}\n</svg>\n"
        )


def buckets():
    """v2 grows from 5 % to 6 %, with a map and without one."""
    picture = Picture("A weight of 5 % becomes 6 %: which of the 100 000 buckets change their version", 760, 372)
    left, width, shown = 20, 720, 12_000

    def at(bucket):
        return left + width * bucket / shown

    def bar(y, runs, moved=()):
        start = 0
        for version, count in runs:
            end = min(start + count, shown)
            picture.rect(at(start), y, at(end) - at(start), 34, version)
            if (start, end) not in moved:
                picture.text((at(start) + at(end)) / 2, y + 22, version, "strong", "middle")
            start += count
        for begin, end in moved:
            picture.rect(at(begin), y, at(end) - at(begin), 34, "moved")
            picture.parts[-1] = picture.parts[-1].replace('class="moved"', 'fill="url(#hatch)"')

    def scale(y):
        for bucket in range(0, shown + 1, 1_000):
            picture.line([(at(bucket), y), (at(bucket), y + 5)], arrow=False, kind="grid")
            if bucket % 2_000 == 0:
                anchor = "start" if bucket == 0 else "end" if bucket == shown else "middle"
                picture.text(at(bucket), y + 19, f"{bucket:,}".replace(",", " "), "note", anchor)

    picture.text(left, 26, "before: v2 5 %, v3 3 %, the rest is stable (v1)", "strong")
    bar(36, [("v2", 5_000), ("v3", 3_000), ("v1", 92_000)])
    scale(70)
    picture.text(left, 126, "after: v2 6 %. The map of before is kept, and v2 takes 1 000 buckets from stable", "strong")
    bar(136, [("v2", 5_000), ("v3", 3_000), ("v2", 1_000), ("v1", 91_000)], [(8_000, 9_000)])
    scale(170)
    picture.text(left, 211, "hatched: 1 000 buckets moved, exactly the difference", "note")
    picture.text(left, 256, "for comparison, without a map: shares lie in listed order each time", "strong")
    bar(266, [("v2", 6_000), ("v3", 3_000), ("v1", 91_000)], [(5_000, 6_000), (8_000, 9_000)])
    scale(300)
    picture.text(left, 341, "hatched: 2 000 buckets moved, and users of v3 lose it though its weight is the same", "note")
    picture.text(left, 360, "The first 12 000 of 100 000 buckets are shown; all others are stable's.", "note")
    return picture


def request():
    """One request and its three host calls."""
    picture = Picture("One request: three host calls, and the route is selected again", 760, 452)
    lanes = [("client", 70), ("Envoy", 250), ("Serin's filter", 500), ("reviews v2", 690)]
    for name, x in lanes:
        picture.box(x - 60, 14, 120, 32, [name], "own" if "Serin" in name else "box")
        picture.line([(x, 46), (x, 440)], arrow=False, dash=True, kind="grid")
    client, envoy, filter_, upstream = (x for _, x in lanes)

    def message(y, start, end, text, note="", dash=False):
        picture.line([(start, y), (end, y)], dash=dash)
        middle = (start + end) / 2
        picture.text(middle, y - 6, text, "small halo", "middle")
        if note:
            picture.text(middle, y + 15, note, "note halo", "middle")

    message(84, client, envoy, "GET /reviews/0", "cookie: user=ann")
    picture.box(envoy - 62, 108, 124, 40, ["first route", "stable's cluster"], first="small")
    message(180, envoy, filter_, "request headers", "one entry into the module")
    message(224, filter_, envoy, "1. read the cluster's name", "it names the release")
    message(268, filter_, envoy, "2. read the cookies", "the key ann, so the bucket, so v2")
    message(312, filter_, envoy, "3. set x-serin-version: v2", "whatever the client sent")
    picture.box(envoy - 62, 340, 124, 40, ["route again", "v2's cluster"], first="small")
    picture.line([(envoy, 380), (envoy, 400), (upstream, 400)])
    picture.text((envoy + upstream) / 2, 394, "GET /reviews/0, x-serin-version: v2", "small halo", "middle")
    message(430, upstream, envoy, "", "no entry into the module, unless it issues a cookie", dash=True)
    message(430, envoy, client, "the answer of v2", dash=True)
    return picture


def safe_order():
    """A version comes and goes."""
    picture = Picture("The safe order: how a version comes and how it goes", 760, 292)
    lanes = [("subset", "DestinationRule"), ("route", "VirtualService"), ("entry", "split document")]
    top, row, left = 70, 56, 160
    picture.text(left + 96, 30, "a version comes", "strong", "middle")
    picture.text(left + 444, 30, "a version goes", "strong", "middle")
    # Begin and end of each lane.
    spans = [(20, 560), (116, 464), (212, 368)]
    for number, ((name, note), (start, end)) in enumerate(zip(lanes, spans)):
        y = top + row * number
        picture.text(left - 20, y + 14, name, "strong", "end")
        picture.text(left - 20, y + 30, note, "note", "end")
        picture.line([(left, y + 36), (730, y + 36)], arrow=False, kind="grid")
        picture.rect(left + start, y + 4, end - start, 24, "v2" if number == 2 else "v3", 3)
    labels = [(20, "seen"), (116, "seen"), (212, "requests reach it"), (368, "none do"), (464, ""), (560, "")]
    for x, text in labels:
        picture.line([(left + x, 48), (left + x, top + row * 3 - 16)], arrow=False, dash=True, kind="grid")
        if text:
            picture.text(left + x, 60, text, "note halo", "middle")

    def wait(start, end, text):
        y = top + row * 3 + 4
        picture.add(f'<path d="M{left + start} {y} L{left + end} {y}" class="line" marker-start="url(#arrow)" marker-end="url(#arrow)"/>')
        picture.text(left + (start + end) / 2, y + 18, text, "note", "middle")

    wait(20, 116, "settle 2 s")
    wait(116, 212, "settle 2 s")
    wait(368, 464, "drain 3 s")
    wait(464, 560, "drain 3 s")
    picture.text(left + 20, 278, "A wait begins when the step before it has been seen in the cluster.", "note")
    return picture


def phases():
    """The phases of a release."""
    picture = Picture("Phases of a release, and the conditions that go with them", 760, 424)
    boxes = {
        "Progressing": (290, 66, ["Progressing", "something is still missing"]),
        "Active": (290, 190, ["Active", "rules and weights decide"]),
        "Paused": (14, 190, ["Paused", "kept as it is"]),
        "TakenOver": (570, 96, ["TakenOver", "a canary gets everything"]),
        "RolledBack": (570, 270, ["RolledBack", "stable gets everything"]),
        "Refused": (100, 330, ["Refused", "the last good split acts"]),
        "Deleting": (330, 330, ["Deleting", "removed in the safe order"]),
    }
    picture.line([(380, 14), (380, 64)])
    picture.text(390, 40, "create", "note")
    picture.line([(380, 118), (380, 188)])
    picture.text(372, 150, "Ready=True and", "note", "end")
    picture.text(372, 166, "Programmed=True", "note", "end")

    def both(x1, y1, x2, y2, text, dx=0, dy=-6, anchor="middle"):
        picture.add(f'<path d="M{x1} {y1} L{x2} {y2}" class="line" marker-start="url(#arrow)" marker-end="url(#arrow)"/>')
        picture.text((x1 + x2) / 2 + dx, (y1 + y2) / 2 + dy, text, "note code halo", anchor)

    both(194, 216, 288, 216, "paused: true")
    both(472, 204, 568, 134, "takeover: v2", -20, -16, "middle")
    both(472, 228, 568, 290, "takeover: v1", -20, 26, "middle")
    both(658, 150, 658, 268, "another takeover", 0, 4)
    both(330, 244, 236, 328, "Accepted=False", -6, 4)
    picture.line([(400, 244), (418, 328)])
    picture.text(402, 292, "delete", "note", "end")
    for name, (x, y, lines) in boxes.items():
        picture.box(x, y, 180, 52, lines, "own" if name == "Active" else "box")
    picture.text(14, 412, "Every phase can become Refused, by a spec that is not valid, and Deleting.", "note")
    return picture


def cluster():
    """Who talks to whom."""
    picture = Picture("Who talks to whom on a cluster", 760, 430)
    picture.box(20, 24, 170, 52, ["owner", "kubectl, GitOps"])
    picture.box(300, 24, 200, 52, ["API server", "CanaryRelease, Istio's kinds"])
    picture.box(20, 150, 170, 68, ["serin controller", "one leader, any number", "of replicas"], "own")
    picture.box(300, 158, 200, 52, ["istiod", "turns objects into xDS"])
    picture.rect(270, 282, 280, 96, "box", 6)
    picture.text(538, 301, "pod of a client, or a gateway", "note", "end")
    picture.box(284, 314, 104, 50, ["agent", "fetches, caches"], first="small")
    picture.box(432, 314, 104, 50, ["Envoy", "Serin's filter"], "own", first="small")
    picture.box(636, 290, 110, 36, ["reviews v1"], first="small")
    picture.box(636, 352, 110, 36, ["reviews v2"], first="small")
    picture.box(20, 312, 120, 52, ["Prometheus", "reads metrics"])

    picture.line([(190, 50), (298, 50)])
    picture.text(244, 42, "CanaryRelease", "note", "middle")
    picture.line([(120, 148), (300, 70)])
    picture.add(picture.parts.pop().replace("marker-end", 'marker-start="url(#arrow)" marker-end'))
    picture.text(196, 102, "watch, apply", "note halo", "end")
    picture.line([(400, 156), (400, 78)])
    picture.text(408, 122, "watch", "note")
    picture.line([(400, 210), (350, 312)])
    picture.text(386, 252, "xDS", "note")
    picture.line([(284, 326), (160, 220)])
    picture.text(232, 268, "GET /filter/SHA256.wasm", "note halo", "middle")
    picture.line([(388, 339), (430, 339)])
    picture.line([(536, 332), (634, 310)])
    picture.text(596, 306, "90 %", "note", "middle")
    picture.line([(536, 346), (634, 368)])
    picture.text(596, 380, "10 %", "note", "middle")
    picture.line([(80, 310), (80, 220)], dash=True)
    picture.text(72, 268, "shares", "note", "end")
    picture.line([(80, 366), (80, 398), (484, 398), (484, 366)], dash=True)
    picture.text(282, 393, "decisions", "note halo", "middle")
    picture.text(20, 424, "Requests pass neither the controller nor the API server: decisions go on while both are away.", "note")
    return picture


PICTURES = {"buckets": buckets, "request": request, "safe-order": safe_order, "phases": phases, "cluster": cluster}


def main():
    changed = 0
    for name, draw in PICTURES.items():
        path, svg = HERE / f"{name}.svg", draw().svg()
        if path.exists() and path.read_text(encoding="utf-8") == svg:
            continue
        changed += 1
        if "--check" not in sys.argv:
            path.write_text(svg, encoding="utf-8")
        print(f"{path.name}: {'differs; run docs/pictures/draw.py' if '--check' in sys.argv else 'written'}")
    return int("--check" in sys.argv and changed > 0)


if __name__ == "__main__":
    sys.exit(main())
