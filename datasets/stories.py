"""Little stories, and the grammar that writes them. As many as you like, from a seed.

    Mia the otter found an old kettle in the barn. One day Sam came by. ...

Each story draws a hero, a friend, a thing and a place once, and names them again later: that is what attention is
for. Pronouns agree with the hero, quotes and brackets close, sums come out right. The words stand in the tables, the
sentences in the functions below them; `grammar.py` says what the marks in a pattern mean.

What it does not handle: stories that follow from each other. Every story is drawn anew.
"""

from __future__ import annotations

from collections.abc import Mapping

from .grammar import Choice, Node, Sequence, Table, one_of, seeded_picker, template, write

SEPARATOR = "\n\n"  # ends every story, and stands nowhere inside one


def _people(table: str, she: str, he: str) -> Table:
    her = {"they": "she", "They": "She", "them": "her", "their": "her", "Their": "Her"}
    him = {"they": "he", "They": "He", "them": "him", "their": "his", "Their": "His"}
    women = [{"name": name, **her} for name in she.split()]
    return Table(table, (*women, *({"name": name, **him} for name in he.split())))


def _words(table: str, words: str) -> Table:
    article = {word: "an" if word[0] in "aeiou" else "a" for word in words.split()}
    return Table(table, tuple({"name": word, "a": f"{a} {word}"} for word, a in article.items()))


def _phrases(table: str, phrases: str) -> Table:
    found = [" ".join(phrase.split()) for phrase in phrases.split(",")]
    return Table(table, tuple({"name": text, "Name": text[0].upper() + text[1:]} for text in found))


HERO = _people(
    "hero",
    she="Mia Ada Nora Ruby Elsie Wanda Tilda Greta Ivy Bella",
    he="Tom Max Otto Hugo Felix Basil Leo Ned Rufus Caspar",
)
FRIEND = _people(
    "friend",
    she="Luna Clara Poppy Hazel Dora Fern Olive Sadie Molly Winnie",
    he="Sam Finn Oscar Boris Gus Henry Theo Percy Archie Ralph",
)
KIND = _words(
    "kind",
    "otter fox badger hedgehog mole owl hare mouse goose toad squirrel robin cat wolf beaver snail crow pony newt elk",
)
LOOK = _words(
    "look",
    "old red tiny blue odd golden broken silver shiny green empty dusty heavy orange wooden amber striped yellow",
)
THING = _words(
    "thing",
    "kettle lantern button ladder trumpet umbrella drum compass bell basket clock mirror teapot kite spoon "
    "boat whistle ring feather violin",
)
PLACE = _phrases(
    "place",
    "in the barn, under the bridge, behind the mill, by the pond, on the hill, near the well, in the attic, "
    "beside the brook, under the stairs, in the cellar, by the oak, on the roof, behind the bakery, "
    "near the gate, at the fair, inside the tower",
)
FOOD = _words("food", "plums figs nuts buns pies pears cakes eggs apples beans grapes cherries")
SUMS = [
    Table("sum", tuple({"one": str(a), "two": str(b), "all": str(a + b)} for b in range(2, 7))) for a in range(2, 7)
]
TABLES = {table.name: table for table in (HERO, FRIEND, KIND, LOOK, THING, PLACE, FOOD)}


def _say(pattern: str, tables: Mapping[str, Table] = TABLES, **parts: Node) -> Sequence:
    return template(pattern, tables, **parts)


def _in_turn(pattern: str) -> Choice:
    """The pattern twice: the hero speaks first and the friend replies, or the other way round."""
    roles = ((HERO, FRIEND), (FRIEND, HERO))
    return one_of(*(_say(pattern, {**TABLES, "first": first, "second": second}) for first, second in roles))


def _openings() -> Choice:
    """Introduces the hero, the thing and the place, in any order."""
    return one_of(
        _say("{+hero.name} the {+kind.name} found {+look.a} {+thing.name} {+place.name}."),
        _say("Once {+kind.a} named {+hero.name} hid {hero.their} {+look.name} {+thing.name} {+place.name}."),
        _say("{+place.Name} lived {+kind.a} called {+hero.name}. {hero.They} had {+look.a} {+thing.name}."),
        _say("There was {+look.a} {+thing.name} {+place.name}. It was made by {+hero.name} the {+kind.name}."),
        _say("This is the tale of {+hero.name}, {+kind.a}, and of {+look.a} {+thing.name} {+place.name}."),
    )


def _meetings() -> Choice:
    """Introduces the friend."""
    return one_of(
        _say("One day {+friend.name} came by."),
        _say("{hero.Their} best friend was {+friend.name}."),
        _say("{hero.They} showed the {thing.name} to {+friend.name}."),
        _say("Along came {+friend.name} and saw the {thing.name}."),
        _say("Next door lived {+friend.name}, who liked {hero.them} very much."),
    )


def _talk() -> Choice:
    """Two speak in turn. Who replies is not who asked, and calls the other by name."""
    where = _in_turn('{first.name}. "It is {place.name}, {first.name}," said {second.name}.')
    whether = _in_turn('{first.name}. "Yes, {first.name}, very {look.name}," said {second.name}.')
    what = _in_turn('{first.name}. "The {look.name} {thing.name}, {first.name}," said {second.name}.')
    greeting = _in_turn('{second.name}!" said {first.name}. "And to you, {first.name}!" said {second.name}.')
    who = _say('{friend.name}. "I have, {friend.name}," said {hero.name}.')
    return one_of(
        _say('"Where is the {thing.name}?" asked {turns}', turns=where),
        _say('"Is the {thing.name} {look.name}?" asked {turns}', turns=whether),
        _say('"What is that {place.name}?" asked {turns}', turns=what),
        _say('"Good morning, {turns}', turns=greeting),
        _say('"Who has {look.a} {thing.name}?" asked {turns}', turns=who),
    )


def _facts() -> Choice:
    """A fact that is told, or said by the friend, or whispered in brackets: it must end as it began."""
    fact = one_of(
        _say("The {look.name} {thing.name} was made for {hero.name}"),
        _say("Nobody but {hero.name} the {kind.name} ever had {look.a} {thing.name}"),
        _say("Every {kind.name} {place.name} knew {hero.name}"),
        _say("{hero.name} loved {hero.their} {look.name} {thing.name}"),
        _say("It was the only {look.name} {thing.name} {place.name}"),
    )
    return one_of(
        _say("{fact}.", fact=fact),
        _say('"{fact}{voice} {friend.name}.', fact=fact, voice=one_of('," said', '!" cried')),
        _say("({fact}.)", fact=fact),
    )


def _counting(table: Table) -> Sequence:
    """A sum that comes out right. All rows of `table` have the same first number."""
    tables = {**TABLES, table.name: table}
    total = one_of(
        _say("Together that made {sum.one} + {sum.two} = {sum.all}.", tables),
        _say('"We have {sum.all} {food.name}," said {friend.name}.', tables),
        _say('"{sum.one} + {sum.two} = {sum.all}," {hero.they} said.', tables),
        _say("So there were {sum.all} {food.name} {place.name}.", tables),
    )
    pattern = "{hero.name} had {one} {+food.name} and {friend.name} had {+sum.two}. {total}"
    return _say(pattern, tables, one=table.rows[0]["one"], total=total)


def _endings() -> Choice:
    return one_of(
        _say("So {hero.name} and {friend.name} sat {place.name} with the {look.name} {thing.name}."),
        _say("And {hero.name} the {kind.name} kept {hero.their} {look.name} {thing.name} {place.name}."),
        _say("In the end {hero.name} gave {hero.their} {look.name} {thing.name} to {friend.name}."),
        _say("{friend.name} went home, and {hero.name} the {kind.name} slept {place.name}."),
        _say("That night {friend.name} dreamed of the {look.name} {thing.name}."),
    )


def _scenes() -> Choice:
    """One scene or two different ones, then the ending."""
    scenes: tuple[Node, ...] = (_talk(), _facts(), one_of(*map(_counting, SUMS)))
    ending = _endings()

    def after(scene: Node) -> Choice:
        others = [other for other in scenes if other is not scene]
        return one_of(ending, *(_say("{scene} {ending}", scene=other, ending=ending) for other in others))

    return one_of(*(_say("{scene} {rest}", scene=scene, rest=after(scene)) for scene in scenes))


STORY = _say(
    "{opening} {meeting} {scenes}" + SEPARATOR,
    opening=_openings(),
    meeting=_meetings(),
    scenes=_scenes(),
)


def write_stories(seed: int, characters: int) -> str:
    """Whole stories, one after the other, until there are at least `characters` characters.

    The same seed gives the same stories everywhere; a longer text begins with the shorter one.

    >>> write_stories(seed=7, characters=1).count(SEPARATOR)
    1
    """
    for name, value, least in (("seed", seed, 0), ("characters", characters, 1)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be a whole number, {least} or more, got {value!r}")
    pick = seeded_picker(seed)
    stories: list[str] = []
    length = 0
    while length < characters:
        stories.append(write(STORY, pick, {}))
        length += len(stories[-1])
    return "".join(stories)


def split_stories(text: str) -> list[str]:
    """The stories in `text`, each with the blank line that ends it.

    >>> len(split_stories(write_stories(seed=7, characters=1)))
    1
    """
    *stories, rest = text.split(SEPARATOR)
    if not text:
        raise ValueError("the text is empty: there is no story in it")
    if rest:
        raise ValueError(f"the text must end with a whole story and a blank line, but it ends with {rest[-40:]!r}")
    return [story + SEPARATOR for story in stories]
