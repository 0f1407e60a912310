"""What is secret in a configuration. Pure.

Values (or the text of a file) flow in; the same with ``***`` for secrets flow out, and back: what was put back as it
was masked gets its value again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from dccd.config_marks import Leaf, leaves, replaced
from dccd.errors import ConfigError

__all__ = ["MASK", "mask", "mask_text", "masked", "unmask", "unmask_text"]

MASK = "***"
Path = tuple[str | int, ...]

_SECRET = re.compile(r"passw(or)?d|secret|token|(^|_)key(_id)?$|authorization|nkey|seed", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^/@\s,]+(?=@)")
_QUERY = re.compile(r"(?<=[?&])([\w-]*(?:token|key|secret|sig|passw)[\w-]*=)[^&\s]+", re.IGNORECASE)
_URL = re.compile(r"(\w+://)(?:[^/@\s,]+@)?([^/?#\s]+)[/?#]\S*")
_COMMENT = re.compile(r"(?:^|\s)#.*$", re.MULTILINE)
_COMMENTED = re.compile(r"([\w-]*(?:passw(?:or)?d|secret|token|key|key_id)\s*[:=]\s*)\S+", re.IGNORECASE)


def masked(path: Path, value: Any) -> Any:
    """Return *value*, which stands at *path*, without what is secret in it."""
    if value is None or isinstance(value, (dict, list)):
        return value
    name = str(path[-1]) if path else ""
    kind = path[:2] == ("storage", "remotes") and "options" in path
    if kind or _SECRET.search(name) or "headers" in path[:-1]:
        return MASK
    if not isinstance(value, str) or "://" not in value:
        return value
    if path[:1] == ("alerts",) and (known := _URL.fullmatch(value)):
        return f"{known[1]}{known[2]}/{MASK}"  # whoever knows a webhook's path may write to it
    return _QUERY.sub(rf"\g<1>{MASK}", _USERINFO.sub(MASK, value))


def mask(raw: Any, path: Path = ()) -> Any:
    """Return the plain values *raw* with all that is secret masked."""
    if isinstance(raw, Mapping):
        return {key: mask(value, (*path, key)) for key, value in raw.items()}
    if isinstance(raw, list):
        return [mask(value, (*path, index)) for index, value in enumerate(raw)]
    return masked(path, raw)


def unmask(raw: Any, old: Any, path: Path = ()) -> Any:
    """Return *raw* with the values of *old* where it has what :func:`mask` made of them.

    Entries of a list are the same when their ``name`` (or else their ``url``) is. Raises ConfigError for a mask that
    stands for nothing in *old*.
    """
    if isinstance(raw, Mapping):
        known = old if isinstance(old, Mapping) else {}
        return {key: unmask(value, known.get(key), (*path, key)) for key, value in raw.items()}
    if isinstance(raw, list):
        known_items = old if isinstance(old, list) else []
        return [unmask(item, _same(raw, index, known_items, path), (*path, index)) for index, item in enumerate(raw)]
    if not isinstance(raw, str) or MASK not in raw:
        return raw
    if raw == masked(path, old):
        return old
    raise ConfigError(_text(path), repr(raw), "the value itself: there is none yet that this stands for")


def mask_text(text: str) -> str:
    """Return the YAML *text* with all that is secret masked, in its comments, too; text that is no YAML has nothing
    left but its keys."""
    try:
        found = list(leaves(text))
    except yaml.YAMLError:
        return re.sub(r"(?m)^(\s*(?:- )?[\w-]+:).*$|^.*$", r"\1", text)
    edits = [
        (leaf.start, leaf.end, _scalar(hidden))
        for leaf in found
        if (hidden := masked(leaf.path, leaf.value)) != leaf.value
    ]
    return _map_comments(replaced(text, edits), _mask_comment)


def unmask_text(text: str, old: str) -> str:
    """Return the YAML *text* with what stands in *old* where it has what :func:`mask_text` made of it.

    Raises ConfigError as :func:`unmask` does, and YAMLError for text that is none.
    """
    values = unmask(_plain(text), _plain(old))
    known = {leaf.path: leaf for leaf in leaves(old)}
    edits = []
    for leaf in leaves(text):
        if isinstance(leaf.value, str) and MASK in leaf.value:
            value = _at(values, leaf.path)
            edits.append((leaf.start, leaf.end, _source(value, leaf, known, old)))
    comments = {_mask_comment(found[0]): found[0] for found in _COMMENT.finditer(old)}
    return _map_comments(replaced(text, edits), lambda comment: comments.get(comment, comment))


def _source(value: Any, leaf: Leaf, known: Mapping[Path, Leaf], old: str) -> str:
    """How *value* was written, else how it may be."""
    was = known.get(leaf.path)
    return old[was.start : was.end] if was is not None and was.value == value else _scalar(value)


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value, default_style='"', width=1 << 20, allow_unicode=True).strip()


def _plain(text: str) -> Any:
    return yaml.load(text, Loader=yaml.BaseLoader)


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _same(items: list[Any], index: int, known: list[Any], path: Path) -> Any:
    """The one of *known* that *items*' one at *index* is, None where that can't be told."""
    item = items[index]
    here = known[index] if index < len(known) else None
    field = next((f for f in ("name", "url") if isinstance(item, Mapping) and f in item), None)
    if field is None:
        return here
    alike = [
        one
        for n, one in enumerate(known)
        if isinstance(one, Mapping)
        and field in one
        and item[field] in (one[field], masked((*path, n, field), one[field]))
    ]
    if len(alike) > 1:
        # Two at one host, whose paths are hidden.
        exact = [one for n, one in enumerate(known) if one in alike and mask(one, (*path, n)) == item]
        if len(exact) == 1:
            alike = exact
        elif len(items) == len(known) and here in alike:
            alike = [here]
    return alike[0] if alike and all(one == alike[0] for one in alike) else None


def _map_comments(text: str, change: Any) -> str:
    return _COMMENT.sub(lambda found: change(found[0]), text)


def _mask_comment(comment: str) -> str:
    return _USERINFO.sub(MASK, _COMMENTED.sub(rf"\g<1>{MASK}", comment))


def _text(path: Path) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".") or "the configuration"
