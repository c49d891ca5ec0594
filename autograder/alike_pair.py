"""What `alike.py` finds, for those who show it. Loads no library."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Passage:
    """Lines of the first submission, and those of the second that say the same. Lines count from 1."""

    first_line: int
    first: str
    second_line: int
    second: str

    @property
    def first_lines(self) -> str:
        """Such as "12-30"."""
        return f"{self.first_line}-{self.first_line + self.first.count(chr(10))}"

    @property
    def second_lines(self) -> str:
        return f"{self.second_line}-{self.second_line + self.second.count(chr(10))}"


@dataclass(frozen=True)
class Pair:
    """Two students, and how much of what is each one's own the other has too. `shared`: in signs of the first."""

    first: str
    second: str
    first_share: float
    second_share: float
    shared: int
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True)
class Alike:
    """A class's pairs by assignment, those most alike first. `notices`: what could not be compared, and why."""

    pairs: dict[str, tuple[Pair, ...]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
