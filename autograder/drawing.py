"""The MiniGPT as a drawing of its parts, in letters and lines: the student's own are filled.

    draw({"attention", "loss"}, ascii_only=False)     # a rich Text of 12 lines, 78 columns wide

Reads the same without colours: an own part is ██ attention ██, one of the library ·· attention ··, in a terminal that
knows ASCII alone ## attention ## and .. attention ... A cell in braces below is a part; the drawing shows each at least
once, and a test compares it with the chassis.
"""

from __future__ import annotations

import re

from rich.text import Text

WIDTH = 78
PLAN = """\
text ▼               {merges        }
{tokenizer     } or  {bpe           }    ┌─ {model         } from {init    } ┐
{data          } ─ batches ────────────▶ │ {embeddings    }                  │
                                         │ ┌─ {block         } N times ────┐ │
┌─ training: {loop          } ──────┐    │ │ {norm          }              │ │
│ {loss          } {optimizer     } │    │ │ {attention     } ◀ {rope    } │ │
│ {schedule      } {clip          } │ ◀──│ │ {norm          }              │ │
│ {evaluation    } {checkpoint    } │    │ │ {feed_forward  }              │ │
└───────────────────────────────────┘    │ └───────────────────────────────┘ │
┌─ writing: {generate      } ───────┐    │ {norm          } ─ head           │
│ {sampler       } {perplexity    } │ ◀──└───────────────────────────────────┘
└───────────────────────────────────┘"""
CELL = re.compile(r"\{(\w+) *\}")
ASCII = str.maketrans("┌┐└┘─│▼▶◀█·", "++++-|v><#.")


def draw(own: set[str], *, ascii_only: bool) -> Text:
    """The drawing with these slots filled."""
    drawing, end = Text(no_wrap=True), 0
    for match in CELL.finditer(PLAN):
        drawing.append(PLAN[end : match.start()])
        mine = match[1] in own
        drawing.append(_cell(match[1], len(match[0]), "█" if mine else "·"), style="bold green" if mine else "")
        end = match.end()
    drawing.append(PLAN[end:])
    if ascii_only:
        drawing.plain = drawing.plain.translate(ASCII)  # one character for one, so the styles stay in their places
    return drawing


def legend(ascii_only: bool) -> str:
    """What the two kinds of cells mean."""
    text = "██ yours ██   ·· the library's ··"
    return text.translate(ASCII) if ascii_only else text


def _cell(name: str, width: int, fill: str) -> str:
    """The name in the middle of a cell, filled on both sides: ██ loss ██."""
    return f" {name} ".center(width, fill)
