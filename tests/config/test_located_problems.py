"""Everything wrong, at once: where, what was found, what is allowed, what was meant."""

from __future__ import annotations

import pytest

from config.errors import ConfigError
from config.load import Loader

MANY = """
enabld = true
modle = "x"
temperature = 1
channel = "none"
[telegram]
token = "${TOK:?ask BotFather}"
poll_timeout_s = 60
ambiguous_send = "reesend"
base_url = "htps//x"
drop_pending_updates = "yes"
[llm]
temperature = "0.3"
api_key = 12345678
max_output_tokens = 2.5
timeout_s = 0
[prompts]
sytem = '''
x'''
system = ["a"]
[reply]
error_text = ""
[limits]
"max lanes" = 3
"""


def test_all_mistakes_of_a_file_are_told_with_place_and_advice(folder) -> None:
    """One problem a mistake, in the order of the file."""
    folder.bot("one", MANY)
    told = [(p.line, p.column, p.key, p.message, p.hint) for p in folder.problems()]
    assert told == [
        (1, 1, "enabld", "unknown key enabld", "did you mean enabled?"),
        (2, 1, "modle", "unknown key modle", "did you mean model in [llm] or [[llm.fallbacks]] or [voice]?"),
        (3, 1, "temperature", "unknown key temperature", "it belongs in [llm] or [[llm.fallbacks]]"),
        (6, 9, "telegram.token", "the variable TOK is not set: ask BotFather", "set it in the environment or in .env"),
        (7, 18, "telegram.poll_timeout_s", "found 60; allowed: a whole number from 0 to 50", ""),
        (8, 18, "telegram.ambiguous_send", 'found "reesend"; allowed: "resend" or "skip"', "did you mean resend?"),
        (9, 12, "telegram.base_url", 'found "htps//x"; allowed: an http:// or https:// address without ? and #', ""),
        (
            10,
            24,
            "telegram.drop_pending_updates",
            'found "yes"; allowed: true or false',
            "write true or false, without quotes",
        ),
        (12, 15, "llm.temperature", 'found "0.3"; allowed: a number from 0 to 2', "write the number without quotes"),
        (13, 11, "llm.api_key", "found a value of another sort; allowed: a text, best as ${NAME}, file: or cmd:", ""),
        (14, 21, "llm.max_output_tokens", "found 2.5; allowed: a whole number 1 or more", ""),
        (15, 13, "llm.timeout_s", "found 0; allowed: a number above 0, at most 3600", ""),
        (17, 1, "prompts.sytem", "unknown key sytem in [prompts]", "did you mean system?"),
        (19, 10, "prompts.system", "found a list; allowed: text", ""),
        (21, 14, "reply.error_text", 'found ""; allowed: text, not empty', ""),
        (
            23,
            1,
            'limits."max lanes"',
            'unknown key "max lanes" in [limits]',
            "did you mean max_lanes?",
        ),
    ]


def test_a_value_where_a_table_belongs_and_the_reverse(folder) -> None:
    """Both are told in words of the file."""
    folder.bot("a", 'channel = "none"\nllm = 3\nname = { first = 1 }\n')
    assert [problem.message for problem in folder.problems()] == [
        "found a single value; allowed: a table, [llm]",
        "found a table; allowed: text",
    ]


def test_problems_of_layers_are_located_in_their_own_files(folder) -> None:
    """[defaults] of fleet.toml and of the environment are checked even when there is no bot."""
    folder.write(
        "fleet.toml", '[fleet]\nenvironment = "e"\n[defaults.llm]\nmodle = "x"\n[defaults.memroy]\n[lmits]\n[llm]\n'
    )
    folder.write("environments/e.toml", '[defaults.limits]\nmax_lanes = 0\n[defaults.llm]\napi_key = "${NOPE}"\n')
    told = {(p.file.name, p.line, p.key, p.hint) for p in folder.problems()}
    assert told == {
        ("fleet.toml", 4, "defaults.llm.modle", "did you mean model?"),
        ("fleet.toml", 5, "defaults.memroy", "did you mean memory?"),
        ("fleet.toml", 6, "lmits", "what all bots share stands in [defaults.limits]"),
        ("fleet.toml", 7, "llm", "what all bots share stands in [defaults.llm]"),
        ("e.toml", 2, "defaults.limits.max_lanes", ""),
        ("e.toml", 4, "defaults.llm.api_key", "set it in the environment or in .env"),
    }


def test_a_mistake_in_a_shared_file_is_told_once(folder) -> None:
    """Not once for every bot built on it."""
    folder.write("fleet.toml", '[defaults.llm]\nmodle = "x"\n')
    for number in range(5):
        folder.bot(f"b{number}")
    snapshot = folder.load()
    assert len(snapshot.problems) == 1
    assert not snapshot.bots


def test_a_bot_on_telegram_needs_a_token_of_the_right_shape(folder, token) -> None:
    """Missing, empty and misshapen are told apart; a disabled bot may be unfinished, not misshapen."""
    folder.environ = {"EMPTY": "", "GOOD": token, "BAD": "123:hunter2-hunter2"}
    folder.bot("missing", 'channel = "telegram"\n[telegram]\npoll_timeout_s = 5\n')
    folder.bot("empty", 'channel = "telegram"\ntelegram.token = "${EMPTY}"\n')
    folder.bot("bad", 'channel = "telegram"\ntelegram.token = "${BAD}"\n')
    folder.bot("good", 'channel = "telegram"\ntelegram.token = "${GOOD}"\n')
    folder.bot("off", 'channel = "telegram"\nenabled = false\n')
    folder.bot("offbad", 'channel = "telegram"\nenabled = false\ntelegram.token = "${BAD}"\n')
    snapshot = folder.load()
    assert list(snapshot.bots) == ["good", "off"]
    assert [(p.bot_id, p.line, p.column, p.message[:20]) for p in snapshot.problems] == [
        ("bad", 2, 18, "is not a bot token: "),
        ("empty", 2, 18, "is empty: a bot on T"),
        ("missing", 2, 2, "is missing: a bot on"),
        ("offbad", 3, 18, "is not a bot token: "),
    ]
    assert "hunter2" not in str(snapshot.problems)


@pytest.mark.parametrize(
    ("llm", "messages"),
    [
        ('provider = "opnai"', ['is no known provider; allowed: "openai" or "anthropic" or "echo"']),
        (
            'provider = "openai"',
            ['is missing: provider "openai" needs a model', "is missing: api.openai.com needs a key"],
        ),
        ('provider = "openai"\nmodel = "m"\nbase_url = "http://localhost:11434/v1"', []),
        ('provider = "openai"\nmodel = "${M}"\napi_key = "k"', ["the variable M is not set"]),
        ("", []),
    ],
)
def test_a_provider_must_be_known_and_have_what_it_needs(folder, llm: str, messages: list[str]) -> None:
    """What failed for another reason is not said to be missing as well."""
    folder.bot("a", f"[llm]\n{llm}\n")
    assert [problem.message for problem in folder.problems()] == messages


def test_two_files_with_one_telegram_bot_are_both_refused(folder, token) -> None:
    """Each names the other, at its token; a disabled copy and another bot are no rivals."""
    text = 'channel = "telegram"\ntelegram.token = "{}"\n'
    folder.bot("a", text.format(token))
    folder.bot("b", text.format(token[:-1] + "B"))
    folder.bot("c", "enabled = false\n" + text.format(token))
    folder.bot("d", text.format("2" + token))
    snapshot = folder.load()
    assert list(snapshot.bots) == ["c", "d"]
    assert [(p.bot_id, p.line, p.column, p.message) for p in snapshot.problems] == [
        ("a", 2, 18, "Telegram bot 100001 is claimed by bots/b.toml too"),
        ("b", 2, 18, "Telegram bot 100001 is claimed by bots/a.toml too"),
    ]


def test_a_good_bot_does_not_give_way_to_a_broken_file(folder, token) -> None:
    """The broken one is told of the rivalry beside its own mistake."""
    text = f'channel = "telegram"\ntelegram.token = "{token}"\n'
    folder.bot("good", text)
    folder.bot("broken", text + "x = 1\n")
    snapshot = folder.load()
    assert list(snapshot.bots) == ["good"]
    assert [p.bot_id for p in snapshot.problems] == ["broken", "broken"]


def test_a_file_that_cannot_name_a_bot_says_a_better_name(folder) -> None:
    """It concerns no bot, and does not keep the fleet from starting."""
    folder.bot("Über Bot")
    (folder.root / "bots" / "X.TOML").touch()
    for ignored in (".hidden.toml", "a.toml~", "#a.toml#", "a.toml.swp", "4913", "README.md", ".#a.toml"):
        (folder.root / "bots" / ignored).touch()
    snapshot = folder.load()
    assert [(p.file.name, p.hint, p.bot_id) for p in snapshot.problems] == [
        ("X.TOML", "rename it to x.toml", None),
        ("Über Bot.toml", "rename it to ber-bot.toml", None),
    ]
    assert snapshot.fleet_problems == ()


def test_control_characters_never_reach_a_message(folder) -> None:
    """Names of keys and values are shown on one line, harmless to a terminal."""
    folder.bot("a", '"ev\\u001b[31mil\\n" = 1\nname = "x"\n[llm]\nprovider = "\\u001b[2J\\n"\n')
    assert all(str(problem).isprintable() for problem in folder.problems())


def test_a_folder_without_anything_is_an_empty_fleet(folder) -> None:
    """fleet.toml, bots/ and .env are all optional."""
    (folder.root / "bots").rmdir()
    snapshot = folder.load()
    assert (dict(snapshot.bots), snapshot.problems, snapshot.warnings) == ({}, (), ())
    assert snapshot.name == folder.root.name
    assert snapshot.database == folder.root / "botdeck.db"


def test_what_is_no_folder_is_an_error(tmp_path) -> None:
    """The only error loading raises."""
    with pytest.raises(ConfigError, match="is no folder"):
        Loader(tmp_path / "gone").load()


def test_a_secret_in_the_file_is_a_warning(folder, token) -> None:
    """In a bot's file and in defaults; it works all the same, and the warning does not quote it."""
    folder.write("fleet.toml", '[defaults.llm]\napi_key = "literal-key"\n')
    folder.bot("a", f'channel = "telegram"\ntelegram.token = "{token}"\n')
    folder.bot("b")
    snapshot = folder.load()
    assert len(snapshot.bots) == 2
    assert [(w.file.name, w.key) for w in snapshot.warnings] == [
        ("fleet.toml", "defaults.llm.api_key"),
        ("a.toml", "telegram.token"),
    ]
    assert "literal-key" not in str(snapshot.warnings)
