"""The embedded corpus: its text, its floor, its scorer, and the simple models that it is compared with."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from math import exp, fsum, log
from pathlib import Path
from statistics import mean, stdev

import pytest

from datasets import Corpus, __main__, entropy, load, load_file, ngrams, parser
from datasets.grammar import Choice, Node, Picker, Recall, Table, one_of, seeded_picker, template, write
from datasets.stories import HERO, STORY, split_stories, write_stories

FOLDER = Path(__file__).parents[1] / "datasets"
FRESH_SEED = 20_260_101
WOMEN = {"Mia", "Ada", "Nora", "Ruby", "Elsie", "Wanda", "Tilda", "Greta", "Ivy", "Bella"}

PET = Table("pet", ({"name": "cat", "a": "a cat"}, {"name": "owl", "a": "an owl"}, {"name": "ox", "a": "an ox"}))
TOY = Table("toy", ({"name": "ball"}, {"name": "kite"}))
TABLES = {"pet": PET, "toy": TOY}
TINY = template(
    "I saw {+pet.a}.{more}",
    TABLES,
    more=Choice(
        weights=(1, 2, 4),
        options=(
            " It ran",
            template(" Then: a {+toy.name}. {pet.a}, {toy.name}: {last}", TABLES, last=one_of("bye", "see you")),
            template("!{pet.name}{pet.name}", TABLES),
        ),
    ),
)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load("stories")


@pytest.fixture(scope="module")
def fresh() -> list[str]:
    return split_stories(write_stories(FRESH_SEED, 500_000))


def every_text(node: Node) -> Iterator[tuple[str, float]]:
    """Each list of picks that `node` can be written with: its text and its probability. Knows nothing of entropies."""
    unexplored: list[tuple[int, ...]] = [()]
    while unexplored:
        prefix = unexplored.pop()
        made: list[int] = []
        probability = 1.0

        def pick(weights: tuple[int, ...], prefix: tuple[int, ...] = prefix, made: list[int] = made) -> int:
            nonlocal probability
            here = len(made)
            if here >= len(prefix):
                unexplored.extend((*made, other) for other in range(1, len(weights)))
            index = prefix[here] if here < len(prefix) else 0
            made.append(index)
            probability *= weights[index] / sum(weights)
            return index

        text = write(node, pick, {})
        yield text, probability


def recording(pick: Picker, picks: list[int], logs: list[float]) -> Picker:
    """The same picker, keeping a record of its picks and of their log-probabilities."""

    def recorded(weights: tuple[int, ...]) -> int:
        index = pick(weights)
        picks.append(index)
        logs.append(log(weights[index] / sum(weights)))
        return index

    return recorded


# The text


def test_the_corpus_is_the_same_everywhere(corpus: Corpus) -> None:
    digest = hashlib.sha256((corpus.train + corpus.validation).encode()).hexdigest()
    assert digest == "8a366fb0ff1fecd8df332e3b03df54c9c7a358779de6bcd902027f1d2167ebe4"


def test_the_corpus_is_big_enough_and_plain(corpus: Corpus) -> None:
    assert len((corpus.train + corpus.validation).encode()) >= 1_000_000
    assert len(corpus.alphabet) < 70
    assert corpus.alphabet.isascii()
    lengths = [len(story) for story in split_stories(corpus.train)]
    assert 200 < mean(lengths) < 300
    assert max(lengths) < 400


def test_the_training_text_has_every_character_that_a_story_can_have(corpus: Corpus, fresh: list[str]) -> None:
    assert "".join(sorted(set(corpus.train))) == corpus.alphabet
    assert set("".join(fresh)) <= set(corpus.alphabet)


def test_a_seed_fixes_the_stories_and_another_seed_gives_others() -> None:
    text = write_stories(FRESH_SEED, 5_000)
    assert text == write_stories(FRESH_SEED, 5_000)
    assert write_stories(FRESH_SEED, 10_000).startswith(text)
    assert not set(split_stories(text)) & set(split_stories(write_stories(FRESH_SEED + 1, 5_000)))
    assert 5_000 <= len(text) < 5_000 + 400


def test_no_story_is_in_both_texts(corpus: Corpus, fresh: list[str]) -> None:
    train, validation = set(split_stories(corpus.train)), set(split_stories(corpus.validation))
    assert not train & validation
    assert not (train | validation) & set(fresh)
    assert len(train) * len(validation) * entropy.repeat_probability(STORY) < 1e-5


def test_quotes_and_brackets_close(fresh: list[str]) -> None:
    closed = re.compile(r'(?:[^"()]|"[^"()]+[,.?!]"|\([^"()]+\.\))*')
    for story in fresh:
        assert closed.fullmatch(story), story
    assert any('"' in story for story in fresh)
    assert any("(" in story for story in fresh)


def test_sums_come_out_right(fresh: list[str]) -> None:
    counted = 0
    for story in fresh:
        numbers = [int(number) for number in re.findall(r"\d+", story)]
        if not numbers:
            continue
        counted += 1
        mine, yours, *rest = numbers
        assert rest in ([mine + yours], [mine, yours, mine + yours]), story
    assert counted > len(fresh) / 3


def test_pronouns_agree_with_the_hero(fresh: list[str]) -> None:
    heroes = {row["name"] for row in HERO.rows}
    spoken = 0
    for story in fresh:
        (hero,) = heroes & set(re.findall(r"\w+", story))
        pronouns = set(re.findall(r"\b(she|he|her|him|his)\b", story.lower()))
        spoken += len(pronouns)
        assert pronouns <= ({"she", "her"} if hero in WOMEN else {"he", "him", "his"}), story
    assert spoken > len(fresh) / 2


def test_a_and_an_fit_the_next_word(fresh: list[str]) -> None:
    for story in fresh:
        for article, first_letter in re.findall(r"\b([Aa]n?) (\w)", story):
            assert (article.lower() == "an") == (first_letter in "aeiou"), story


def test_who_replies_is_not_who_asked_and_calls_the_other_by_name(fresh: list[str]) -> None:
    dialogue = re.compile(r'" ?(?:asked|said) (\w+)\. "([^"]*)" said (\w+)\.')
    named = [match.groups() for story in fresh for match in dialogue.finditer(story) if "asked" in match[0]]
    assert len(named) > len(fresh) / 5
    for first, reply, second in named:
        assert first != second
        assert first in reply


# The floor


def test_closed_forms_agree_with_enumeration() -> None:
    """A tiny grammar with draws, recalls, uneven weights and a choice in a choice: 3 * (1 + 2 * 2 + 1) texts."""
    texts = dict(every_text(TINY))
    assert len(texts) == 18
    assert fsum(texts.values()) == pytest.approx(1, abs=1e-12)
    assert entropy.entropy(TINY) == pytest.approx(-fsum(p * log(p) for p in texts.values()), abs=1e-12)
    assert entropy.expected_length(TINY) == pytest.approx(fsum(p * len(text) for text, p in texts.items()), abs=1e-12)
    assert entropy.repeat_probability(TINY) == pytest.approx(fsum(p * p for p in texts.values()), abs=1e-12)


def test_a_forgetful_reader_pays_again_for_what_was_named() -> None:
    """By hand: `pet.a` costs log 3 when drawn, and `pet.name` costs log 3 again."""
    twice = template("{+pet.a} {pet.name}", TABLES)
    assert entropy.entropy(twice) == pytest.approx(log(3))
    assert entropy.entropy(twice, forgetful=True) == pytest.approx(2 * log(3))
    same = Table("same", ({"name": "x", "they": "she"}, {"name": "y", "they": "she"}, {"name": "z", "they": "he"}))
    assert entropy.entropy(Recall(same, "they"), forgetful=True) == pytest.approx(log(3) - 2 / 3 * log(2))


def test_fresh_stories_agree_with_the_closed_forms(fresh: list[str]) -> None:
    """Means over some 2,000 stories lie within 4 standard errors."""
    surprises = [-entropy.story_log_probability(story) for story in fresh]
    lengths = [float(len(story)) for story in fresh]
    floor = entropy.floor()
    excess = [surprise - floor * length for surprise, length in zip(surprises, lengths, strict=True)]
    for measured, expected in (
        (surprises, entropy.entropy(STORY)),
        (lengths, entropy.expected_length(STORY)),
        (excess, 0.0),
    ):
        assert abs(mean(measured) - expected) < 4 * stdev(measured) / len(measured) ** 0.5, f"seed {FRESH_SEED}"
    assert stdev(excess) / len(fresh) ** 0.5 < 0.1, "the check above must be able to see a wrong floor"


def test_the_true_model_is_near_the_floor_on_both_texts(corpus: Corpus) -> None:
    assert corpus.floor == entropy.floor()
    assert entropy.true_loss(corpus.validation) == pytest.approx(entropy.floor(), rel=0.02)
    assert entropy.true_loss(corpus.train) == pytest.approx(entropy.floor(), rel=0.01)


# The scorer


def test_the_scorer_finds_the_generators_own_picks() -> None:
    source = seeded_picker(FRESH_SEED)
    for _ in range(300):
        picks: list[int] = []
        logs: list[float] = []
        story = write(STORY, recording(source, picks, logs), {})
        found = parser.parse(STORY, story)
        assert list(found.picks) == picks
        assert found.log_probability == pytest.approx(fsum(logs), abs=1e-9)
        assert entropy.story_log_probability(story) == found.log_probability


def test_the_scorer_agrees_with_enumeration() -> None:
    for text, probability in every_text(TINY):
        assert exp(parser.parse(TINY, text).log_probability) == pytest.approx(probability, abs=1e-12)


def test_no_pick_in_the_grammar_is_left_open_by_the_text() -> None:
    assert parser.undecided(STORY) == set()
    assert parser.undecided(TINY) == set()


def test_ambiguous_grammars_are_found_out() -> None:
    twice = one_of("I saw a cat", template("I saw {+pet.a}", TABLES))
    assert parser.undecided(twice) == {"I saw a cat"}
    with pytest.raises(ValueError, match="2 ways"):
        parser.parse(twice, "I saw a cat")
    assert parser.parse(twice, "I saw an owl").log_probability == pytest.approx(log(1 / 2 * 1 / 3))
    assert parser.undecided(one_of("a cat", "a cattle bell")) == {"a cat"}
    words = Table("words", ({"name": "ant"}, {"name": "anteater"}))
    assert parser.undecided(template("{+words.name}", {"words": words})) == {"ant"}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("He showed", "She showed"),
        ("striped bell was", "striped kite was"),
        ("= 6", "= 7"),
        ('Hugo!" cried Percy', "Hugo! cried Percy"),
        ("Hugo the hare slept", "Hugo the fox slept"),
        ("slept near the gate", "slept in the barn"),
        ("gate.\n\n", "gate.\n"),
    ],
)
def test_a_story_that_contradicts_itself_is_no_story(right: str, wrong: str) -> None:
    story = (
        "There was a striped bell near the gate. It was made by Hugo the hare. He showed the bell to Percy. "
        "Hugo had 4 eggs and Percy had 2. Together that made 4 + 2 = 6. "
        '"The striped bell was made for Hugo!" cried Percy. Percy went home, and Hugo the hare slept near the gate.\n\n'
    )
    assert entropy.story_log_probability(story) < 0
    assert story.count(right) == 1
    with pytest.raises(ValueError, match="cannot be written"):
        entropy.story_log_probability(story.replace(right, wrong))


# Simple models


def test_models_that_cannot_look_back_stay_far_above_the_floor(corpus: Corpus) -> None:
    unigram, bigram, five = (ngrams.train(corpus.train, order).loss(corpus.validation) for order in (1, 2, 5))
    assert unigram > bigram + 0.5 > five + 1.5
    assert entropy.floor() < 0.55 * five
    assert entropy.floor() * 1.5 < entropy.forgetful_loss() < five / 1.5


@pytest.mark.parametrize("order", [1, 2, 5])
def test_an_ngram_model_gives_probabilities_that_sum_to_1(order: int) -> None:
    model = ngrams.train("a cat sat on a mat. ", order)
    for before in ("", "a", " cat", "zzzz", "a mat. "):
        chances = [model.probability(character, before) for character in model.alphabet]
        assert min(chances) > 0
        assert fsum(chances) == pytest.approx(1)


def test_a_bigram_model_by_hand() -> None:
    """In "aab", `a` is followed once by `a` and once by `b`; p_1(b) = (1 + 1/2) / (3 + 1) = 3/8."""
    model = ngrams.train("aab", order=2)
    assert model.probability("b", before="") == pytest.approx(3 / 8)
    assert model.probability("b", before="ba") == pytest.approx((1 + 3 / 8) / (2 + 1))
    assert model.loss("ab") == pytest.approx(-(log(5 / 8) + log((1 + 3 / 8) / 3)) / 2)


# Own text, bad input, the command, the folder


def test_a_file_of_ones_own_is_split_at_its_tail(tmp_path: Path) -> None:
    text = "héllo, wörld!\n" * 7 + "x"
    (tmp_path / "mine.txt").write_text(text, encoding="utf-8")
    corpus = load_file(tmp_path / "mine.txt")
    assert (corpus.name, corpus.floor) == ("mine", None)
    assert corpus.train + corpus.validation == text
    assert len(corpus.validation) == 9
    assert corpus.alphabet == "".join(sorted(set(text)))
    assert load_file(str(tmp_path / "mine.txt")) == corpus


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "0 characters"), (b"too short", "9 characters"), (b"caf\xe9 au lait, s'il vous plait", r"UTF-8.*byte 3")],
)
def test_a_file_that_is_no_text_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message) as refusal:
        load_file(tmp_path / "bad.txt")
    assert "bad.txt" in str(refusal.value)


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.txt", tmp_path):
        with pytest.raises(FileNotFoundError, match=re.escape(str(path.name))):
            load_file(path)


def test_an_unknown_corpus_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(ValueError, match="'poems'.*stories"):
        load("poems")


@pytest.mark.parametrize(
    ("seed", "characters", "message"),
    [(-1, 10, "seed"), (True, 10, "seed"), (1.0, 10, "seed"), (1, 0, "characters"), (1, "many", "characters")],
)
def test_stories_need_a_seed_and_a_length(seed: object, characters: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_stories(seed, characters)  # type: ignore[arg-type]


def test_other_bad_input_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="order"):
        ngrams.train("abc", order=0)
    with pytest.raises(ValueError, match="not empty"):
        ngrams.train("", order=1)
    with pytest.raises(ValueError, match="no 'z'"):
        ngrams.train("abc", order=2).loss("az")
    with pytest.raises(ValueError, match="no text"):
        ngrams.train("abc", order=2).loss("")
    with pytest.raises(ValueError, match="ends with 'One day'"):
        split_stories("A whole story.\n\nOne day")
    with pytest.raises(ValueError, match="no story"):
        entropy.true_loss("")


def test_the_readme_has_the_figures_that_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    __main__.main()
    printed = capsys.readouterr().out
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    corpus = load("stories")
    for name, value in __main__.facts(corpus):
        assert f"| {name} | {value} |" in readme
        assert value in printed
    losses = re.findall(r"^  (.+?) +(\d\.\d{4})$", printed, re.MULTILINE)
    assert len(losses) == 6
    for name, loss in losses:
        assert f"| {name} | {loss} |" in readme
    assert f"{entropy.entropy(STORY):.4f} nats and {entropy.expected_length(STORY):.2f} characters" in readme
    for story in split_stories(corpus.train)[:2]:
        assert story.strip() in printed


def test_the_folder_works_under_another_name_without_any_other_package(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "kit" / "corpora", ignore=shutil.ignore_patterns("__pycache__"))
    program = "from kit.corpora import load; print(load('stories').floor)"
    finished = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert float(finished.stdout) == entropy.floor()
