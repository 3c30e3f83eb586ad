"""A secret never leaves, however it is written and whatever stands around it."""

from __future__ import annotations

import base64
import html
import json
import re
import string
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.vocabulary import Secret
from workers.redaction import Redactor

MASK = Secret.MASK
TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
KEY = "sk-proj-Zk3/9+xQ==_tail"
PASSWORD = 'pä"ss w\\örd\n-42🧑‍🚀'
SECRETS = (TOKEN, KEY, PASSWORD, "hunter2", "s p a c e d")


def half_quoted(text: str) -> str:
    """As clients do that leave some reserved characters alone, in lower case."""
    return "".join(c if n % 2 or not c.isascii() else f"%{ord(c):02x}" for n, c in enumerate(text))


SPELLINGS: list[Callable[[str], str]] = [
    str,
    lambda s: quote(s, safe=""),
    quote,
    quote_plus,
    lambda s: quote(quote(s, safe=""), safe=""),
    lambda s: re.sub("%..", lambda match: match[0].lower(), quote(s, safe="")),
    half_quoted,
    json.dumps,
    lambda s: json.dumps(s, ensure_ascii=False),
    lambda s: json.dumps(json.dumps({"key": s})),
    repr,
    lambda s: repr({"key": s}),
    lambda s: repr(s.encode()),
    lambda s: html.escape(f"<b title='{s}'>"),
    lambda s: "Basic " + base64.b64encode(f"user:{s}".encode()).decode(),
    lambda s: base64.b64encode(f"a{s}z".encode()).decode(),
    lambda s: base64.urlsafe_b64encode(f"ab{s}".encode()).decode(),
]


def shown(secret: str, text: str) -> bool:
    """Tell whether text shows a secret to whoever decodes it as each of the spellings does."""
    return any(spell(secret).strip("'\"b") in text for spell in SPELLINGS[:9])


@pytest.mark.parametrize("spell", SPELLINGS, ids=range(len(SPELLINGS)))
@pytest.mark.parametrize("secret", [TOKEN, KEY, PASSWORD, "correct horse battery"])
def test_every_spelling_is_found(spell: Callable[[str], str], secret: str) -> None:
    """In URLs, JSON, reprs, headers and pages the secret is gone, what stands around it is not."""
    text = f"before {spell(secret)} after"
    cleaned = Redactor((*SECRETS, secret)).clean(text)
    assert Secret.MASK in cleaned
    assert not shown(secret, cleaned)
    assert spell(secret) not in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")


@pytest.mark.parametrize(
    "text",
    [
        f"https://api.telegram.org/bot{TOKEN}/getMe",
        f"https://api.telegram.org/bot{quote(TOKEN, safe='')}/getMe",
        f"https://proxy/?url={quote(quote('https://x/bot' + TOKEN, safe=''), safe='')}",
        f"{{'token': '{TOKEN}'}}",
        json.dumps(json.dumps({"t": TOKEN.replace(":", "\u003a")})),
        f"9{TOKEN}9",
        "Authorization: Bearer abcdefgh12345678",
        "bearer abcdefgh12345678",
        "key sk-abcdefghijklmnop1234",
    ],
)
def test_what_looks_like_a_secret_is_one(text: str) -> None:
    """Tokens and keys are known by their shape, before anybody has told us of them."""
    cleaned = Redactor().clean(text)
    assert Secret.MASK in cleaned
    for part in ("AAHdqTcvCH1", "abcdefgh"):
        assert part not in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "", "update 123456:0 of bot 100001", "12:34:56 ask-me risk-free", "100 % of C:\\new\\table", "%zz %", "\\", "\\u12",
        "\\U00110000", "%ff%fe", "a" * 100, "the bearer of bad news", "2026-01-01T00:00:00", "%F0%9F%A4%96",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays_to_the_letter(text: str) -> None:
    """Text without a secret comes back as the very same object: nothing is decoded that was not asked for."""
    assert Redactor(SECRETS).clean(text) is text


around = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="%\\u0123456789abcdef:+ =-_", max_size=30),
    st.text(alphabet=string.ascii_letters + string.digits + "+/=", max_size=30),
)


@given(before=around, after=around, secret=st.sampled_from(SECRETS))
@example(before="\\", after="", secret=TOKEN)
@example(before="%", after="41", secret=KEY)
def test_text_around_a_secret_never_uncovers_it(before: str, after: str, secret: str) -> None:
    """Whatever stands beside it, half an escape too, a secret is taken out."""
    assert secret not in Redactor(SECRETS).clean(before + secret + after)


@given(
    secrets=st.lists(
        st.text(alphabet=string.ascii_letters + "-_/+%\\ é", min_size=6, max_size=20), min_size=1, max_size=5
    ),
    data=st.data(),
)
def test_secrets_that_overlap_are_all_taken_out(secrets: list[str], data: st.DataObject) -> None:
    """One may begin within another, hold it, or follow it at once: none is left whole."""
    known = [s for s in secrets if len(s.strip()) >= 6]
    pieces = data.draw(st.lists(st.sampled_from([*secrets, "-", "x"]), max_size=6))
    cleaned = Redactor(secrets).clean("".join(pieces))
    assert not [s for s in known if s in cleaned]


@given(st.text(alphabet="%\\u0123456789abcdefx:\"'n", max_size=200))
def test_nonsense_is_survived(text: str) -> None:
    """Half escapes and runs of them neither crash nor change a text without secrets."""
    assert Redactor([PASSWORD]).clean(text) == text


def test_secrets_within_each_other_leave_no_rest() -> None:
    """Overlapping finds become one mask."""
    redactor = Redactor(["abcdefgh", "efghijkl", "xxabcdefghyy"])
    assert redactor.clean("1 abcdefghijkl 2 xxabcdefghyy 3") == f"1 {Secret.MASK} 2 {Secret.MASK} 3"


def test_known_secrets_can_be_exchanged() -> None:
    """The new ones are looked for, the old ones no longer; what is too short to be one never is."""
    redactor = Redactor(["old-secret"])
    redactor.replace_known(["new-secret", "", "short", "      "])
    assert redactor.clean("old-secret new-secret short       x") == f"old-secret {Secret.MASK} short       x"


def test_a_thousand_secrets_cost_as_much_as_one() -> None:
    """What a line costs does not grow with the fleet: no spelling is looked for one by one."""
    one, many = Redactor(["key-number-00000"]), Redactor(f"{n:05}-key-number" for n in range(1000))
    assert one.clean("x key-number-00000") == f"x {Secret.MASK}"
    assert many.clean("a 00999-key-number b") == f"a {Secret.MASK} b"
    assert max(map(len, many._known.values())) < 50


def test_what_is_learnt_outlives_what_is_replaced() -> None:
    """Secrets of bots that programs made stay known when the fleet's own are exchanged, in every spelling."""
    redactor = Redactor(["the-fleets-own"])
    redactor.learn(["a-customers-own/key", "the-fleets-own-longer"])
    redactor.learn(["a-customers-own/key"])
    redactor.replace_known(["the-new-fleets"])
    told = redactor.clean("a-customers-own%2Fkey the-fleets-own-longer the-new-fleets the-fleets-own")
    assert told == f"{MASK} {MASK} {MASK} the-fleets-own"


def test_what_is_learnt_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the older half is forgotten; the fleet's own secrets never are."""
    monkeypatch.setattr("workers.redaction.LEARNT", 10)
    redactor = Redactor(["the-fleets-own"])
    for number in range(13):
        redactor.learn([f"secret-number-{number:02}"])
    assert redactor.clean("secret-number-00") == "secret-number-00"
    assert redactor.clean("secret-number-12 the-fleets-own") == f"{MASK} {MASK}"
    assert len(redactor._learnt) <= 10
