"""What of the configuration is wanted, and where it stands: the file, its edits, and what the bus keeps beside it.

Requests flow in; a checked :class:`Change` flows out, which is saved, whole, before anything is done.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import anyio
import msgspec
import structlog
import yaml

from actors.control.refusals import no_job
from actors.links import Links
from dccd import config_file
from dccd import messages as m
from dccd.config import Config, Job, convert, limit, parse, raw_of
from dccd.config_check import errors_in
from dccd.config_edit import edit, plain, sparse
from dccd.config_kept import Kept, merged, names_of, split
from dccd.config_secrets import MASK, mask, mask_text, masked, unmask, unmask_text
from dccd.errors import BusError, ConfigError, RequestError
from dccd.feeds import elsewhere
from dccd.job_edits import changed, entry_of, removed
from dccd.jobs import JobSpec, specs_of

__all__ = ["CantWrite", "Change", "ConfigBook"]

_TOLD = 10
"""Errors that one reply tells."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be: ``wanted``, of which ``base`` stands in the file (whose ``text`` changes, if there is one here)
    and ``kept`` beside it."""

    wanted: Config
    base: Config
    kept: Kept
    text: str | None = None
    warnings: tuple[str, ...] = ()
    instead: Change | None = None
    """Where the file turns out not to be writable."""

    @property
    def saved(self) -> Literal["file", "bus"]:
        """Where it goes."""
        return "bus" if self.text is None else "file"


class CantWrite(RequestError):
    """Raised when the file can't be replaced, though it seemed so."""


class ConfigBook:
    """The one place that knows what is wanted. Nothing here is done at the same time as something else of it."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.wanted = links.config
        self.kept = Kept()
        self.seen: config_file.Mark | None = None
        self._file: config_file.Read | None = None
        self._kept_text = ""
        self._stored: str | None = ""  # None: nobody knows, since a write wasn't answered
        self._log = structlog.get_logger("dccd.config")

    def __repr__(self) -> str:
        return f"<ConfigBook of {self.links.config_path or 'no file'} at {self.revision}>"

    @property
    def revision(self) -> str:
        """Of all that is wanted: another text, another revision."""
        return config_file.digest(self._file.text if self._file is not None else "", self._kept_text)

    # ------------------------------------------------------------ what is there

    async def load(self) -> None:
        """Read the file and what the bus keeps. What isn't right is told, and left out."""
        if self.links.config_path is not None:
            await self.read_file()
        found = await self.links.configs.get(self.links.host)
        if found is not None:
            try:
                self.kept = msgspec.json.decode(found[0], type=Kept)
                self._kept_text = self._stored = found[0].decode()
            except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
                self._log.error("what the bus keeps of the configuration can't be read", error=str(exc))
        try:
            self.wanted = await self._merged(self.links.base, self.kept)
        except ConfigError as exc:
            self.wanted = self.links.base
            self._log.error("what the bus keeps of the configuration isn't right any more", error=_told(exc))

    async def read_file(self) -> bool:
        """Look at the file; False when it has an error, which is told and changes nothing."""
        path = self.links.config_path
        assert path is not None
        try:
            self.seen = await anyio.to_thread.run_sync(config_file.mark, path)
            self._file = found = await anyio.to_thread.run_sync(config_file.read, path)
            self.seen = found.mark
            self.links.base = await self._parsed(await anyio.to_thread.run_sync(raw_of, found.text, str(path)))
        except ConfigError as exc:
            self.reject(_told(exc))
            return False
        if self.links.config_error is not None:
            self._log.info("the configuration file is right again", file=str(path))
        self.links.config_error = None
        return True

    async def edited(self) -> Change | None:
        """What the file says now, if that isn't what runs and has no error."""
        before = self._file.text if self._file is not None else None
        if self.links.config_error is not None:
            before = None  # what was not taken over may be by now, as it stands: a remote that is there again
        if not await self.read_file() or self._file is None or self._file.text == before:
            return None
        try:
            wanted = await self._merged(self.links.base, self.kept)
        except ConfigError as exc:
            self.reject(_told(exc))
            return None
        return Change(wanted=wanted, base=self.links.base, kept=self.kept, text=self._file.text)

    def reject(self, error: str) -> None:
        """The file has an *error*, and changes nothing."""
        if error != self.links.config_error:
            path = str(self.links.config_path)
            self._log.error("the configuration file is not taken over", file=path, error=error)
        self.links.config_error = error

    def specs(self, change: Change) -> list[JobSpec]:
        """All jobs; those that stand in no file are by request."""
        there = names_of(change.base.jobs)
        found = specs_of(change.wanted)
        return [spec if spec.name in there else msgspec.structs.replace(spec, source="request") for spec in found]

    @property
    def now(self) -> Change:
        """What is wanted by now, as if it were to be done."""
        return Change(wanted=self.wanted, base=self.links.base, kept=self.kept)

    async def reply(self, ask: m.ConfigGet, restart_required: list[str]) -> m.ConfigReply:
        """The configuration as it is told, without secrets."""
        path, text = self.links.config_path, None
        if ask.yaml:
            if self._file is not None:
                text = self._file.text
            else:
                text = await anyio.to_thread.run_sync(_yaml, self.wanted)
            text = await anyio.to_thread.run_sync(mask_text, text)
        return m.ConfigReply(
            host=self.links.host,
            revision=self.revision,
            config=mask(plain(self.wanted)),
            yaml=text,
            file=None if path is None else str(path),
            writable=path is None or config_file.refusal(path) is None,
            error=self.links.config_error,
            restart_required=restart_required,
        )

    # ------------------------------------------------------------ what is asked for

    async def put(self, ask: m.ConfigPut) -> Change:
        """The whole anew. Raises RequestError 400, 409, 422."""
        if (ask.config is None) == (ask.yaml is None):
            raise RequestError(400, "malformed", "give config or yaml, one of them", "config")
        if ask.revision != self.revision or await self._edited_meanwhile():
            raise _conflict()
        given: Any = ask.config
        if ask.yaml is not None:
            given = await anyio.to_thread.run_sync(_raw, ask.yaml)  # before it is looked at more closely
            if self._file is not None:
                text = await self._unmasked(ask.yaml, self._file.text)
                wanted = await self._checked(await anyio.to_thread.run_sync(_raw, text))
                return await self._placed(wanted, text)
        self._require_right_file()
        try:
            limit(given)
            raw = unmask(given, plain(self.wanted))
        except ConfigError as exc:
            raise _refused([exc]) from exc
        return await self._placed(await self._checked(raw))

    async def create(self, ask: m.JobCreate) -> Change:
        """One more entry: in the file, if that can be written; else, or without one, beside it."""
        await self._require_no_edit()
        fields = {key: value for key, value in msgspec.to_builtins(ask).items() if value is not None}
        alone = {"exchanges": plain(self.wanted)["exchanges"], "jobs": [fields]}
        job = (await self._checked(alone, of_job=True)).jobs[0]
        for name in sorted(names_of([job]) & names_of(self.wanted.jobs)):
            raise RequestError(409, "job_exists", f"there is a job {name}: dccd.jobs.update changes it", "pairs")
        beside = await self._beside(Kept(self.kept.patch, [*self.kept.jobs, job]))
        path = self.links.config_path
        if path is None or config_file.refusal(path) is not None:
            return beside
        base = msgspec.structs.replace(self.links.base, jobs=[*self.links.base.jobs, job])
        return msgspec.structs.replace(await self._in_file(base, self.kept), instead=beside)

    async def update(self, ask: m.JobUpdate) -> Change:
        """Other fields of one job."""
        given = ((name, getattr(ask, name)) for name in ask.__struct_fields__ if name != "name")
        fields = {name: value for name, value in given if value is not msgspec.UNSET}
        return await self._changed(ask.name, lambda jobs: changed(jobs, ask.name, fields))

    async def delete(self, ask: m.JobDelete) -> Change:
        """One job less."""
        return await self._changed(ask.name, lambda jobs: removed(jobs, ask.name))

    async def _changed(self, name: str, edited: Callable[[list[Job]], list[Job]]) -> Change:
        """The job *name* changed where it stands."""
        await self._require_no_edit()
        wanted = self.wanted
        if entry_of(wanted.jobs, name) is None:
            raise no_job(name, names_of(wanted.jobs))
        try:
            wanted = msgspec.structs.replace(wanted, jobs=edited(wanted.jobs))
        except ConfigError as exc:
            raise _refused([exc], of_job=True) from exc
        await self._checked(plain(wanted), of_job=True)
        base = self.links.base
        if self.links.config_path is None:
            return await self._placed(wanted)
        if entry_of(base.jobs, name) is None:
            return await self._beside(Kept(self.kept.patch, edited(self.kept.jobs)))
        return await self._in_file(msgspec.structs.replace(base, jobs=edited(base.jobs)), self.kept)

    # ------------------------------------------------------------ where it goes

    async def _placed(self, wanted: Config, text: str | None = None) -> Change:
        """Where *wanted* is to stand, which as YAML is *text*. Raises RequestError 409 where that can't be."""
        path, base = self.links.config_path, self.links.base
        if path is None:
            return await self._beside(split(base, wanted))
        why = config_file.refusal(path)
        if why is None and text is None:
            return await self._in_file(wanted, Kept())
        if why is None:
            return Change(wanted=wanted, base=wanted, kept=Kept(), text=text)
        kept = split(base, wanted)
        if kept.patch:
            raise RequestError(409, "read_only", f"{why}: only jobs can be added to what it says", "config")
        return await self._beside(kept)

    async def _beside(self, kept: Kept) -> Change:
        base = self.links.base
        return Change(wanted=await self._merged(base, kept), base=base, kept=kept)

    async def _in_file(self, base: Config, kept: Kept) -> Change:
        """The file changed to say *base*."""
        path = self.links.config_path
        assert path is not None and self._file is not None
        if (why := config_file.refusal(path)) is not None:
            raise RequestError(409, "read_only", why, "name")
        try:
            text, whole = await anyio.to_thread.run_sync(edit, self._file.text, base)
            # As it is read again at the next start: the same, but for how durations and the like are spelt.
            base = await anyio.to_thread.run_sync(parse, text)
        except ConfigError as exc:  # as of a file that has grown too large
            raise _refused([exc]) from exc
        told = () if whole else ("the file has to be written anew: its comments are lost",)
        return Change(wanted=await self._merged(base, kept), base=base, kept=kept, text=text, warnings=told)

    async def save(self, change: Change) -> None:
        """Put *change* where it is to stand. Raises CantWrite, BusError, RequestError 409 for a file that was edited
        since: then nothing has changed."""
        path = self.links.config_path
        if change.text is not None and path is not None:
            was = None if self._file is None else self._file.text
            try:
                written = await anyio.to_thread.run_sync(config_file.write, path, change.text, was)
            except ConfigError as exc:
                raise CantWrite(409, "read_only", str(exc), "config") from exc
            if written is None:
                raise _conflict()
            self._file = written
            self.seen, self.links.config_error = written.mark, None
        before = self._kept_text
        self._kept_text = msgspec.json.encode(change.kept).decode() if change.kept else ""
        try:
            await self.keep()
        except BusError as exc:
            if change.text is None:
                self._kept_text = before  # which is to be written again: it may have happened all the same
                raise
            # The file says it, and is the truth: the bus follows.
            self._log.warning("what the file doesn't say isn't on the bus yet", error=str(exc))
        self.links.base, self.kept = change.base, change.kept

    async def keep(self) -> None:
        """Write what is kept beside the file, if that isn't done. Raises BusError."""
        text = self._kept_text
        if text == self._stored:
            return
        self._stored = None
        if text:
            await self.links.configs.put(self.links.host, text.encode())
        else:
            await self.links.configs.remove(self.links.host)
        self._stored = text

    # ------------------------------------------------------------ what may be

    async def _parsed(self, raw: Any) -> Config:
        """The configuration that *raw* is. Raises ConfigError. Exchanges that ccxt alone knows are looked up before."""
        jobs = raw.get("jobs") if isinstance(raw, dict) else None
        names = {job.get("exchange") for job in jobs if isinstance(job, dict)} if isinstance(jobs, list) else set()
        await elsewhere.learn(*(name for name in names if isinstance(name, str)))
        return await anyio.to_thread.run_sync(convert, raw)

    async def _merged(self, base: Config, kept: Kept) -> Config:
        await elsewhere.learn(*{job.exchange for job in kept.jobs})
        has_file = self.links.config_path is not None
        return await anyio.to_thread.run_sync(partial(merged, base, kept, file=has_file))

    async def _checked(self, raw: Any, of_job: bool = False) -> Config:
        """The configuration that *raw* is. Raises RequestError 422 with all that is wrong with it."""
        try:
            return await self._parsed(raw)
        except ConfigError as exc:
            errors = await anyio.to_thread.run_sync(errors_in, raw, exc)
            raise _refused(errors, of_job=of_job) from exc

    async def _unmasked(self, text: str, old: str) -> str:
        try:
            return await anyio.to_thread.run_sync(unmask_text, text, old)
        except ConfigError as exc:
            raise _refused([exc]) from exc
        except yaml.YAMLError:
            await anyio.to_thread.run_sync(_raw, text)  # says what is wrong with it, if it is this one
            if MASK in text:  # in a file that is broken nothing can be found that it stands for
                raise _refused([ConfigError("the file", MASK, "the values themselves: it has an error now")]) from None
            return text

    async def _require_no_edit(self) -> None:
        self._require_right_file()
        if await self._edited_meanwhile():
            raise _conflict()

    def _require_right_file(self) -> None:
        if self.links.config_error is not None:
            told = f"the configuration file isn't what runs: {self.links.config_error}"
            raise RequestError(409, "file_broken", told, "config")

    async def _edited_meanwhile(self) -> bool:
        path = self.links.config_path
        if path is None or self._file is None:
            return False
        try:
            return (await anyio.to_thread.run_sync(config_file.read, path)).text != self._file.text
        except ConfigError:
            return self.links.config_error is None


def _yaml(config: Config) -> str:
    return yaml.safe_dump(sparse(config), sort_keys=False, allow_unicode=True, width=120)


def _raw(text: str) -> Any:
    """The plain values of YAML that was put. Raises RequestError 400."""
    try:
        return raw_of(text, "line")
    except ConfigError as exc:
        raise RequestError(400, "malformed", str(exc), "yaml") from exc


def _conflict() -> RequestError:
    told = "the configuration, or its file, has changed meanwhile: get it again, and change that"
    return RequestError(409, "conflict", told, "revision")


def _told(error: ConfigError) -> str:
    """What is wrong, without a secret that stands there."""
    path = tuple(error.path.replace("[", ".").replace("]", "").split("."))
    found = "a value" if masked(path, "x") != "x" else masked(("found",), error.found)
    return f"{error.path}: found {found}; allowed: {error.allowed}"


def _refused(errors: list[ConfigError], *, of_job: bool = False) -> RequestError:
    """The 422 that tells *errors*; *of_job*: of the one job that a request is about."""
    paths = [re.sub(r"^jobs\[\d+\]\.", "", error.path) if of_job else error.path for error in errors]
    told = [_told(ConfigError(path, e.found, e.allowed)) for path, e in zip(paths, errors, strict=True)]
    more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return RequestError(422, "bad_config", "; ".join(told[:_TOLD]) + more, paths[0])
