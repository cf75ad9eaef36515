"""One server process from start to exit: lock, database, house, uvicorn — and back, within five seconds of a signal."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Final

import uvicorn
from litestar import Litestar

from app import bootstrap
from app.adapters.embedded import EmbeddedMongo, EmbeddedMongoError, ServerLock
from app.api.logs import configure_library_logs
from app.ports import StoreUnavailableError
from app.settings import Settings

# From the signal on: replies still under way get 2 s, closing the house 0.5 s, and the database what is left of 3.5 s, 1.5 s
# at most: what it has acknowledged is in its journal, so that killing it loses nothing.
REPLIES_SECONDS: Final = 2
HOUSE_SECONDS: Final = 0.5
DATABASE_SECONDS: Final = 1.5
EXIT_SECONDS: Final = 3.5
LEAVING: Final = b'{"message":"the server is shutting down","error":"unavailable"}'


class CannotServeError(Exception):
    """The server cannot start; the text is one line for the user."""


class _Departure:
    """The exit signal. Before uvicorn runs it breaks off the start; after that it drains and lets replies finish."""

    def __init__(self) -> None:
        self.asked_at: float | None = None
        self._leave: Callable[[], None] | None = None

    def __enter__(self) -> "_Departure":
        task = asyncio.current_task()
        assert task is not None
        self._starting = task
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)

    def then(self, leave: Callable[[], None]) -> None:
        """From now on, a signal calls `leave` instead of breaking off the start."""
        self._leave = leave

    def seconds_left(self) -> float:
        since = time.monotonic() - self.asked_at if self.asked_at is not None else 0.0
        return max(0.3, EXIT_SECONDS - since)

    def _ask(self) -> None:
        if self.asked_at is not None:
            return
        self.asked_at = time.monotonic()
        if self._leave is None:
            self._starting.cancel()
        else:
            self._leave()


class _Server(uvicorn.Server):
    """Uvicorn that leaves signals to us: its own handling raises them again at its end, before we have cleaned up."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening()


class _Answering:
    """The app, whose requests are answered 503 when uvicorn cuts them off because the time to leave is up."""

    def __init__(self, app: Litestar) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        begun = False

        async def noting(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:
            if scope["type"] != "http" or begun:
                return
            headers = [(b"content-type", b"application/json"), (b"retry-after", b"1")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": LEAVING})


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotServeError or EmbeddedMongoError, each worded for the user."""
    configure_library_logs(settings.log_level)
    for chatty in ("pymongo", "motor", "httpx", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    loop_factory = uvicorn.Config("app", loop="auto").get_loop_factory()
    with asyncio.Runner(loop_factory=loop_factory) as runner, contextlib.suppress(asyncio.CancelledError):
        runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    with _Departure() as departure:
        async with AsyncExitStack() as cleanup:
            listener = cleanup.enter_context(_bind(settings))
            port: int = listener.getsockname()[1]
            base_url = settings.public_url or _base_url(settings.host, port)
            settings = settings.model_copy(update={"public_url": base_url})
            uri = await _database(settings, departure, cleanup)
            try:
                house = await bootstrap.open_house(settings, uri)
            except StoreUnavailableError:
                raise CannotServeError("the database cannot be reached") from None
            cleanup.push_async_callback(_close, house, departure)
            server = _Server(
                uvicorn_config(_Answering(house.app)),
                lambda: print(house.greeting(base_url, os.getpid()), flush=True),
            )

            def leave() -> None:
                house.drain()
                server.should_exit = True

            departure.then(leave)
            try:
                await server.serve(sockets=[listener])
            except SystemExit:
                raise CannotServeError("the app did not start: see the log above") from None
            except OSError as error:
                raise CannotServeError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from None


async def _database(settings: Settings, departure: _Departure, cleanup: AsyncExitStack) -> str:
    """The given MongoDB, else the embedded one: watched from now on and stopped at the end."""
    if settings.mongodb_uri is not None:
        return settings.mongodb_uri.get_secret_value()
    cleanup.enter_context(ServerLock(settings.data_dir))
    mongo = EmbeddedMongo(settings.data_dir)

    async def stop() -> None:
        await mongo.stop(grace_seconds=min(DATABASE_SECONDS, departure.seconds_left()))

    # Before the start, so that a start broken off half-way is stopped, too.
    cleanup.push_async_callback(stop)
    uri = await mongo.start()
    watch = asyncio.create_task(mongo.watch())

    async def end_watch() -> None:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch

    cleanup.push_async_callback(end_watch)
    return uri


async def _close(house: bootstrap.House, departure: _Departure) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(min(HOUSE_SECONDS, departure.seconds_left())):
            await house.close()


def _bind(settings: Settings) -> socket.socket:
    """Take the port before anything else is started; uvicorn listens on it once the house is open."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise CannotServeError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from None
    return listener


def _base_url(host: str, port: int) -> str:
    """A URL that works from this machine: the wildcard addresses are not ones to connect to."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def uvicorn_config(app: "_Answering") -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="on",
        # The default still goes through a deprecated module of websockets.
        ws="websockets-sansio",
        timeout_graceful_shutdown=REPLIES_SECONDS,
    )


__all__ = ["CannotServeError", "EmbeddedMongoError", "serve"]
