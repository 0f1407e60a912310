"""The store as a whole."""

from __future__ import annotations

from dccd import messages as m
from dccd.operations.base import BUSY, NO_REMOTE, NO_REMOTES, NOT_STORED, SLOW_READER, Operation, Refusal

__all__ = ["TABLE"]

TABLE = (
    Operation(
        name="doctor",
        request=m.Doctor,
        reply=m.DoctorLine,
        description="Read all files and tell which are damaged: JSON, a line a message",
        role="operator",
        refusals=(SLOW_READER,),
        example={"dataset": "binance.trades"},
        flags="--wait-for-empty",
    ),
    Operation(
        name="storage.migrate",
        request=m.StorageMigrate,
        reply=m.RunStarted,
        description="Bring files of older releases into this layout, or say what would be done; answers with a run_id",
        role="operator",
        refusals=(
            Refusal(400, "malformed", "`symbols` or `datasets` mean none"),
            Refusal(409, "busy", "a migration with other options is under way"),
        ),
    ),
    Operation(
        name="storage.sync",
        request=m.StorageSync,
        reply=m.RunStarted,
        description="Copy what is new to the remotes; answers with a run_id",
        role="operator",
        refusals=(
            NO_REMOTES,
            NO_REMOTE,
            BUSY,
        ),
        example={"remotes": ["backup"]},
    ),
    Operation(
        name="storage.verify",
        request=m.StorageVerify,
        reply=m.RunStarted,
        description="Read the copies and compare; answers with a run_id",
        role="operator",
        refusals=(
            NO_REMOTES,
            NO_REMOTE,
            BUSY,
        ),
    ),
    Operation(
        name="storage.restore",
        request=m.StorageRestore,
        reply=m.RunStarted,
        description="Bring files back; answers with a run_id",
        role="operator",
        refusals=(
            NO_REMOTES,
            NO_REMOTE,
            Refusal(400, "malformed", "no time"),
            BUSY,
        ),
        example={"dataset": "binance.trades", "start": "2024-01-01"},
    ),
    Operation(
        name="storage.fold",
        request=m.StorageFold,
        reply=m.RunStarted,
        description="Bring all rows into the files that anything reads, now; answers with a run_id",
        role="operator",
        refusals=(NOT_STORED, BUSY),
        example={"dataset": "binance.trades"},
    ),
    Operation(
        name="storage.remotes",
        request=m.Empty,
        reply=m.Remotes,
        description="The remotes, and when each was last up to date",
        role="viewer",
    ),
    Operation(
        name="storage.retention",
        request=m.Empty,
        reply=m.Retention,
        description="What retention would purge now; nothing is purged",
        role="viewer",
        refusals=(Refusal(500, "corrupt_file", "a file that is to go is damaged"),),
    ),
)
