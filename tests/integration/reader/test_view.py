"""The battle reader's server: a real process on a real socket, over a run whose texts attack."""

from __future__ import annotations

import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from support.read_runs import LONG, RUN, Page, Run, Served, make_run, noting_browser, served
from support.waiting import wait_until
from tiltyard_jobs.shard.tables import iter_rows

LISTS = ("close", "flips", "split", "upsets", "voids", "all")
TAGS = {
    *("a", "article", "bdi", "blockquote", "body", "br", "button", "code", "details", "div", "em", "footer", "form"),
    *(
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "head",
        "header",
        "hr",
        "html",
        "input",
        "kbd",
        "label",
        "li",
        "line",
        "link",
    ),
    *(
        "main",
        "mark",
        "meta",
        "nav",
        "ol",
        "option",
        "p",
        "pre",
        "rect",
        "script",
        "section",
        "select",
        "small",
        "span",
    ),
    *("strong", "summary", "svg", "table", "tbody", "td", "th", "thead", "title", "tr", "ul"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def reader(made: Run) -> Iterator[Served]:
    with served(str(made.store), folder=made.world.root) as running:
        yield running


def battles(reader: Served, path: str) -> list[str]:
    """Links of a list to battles, all pages."""
    found: list[str] = []
    while path:
        page = Page(reader.get(path).text)
        found += [link for link in page.links() if "at=" in link]
        path = next(iter(page.links(rel="next")), "")
    return found


def names(links: list[str]) -> list[str]:
    """What the links are about: INSTRUCTION/A/B."""
    return [link.split("?")[0].removeprefix("/battle/") for link in links]


def harmless(html: str) -> Page:
    """A page in which nothing runs, loads or leads away."""
    page = Page(html)
    for tag, attributes in page.elements:
        assert tag in TAGS, tag
        assert not any(name.startswith("on") or name == "style" for name in attributes), attributes
        for name in ("href", "src", "action"):
            address = attributes.get(name)
            assert address is None or re.match(r"/[a-z]|data:,$|#", address), address
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert scripts == [{"src": "/reader.js", "defer": None}]
    return page


def test_no_page_holds_anything_of_a_model_that_is_not_text(reader: Served) -> None:
    links = battles(reader, "/all")
    assert len(links) == 48
    for path in ("/close", "/flips", "/split", "/upsets", "/voids", "/dropped", *links):
        answer = reader.get(path)
        assert answer.status == 200
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'; script-src")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        harmless(answer.text)


def test_what_a_model_wrote_is_there_to_be_read(reader: Served, made: Run) -> None:
    identity = made.world.id_of("ada", 0)
    page = harmless(reader.get(f"/battle/{identity}/ada/bob").text)
    assert "ada 0: </script><img src=x onerror=alert(1)>" in page.text
    assert "code-experts" not in page.text
    assert "<i>birds</i>" in page.text


def test_thoughts_are_folded_and_reasons_shown(reader: Served, made: Run) -> None:
    page = harmless(reader.get(f"/battle/{made.world.id_of('ada', 3)}/ada/bob").text)
    assert "<b>I think</b>" in page.text
    assert ("details", {"class": "thought"}) in page.elements
    assert "cut by the token limit" in page.text
    assert any("since <b>" in Page(reader.get(link).text).text for link in battles(reader, "/all"))


def test_a_million_characters_are_cut_and_the_whole_is_a_link_away(reader: Served, made: Run) -> None:
    identity = made.world.id_of("ada", 2)
    answer = reader.get(f"/battle/{identity}/ada/bob")
    assert len(answer.text) < 300_000
    (link,) = [link for link in Page(answer.text).links() if link.startswith("/text/")]
    whole = reader.get(link)
    assert whole.text == f"{LONG} the end"
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"


def test_lists_are_what_their_names_say(reader: Served, made: Run) -> None:
    """Against a count by hand over the rows of the table of verdicts."""
    (path,) = made.folder.glob("tables/verdicts.parquet")
    votes: dict[str, dict[str, dict[str, float | None]]] = {}
    for row in iter_rows(path):
        battle = f"{row['instruction_id']}/{row['model_a']}/{row['model_b']}"
        votes.setdefault(battle, {}).setdefault(row["judge"], {})[row["order"]] = row["vote"]

    def cast(battle: str) -> list[float]:
        return [vote for by_order in votes[battle].values() for vote in by_order.values() if vote is not None]

    def means(battle: str) -> list[float]:
        given = [[v for v in orders.values() if v is not None] for orders in votes[battle].values()]
        return [sum(one) / len(one) for one in given if one]

    def flips(battle: str) -> int:
        both = [o for o in votes[battle].values() if None not in o.values()]
        return sum((o["AB"] - 0.5) * (o["BA"] - 0.5) < 0 for o in both)  # type: ignore[operator]

    def distance(battle: str) -> float:
        return abs(sum(cast(battle)) / len(cast(battle)) - 0.5)

    close = names(battles(reader, "/close"))
    assert set(close) == {battle for battle in votes if cast(battle)}
    assert [distance(one) for one in close] == pytest.approx(sorted(map(distance, close)), abs=1e-5)
    flipped = names(battles(reader, "/flips"))
    assert set(flipped) == {battle for battle in votes if flips(battle)}
    assert [flips(one) for one in flipped] == sorted(map(flips, flipped), reverse=True)
    split = names(battles(reader, "/split"))
    assert set(split) == {battle for battle in votes if min(means(battle)) < 0.5 < max(means(battle))}
    ratings: dict[str, float] = {
        row["player"]: row["rating"] for row in iter_rows(made.folder / "tables/ratings.parquet")
    }

    def lead(battle: str) -> float:
        _, a, b = battle.split("/")
        return ratings[a] - ratings[b]

    def surprise(battle: str) -> float:
        return abs(sum(cast(battle)) / len(cast(battle)) - 1 / (1 + 10 ** (-lead(battle) / 400)))

    upsets = names(battles(reader, "/upsets"))
    assert upsets
    assert set(upsets) == {
        battle for battle in votes if cast(battle) and (sum(cast(battle)) / len(cast(battle)) - 0.5) * lead(battle) < 0
    }
    assert [surprise(one) for one in upsets] == pytest.approx(sorted(map(surprise, upsets), reverse=True), abs=1e-5)
    void = names(battles(reader, "/voids"))
    silent = f"{made.world.id_of('ada', 1)}/ada/cyd"
    assert set(void) == {silent} | {b for b in votes if any(None in o.values() for o in votes[b].values())}
    by_judge = names(battles(reader, "/all?judge=ada"))
    assert set(by_judge) == {battle for battle in votes if "ada" in votes[battle]}
    assert set(names(battles(reader, "/flips?judge=ada"))) == {
        battle
        for battle in votes
        if None not in (own := votes[battle].get("ada", {"AB": None})).values()
        and (own["AB"] - 0.5) * (own["BA"] - 0.5) < 0  # type: ignore[operator]
    }


def test_filters_narrow_a_list_down(reader: Served) -> None:
    everything = names(battles(reader, "/all"))
    bob = names(battles(reader, "/all?player=bob"))
    assert bob == [one for one in everything if "bob" in one.split("/")[1:]]
    assert battles(reader, "/all?player=nobody") == []
    assert len(battles(reader, "/all?task_type=Generation")) == len(everything)
    assert battles(reader, "/all?task_type=Testing") == []
    assert 0 < len(battles(reader, "/all?difficulty=7")) < len(everything)
    assert battles(reader, "/all?difficulty=x") == battles(reader, "/all?column=nix&value=1") == []


def test_a_battle_says_why_an_answer_is_gold(reader: Served, made: Run) -> None:
    identity = made.world.id_of("ada", 0)
    named = {player.model.id: player.name for player in made.world.players}
    rows = [row for row in iter_rows(made.folder / "tables/scores.parquet") if row["instruction_id"] == identity]
    scores = {named[row["model_id"]]: row["score"] for row in rows if row["score"] is not None}
    best = max(scores, key=lambda name: scores[name])
    text = Page(reader.get(f"/battle/{identity}/ada/bob").text).text
    assert f"{best}'s answer is gold: its score of {scores[best]:.3f} is the highest of {len(scores)}, " in text
    assert "Votes won" in text


def test_full_text_search_takes_words_as_they_are(reader: Served, made: Run) -> None:
    identity = made.world.id_of("ada", 3)
    assert names(battles(reader, "/all?text=HERON+(bird)")) == [f"{identity}/ada/bob"]
    assert battles(reader, "/all?text=her.n") == []
    assert len(battles(reader, "/all?text=the+end")) == 1


def test_a_battle_leads_on_through_the_list_that_it_was_opened_from(reader: Served) -> None:
    order = names(battles(reader, "/flips?player=bob"))
    page = Page(reader.get(battles(reader, "/flips?player=bob")[0]).text)
    assert page.links(rel="prev") == []
    (following,) = page.links(rel="next")
    assert names([following]) == [order[1]]
    assert page.links(rel="up") == ["/flips?player=bob"]


def test_differences_are_shown_when_asked_for(reader: Served, made: Run) -> None:
    path = f"/battle/{made.world.id_of('ada', 0)}/ada/bob"
    (link,) = Page(reader.get(path).text).links(id="difference-link")
    page = harmless(reader.get(link.partition("#")[0]).text)
    assert any(tag == "mark" for tag, _ in page.elements)


def test_requests_under_other_names_and_from_other_sites_are_refused(reader: Served) -> None:
    for headers in ({"Host": "evil.example"}, {"Host": f"evil.example:{reader.port}"}, {"Host": "127.0.0.1"}):
        assert reader.get("/all", **headers).status == 403
    assert reader.get("/all", Sec_Fetch_Site="cross-site").status == 403
    assert reader.get("/all", Sec_Fetch_Site="same-site", Sec_Fetch_Dest="iframe").status == 403
    assert reader.get("/all", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="document").status == 200, (
        "a link that is followed"
    )
    assert reader.get("/all", Host=f"localhost:{reader.port}", Sec_Fetch_Site="same-origin").status == 200
    assert reader.get("/all", method="POST").status == 405


@pytest.mark.parametrize("path", ["/", "/all", "/reader.js", "/text/zz/ada", "/nix"])
def test_without_the_token_of_this_start_nothing_is_shown(reader: Served, path: str) -> None:
    name, _, value = reader.cookie.partition("=")
    token = urlsplit(reader.address).query.removeprefix("token=")
    wrong = ("", value[:-1], "é", token)
    for cookie in ("", *(f"{name}={one}" for one in wrong), f"tiltyard-1={value}", f"other={value}"):
        answer = reader.get(path, Cookie=cookie.encode().decode("latin-1"))
        assert answer.status == 403
        assert answer.text.startswith("Open the address that `tiltyard view` printed when it started:")
        assert "set-cookie" not in answer.headers
    for given in ("", token[:-1], "é", value):
        refused = reader.get(f"{path}?{urlencode({'token': given})}")
        assert (refused.status, "set-cookie" in refused.headers) == (403, False)
    shown = "".join(reader.get(each).text for each in ("/all", "/reader.js"))
    assert token not in shown
    assert value not in shown


def test_the_address_that_is_printed_becomes_a_cookie_and_then_the_page(reader: Served) -> None:
    query = urlsplit(reader.address).query
    for _ in range(2):
        answer = reader.get(f"/all?player=bob&{query}", Cookie="")
        cookie, *attributes = answer.headers["set-cookie"].split("; ")
        assert cookie == reader.cookie
        assert set(attributes) == {"HttpOnly", "Path=/", "SameSite=Strict"}
        assert Page(answer.text).links() == ["/all?player=bob"]
        assert query not in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_browser_is_given_a_page_that_no_other_user_can_read(made: Run, tmp_path: Path) -> None:
    """Every user of the machine can read the command line of a browser."""
    program, noted = noting_browser(tmp_path)
    with served(str(made.store), folder=tmp_path, browser=str(program)) as reader:
        wait_until(noted.exists)
        given = urlsplit(noted.read_text())
        assert (given.scheme, given.netloc, given.query, given.fragment) == ("file", "", "", "")
        page = Path(given.path)
        assert Page(page.read_text()).links() == [reader.address]
        assert [stat.S_IMODE(path.stat().st_mode) for path in (page, page.parent)] == [0o600, 0o700]
    assert not page.parent.exists()


@pytest.mark.parametrize(
    "path",
    [
        *("/battle/zz", "/battle/%00", "/battle/..%2f..%2fetc", "/battle/0/ada/ada", "/nix", "/text/zz/ada"),
        *("/../etc/passwd", "/reader.css/..", "/battle/" + "0" * 9000, "/text/%ff/%00"),
    ],
)
def test_what_is_not_there_is_not_found(reader: Served, path: str) -> None:
    answer = reader.get(path)
    assert answer.status in (400, 404)
    assert answer.status == 400 or "content-security-policy" in answer.headers


def test_odd_pages_and_places_are_no_errors(reader: Served) -> None:
    first = reader.get("/all").text
    for query in ("page=0", "page=-1", "page=x", "page=", "page=%00", "page=" + "9" * 400):
        assert reader.get(f"/all?{query}").text == first
    assert "Nothing." in reader.get("/all?page=99").text
    (link,) = battles(reader, "/close")[:1]
    assert reader.get(link.replace("at=0", "at=999999")).status == 200


def test_dropped_instructions_stand_beside_their_twins(reader: Served) -> None:
    page = harmless(reader.get("/dropped").text)
    assert page.text.index("kept: </script>") < page.text.index("Diversity · curate")
    assert "Duplicate · filter · dee" in page.text
    bob = harmless(reader.get("/dropped?player=bob&value=Diversity").text)
    assert "curate · bob" in bob.text
    assert "curate · ada" not in bob.text
    assert "Nothing." in reader.get("/dropped?value=nix").text


def test_a_copied_folder_of_a_run_is_read_alone(made: Run, tmp_path: Path) -> None:
    shutil.copytree(made.folder, tmp_path / "copy")
    with served("copy", folder=tmp_path) as reader:
        assert len(battles(reader, "/all")) == 48


def view(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tiltyard", "view", *arguments, "--no-browser"]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=100, check=False)


def test_without_a_run_it_is_looked_for_here(made: Run, tmp_path: Path) -> None:
    ended = view(folder=tmp_path)
    assert ended.returncode == 2
    assert "has no complete run" in ended.stderr
    with served(folder=made.world.root) as reader:  # it has the folder `store`
        assert RUN in reader.get("/all").text


def test_a_table_that_is_cut_short_is_named(made: Run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(made.store, store)
    table = store / "runs" / RUN / "tables" / "answers.parquet"
    table.write_bytes(table.read_bytes()[:-100])
    ended = view("store", folder=tmp_path)
    assert ended.returncode == 2
    assert f"runs/{RUN}/tables/answers.parquet" in ended.stderr
    assert "is damaged or cut short" in ended.stderr
    table.unlink()
    assert "There is no object" in view("store", folder=tmp_path).stderr


def test_a_port_that_is_taken_is_said(made: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = view(str(made.store), "--port", str(port), folder=tmp_path)
    assert ended.returncode == 2
    assert f"--port {port} cannot be used" in ended.stderr
