"""What tools, commands, texts, fallbacks and prices promise, checked before anything runs."""

from __future__ import annotations

import pytest

from config.promises import MAX_COMMANDS
from config.sections.texts import COMMANDS, TEXT_KEYS
from tests.config.conftest import Folder
from workers.reception.commands import BORN_WITH
from workers.reception.texts import BUILT_IN
from workers.tools import KINDS

WEATHER = '[[tools]]\nname = "t"\nkind = "http"\n'
GOOD = [
    '[[tools]]\nname = "time"\nkind = "builtin"\n[[tools]]\nname = "calculator"\nkind = "builtin"\ntimeout_s = 1\n',
    '[[tools]]\nname = "find"\nkind = "python"\ncallable = "orders:find"\n',
    WEATHER + 'url = "https://x.example/{a}?b={b}"\nparameters = { a = {}, b = {} }\nbody = { a = "{a}{{c}}" }\n',
    '[[tools]]\nname = "s"\nkind = "mcp"\nurl = "http://127.0.0.1:1/mcp"\nheaders = { Key = "x" }\n',
    '[[commands]]\nname = "start"\ntext = "Hi"\nreplace = true\n[[commands]]\nname = "x_1"\nprompt = "{args}"\n',
    '[texts.ru]\nstart = "Привет"\n[texts.en]\nhelp = "Ask"\n',
    '[groups]\nrespond = "every:10"\n[access]\nmode = "pairing"\nallow = [1, "@alice", "-100"]\n[voice]\nlanguage = "de"\n',
    'time_zone = "Asia/Yekaterinburg"\n',
]


@pytest.mark.parametrize("text", GOOD)
def test_what_is_right_is_taken(folder: Folder, text: str) -> None:
    """Each kind of tool, commands, texts, groups, access."""
    folder.bot("a", text)
    assert folder.problems() == ()


@pytest.mark.parametrize(
    ("text", "place", "key", "message", "hint"),
    [
        ('[[tools]]\nname = "t"\n', (2, 3), "tools[0].kind", "is missing", 'one of: "builtin", "python"'),
        ('[[tools]]\nkind = "mcp"\nurl = "http://x/"\n', (2, 3), "tools[0].name", "is missing: the model", ""),
        (
            '[[tools]]\nname = "tme"\nkind = "builtin"\n',
            (3, 8),
            "tools[0].name",
            "is no built-in tool",
            "did you mean time?",
        ),
        (
            '[[tools]]\nname = "a b"\nkind = "python"\ncallable = "a:b"\n',
            (3, 8),
            "tools[0].name",
            "models take 1 to 64",
            "",
        ),
        (
            '[[tools]]\nname = "a"\nkind = "python"\n',
            (2, 3),
            "tools[0].callable",
            "is missing: kind python",
            "callable =",
        ),
        (
            '[[tools]]\nname = "a"\nkind = "python"\ncallable = "a.b"\n',
            (5, 12),
            "tools[0].callable",
            "is not of the form",
            "",
        ),
        (WEATHER, (2, 3), "tools[0].url", "is missing: kind http needs it", "url ="),
        (WEATHER + 'url = "ftp://x"\n', (5, 7), "tools[0].url", "is no address", ""),
        (WEATHER + 'url = "https://{host}/"\n', (5, 7), "tools[0].url", "has an argument in place of the host", ""),
        (
            WEATHER + 'url = "https://x/{citty}"\nparameters = { city = {} }\n',
            (5, 7),
            "tools[0].url",
            "holds {citty}, which is not in parameters",
            "did you mean city?",
        ),
        (
            WEATHER + 'url = "https://x/"\nquery = { q = ["{b}"] }\n',
            (6, 16),
            "tools[0].query.q[0]",
            "holds {b}, which is not in parameters",
            "write {{b}} for braces that stay",
        ),
        (
            WEATHER + 'url = "https://x/"\nparameters = { a = "string" }\n',
            (6, 20),
            "tools[0].parameters.a",
            "is no table: a JSON Schema is",
            "",
        ),
        (
            WEATHER + 'url = "https://x/"\nparameters = { a = {} }\nrequired = ["a", "b"]\n',
            (7, 18),
            "tools[0].required[1]",
            "is not in parameters",
            "",
        ),
        (
            '[[tools]]\nname = "a"\nkind = "mcp"\n',
            (2, 3),
            "tools[0].command",
            "is missing: kind mcp needs command or url",
            "",
        ),
        (
            '[[tools]]\nname = "a"\nkind = "mcp"\ncommand = ["x"]\nurl = "http://x/"\n',
            (6, 7),
            "tools[0].url",
            "stands beside command",
            "",
        ),
        (
            '[[tools]]\nname = "time"\nkind = "builtin"\nurl = "http://x/"\n',
            (5, 7),
            "tools[0].url",
            "is no key of a tool of kind builtin",
            "it belongs to kind http or mcp",
        ),
        (
            '[[tools]]\nname = "time"\nkind = "builtin"\n[[tools]]\nname = "time"\nkind = "builtin"\n',
            (6, 8),
            "tools[1].name",
            "is the name of another, in line 3",
            "rename one",
        ),
        ('[[commands]]\ntext = "x"\n', (2, 3), "commands[0].name", "is missing", ""),
        (
            '[[commands]]\nname = "/Opening-Hours"\ntext = "x"\n',
            (3, 8),
            "commands[0].name",
            "commands are 1 to 32 of a-z",
            'name = "opening_hours"',
        ),
        (
            '[[commands]]\nname = "start"\ntext = "x"\n',
            (3, 8),
            "commands[0].name",
            "/start is built in",
            "replace = true",
        ),
        (
            '[[commands]]\nname = "a"\ntext = "x"\nreplace = true\n',
            (5, 11),
            "commands[0].replace",
            "/a is not built in",
            "take it out",
        ),
        ('[[commands]]\nname = "a"\n', (2, 3), "commands[0].text", "is missing: a command needs it, or prompt", ""),
        (
            '[[commands]]\nname = "a"\ntext = "x"\nprompt = "y"\n',
            (5, 10),
            "commands[0].prompt",
            "stands beside text",
            "",
        ),
        (
            '[[commands]]\nname = "a"\ntext = "x"\n[[commands]]\nname = "a"\ntext = "y"\n',
            (6, 8),
            "commands[1].name",
            "is the name of another, in line 3",
            "",
        ),
        (
            '[[commands]]\nname = "a"\ntext = "x"\ndescriptions = { russian = "y" }\n',
            (5, 28),
            "commands[0].descriptions.russian",
            "is no language's code",
            "",
        ),
        ('[texts.fr]\nstart = "x"\n', (2, 8), "texts.fr", "there are no built-in texts in it; languages: en, ru", ""),
        ('[texts.en]\nstrat = "x"\n', (3, 1), "texts.en.strat", "there is no built-in text", "did you mean start?"),
        ('[texts.en]\nstart = " "\n', (3, 9), "texts.en.start", "is empty", ""),
        ('[voice]\nlanguage = "English"\n', (3, 12), "voice.language", "is no language's code", ""),
        ('[voice]\nmodel = "whisper-1"\n', (2, 2), "voice.api_key", "is missing: api.openai.com needs a key", ""),
        (
            '[[llm.fallbacks]]\nprovider = "antropic"\n',
            (3, 12),
            "llm.fallbacks[0].provider",
            "is no known",
            "did you mean anthropic?",
        ),
        (
            '[[llm.fallbacks]]\nprovider = "anthropic"\nmodel = "m"\n',
            (2, 7),
            "llm.fallbacks[0].api_key",
            "is missing: api.anthropic.com needs a key",
            'api_key = "${ANTHROPIC_API_KEY}"',
        ),
        (
            '[[llm.fallbacks]]\nprovider = "openai"\nbase_url = "http://127.0.0.1:1/v1"\n',
            (2, 7),
            "llm.fallbacks[0].model",
            'is missing: provider "openai" needs a model',
            "",
        ),
        (
            '[[llm.fallbacks]]\nprovider = "echo"\noptions = { delay = 1 }\n',
            (4, 13),
            "llm.fallbacks[0].options.delay",
            "echo has no such option",
            "did you mean delay_s?",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    folder: Folder, text: str, place: tuple[int, int], key: str, message: str, hint: str
) -> None:
    """One mistake, one problem, at the value, or at the table that lacks it."""
    folder.bot("a", text)
    problem = folder.problem()
    assert ((problem.line, problem.column), problem.key) == (place, key)
    assert problem.message.startswith(message)
    assert hint in problem.hint


def test_a_key_of_defaults_goes_to_no_other_provider(folder: Folder) -> None:
    """Told at the bot that chooses another; with a key of its own, or without a need of one, it is good."""
    folder.write("fleet.toml", '[defaults.llm]\nprovider = "openai"\nmodel = "m"\napi_key = "${K}"\n')
    folder.environ = {"K": "a-key-of-openai"}
    folder.bot("a", '[llm]\nprovider = "anthropic"\n')
    folder.bot("b", '[llm]\nprovider = "anthropic"\napi_key = "${K}"\n')
    folder.bot("c", '[llm]\nprovider = "echo"\n')
    folder.bot("d", "")
    problem = folder.problem()
    assert (problem.bot_id, problem.line, problem.column) == ("a", 3, 12)
    assert problem.message.endswith('which stands beside "openai"')


def test_a_disabled_bot_may_lack_keys(folder: Folder) -> None:
    """As in [llm]: it may be unfinished."""
    folder.bot("a", 'enabled = false\n[[llm.fallbacks]]\nprovider = "anthropic"\n[voice]\nmodel = "whisper-1"\n')
    assert folder.problems() == ()


def test_more_commands_than_a_menu_holds_are_refused(folder: Folder) -> None:
    """At the first one too many."""
    tables = [f'[[commands]]\nname = "c{number}"\ntext = "x"\n' for number in range(MAX_COMMANDS + 1)]
    folder.bot("a", "".join(tables))
    assert folder.problem().key == f"commands[{MAX_COMMANDS}]"


def test_tools_and_texts_of_defaults_are_checked_without_bots(folder: Folder) -> None:
    """Told once, in fleet.toml."""
    folder.write("fleet.toml", '[[defaults.tools]]\nname = "tme"\nkind = "builtin"\n[defaults.texts.en]\nstrat = "x"\n')
    assert [(p.line, p.key) for p in folder.problems()] == [
        (2, "defaults.tools[0].name"),
        (5, "defaults.texts.en.strat"),
    ]


@pytest.mark.parametrize(
    ("text", "place", "key", "message"),
    [
        ("[[prices]]\ninput = 1.0\noutput = 2.0\n", (1, 3), "prices[0].model", "is missing"),
        (
            '[[prices]]\nmodel = "a*b"\ninput = 1.0\noutput = 2.0\n',
            (2, 9),
            "prices[0].model",
            "a * stands at the end only",
        ),
        ('[[prices]]\nmodel = "a"\noutput = 2.0\n', (1, 3), "prices[0].input", "is missing"),
        ('[[prices]]\nmodel = "a"\ninput = -1\noutput = 2.0\n', (3, 9), "prices[0].input", "found -1"),
        (
            '[[prices]]\nmodel = "a"\nprovider = "opnai"\ninput = 1\noutput = 2.0\n',
            (3, 12),
            "prices[0].provider",
            "is no known provider",
        ),
    ],
)
def test_prices_are_checked(folder: Folder, text: str, place: tuple[int, int], key: str, message: str) -> None:
    """A price that is not written must not count as nothing."""
    folder.write("fleet.toml", text)
    problem = folder.problem()
    assert ((problem.line, problem.column), problem.key) == (place, key)
    assert problem.message.startswith(message)


def test_good_prices_are_taken(folder: Folder) -> None:
    """In the order of the file; a model that costs nothing says so."""
    folder.write(
        "fleet.toml",
        '[[prices]]\nmodel = "gpt-4o*"\nprovider = "openai"\ninput = 2.5\ncached = 1.25\noutput = 10\n'
        '[[prices]]\nmodel = "local"\ninput = 0\noutput = 0\n',
    )
    snapshot = folder.load()
    assert snapshot.problems == ()
    first, second = snapshot.fleet.prices
    assert (first.model, first.input, first.cached, first.output) == ("gpt-4o*", 2.5, 1.25, 10.0)
    assert (second.model, second.provider, second.cached) == ("local", "", None)


def test_the_words_are_those_of_who_uses_them() -> None:
    """Names of texts and commands are known here, and have their meaning in the reception; kinds of tools likewise."""
    assert {language: tuple(sorted(texts)) for language, texts in BUILT_IN.items()} == {
        language: tuple(sorted(TEXT_KEYS)) for language in ("en", "ru")
    }
    assert COMMANDS == BORN_WITH
    from config.promises import KEYS_OF_KIND

    assert KINDS.keys() == KEYS_OF_KIND.keys()
