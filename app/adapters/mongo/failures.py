"""The driver's errors in the words of the ports."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidOperation,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WTimeoutError,
)

from app.ports import DuplicateError, StoreUnavailableError

DUPLICATE = 11000

P = ParamSpec("P")
T = TypeVar("T")

_away = (
    ConnectionFailure,
    NetworkTimeout,
    ServerSelectionTimeoutError,
    ExecutionTimeout,
    WTimeoutError,
    InvalidOperation,
)
# Codes of a member that steps down, shuts down or recovers: the operation may or may not have happened.
_away_codes = frozenset({6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})


def translate(error: PyMongoError) -> NoReturn:
    """Raises DuplicateError or StoreUnavailableError for it, or the error itself."""
    if isinstance(error, DuplicateKeyError):
        raise DuplicateError(_field(error)) from error
    if isinstance(error, _away) or (isinstance(error, OperationFailure) and error.code in _away_codes):
        raise StoreUnavailableError(type(error).__name__) from error
    if isinstance(error, WriteConcernError) or (isinstance(error, BulkWriteError) and _is_doubtful(error.details)):
        raise StoreUnavailableError("the write was not confirmed by a majority") from error
    raise error


def _is_doubtful(bulk: Mapping[str, Any]) -> bool:
    return bool(bulk.get("writeConcernErrors")) or any(one["code"] in _away_codes for one in bulk["writeErrors"])


def _field(error: DuplicateKeyError) -> str:
    pattern = (error.details or {}).get("keyPattern") or {}
    return next(iter(pattern), "_id")


async def insert_missing(collection: Any, docs: Sequence[Mapping[str, Any]]) -> None:
    """Inserts those whose `_id` is not there yet; the others are from an earlier try of the same write, and stay."""
    try:
        await collection.insert_many(docs, ordered=False)
    except BulkWriteError as error:
        known = all(one["code"] == DUPLICATE for one in error.details["writeErrors"])
        if not known or error.details.get("writeConcernErrors"):
            raise


def translated(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """For every method of a store: only the ports' errors leave it."""

    @wraps(method)
    async def calling(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(*args, **kwargs)
        except PyMongoError as error:
            translate(error)

    return calling
