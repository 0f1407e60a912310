"""The configuration, and the jobs in it."""

from __future__ import annotations

from dccd import messages as m
from dccd.operations.base import Operation, Refusal

__all__ = ["TABLE"]

BAD_CONFIG = Refusal(422, "bad_config", "the configuration would be wrong; `field` says where, the message what may be")
CONFLICT = Refusal(409, "conflict", "the configuration, or its file, has changed meanwhile: get it again")
READ_ONLY = Refusal(409, "read_only", "the configuration file can't be written; the message says why")
BROKEN = Refusal(409, "file_broken", "the configuration file has an error and isn't what runs: put `yaml`, or mend it")
NEEDS_FILE = Refusal(422, "needs_file", "this can only be set in a configuration file, and the daemon has none")
NO_JOBS = Refusal(409, "no_jobs", "the daemon runs for one command, without jobs")
NO_JOB = Refusal(404, "no_job", "there is no job of this name; the message names those near")

TABLE = (
    Operation(
        name="config.get",
        request=m.ConfigGet,
        reply=m.ConfigReply,
        description="The configuration, whole and without its secrets",
        role="viewer",
    ),
    Operation(
        name="config.put",
        request=m.ConfigPut,
        reply=m.ConfigApplied,
        description="Change the configuration: checked as a whole, saved, and taken over without a restart",
        role="operator",
        refusals=(
            Refusal(400, "malformed", "both or neither of `config` and `yaml`, or text that is no YAML"),
            BAD_CONFIG,
            CONFLICT,
            READ_ONLY,
            BROKEN,
            NEEDS_FILE,
            NO_JOBS,
        ),
        example={"revision": "$revision", "config": "$$config", "dry_run": True},
        setup="reply=$(nats req --raw dccd.config.get '')\n"
        'revision=$(echo "$reply" | jq -r .revision)\n'
        """config=$(echo "$reply" | jq '.config | .alerts.free_space = "2GiB"')""",
    ),
    Operation(
        name="jobs.create",
        request=m.JobCreate,
        reply=m.ConfigApplied,
        description="Create a job for each pair; a stream starts, a backfill runs by its trigger",
        role="operator",
        idempotent=False,
        refusals=(
            Refusal(409, "job_exists", "there is a job of this name"),
            BAD_CONFIG,
            CONFLICT,
            BROKEN,
            NO_JOBS,
        ),
        example={"exchange": "binance", "pairs": ["SOL/USDT"], "data_type": "trades"},
    ),
    Operation(
        name="jobs.update",
        request=m.JobUpdate,
        reply=m.ConfigApplied,
        description="Change a job: a stream restarts, a backfill has its new trigger",
        role="operator",
        refusals=(
            NO_JOB,
            BAD_CONFIG,
            CONFLICT,
            READ_ONLY,
            BROKEN,
            NO_JOBS,
        ),
        example={"name": "backfill.kraken.ohlc.BTC-USD.5m", "trigger_kind": "interval", "every": "1h"},
    ),
    Operation(
        name="jobs.delete",
        request=m.JobDelete,
        reply=m.ConfigApplied,
        description="Delete a job: its stream stops; what it has stored stays",
        role="operator",
        idempotent=False,
        refusals=(NO_JOB, CONFLICT, READ_ONLY, BROKEN, NO_JOBS),
        example={"name": "stream.kraken.trades.ETH-USDT"},
        setup="dccd jobs create kraken ETH/USDT",
    ),
)
