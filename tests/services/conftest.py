"""Fixtures of the services' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.ports import Workspace
from tests.conformance.samples import NOW
from tests.services.performing import OTHER, OURS, PASSWORD, TOKEN, Site
from tests.stores import mock_database
from tests.stub_http import stub


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    database = await mock_database()
    async with stub() as server:
        for workspace in (OURS, OTHER):
            allowed = (server.place,)
            await database.accounts.insert_workspace(
                Workspace(id=workspace, name=workspace, created_at=NOW, allowed_hosts=allowed)
            )
        made = Site(database, server)
        await made.secrets.put(OURS, "token", TOKEN)
        await made.secrets.put(OURS, "password", PASSWORD)
        yield made
