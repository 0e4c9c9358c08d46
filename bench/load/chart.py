# SPDX-License-Identifier: Apache-2.0
"""CPU per request as an SVG bar chart: user and system stacked, one bar per program."""
from xml.sax.saxutils import escape

import report

WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 720, 120, 150, 70, 22, 10
COLOURS = {"user": "#2f6fb5", "system": "#b9c4d0"}
OURS = "#c8553d"


def text(x, y, content, anchor="start", weight="normal"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}">'
            f"{escape(content)}</text>")


def rectangle(x, y, width, colour):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>'


def bar(y, label, runs, scale):
    user, system = report.median(runs, "user"), report.median(runs, "system")
    rate = report.median(runs, "requests_per_second")
    ours = label.startswith("tidegate")
    middle, end = LEFT + user * scale, LEFT + (user + system) * scale
    return [text(LEFT - 10, y + 16, label, "end", "bold" if ours else "normal"),
            rectangle(LEFT, y, user * scale, OURS if ours else COLOURS["user"]),
            rectangle(middle, y, system * scale, COLOURS["system"]),
            text(end + 8, y + 16, f"{user + system:.1f} µs · {rate:,.0f} req/s")]


def svg(results):
    most = max(report.median(runs, "cpu") for runs in results.values())
    scale = (WIDTH - LEFT - RIGHT) / most
    groups = [[label for label in results if label.endswith("+lua") == lua] for lua in (False, True)]
    parts, y = [], TOP
    for labels in groups:
        for label in labels:
            parts += bar(y, label, results[label], scale)
            y += BAR + GAP
        y += GAP
    head = [text(LEFT, 28, "CPU per request, one worker on one core", weight="bold"),
            text(LEFT, 50, "colour: user time · grey: system time · shorter is better")]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + GAP}" '
            f'font-family="sans-serif" font-size="13" fill="#222">\n'
            f'<rect width="100%" height="100%" fill="#fff"/>\n'
            + "\n".join(head + parts) + "\n</svg>\n")
