"""Drawing the pages: templates that escape every value; what is Markdown is rendered by `markdown`.

The same pages are served and written as files; only their links differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NamedTuple, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tiltyard_jobs.reader import markdown
from tiltyard_jobs.reader.battle import Answer, Battle, DroppedList, Standing, Verdict, read_battle
from tiltyard_jobs.reader.difference import Difference, difference
from tiltyard_jobs.reader.index import Index
from tiltyard_jobs.reader.lists import DROPPED, LISTS, PROGRAMS, Filter
from tiltyard_jobs.reader.programs import ProgramList
from tiltyard_jobs.reader.sentences import about_answer, about_battle, gold_sentence, listed, outcome
from tiltyard_jobs.report.formats import excerpt

PAGE_ROWS = 50
SHOWN = 100_000
"""Characters of a long text; the whole is a link away."""

_EXCERPT = 200
_LONG_PROGRAM = 20_000
_TITLES = {DROPPED: "Dropped", PROGRAMS: "Programs"}
_ABOUT = {
    DROPPED: "Instructions that were dropped; those that repeat one that was kept come first.",
    PROGRAMS: "What the programs that models wrote for benchmarks did; those that did not pass come first.",
}


class Links(Protocol):
    """Where the pages are."""

    @property
    def live(self) -> str:
        """The page of a run at work; empty where there is none."""
        ...

    def asset(self, name: str) -> str:
        """The style sheet, the script."""
        ...

    def battles(self, name: str, wanted: Filter, page: int = 1) -> str:
        """A page of a list."""
        ...

    def battle(self, number: int, place: Place | None = None) -> str:
        """A battle; a link without a place is permanent."""
        ...

    def text(self, identity: str, player: str) -> str:
        """An answer as plain text."""
        ...


class Place(NamedTuple):
    """Where in a list a reader is."""

    name: str
    wanted: Filter
    at: int


class Text(NamedTuple):
    """A text for a page: as it was written, up to a bound, and as HTML where it is short enough."""

    text: str
    omitted: int
    html: Markup | None = None
    href: str = ""


def shown(text: str, href: str = "", *, prose: bool = False, limit: int = SHOWN) -> Text:
    """A text for a page.

    Args:
        text: what a model or a user wrote.
        href: where the whole text is.
        prose: it may be Markdown.
        limit: characters that are shown.
    """
    beginning = excerpt(text, limit)
    html = markdown.render(text) if prose and len(text) <= min(limit, markdown.LONGEST) else None
    return Text(beginning.text, beginning.omitted, html, href)


@dataclass(frozen=True)
class Pages:
    """The pages over one index.

    Args:
        index: the run.
        links: where the pages are.
        policy: a content security policy, for pages that no server sends.
        dropped: the instructions that were dropped.
        programs: what models wrote for benchmarks.
        counts: battles by list.
    """

    index: Index
    links: Links
    policy: str
    dropped: DroppedList
    programs: ProgramList
    counts: dict[str, int]

    @classmethod
    def over(cls, index: Index, links: Links, policy: str = "") -> Pages:
        """The pages over an index."""
        counts = {name: int(one.order(index)[1].sum()) for name, one in LISTS.items()}
        return cls(index, links, policy, DroppedList(index), ProgramList(index.source.programs), counts)

    def battles(self, name: str, wanted: Filter, page: int, numbers: Sequence[int], **more: Any) -> str:
        """A page of a list.

        Args:
            name: of the list.
            wanted: how it was narrowed down.
            page: from 1.
            numbers: all battles of the list, in order.
            more: the form, or links to other pages, and what is left out.
        """
        first = (page - 1) * PAGE_ROWS
        rows = [
            listed(self.index, int(number), self.links.battle(int(number), Place(name, wanted, first + at)), _EXCERPT)
            for at, number in enumerate(numbers[first : first + PAGE_ROWS])
        ]
        return self._list(name, wanted, page, len(numbers), battles=rows, **more)

    def dropped_page(self, wanted: Filter, page: int, numbers: Sequence[int], **more: Any) -> str:
        """A page of the instructions that were dropped."""
        first = (page - 1) * PAGE_ROWS
        rows = []
        for number in numbers[first : first + PAGE_ROWS]:
            one = self.dropped.read(number)
            rows.append(
                {
                    "about": f"{one.reason} · {one.stage} · {one.attacker} · {one.identity}",
                    "text": shown(one.text or ""),
                    "twin_id": one.twin_id,
                    "twin": shown(one.twin) if one.twin is not None else None,
                }
            )
        return self._list(DROPPED, wanted, page, len(numbers), dropped=rows, **more)

    def programs_page(self, wanted: Filter, page: int, numbers: Sequence[int], **more: Any) -> str:
        """A page of the programs that models wrote for benchmarks."""
        first = (page - 1) * PAGE_ROWS
        rows = [
            {
                "about": f"{one.outcome} · {one.benchmark} {one.task} · {one.player}",
                "detail": shown(one.detail, limit=_LONG_PROGRAM) if one.detail else None,
                "reply": shown(one.reply, prose=True, limit=_LONG_PROGRAM) if one.reply is not None else None,
            }
            for one in map(self.programs.read, numbers[first : first + PAGE_ROWS])
        ]
        return self._list(PROGRAMS, wanted, page, len(numbers), programs=rows, **more)

    def battle(
        self,
        number: int,
        *,
        place: Place | None = None,
        around: tuple[str, str] = ("", ""),
        differences: bool = False,
        difference_href: str = "",
    ) -> str:
        """A battle.

        Args:
            number: of the battle.
            place: where in a list the reader came from.
            around: links to the battles before and after.
            differences: compare the answers.
            difference_href: where they are compared, if not here.
        """
        battle = read_battle(self.index, number)
        compared = _compared(battle) if differences else None
        both = battle.a.text is not None and battle.b.text is not None
        home = place or Place("close", Filter(), 0)
        return self._draw(
            "battle.html.j2",
            title=f"{battle.a.player} against {battle.b.player}",
            current="",
            up=self.links.battles(home.name, home.wanted, home.at // PAGE_ROWS + 1),
            up_title=LISTS[home.name].title,
            previous=around[0],
            next=around[1],
            permanent=self.links.battle(number),
            outcome=outcome(battle),
            about=about_battle(battle),
            history=[(role, shown(text)) for role, text in battle.history],
            instruction=shown(battle.instruction, prose=True),
            a=self._answer(battle, battle.a),
            b=self._answer(battle, battle.b),
            difference=compared,
            difference_open=bool(place) and differences,
            difference_href=difference_href if both and not differences else "",
            too_long=both and differences and compared is None,
            votes=votes_by_judge(battle),
            reasons=[
                (f"{one.judge}, {one.first} shown first", shown(one.reason or one.detail))
                for one in battle.verdicts
                if one.reason or one.detail
            ],
            gold=gold_sentence(battle, complete=self.index.source.complete),
            standings=[one._asdict() | _numbers(one) for one in battle.standings],
            others=[
                {
                    "href": self.links.battle(other),
                    "a": self.index.players.words[int(self.index.battles.a[other])],
                    "b": self.index.players.words[int(self.index.battles.b[other])],
                }
                for other in battle.others
            ],
        )

    def label(self, *, battle: Battle | None, name: str, a_is_left: bool, **about: Any) -> str:
        """A battle for a person's vote: nothing on the page says who wrote what, or what the jury said.

        Args:
            battle: None where there is none left.
            name: of the battle, which tells nothing of it.
            a_is_left: A's answer is on the left.
            about: token, labels so far, agreement.
        """
        given: dict[str, Any] = {"name": name, "answers": (), "history": (), "instruction": None} | about
        if battle is not None:
            order = (battle.a, battle.b) if a_is_left else (battle.b, battle.a)
            given["history"] = [(role, shown(text)) for role, text in battle.history]
            given["instruction"] = shown(battle.instruction, prose=True)
            given["answers"] = [
                shown(one.text or "", f"/label/{name}/{side}", prose=True) for side, one in enumerate(order, 1)
            ]
        return self._draw("label.html.j2", title="Which answer is better?", current="", **given)

    def live(self, words: dict[str, Any]) -> str:
        """A run at work.

        Args:
            words: see `live.words_of`, `missing` where there is no status, and `refresh`, in seconds.
        """
        return self._draw("live.html.j2", title="Live", current="live", live=words)

    def message(self, title: str, message: str) -> str:
        """A page that says one thing."""
        return self._draw("message.html.j2", title=title, current="", message=message)

    def _answer(self, battle: Battle, one: Answer) -> dict[str, Any]:
        href = self.links.text(battle.identity, one.player)
        return {
            "player": one.player,
            "gold": battle.gold == one.player,
            "about": about_answer(battle, one),
            "thought": shown(one.thought) if one.thought else None,
            "text": shown(one.text, href, prose=True) if one.text is not None else None,
        }

    def _list(self, name: str, wanted: Filter, page: int, total: int, **more: Any) -> str:
        pages = -(-total // PAGE_ROWS)
        given: dict[str, Any] = {
            "battles": (),
            "dropped": (),
            "programs": (),
            "form": None,
            "facets": (),
            "left_out": "",
        } | more
        return self._draw(
            "list.html.j2",
            title=LISTS[name].title if name in LISTS else _TITLES[name],
            about=LISTS[name].about if name in LISTS else _ABOUT[name],
            current=name,
            total=f"{total:,} in this list{given.pop('left_out')}",
            page=f"page {page} of {pages}",
            previous=self.links.battles(name, wanted, page - 1) if page > 1 else "",
            next=self.links.battles(name, wanted, page + 1) if page < pages else "",
            **given,
        )

    def _draw(self, template: str, *, current: str, **values: Any) -> str:
        source = self.index.source
        more = {DROPPED: len(self.dropped.rows), PROGRAMS: len(self.programs)}
        counts = self.counts | {name: count for name, count in more.items() if count}
        lists = [
            {
                "title": LISTS[name].title if name in LISTS else _TITLES[name],
                "href": self.links.battles(name, Filter()),
                "count": f"{count:,}",
                "current": name == current,
            }
            for name, count in counts.items()
        ]
        return environment.get_template(template).render(
            policy=self.policy,
            links=self.links,
            tournament=source.tournament,
            run=source.run,
            complete=source.complete,
            notes=source.notes,
            lists=lists,
            current=current,
            **values,
        )


def _numbers(one: Standing) -> dict[str, str]:
    return {
        "score": "–" if one.score is None else f"{one.score:.3f}",
        "votes": "–" if one.votes is None else f"{one.votes:.2f}",
    }


def _compared(battle: Battle) -> Difference | None:
    if battle.a.text is None or battle.b.text is None:
        return None
    return difference(excerpt(battle.a.text, SHOWN).text, excerpt(battle.b.text, SHOWN).text)


def votes_by_judge(battle: Battle) -> list[tuple[str, list[Verdict], list[Verdict], str]]:
    """A row for each judge: its votes in one order, in the other one, and what is odd about them."""
    rows = []
    for judge in dict.fromkeys(one.judge for one in battle.verdicts):
        own = [one for one in battle.verdicts if one.judge == judge]
        first = [one for one in own if one.first == battle.a.player]
        last = [one for one in own if one.first != battle.a.player]
        votes = [one.vote for one in (*first, *last) if one.vote is not None]
        flipped = len(votes) == 2 and (votes[0] - 0.5) * (votes[1] - 0.5) < 0
        rows.append((judge, first, last, "changed sides with the order" if flipped else ""))
    return rows


def asset(name: str) -> str:
    """The style sheet (the report's, and what the reader adds), or the script.

    Raises:
        KeyError: there is no such file.
    """
    if name not in ("reader.css", "reader.js"):
        raise KeyError(name)
    text = files("tiltyard_jobs.reader").joinpath("templates", name).read_text(encoding="utf-8")
    if name == "reader.css":
        report = files("tiltyard_jobs.report").joinpath("templates", "style.css").read_text(encoding="utf-8")
        text = report + text
    return text


def _safe(value: object) -> object:
    """Every value on its way into a page: characters that hide or reorder text are made visible. Escaping follows."""
    return excerpt(value, SHOWN).text if isinstance(value, str) and not isinstance(value, Markup) else value


environment = Environment(
    loader=PackageLoader("tiltyard_jobs.reader"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_safe,
    trim_blocks=True,
    lstrip_blocks=True,
)
"""Every value is escaped, bounded and made visible on its way into a page."""
