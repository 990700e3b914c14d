"""The page as a browser would read it."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from importlib import resources

import pytest

from support.hostile_report import HOSTILE, hostile
from support.report_samples import FIVE, TWELVE, sample
from tiltyard_jobs.report.inputs import ReportInput
from tiltyard_jobs.report.page import render, view

LOCAL = re.compile(r"(data/|tables/)?\w+\.(parquet|json|md)")
VOID_TAGS = frozenset({"meta", "br"})
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "div"),
    *("p", "h1", "h2", "h3", "ul", "li", "a", "span", "small", "strong", "code", "pre", "bdi", "br", "dl", "dt", "dd"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "details", "summary"),
    *("svg", "rect", "line", "circle", "text", "polyline"),
}
SECTIONS = {
    *("summary", "leaderboard", "wins", "judges", "judge-columns", "votes", "instructions", "difficulty", "task-types"),
    *("funnel", "overlap", "training", "benchmarks", "data", "samples", "voids", "tokens", "cost", "files", "method"),
}


class Page(HTMLParser):
    """Tags, attributes, ids and text, with each tag closed where it must be."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.text: list[str] = []
        self.widths: list[list[int]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag == "table":
            self.widths.append([])
        if tag == "tr":
            self.widths[-1].append(0)
        if tag in ("th", "td"):
            self.widths[-1][-1] += 1
        if tag not in VOID_TAGS:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


def check(page: Page) -> None:
    """What holds for every page."""
    assert set(page.tags) <= TAGS
    assert set(page.ids) >= SECTIONS
    assert len(page.ids) == len(set(page.ids))
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        assert name != "src"
        if name == "href":
            assert value.removeprefix("#") in page.ids or re.fullmatch(
                r"(data/|tables/)?\w+\.(parquet|json|md)", value
            ), value
        if name == "aria-labelledby":
            assert value in page.ids
        if name == "style":
            assert re.fullmatch(r"--strength:[\d.]+", value)
        if (tag, name) == ("svg", "role"):
            assert value == "img"
    for table in page.widths:
        assert len(set(table)) == 1


@pytest.mark.parametrize(
    "given",
    [sample(), sample(TWELVE, instructions=28_000), sample(ledger=False), sample(FIVE[:3], instructions=7)],
    ids=["five", "twelve", "no ledger", "small"],
)
def test_a_page_is_well_formed_and_whole(given: ReportInput) -> None:
    html = render(given)
    page = Page(html)
    check(page)
    assert page.tags["table"] >= 12
    assert "best-alone" in page.ids
    assert html.startswith("<!doctype html>\n")
    for player in given.standings.players:
        assert player.name in page.words
    assert "95% interval" in page.words
    # Every drawing is told in words, or stands beside its numbers.
    drawings = [name for tag, name, _ in page.attributes if tag == "svg" and name in ("aria-label", "aria-hidden")]
    assert len(drawings) == page.tags["svg"]


def test_nothing_is_fetched_and_nothing_runs() -> None:
    html = render(sample())
    assert "Content-Security-Policy" in html
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html
    for word in ("<script", "http://", "https://", "@import", "url("):
        assert word not in html


def test_an_empty_tournament_has_a_page() -> None:
    given = sample(ledger=False)
    nobody = {"rating": None, "low": None, "high": None, "length_controlled": None, "win_rate": None, "gold": 0}
    players = tuple(one.model_copy(update=nobody) for one in given.standings.players)
    empty: dict[str, object] = {"voids": {}, "tokens": {}, "cut": {}, "preference_cut": {}, "gold_by_player": {}}
    page = Page(
        render(
            given._replace(
                standings=given.standings.model_copy(
                    update={"players": players, "judges": (), "best_alone": None, "length_points": None}
                ),
                data=given.data.model_copy(update={**empty, "funnels": (), "overlaps": (), "sft": 0, "preference": 0}),
                kept_scores={},
                stages=(),
                samples=(),
                files=(),
            )
        )
    )
    check(page)
    for sentence in (
        "No battle was decided",
        "No difficulty was graded.",
        "not compared with any benchmark",
        "No instruction has a gold answer.",
        "No record is void.",
        "counted no tokens",
        "This run sent no request to a model",
    ):
        assert sentence in page.words


def test_hostile_text_stays_text() -> None:
    html = render(hostile())
    page = Page(html)
    check(page)
    for text in ("</script><img src=x onerror=alert(1)>", "{{7*7}}{% for x in y %}", "'\"><svg onload=alert(2)>"):
        assert page.words.count(text) > 10
    assert "&lt;&#x3c;" in page.words  # escaped once, not twice, and not undone
    assert "49" not in re.findall(r"\d+ 49 ", page.words)
    for hiding in ("\x00", "\x1b", "\x85", "\u202e", "\u2066"):
        assert hiding not in html
    assert "⟨U+202E⟩" in page.words
    assert len(html) < 200_000  # with ten texts of a megabyte each


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_each_attack_everywhere_at_once(text: str) -> None:
    html = render(hostile([text]))
    check(Page(html))
    assert len(html) < 200_000


def test_the_largest_tournament_fits() -> None:
    names = [f"{number:02d}-{'&' * 60}" for number in range(32)]
    html = render(sample(names, instructions=100_000))
    assert len(html.encode()) < 1_500_000
    check(Page(html))


def test_only_the_cost_differs_between_two_runs() -> None:
    first, second = sample(), sample()
    slower = tuple(row.model_copy(update={"seconds": row.seconds * 3, "retries": 9}) for row in second.ledger)
    assert render(first) == render(second)
    pages = [render(first), render(second._replace(ledger=slower)), render(second._replace(ledger=()))]
    cost = re.compile(r'<section id="cost".*?</section>', re.DOTALL)
    assert len(set(pages)) == 3
    assert len({cost.sub("", page) for page in pages}) == 1


def test_long_texts_say_how_much_is_left_out() -> None:
    given = sample()
    page = Page(render(given))
    assert re.search(r"[\d,]+ more characters\.", page.words)
    assert "longest_unique" in page.words


def luminance(colour: tuple[float, float, float]) -> float:
    linear = [c / 12.92 if (c := value / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for value in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def rgb(text: str) -> tuple[float, float, float]:
    if text.startswith("#"):
        return (int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16))
    red, green, blue = text.split(",")
    return (float(red), float(green), float(blue))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_contrast_on_every_ground(scheme: int) -> None:
    css = resources.files("tiltyard_jobs.report").joinpath("templates/style.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    colours = dict(re.findall(r"--([a-z-]+): ([^;]+);", blocks[0]))
    colours |= dict(re.findall(r"--([a-z-]+): ([^;]+);", blocks[scheme]))
    page = rgb(colours["page"])
    for text in ("text", "muted", "accent"):
        for ground in ("page", "panel"):
            assert contrast(rgb(colours[text]), rgb(colours[ground])) >= 4.5, (text, ground)
    assert contrast(rgb(colours["warn"]), rgb(colours["warn-ground"])) >= 4.5
    for heat in ("up", "down"):
        red, green, blue = (0.55 * top + 0.45 * below for top, below in zip(rgb(colours[heat]), page, strict=True))
        # The small number below stands at an opacity of 0.85.
        small = [0.85 * ink + 0.15 * under for ink, under in zip(rgb(colours["text"]), (red, green, blue), strict=True)]
        assert contrast((small[0], small[1], small[2]), (red, green, blue)) >= 4.5, heat
    assert contrast(rgb(colours["mark"]), page) >= 3


def test_the_line_about_the_instructions_is_whole() -> None:
    line = (
        "2000 mined, 250 used: 792 left out by curation.diversity, 691 left out by curation.difficulty, 206 near"
        " duplicates, 19 Empty, 18 TooShort, 16 NoRequest, 7 AssistantVoice, 1 Truncated; cut off: 45 answers, 12 marks"
    )
    assert f"<p>Instructions: {line}.</p>" in render(sample()._replace(instructions=line))


def test_a_note_is_a_sentence_and_a_name_stays_as_it_is_written() -> None:
    given = sample()
    name = given.standings.judges[0].name
    notes = view(given._replace(notes=("judge x votes", f"{name} decided nothing", "ünusual")))["notes"]
    assert notes == ["Judge x votes.", f"{name} decided nothing.", "Ünusual."]
