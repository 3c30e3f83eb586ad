"""A secret never prints: not by itself, not in models, errors, problems, warnings or pickles."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config.schema import BotConfig, FleetConfig
from config.vocabulary import Secret

HIDDEN = "hunter2-hunter2"


def test_a_secret_shows_its_mask_only() -> None:
    """repr, str, every format, containers, f-strings."""
    secret = Secret(HIDDEN)
    for shown in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>40}",
        f"{secret:>40}",
        f"{secret} {secret!r}",
        str([secret]),
        str({"k": secret}),
    ):
        assert HIDDEN not in shown
        assert Secret.MASK in shown
    assert secret.reveal() == HIDDEN


def test_a_secret_is_not_serialised() -> None:
    """Not by pickle, copy or json."""
    for dump in (pickle.dumps, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError):
            dump(Secret(HIDDEN))


def test_secrets_compare_without_being_shown() -> None:
    """Equal texts are equal; a text is not its secret."""
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


def test_models_dump_the_mask() -> None:
    """As Python, as JSON, and printed."""
    config = BotConfig.model_validate({"llm": {"api_key": HIDDEN, "options": {"api_key": HIDDEN}}})
    assert config.llm.api_key == Secret(HIDDEN)
    assert HIDDEN not in repr(config) + str(config)
    assert json.loads(config.model_dump_json())["llm"]["api_key"] == Secret.MASK
    assert config.model_dump()["llm"]["api_key"] == Secret.MASK


@pytest.mark.parametrize(
    "data",
    [
        {"llm": {"api_key": [HIDDEN]}},
        {"llm": {"api_key": {"x": HIDDEN}}},
        {"telegram": {"tokn": HIDDEN}},
        {"telegram": {"token": HIDDEN, "x": HIDDEN}},
        {"llm": HIDDEN},
        {HIDDEN[:3]: HIDDEN},
    ],
)
def test_validation_errors_do_not_echo(data) -> None:
    """Neither pydantic's own text nor its traceback line holds what was given."""
    with pytest.raises(ValidationError) as caught:
        BotConfig.model_validate(data)
    assert HIDDEN not in str(caught.value) + repr(caught.value)


LEAKS = [
    "telegram.token = ['{}']",
    "telegram.token = {{ a = '{}' }}",
    "telegram.tokn = '{}'",
    "telegram.token = '{}'\nx = 1",
    "llm.api_key = '{}'\nllm.api_key = '{}'",
    "llm = '{}'",
    "llm.api_key = 'file:{}'",
    "telegram.base_url = 'ftp://user:{}@host/'",
    "llm.temperature = '${{THE_SECRET}}'",
    "telegram.base_url = '${{THE_SECRET}}'",
    "channel = '${{THE_SECRET}}'",
    "llm.api_key = 'cmd:echo {}'\ntelegram.token = 'cmd:false {}'",
    "llm.provider = '123456:{0}{0}{0}'",
    "name = '{}",
    "'{}' 3",
]


@pytest.mark.parametrize("text", LEAKS)
def test_no_problem_or_warning_quotes_a_secret(folder, text: str) -> None:
    """Whatever is wrong with or around it; a file's name in `file:` is a name, not a secret."""
    folder.environ = {"THE_SECRET": HIDDEN, "PATH": "/usr/bin:/bin"}
    folder.bot(
        "a",
        'channel = "none"\n'[: 0 if "channel" in text else None]
        + text.replace("{}", HIDDEN).replace("{0}", HIDDEN).replace("{{", "{").replace("}}", "}")
        + "\n",
    )
    snapshot = folder.load()
    told = str(snapshot.problems) + str(snapshot.warnings) + repr(snapshot)
    assert snapshot.problems or snapshot.warnings
    assert HIDDEN not in told.replace(f"the file {folder.root}/{HIDDEN}", "the file")


def test_a_snapshot_prints_without_its_secrets(folder) -> None:
    """repr of it and of all it holds, literal defaults and masked addresses included."""
    folder.environ = {"KEY": HIDDEN}
    folder.write("fleet.toml", f'[defaults.llm]\napi_key = "{HIDDEN}1"\nprovider = "openai"\nmodel = "m"\n')
    folder.bot("a", '[llm]\napi_key = "${KEY}"\n[llm.options]\ntoken = "${KEY}"\n')
    snapshot = folder.load()
    assert not snapshot.problems
    assert snapshot.secrets == {HIDDEN, f"{HIDDEN}1"}
    assert HIDDEN not in repr(snapshot) + str(snapshot.fleet.defaults) + repr(FleetConfig())


def test_secrets_are_collected_for_redaction(folder, token) -> None:
    """Tokens, keys, secret-looking variables in other values, secret-looking names in options; not short ones."""
    folder.environ = {"TOKEN_": token, "PROXY_PASSWORD": "proxy-pw", "SHORT_KEY": "abc", "PLAIN": "not-secret"}
    folder.bot(
        "a",
        'channel = "telegram"\ntelegram.token = "${TOKEN_}"\ntelegram.base_url = "http://u:${PROXY_PASSWORD}@h/${PLAIN}"\n'
        'llm.api_key = "${SHORT_KEY}"\nllm.options.secret_header = "x-header-x"\nllm.options.other = "nothing"\n',
    )
    assert folder.load().secrets == {token, "proxy-pw", "x-header-x"}


@given(st.text(min_size=6, max_size=20))
def test_formatting_never_reveals(text: str) -> None:
    """Whatever the text."""
    secret = Secret(text)
    if text not in Secret.MASK and text not in repr(Secret("")):
        assert text not in f"{secret} {secret!r} {secret!s} {secret:<30}"
