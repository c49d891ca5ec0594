"""The attacks in order, and the table of them in docs/security.md.

python tests/attacks/table.py        # writes the table into docs/security.md
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

HERE = Path(__file__).parent
if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))

from attacks import folders  # noqa: E402
from attacks.expectation import ALL, Attack, read_attack, read_module  # noqa: E402

DOCS = HERE.parents[1] / "docs/security.md"
HEADING = "## Attacks that are tried"


def all_attacks() -> list[Attack]:
    """Those that are modules, then those that are files, archives and names."""
    modules = [read_module(path) for path in sorted((HERE / "submissions").glob("*.py"))]
    return modules + [read_attack(name, inspect.getdoc(function) or "") for name, function in folders.ATTACKS.items()]


def docs_section() -> str:
    attacks = all_attacks()
    lines = [
        HEADING,
        "",
        f"`tests/attacks/` holds {len(attacks)} hostile or broken submissions to an assignment of three tasks, seven",
        f"tests and {ALL} points. `tests/test_attacks.py` grades them as one class under both tiers, and checks that",
        "each gets exactly what its honest part earns, learns nothing, disturbs nobody and leaves nothing. What it",
        "gets is the score, and the tests that did not pass, by task or by name; several ends: each is possible.",
        "This table is made from the files by `python tests/attacks/table.py`.",
        "",
        "| attack | what it tries | what it gets |",
        "|---|---|---|",
    ]
    return "\n".join([*lines, *(_row(attack) for attack in attacks)]) + "\n"


def _row(attack: Attack) -> str:
    gets = "; ".join(
        f"{tier}: {expected.text}" if tier else expected.text for tier, expected in sorted(attack.expectations.items())
    )
    cells = (f"`{attack.name}`", attack.tries, gets)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def replace_section(text: str) -> str:
    """The page with its section made anew: from the heading to the next one of its rank."""
    before, found, rest = text.partition(HEADING + "\n")
    _, next_heading, after = rest.partition("\n## ")
    section = docs_section()
    if not found:
        return before.rstrip("\n") + "\n\n" + section
    return before + section + (next_heading + after if next_heading else "")


if __name__ == "__main__":
    DOCS.write_text(replace_section(DOCS.read_text(encoding="utf-8")), encoding="utf-8")
