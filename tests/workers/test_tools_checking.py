"""What `botdeck check` says of tools, and whether the examples of docs/tools.md are as good as they look."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from config.load import Loader
from tests.workers.tools_rig import bench
from workers.clock import ManualClock
from workers.tools import templates
from workers.tools.checking import check
from workers.tools.modules import FOLDER

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tools.md"


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    (tmp_path / "bots").mkdir()
    (tmp_path / FOLDER).mkdir()
    (tmp_path / "fleet.toml").write_text("")
    return tmp_path


def bot(fleet: Path, text: str, name: str = "one") -> None:
    (fleet / "bots" / f"{name}.toml").write_text(f'channel = "none"\n{text}', encoding="utf-8")


def tool(name: str, place: str) -> str:
    return f'[[tools]]\nname = "{name}"\nkind = "python"\ncallable = "{place}"\n'


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", "gone:f", "there is no file tools/gone.py"),
        ("x = 1\n", "mine:f", "tools/mine.py: f is not there: the file has no such function"),
        ("f = 1\n", "mine:f", "tools/mine.py: f is no function"),
        ("def f(*a): ...\n", "mine:f", "tools/mine.py: f takes *a: a model can only give named arguments"),
        ("\nimport nothing_of_the_kind\n", "mine:f", "tools/mine.py:2: ModuleNotFoundError: No module named 'nothing_of_the_kind'"),
        ("def f(:\n", "mine:f", "tools/mine.py:1: SyntaxError: invalid syntax"),
        ("raise SystemExit(4)\n", "mine:f", "tools/mine.py:1: SystemExit: 4"),
    ],
)  # fmt: skip
def test_what_cannot_be_called_is_found_at_its_place(fleet: Path, text: str, place: str, said: str) -> None:
    """With the line of the bot's file that names it."""
    (fleet / FOLDER / "mine.py").write_text(text)
    bot(fleet, tool("f", place))
    [problem] = check(Loader(fleet).load()).problems
    assert (problem.bot_id, problem.line, problem.message) == ("one", 5, said)
    assert problem.file == fleet / "bots" / "one.toml"


def test_what_is_unwise_is_a_warning(fleet: Path) -> None:
    """An argument without a type, a function without a docstring, an argument nobody uses."""
    (fleet / FOLDER / "mine.py").write_text("def f(city, days=3): ...\n")
    bot(
        fleet,
        tool("f", "mine:f")
        + '[[tools]]\nname = "h"\nkind = "http"\ndescription = "x"\nurl = "http://127.0.0.1/"\nparameters = { a = { type = "string" } }\n',
    )
    found = check(Loader(fleet).load())
    assert found.problems == []
    assert [warning.message for warning in found.warnings] == [
        "tools/mine.py: argument city of f has no type; the model is told it is text",
        "tools/mine.py: argument days of f has no type; the model is told it is a whole number",
        "tools/mine.py: f has no docstring; the model is not told what it does",
        'argument "a" is used neither in url nor in query nor in body',
    ]


def test_a_name_of_a_feature_is_taken(fleet: Path) -> None:
    """`remember` belongs to memory.profile while that is on."""
    (fleet / FOLDER / "mine.py").write_text("def f() -> str:\n    'Do.'\n    return 'x'\n")
    bot(fleet, tool("remember", "mine:f") + "[memory]\nprofile = true\n")
    [problem] = check(Loader(fleet).load()).problems
    assert problem.line == 3
    assert "comes with profile" in problem.message


def test_a_file_is_run_once_for_all_bots_and_leaves_nothing(fleet: Path) -> None:
    """Whatever bots name it, and however often."""
    (fleet / FOLDER / "mine.py").write_text(
        "from pathlib import Path\nwith open(Path(__file__).with_name('runs'), 'a') as f: f.write('x')\n"
        "def f() -> str:\n    'Do.'\n    return ''\n"
    )
    for name in ("one", "two", "three"):
        bot(fleet, tool("f", "mine:f") + tool("g", "mine:f"), name)
    assert check(Loader(fleet).load()).problems == []
    assert (fleet / FOLDER / "runs").read_text() == "x"
    assert not [name for name in sys.modules if name.startswith("botdeck_tools_")]


def test_the_command_says_it(fleet: Path) -> None:
    """`botdeck check` ends with 2 and names the file; what config finds wrong with tools is there too."""
    bot(fleet, tool("f", "gone:f"))
    bot(fleet, '[[tools]]\nname = "h"\nkind = "http"\nurl = "http://x.example/{town}"\n', "two")
    done = subprocess.run(
        [sys.executable, "-m", "console", "check", "-C", str(fleet), "--json"], cwd=ROOT, capture_output=True, text=True
    )
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"]) == (2, False)
    assert {(p["bot_id"], p["line"]) for p in told["problems"]} == {("one", 5), ("two", 5)}


# --- docs/tools.md ---------------------------------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_page_are_good(fleet: Path) -> None:
    """Each block of TOML is a bot's file without a problem, with the Python of the page in tools/."""
    for text in blocks("python"):
        (fleet / (named := text.splitlines()[0].removeprefix("# "))).write_text(text)
        assert named.startswith("tools/")
    for number, text in enumerate(blocks("toml")):
        bot(fleet, re.sub(r"\$\{\w+\}", "x" * 8, text), f"b{number}")
    snapshot = Loader(fleet).load()
    found = check(snapshot)
    assert [str(p) for p in (*snapshot.problems, *found.problems)] == []
    assert [w.message for w in found.warnings] == ["there is no program 'mcp-server-files' on the PATH"]
    assert len(snapshot.bots) == len(blocks("toml")) == 4


@pytest.mark.anyio
async def test_the_function_of_the_page_works(fleet: Path, clock: ManualClock) -> None:
    """As a model would call it."""
    [text] = blocks("python")
    table = next(t for b in blocks("toml") for t in tomllib.loads(b).get("tools", ()) if t["kind"] == "python")
    async with bench(fleet, clock) as desk:
        desk.save("orders", text)
        desk.sections["tools"] = [table]
        [spec] = await desk.box.specs()
        assert spec.parameters["properties"]["number"]["description"] == "The order's number, as on the bill."
        assert await desk.call("find_order", number="7") == "shipped"
        assert await desk.call("find_order", number=9, detail="long") == "Order 9 is not known."


def test_the_page_states_the_defaults() -> None:
    """The table of limits is the schema's."""
    from config.schema import LimitsSection

    rows = re.findall(r"^\| `limits\.(\w+)` \| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: int(value) for name, value in rows} == {
        name: getattr(LimitsSection(), name) for name in LimitsSection.model_fields if name.startswith("tool")
    }


@pytest.mark.parametrize(
    ("template", "given", "made"),
    [
        ("{a}", {"a": [1]}, [1]),
        ("{a}", {}, None),
        ("x {a}{b}", {"a": True}, "x true"),
        ({"q": "{a}", "r": ["{b}", "{a}"]}, {"a": 1}, {"q": 1, "r": [1]}),
        ("{ user { name } }", {"name": 1}, "{ user { name } }"),
        ("{{a}}", {"a": 1}, "{a}"),
        ("{a} {a}", {"a": "{a}"}, "{a} {a}"),
    ],
)
def test_templates_are_filled(template: object, given: dict[str, object], made: object) -> None:
    """Types are kept where a name stands alone, and nothing is filled twice."""
    assert templates.value(template, given) == made
    assert set(templates.names(template)) <= {"a", "b"}
