"""What a webhook is sent."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dccd.config_alerts import Webhook
from dccd.messages import Incident
from dccd.notify.forms import MOST, post
from dccd.symbols import NS

NOW = 1_700_000_000 * NS


def incident(number: int = 0, state: Any = "open", rule: Any = "stale", detail: str = "no record") -> Incident:
    name = f"binance.trades.T{number}-USDT"
    return Incident(
        key=f"stale:{name}", host="a", rule=rule, subject=name, state=state, detail=detail, since=NOW - 7200 * NS,
        opened=NOW - 7000 * NS, resolved=NOW if state == "resolved" else None,
    )  # fmt: skip


def webhook(form: Any) -> Webhook:
    return Webhook(url="https://example.org/x", format=form, headers={"Authorization": "Bearer x"})


def test_json_has_all_that_is_known() -> None:
    """A program needs no second look."""
    sent = post(webhook("json"), "a", [incident(), incident(1, "resolved")], NOW)
    said = msgspec.json.decode(sent.body)
    assert msgspec.convert(said["incidents"], list[Incident]) == [incident(), incident(1, "resolved")]
    assert (said["host"], said["at"], said["test"]) == ("a", NOW, False)
    assert said["title"] == "dccd a: 1 new incident, 1 over"
    assert sent.headers == {"Content-Type": "application/json", "Authorization": "Bearer x"}


def test_slack_is_one_text_whose_marks_are_escaped() -> None:
    """What an exchange says can't make links or mentions."""
    sent = post(webhook("slack"), "a", [incident(detail="<!channel> & more")], NOW)
    text = msgspec.json.decode(sent.body)["text"]
    assert text.startswith("*dccd a: binance.trades.T0-USDT is stale*\n")
    assert "&lt;!channel&gt; &amp; more" in text
    assert "since 2023-11-14T20:13:20" in text


def test_ntfy_has_its_title_and_priority_in_headers() -> None:
    """In ASCII and on one line, as headers want it."""
    sent = post(webhook("ntfy"), "a", [incident()], NOW)
    assert sent.headers["Title"] == "dccd a: binance.trades.T0-USDT is stale"
    assert (sent.headers["Priority"], sent.headers["Tags"]) == ("high", "rotating_light")
    over = post(webhook("ntfy"), "a", [incident(state="resolved")], NOW)
    assert (over.headers["Priority"], over.headers["Tags"]) == ("default", "white_check_mark")
    assert "has recovered after 2.0 h; it was: no record" in over.body.decode()
    assert all(value.isascii() and value.isprintable() for value in sent.headers.values())


@pytest.mark.parametrize("form", ["slack", "ntfy"])
def test_many_incidents_are_one_message_of_bounded_size(form: str) -> None:
    """A whole exchange that goes silent doesn't flood a channel."""
    sent = post(webhook(form), "a", [incident(n, detail="x" * 5000) for n in range(500)], NOW)
    assert len(sent.body) < (4096 if form == "ntfy" else 20_000)
    if form == "slack":
        assert f"and {500 - MOST} more" in sent.body.decode()


@pytest.mark.parametrize("form", ["json", "slack", "ntfy"])
def test_a_test_message_says_that_it_is_one(form: str) -> None:
    """Nobody runs for it."""
    sent = post(webhook(form), "a", [], NOW, test=True)
    assert "test" in (sent.headers.get("Title", "") + sent.body.decode())


def test_every_rule_has_words() -> None:
    """A new one isn't forgotten."""
    for rule in msgspec.json.schema(Incident)["$defs"]["Incident"]["properties"]["rule"]["enum"]:
        assert post(webhook("slack"), "a", [incident(rule=rule)], NOW).body
