"""Colours and fonts of pictures: told apart by colour-blind people (after Okabe & Ito), by day and by night."""

from __future__ import annotations

from typing import Final

# Forward is blue, reverse is orange, a result is green; each has its own outline, too, for who sees no colours.
STYLE: Final = """
.tapegrad { --paper: #ffffff; --ink: #1c2430; --soft: #5d6876; --line: #7b8794; --pale: #f3f5f7; --edge: #b9c1ca;
  --blue: #e6f1fb; --blue-line: #0072b2; --blue-ink: #00547f; --orange: #fdeede; --orange-line: #c25a00;
  --orange-ink: #8a4100; --green-line: #00795a; --blue-tint: #f5f9fd; --orange-tint: #fef8f1;
  background: var(--paper); font-family: Helvetica, Arial, "Liberation Sans", "Nimbus Sans", sans-serif; }
@media (prefers-color-scheme: dark) {
.tapegrad { --paper: #14181d; --ink: #e8ecf0; --soft: #a3aebb; --line: #8794a2; --pale: #222931; --edge: #4a5561;
  --blue: #16324a; --blue-line: #56b4e9; --blue-ink: #a5d8f7; --orange: #45290f; --orange-line: #f0a04b;
  --orange-ink: #fac48d; --green-line: #2fc79a; --blue-tint: #171f28; --orange-tint: #211c17; }
}
.tapegrad .paper { fill: var(--paper); }
.tapegrad text { fill: var(--ink); text-anchor: middle; }
.tapegrad .title { font-size: 14px; font-weight: 600; }
.tapegrad .note { font-size: 10.5px; fill: var(--soft); }
.tapegrad .result { font-size: 10.5px; font-weight: 600; fill: var(--green-line); }
.tapegrad .adjoint { fill: var(--orange-ink); }
.tapegrad .value, .tapegrad .adjoint { font-size: 11px;
  font-family: "Liberation Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.tapegrad .partial, .tapegrad .chip { font-size: 10.5px; }
.tapegrad .partial { font-family: "Liberation Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.tapegrad .letter { font-family: inherit; font-style: italic; fill: var(--soft); }
.tapegrad .box { fill: var(--blue); stroke: var(--blue-line); stroke-width: 1.2; }
.tapegrad .reverse > .box { fill: var(--orange); stroke: var(--orange-line); stroke-dasharray: 5 2.5; }
.tapegrad .constant > .box, .tapegrad .stub > .box { fill: var(--pale); stroke: var(--edge); }
.tapegrad .constant > .title, .tapegrad .stub > .title { font-weight: 400; font-size: 12px; fill: var(--soft); }
.tapegrad .input > .box { stroke-width: 2; }
.tapegrad .final > .box { stroke: var(--green-line); stroke-width: 2.4; }
.tapegrad .group > .box { fill: var(--pale); stroke-width: 1.2; }
.tapegrad .frame > .box { fill: var(--blue-tint); stroke-width: 1.4; }
.tapegrad .reverse.frame > .box { fill: var(--orange-tint); }
.tapegrad .port > .box { fill: var(--paper); stroke-width: 0.9; }
.tapegrad .wall { fill: none; stroke: var(--edge); stroke-dasharray: 2 4; }
.tapegrad .heading { font-size: 13px; font-weight: 600; text-anchor: start; fill: var(--blue-ink); }
.tapegrad .heading.of-reverse { fill: var(--orange-ink); }
.tapegrad .forward-ink { fill: var(--blue-ink); }
.tapegrad .reverse-ink { fill: var(--orange-ink); }
.tapegrad .constant-ink { fill: var(--soft); font-weight: 400; }
.tapegrad .arrow path { fill: none; stroke: var(--line); stroke-width: 1.3; }
.tapegrad .arrow .head { fill: var(--line); stroke: none; }
.tapegrad .arrow.reverse path { stroke: var(--orange-line); stroke-opacity: 0.85; }
.tapegrad .arrow.reverse .head { fill: var(--orange-line); }
.tapegrad .arrow.across path { stroke: var(--blue-line); stroke-opacity: 0.6; }
.tapegrad .arrow.across .head { fill: var(--blue-line); stroke: none; }
.tapegrad .arrow.several path { stroke-width: 2.4; }
.tapegrad .arrow.back path { stroke-dasharray: 4 3; }
.tapegrad .arrow .pill { fill: var(--paper); stroke: var(--edge); stroke-width: 0.7; }
"""
