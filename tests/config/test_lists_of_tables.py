"""Lists of tables: places, layers, secrets, resources, change and display of what stands in them."""

from __future__ import annotations

import tomllib

import pytest

from config.change import compare
from config.keys import bot_keys, key_at, table_at
from config.schema import BotConfig, CommandSection, FallbackSection
from config.show import as_json, as_text
from config.vocabulary import Effect, Secret
from tests.config.conftest import Folder

TOOLS = """\
[llm]
provider = "openai"
model = "big"
api_key = "${OPENAI_API_KEY}"

[[llm.fallbacks]]
model = "small"

[[llm.fallbacks]]
provider = "anthropic"
model = "other"
api_key = "file:key.txt"
options = { top_p = 0.5 }

[[tools]]
name = "weather"
kind = "http"
url = "https://api.example.org/{city}"
headers = { Authorization = "Bearer ${WEATHER_KEY}", Accept = "application/json" }
parameters = { city = { type = "string" } }
required = ["city"]

[[tools]]
name = "files"
kind = "mcp"
command = ["server", "--key", "${FILES_TOKEN}"]
env = { API_KEY = "cmd:printf from-a-program" }
"""
SECRETS = {"sk-first-key", "from-a-file", "weather-key", "Bearer weather-key", "files-token", "from-a-program"}


@pytest.fixture
def rich(folder: Folder) -> Folder:
    folder.environ = {"OPENAI_API_KEY": "sk-first-key", "WEATHER_KEY": "weather-key", "FILES_TOKEN": "files-token"}
    folder.write("key.txt", "from-a-file\n")
    folder.bot("a", TOOLS)
    return folder


def test_tables_in_lists_become_sections(rich: Folder) -> None:
    """Tuples in the order of the file; headers and environment are secrets, references in lists are replaced."""
    config = rich.load().bots["a"].config
    weather, files = config.tools
    assert [tool.name for tool in config.tools] == ["weather", "files"]
    assert weather.headers == {"Authorization": Secret("Bearer weather-key"), "Accept": Secret("application/json")}
    assert (weather.required, files.command) == (("city",), ("server", "--key", "files-token"))
    assert files.env == {"API_KEY": Secret("from-a-program")}
    assert [link.model for link in config.llm.fallbacks] == ["small", "other"]


def test_the_chain_is_whole_and_made_once(rich: Folder) -> None:
    """What a fallback leaves open is as in [llm] when the provider is the same, else the provider's own."""
    llm = rich.load().bots["a"].config.llm
    first, second, third = llm.chain()
    assert first is llm
    assert llm.chain() is llm.chain()
    assert (second.provider, second.model, second.api_key) == ("openai", "small", Secret("sk-first-key"))
    assert (third.provider, third.model, third.api_key) == ("anthropic", "other", Secret("from-a-file"))
    assert third.options == {"top_p": 0.5}
    assert third.timeout_s == llm.timeout_s
    chosen = llm.model_copy(update={"model": "chosen"})
    assert chosen.chain()[0] is chosen


def test_a_key_goes_to_no_other_address(folder: Folder) -> None:
    """A fallback takes the key over only together with the address."""
    folder.bot(
        "a",
        """\
        [llm]
        provider = "openai"
        model = "m"
        api_key = "k"
        temperature = 0.5
        [[llm.fallbacks]]
        model = "n"
        base_url = "http://127.0.0.1:1/v1"
        """,
    )
    _, own = folder.load().bots["a"].config.llm.chain()
    assert (own.api_key, own.temperature) == (None, 0.5)


def test_secrets_in_lists_are_secrets(rich: Folder) -> None:
    """Known for redaction, masked where shown, never printed; part of the digest."""
    snapshot = rich.load()
    spec = snapshot.bots["a"]
    assert snapshot.secrets == SECRETS
    shown = f"{as_text(spec, snapshot.secrets)}{as_json(spec, snapshot.secrets)}{spec!r}{snapshot!r}"
    assert [secret for secret in SECRETS if secret in shown] == []
    before = spec.digest
    rich.environ["WEATHER_KEY"] = "another-key"
    assert rich.load().bots["a"].digest != before
    assert [warning.message for warning in snapshot.warnings] == []


def test_a_secret_that_stands_in_a_list_is_warned_of(folder: Folder) -> None:
    """With its place; a header that is none of a secret's names is not."""
    folder.bot(
        "a",
        """\
        [[tools]]
        name = "t"
        kind = "http"
        url = "https://x.example/"
        headers = { Accept = "text/plain", Authorization = "Bearer abcdefgh" }
        """,
    )
    snapshot = folder.load()
    (warning,) = snapshot.warnings
    assert (warning.line, warning.column, warning.key) == (6, 52, "tools[0].headers.Authorization")
    assert snapshot.secrets == {"Bearer abcdefgh", "abcdefgh"}, "who quotes a key leaves its scheme out"


def test_a_stronger_layer_replaces_the_list_as_a_whole(folder: Folder) -> None:
    """And what is wrong in the list beneath it is told in its own file."""
    folder.write(
        "fleet.toml",
        '[[defaults.commands]]\nname = "prices"\ntext = "See our page"\n[[defaults.commands]]\nname = "x"\ntext = "y"\n',
    )
    folder.bot("a", '[[commands]]\nname = "hours"\ntext = "9 to 5"\n')
    folder.bot("b", "")
    snapshot = folder.load()
    assert [command.name for command in snapshot.bots["a"].config.commands] == ["hours"]
    assert [command.name for command in snapshot.bots["b"].config.commands] == ["prices", "x"]
    origins = snapshot.bots["b"].origins()
    assert (origins["commands[1].name"].layer, origins["commands[1].name"].line) == ("fleet", 5)
    folder.write("fleet.toml", '[[defaults.commands]]\nname = "Prices"\ntext = "See our page"\n')
    folder.bot("b", 'name = "b"\n')
    assert {(p.file.name, p.line, p.column) for p in folder.problems()} == {("fleet.toml", 2, 8)}


def test_a_secret_in_a_list_of_defaults_is_wrapped(folder: Folder) -> None:
    """In the model of fleet.toml too, which holds [defaults] as they stand."""
    folder.write("fleet.toml", '[[defaults.llm.fallbacks]]\nmodel = "m"\napi_key = "a-literal-key"\n')
    (link,) = folder.load().fleet.defaults["llm"]["fallbacks"]
    assert link == {"model": "m", "api_key": Secret("a-literal-key")}


def test_a_table_in_a_list_takes_a_resource(folder: Folder) -> None:
    """The resource's keys win, and have their place in its file."""
    folder.write("environments/e.toml", '[providers.spare]\nprovider = "echo"\nmodel = "from-there"\ntemprature = 1\n')
    folder.bot("a", '[[llm.fallbacks]]\nmodel = "m"\n[[llm.fallbacks]]\n"$resource" = "spare"\ntype = "providers"\n')
    problem = folder.problem(environment="e")
    assert (problem.file.name, problem.line, problem.hint) == ("e.toml", 4, "did you mean temperature?")
    folder.write("environments/e.toml", '[providers.spare]\nprovider = "echo"\nmodel = "from-there"\n')
    spec = folder.load(environment="e").bots["a"]
    assert [link.model for link in spec.config.llm.fallbacks] == ["m", "from-there"]
    assert spec.origins()["llm.fallbacks[1].model"].layer == "resource"
    folder.write("fleet.toml", '[[defaults.llm.fallbacks]]\n"$resource" = "spare"\ntype = "providers"\n')
    assert [link.model for link in folder.load(environment="e").bots["a"].config.llm.fallbacks] == ["m", "from-there"]


def test_the_text_shown_reads_back(rich: Folder) -> None:
    """As TOML, tables of lists in double brackets, with their origins."""
    snapshot = rich.load()
    spec = snapshot.bots["a"]
    data = tomllib.loads(as_text(spec, snapshot.secrets, rich.root, origin=True))
    assert data["tools"][0]["headers"] == {"Authorization": "••••••", "Accept": "••••••"}
    assert data["tools"][1]["command"] == ["server", "--key", "••••••"]
    assert [link["model"] for link in data["llm"]["fallbacks"]] == ["small", "other"]
    assert "url = " in as_text(spec)
    told = as_json(spec, snapshot.secrets, rich.root)
    assert told["config"]["tools"][1]["name"] == "files"
    assert told["origins"]["tools[0].url"] == {"layer": "bot", "file": "bots/a.toml", "line": 19, "column": 1}
    assert told["config"]["commands"] == []


def test_a_change_within_a_list_is_a_change_of_the_list(rich: Folder) -> None:
    """One key, told once, with its effect."""
    loader = rich.loader()
    before = loader.load()
    rich.bot("a", TOOLS.replace("{city}", "now/{city}").replace('"small"', '"smaller"'))
    (change,) = compare(before, loader.load())
    assert (change.keys, change.effect) == (("llm.fallbacks", "tools"), Effect.NEXT_TURN)


def test_keys_are_found_within_lists_and_free_tables() -> None:
    """At any depth; nothing where nothing is declared."""
    keys = bot_keys()
    secret, text = key_at(keys, ("tools", 3, "headers", "X-Key")), key_at(keys, ("texts", "ru", "start"))
    assert secret is not None
    assert secret.secret
    assert text is not None
    assert (text.kind, text.dotted) == (str, "texts")
    assert key_at(keys, ("tools", 3)) is None
    assert key_at(keys, ("llm", "options", "x")) is None
    assert table_at(BotConfig, ("llm", "fallbacks", 2)) is FallbackSection
    assert table_at(BotConfig, ("commands", 0)) is CommandSection
    assert table_at(BotConfig, ("commands",)) is None


@pytest.mark.parametrize(
    ("text", "line", "column", "key", "message", "hint"),
    [
        (
            '[[tools]]\nname = "a"\nkind = "htpp"\n',
            4,
            8,
            "tools[0].kind",
            'found "htpp"; allowed: "builtin" or "python" or "http" or "mcp"',
            "did you mean http?",
        ),
        (
            '[[commands]]\nname = "a"\ntext = "b"\n[[commands]]\nname = "b"\ntxet = "c"\n',
            7,
            1,
            "commands[1].txet",
            "unknown key txet in [[commands]]",
            "did you mean text?",
        ),
        (
            '[[llm.fallbacks]]\nprovider = "echo"\ntemperature = 3\n',
            4,
            15,
            "llm.fallbacks[0].temperature",
            "found 3; allowed: a number from 0 to 2",
            "",
        ),
        (
            '[llm]\nchoices = [\n  "a",\n  "",\n]\n',
            5,
            3,
            "llm.choices[1]",
            'found ""; allowed: text, not empty',
            "",
        ),
        (
            '[access]\nallow = [1, "alice"]\n',
            3,
            13,
            "access.allow[1]",
            'found "alice"; allowed: a number, or "@name"',
            "",
        ),
        ("[texts.en]\nstart = 1\n", 3, 9, "texts.en.start", "found 1; allowed: text", "put it in quotes"),
        (
            '[tools]\nname = "a"\n',
            2,
            1,
            "tools",
            "found a table; allowed: tables, [[tools]]",
            "write it with two brackets, [[tools]]",
        ),
        (
            '[[llm]]\nmodel = "a"\n',
            2,
            1,
            "llm",
            "found a list; allowed: a table, [llm]",
            "write it with single brackets, [llm]",
        ),
        ('tools = ["a"]\n', 2, 10, "tools[0]", "found a single value; allowed: a table, [[tools]]", ""),
        ('uri = "x"\n', 2, 1, "uri", None, "did you mean url in [[tools]]?"),
        (
            '[[tools]]\nname = "${NOPE}"\nkind = "builtin"\n',
            3,
            8,
            "tools[0].name",
            "the variable NOPE is not set",
            "set it in the environment or in .env",
        ),
        (
            '[[tools]]\nname = "a"\nkind = "mcp"\ncommand = ["x", "${NOPE}"]\n',
            5,
            17,
            "tools[0].command[1]",
            "the variable NOPE is not set",
            "set it in the environment or in .env",
        ),
        (
            'time_zone = "Europe/berlin2"\n',
            2,
            13,
            "time_zone",
            'found "Europe/berlin2"; allowed: a name of the time zone database, such as "Europe/Berlin"',
            "did you mean Europe/Berlin?",
        ),
        (
            '[groups]\nrespond = "every:1"\n',
            3,
            11,
            "groups.respond",
            'found "every:1"; allowed: "mention" or "reply" or "all" or "every:N", N from 2 to 999999',
            'to answer every message, write "all"',
        ),
        (
            '[groups]\nrespond = "every:N"\n',
            3,
            11,
            "groups.respond",
            None,
            'every tenth message is "every:10"',
        ),
        ('[groups]\nrespond = "mentions"\n', 3, 11, "groups.respond", None, 'did you mean "mention"?'),
    ],
)
def test_mistakes_in_lists_are_told_with_their_place(
    folder: Folder, text: str, line: int, column: int, key: str, message: str | None, hint: str
) -> None:
    """One mistake, one problem: line and column of the very value, what is allowed, what was probably meant."""
    folder.bot("a", text)
    problem = folder.problem()
    assert (problem.line, problem.column, problem.key, problem.hint) == (line, column, key, hint)
    assert message in {None, problem.message}


def test_short_and_nested_secrets_of_lists_are_masked(folder: Folder) -> None:
    """By the name of the variable, or of the key within a free table, however short; what is none stays readable."""
    folder.environ = {"MY_TOKEN": "abc", "PLAIN": "plain"}
    folder.bot(
        "a",
        """\
        [llm]
        provider = "openai"
        model = "m"
        base_url = "http://127.0.0.1:1/v1"
        [llm.options]
        list = [{ password = "pq" }, "${MY_TOKEN}", 1, "${PLAIN}"]
        mixed = [{}, { a = [{ b = "${MY_TOKEN}" }] }]
        [[tools]]
        name = "s"
        kind = "mcp"
        command = ["run", "${MY_TOKEN}", "${PLAIN}"]
        """,
    )
    spec = folder.load().bots["a"]
    told = as_json(spec)["config"]
    assert told["llm"]["options"]["list"] == [{"password": "••••••"}, "••••••", 1, "plain"]
    assert told["llm"]["options"]["mixed"] == [{}, {"a": [{"b": "••••••"}]}]
    assert told["tools"][0]["command"] == ["run", "••••••", "plain"]
    assert tomllib.loads(as_text(spec))["llm"]["options"]["mixed"] == [{}, {"a": [{"b": "••••••"}]}]
