"""How a report looks: on a screen in the light and in the dark, and on paper. Arms differ by their lines too."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1f24; --soft: #57606a; --rule: #d8dee4; --panel: #f6f8fa;
  --canary: #b35900; --stable: #0b5cad; --weight: #6e7781; --grave: #b3261e; --good: #1a7f37;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0d1117; --ink: #e6edf3; --soft: #9da7b1; --rule: #30363d; --panel: #161b22;
    --canary: #f0a34a; --stable: #6cb6ff; --weight: #8b949e; --grave: #ff8a80; --good: #56d364;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 940px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 8px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 6px; }
section, figure { margin: 34px 0 0; }
.outcome { display: inline-block; margin: 0; padding: 3px 12px; border-radius: 14px; border: 1px solid currentColor;
  font-weight: 600; color: var(--stable); }
.outcome.cut { color: var(--grave); }
.outcome.done { color: var(--good); }
.note, figcaption, footer { color: var(--soft); font-size: 13px; }
footer { margin-top: 34px; border-top: 1px solid var(--rule); overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 6px 10px 6px 0; border-bottom: 1px solid var(--rule); vertical-align: top;
  overflow-wrap: anywhere; }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 500; }
time, .numbers td { font-variant-numeric: tabular-nums; }
.words td:nth-child(-n+5), .words th { white-space: nowrap; }
.words td:nth-child(n+6) { min-width: 110px; }
.numbers td { overflow-wrap: normal; }
.numbers td:nth-child(n+4) { white-space: nowrap; }
.what { font-weight: 600; }
.what.grave { color: var(--grave); }
:target { outline: 2px solid var(--canary); outline-offset: 3px; }
details { margin-top: 6px; font-size: 13px; color: var(--soft); }
.chart { display: block; width: 100%; height: auto; background: var(--panel); border-radius: 6px; }
.chart text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.grid { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line.canary { stroke: var(--canary); stroke-dasharray: 7 4; }
.line.stable { stroke: var(--stable); }
.line.weight { stroke: var(--weight); }
.band { opacity: 0.18; }
.band.canary { fill: var(--canary); }
.band.stable { fill: var(--stable); }
.mark { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; }
.mark.grave { stroke: var(--grave); stroke-width: 1.5; }
.chart text.mark { stroke: none; fill: var(--ink); font-weight: 600; }
.chart text.mark.grave { fill: var(--grave); }
.keys { list-style: none; display: flex; gap: 18px; margin: 0 0 4px; padding: 0; font-size: 13px; }
.keys li::before { content: ""; display: inline-block; width: 26px; margin-right: 7px; vertical-align: middle;
  border-top: 2px solid var(--soft); }
.keys .canary::before { border-top: 2px dashed var(--canary); }
.keys .stable::before { border-color: var(--stable); }
.keys .weight::before { border-color: var(--weight); }
@media print {
  :root {
    --paper: #ffffff; --ink: #000000; --soft: #333333; --rule: #bbbbbb; --panel: #ffffff;
    --canary: #b35900; --stable: #0b5cad; --weight: #555555; --grave: #b3261e; --good: #1a7f37;
  }
  body { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  details { display: none; }
  section, figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  .band { print-color-adjust: exact; }
}
"""
