#!/usr/bin/env python3
"""Records `make demo` as demo.svg beside this file: an animation of the terminal, or its last screen where nothing moves.

    SERIN=target/demo/debug/serin docs/pictures/record.py

It runs demo/story.py in a terminal of its own and keeps what that prints, up to the summary. Run it in the root of a checkout after
`make demo` has built its parts.
"""

from __future__ import annotations

import os
import pty
import re
import sys
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

ROWS, COLUMNS = 30, 98
WIDTH, HEIGHT, PAD = 7.25, 18, 14
# Seconds: a line, a line after which one wants to look, the last screen.
LINE, LOOK, HOLD = 0.11, 0.45, 4.0

# What the story paints with (demo/stage.py, class Look).
COLOURS = {"1": "bold", "2": "dim", "32": "good", "1;31": "bad", "36": "v1", "33": "v2"}
STYLE = """\
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d1d7e0; white-space: pre }
.bold { font-weight: 700; fill: #f0f6fc } .dim { fill: #8b949e } .good { fill: #3fb950 } .bad { fill: #f85149 }
.v1 { fill: #56d4dd } .v2 { fill: #e3b341 } .back { fill: #0d1117 } .frame { fill: none; stroke: #30363d }
.light { opacity: .35 }
"""


def record():
    """The output of the story, with its colours."""
    output = bytearray()

    def read(fd):
        data = os.read(fd, 65536)
        output.extend(data)
        return data

    os.environ.update(TERM="xterm-256color", PYTHONIOENCODING="utf-8")
    os.environ.pop("NO_COLOR", None)
    status = pty.spawn([sys.executable, str(ROOT / "demo/story.py")], read)
    if status:
        sys.exit(f"error: the story ended with {os.waitstatus_to_exitcode(status)}")
    return output.decode().replace("\r\n", "\n")


def cut(text):
    """The lines up to the summary, and what that counts."""
    lines = text.split("\n")
    summary = next(at for at, line in enumerate(lines) if "Summary" in line)
    total = next(line for line in lines[summary:] if "requests through Envoy" in line)
    lines = lines[:summary] + [total]
    private = [line for line in lines if str(ROOT) in line or str(Path.home()) in line]
    if private:
        sys.exit(f"error: a path of this machine is in the output: {private[0]}")
    return lines


def segments(line):
    """Pieces of a line: column, text, class."""
    column, kind = 0, ""
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", piece)
        if code:
            kind = COLOURS.get(code[1], "")
            continue
        for part in re.findall(r"█+|░+|[^█░]+", piece):
            yield column, part, kind
            column += len(part)


def draw(lines):
    """The picture, and where its lines begin."""
    parts = []
    for row, line in enumerate(lines):
        y = PAD + HEIGHT * row
        for column, text, kind in segments(line):
            x = PAD + WIDTH * column
            if text[0] in "█░":
                light = " light" if text[0] == "░" else ""
                parts.append(f'<rect x="{x:g}" y="{y + 3}" width="{WIDTH * len(text):g}" height="12" class="{kind}{light}"/>')
            elif text.strip():
                lead = len(text) - len(text.lstrip())
                text, x = text.strip(), x + WIDTH * lead
                cls = f' class="{kind}"' if kind else ""
                parts.append(
                    f'<text x="{x:g}" y="{y + 13}" textLength="{WIDTH * len(text):g}" lengthAdjust="spacingAndGlyphs"{cls}>{escape(text)}</text>'
                )
    return parts


def times(lines):
    """When each line appears, and the length of the whole, in seconds."""
    moments, now = [], 0.3
    for line in lines:
        moments.append(now)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
        now += LOOK if plain.startswith("   ok ") or "belongs to" in plain or not plain else LINE
    return moments, now + HOLD


def svg(lines):
    moments, length = times(lines)
    width, height = 2 * PAD + WIDTH * COLUMNS, 2 * PAD + HEIGHT * ROWS

    def offset(shown):
        return HEIGHT * (ROWS - shown)

    # The text moves up by a line whenever one appears at the bottom.
    frames = [f"0% {{ transform: translateY({offset(-1)}px) }}"]
    frames += [f"{100 * at / length:.2f}% {{ transform: translateY({offset(row + 1)}px) }}" for row, at in enumerate(moments)]
    frames.append(f"100% {{ transform: translateY({offset(len(lines))}px) }}")
    body = "\n".join(draw(lines))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img">\n'
        "<title>make demo: a canary release through a real Envoy, each answer compared with serin explain</title>\n"
        f"<style>\n{STYLE}.screen {{ animation: scroll {length:.1f}s step-end infinite }}\n"
        f"@keyframes scroll {{\n{chr(10).join(frames)}\n}}\n"
        "@media (prefers-reduced-motion: reduce) { .screen { animation: none } }\n</style>\n"
        f'<clipPath id="window"><rect x="0" y="{PAD}" width="{width:g}" height="{height - 2 * PAD + 4:g}"/></clipPath>\n'
        f'<rect width="{width:g}" height="{height:g}" rx="8" class="back"/>\n'
        f'<g clip-path="url(#window)"><g class="screen" transform="translate(0 {offset(len(lines))})">\n{body}\n</g></g>\n'
        f'<rect x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="8" class="frame"/>\n</svg>\n'
    )


def main():
    os.chdir(ROOT)
    lines = cut(record())
    wide = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines)
    if wide > COLUMNS:
        sys.exit(f"error: a line has {wide} columns; {COLUMNS} are drawn")
    (HERE / "demo.svg").write_text(svg(lines), encoding="utf-8")
    print(f"demo.svg: {len(lines)} lines", file=sys.stderr)


if __name__ == "__main__":
    main()
