"""Which provider a request of a model goes to, with which key, and what may be reached there."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from app.adapters.mongo.database import Database
from app.adapters.vault import Vault
from app.ports import EffectError, Endpoint, StoredProvider, Workspace
from app.services.errors import ServiceError
from app.services.providers import NewProvider, Providers, Reach
from app.services.secrets import Secrets
from app.services.shared_providers import SharedProvider
from app.services.workspaces import Workspaces
from tests.conformance.samples import NOW, SetClock
from tests.services.performing import OTHER, OURS
from tests.stores import mock_database

KEY = "sk-own-0123456789"
SEALING = "k" * 16
SHARED = SharedProvider(base_url="http://models.internal:8000/v1", api_key="sk-shared-0123456789", default_model="big")


class House:
    """Providers of two workspaces; the operator's by keyword."""

    def __init__(self, database: Database, **shared: SharedProvider) -> None:
        self.database = database
        self.clock = SetClock(NOW)
        self.vault = Vault([SEALING])
        self.secrets = Secrets(database.secrets, self.vault, self.clock)
        workspaces = Workspaces(database.accounts, self.clock)
        self.providers = Providers(database.providers, self.vault, self.clock, self.secrets, workspaces, shared)

    async def put(self, name: str, workspace: str = OURS, **given: Any) -> None:
        new = {"base_url": f"https://{name}.example/v1", "api_key": KEY, **given}
        await self.providers.put(workspace, name, NewProvider(**new))

    async def refused(self, name: str | None, model: str | None = None) -> tuple[str, str]:
        """Type and message. A fault on save says the same."""
        with pytest.raises(EffectError) as caught:
            await self.providers.endpoint(OURS, name, model)
        if caught.value.error_type == "provider_not_configured":
            assert await self.providers.fault(OURS, name, model) == caught.value.message
        return caught.value.error_type, caught.value.message


async def opened(**shared: SharedProvider) -> House:
    database = await mock_database()
    for workspace, allowed in ((OURS, ("ours.internal:80",)), (OTHER, ())):
        await database.accounts.insert_workspace(
            Workspace(id=workspace, name=workspace, created_at=NOW, allowed_hosts=allowed)
        )
    return House(database, **shared)


# ---- which one

CHOICES: list[tuple[str, list[str], list[str], str | None, str | None]] = [
    # own, shared, named -> who answers ("own …", "shared …", None: echo)
    ("nothing is there and nothing named", [], [], None, None),
    ("echo is named", [], [], "echo", None),
    ("echo is named, and others are there", ["a"], ["b"], "echo", None),
    ("the only own one", ["a"], [], None, "own a"),
    ("the only shared one", [], ["a"], None, "shared a"),
    ("an own one stands before the only shared one of its name", ["a"], ["a"], None, "own a"),
    ("an own one is named", ["a", "b"], ["c"], "b", "own b"),
    ("a shared one is named", ["a", "b"], ["c"], "c", "shared c"),
    ("an own one stands before a shared one of its name", ["a", "b"], ["b"], "b", "own b"),
]


@pytest.mark.parametrize(
    ("own", "shared", "named", "who"), [row[1:] for row in CHOICES], ids=[row[0] for row in CHOICES]
)
async def test_who_answers(own: list[str], shared: list[str], named: str | None, who: str | None) -> None:
    house = await opened(**dict.fromkeys(shared, SHARED))
    for name in own:
        await house.put(name)
    await house.put("theirs", workspace=OTHER)
    reach = await house.providers.endpoint(OURS, named, "m")
    assert await house.providers.fault(OURS, named, "m") is None
    if who is None:
        assert reach is None
        return
    assert reach is not None
    whose = "shared" if reach.endpoint.api_key == SHARED.api_key else "own"
    assert f"{whose} {reach.endpoint.name}" == who


@pytest.mark.parametrize("named", ["theirs", "A", "a ", "", "a.b", "\ud800", "$where"])
async def test_an_unknown_name_is_no_provider_and_another_workspaces_neither(named: str) -> None:
    house = await opened(b=SHARED)
    await house.put("a")
    await house.put("theirs", workspace=OTHER)
    assert await house.refused(named, "m") == ("provider_not_configured", f"there is no provider {named!r}")


async def test_of_several_one_must_be_named() -> None:
    house = await opened(b=SHARED)
    assert await house.providers.fault(OURS, None, None) is None
    await house.put("a")
    said = ("provider_not_configured", "there are several providers: name one of a, b")
    assert await house.refused(None, "m") == said
    await house.providers.delete(OURS, "a")
    assert await house.providers.fault(OURS, None, None) is None


async def test_the_model_is_the_nodes_else_the_default() -> None:
    house = await opened()
    await house.put("a", default_model="small")
    await house.put("b")
    for name, model, used in (("a", None, "small"), ("a", "", "small"), ("a", "big", "big"), ("b", "big", "big")):
        reach = await house.providers.endpoint(OURS, name, model)
        assert reach is not None
        assert reach.endpoint.model == used
    said = ("provider_not_configured", "the provider 'b' has no default model: name the model")
    assert await house.refused("b") == said


# ---- how it is reached


async def test_an_own_one_reaches_what_its_workspace_may_and_a_shared_one_its_own_place_too() -> None:
    house = await opened(shared=SHARED)
    await house.put("own", base_url="http://models.internal:8000/v1", default_model="m")
    assert await house.providers.endpoint(OURS, "own", None) == Reach(
        endpoint=Endpoint(
            name="own",
            base_url="http://models.internal:8000/v1",
            api_key=KEY,
            model="m",
            allowed=("ours.internal:80",),
        ),
        secrets=(KEY,),
    )
    reached = Endpoint(
        name="shared",
        base_url=SHARED.base_url,
        api_key=SHARED.api_key,
        model="big",
        allowed=("ours.internal:80", "models.internal:8000"),
    )
    for workspace, allowed in ((OURS, reached.allowed), (OTHER, ("models.internal:8000",))):
        reach = await house.providers.endpoint(workspace, "shared", None)
        assert reach == Reach(endpoint=replace(reached, allowed=allowed), secrets=(SHARED.api_key,), shared=True)


async def test_secrets_of_the_workspace_are_put_in_when_it_is_used_and_told_to_be_masked() -> None:
    house = await opened()
    await house.put("a", base_url="https://{{secret.host}}/v1", api_key="id-{{secret.key}}")
    assert await house.refused("a", "m") == ("invalid_reference", "there is no secret 'host'")
    assert await house.providers.fault(OURS, "a", "m") is None
    await house.secrets.put(OTHER, "host", "theirs.example")
    assert await house.refused("a", "m") == ("invalid_reference", "there is no secret 'host'")
    for host in ("first.example", "second.example"):
        await house.secrets.put(OURS, "host", host)
        await house.secrets.put(OURS, "key", "s3cr3t")
        reach = await house.providers.endpoint(OURS, "a", "m")
        assert reach is not None
        assert (reach.endpoint.base_url, reach.endpoint.api_key) == (f"https://{host}/v1", "id-s3cr3t")
        assert reach.secrets == ("id-s3cr3t", host, "s3cr3t")
        assert reach.endpoint.allowed == ("ours.internal:80",)


@pytest.mark.parametrize(
    ("name", "value"), [("url", "ftp://HIDDEN"), ("url", "https://me:HIDDEN@x"), ("key", "HIDDEN\n")]
)
async def test_secrets_that_do_not_fit_are_refused_and_not_shown(name: str, value: str) -> None:
    house = await opened()
    await house.secrets.put(OURS, "url", "https://x")
    await house.secrets.put(OURS, "key", "k")
    await house.put("a", base_url="{{secret.url}}/v1", api_key="{{secret.key}}")
    await house.secrets.put(OURS, name, value)
    error_type, message = await house.refused("a", "m")
    assert error_type == "invalid_value"
    assert "HIDDEN" not in message


async def test_a_key_that_was_moved_or_whose_key_is_gone_is_unreadable() -> None:
    house = await opened()
    await house.put("a")
    stored = await house.database.providers.read(OURS, "a")
    assert isinstance(stored, StoredProvider)
    assert KEY.encode() not in stored.sealed
    await house.database.providers.put(replace(stored, name="moved"))
    assert (await house.refused("moved", "m"))[0] == "invalid_reference"
    secret = house.vault.seal(f"{OURS}/a", "a secret of the same name")
    await house.database.providers.put(replace(stored, sealed=secret))
    assert (await house.refused("a", "m"))[0] == "invalid_reference"
    await house.database.providers.put(stored)
    house.providers._vault = Vault(["another key of 16"])
    error_type, message = await house.refused("a", "m")
    assert error_type == "invalid_reference"
    assert "ANTIPHON_SECRET_KEYS" in message


async def test_nothing_shows_a_key_when_it_is_printed() -> None:
    house = await opened(shared=SHARED)
    await house.put("own")
    new = NewProvider(base_url="https://x", api_key=KEY)
    shown = [new, SHARED, await house.providers.list(OURS), await house.providers.endpoint(OURS, "own", "m")]
    assert [one for one in shown if KEY in repr(one) or SHARED.api_key in repr(one)] == []


# ---- what a workspace does with them


async def test_all_faults_are_told_at_once_and_nothing_is_stored() -> None:
    house = await opened()
    with pytest.raises(ServiceError) as refusal:
        await house.put("echo", base_url="x", api_key="", default_model="", embedding_model="e" * 257)
    assert refusal.value.code == "invalid_value"
    assert [detail.path for detail in refusal.value.details] == [
        "name",
        "base_url",
        "api_key",
        "default_model",
        "embedding_model",
    ]
    assert await house.providers.list(OURS) == []


async def test_a_replaced_one_keeps_the_time_of_its_making() -> None:
    house = await opened()
    await house.put("a")
    house.clock.time += 5
    await house.put("a", default_model="m")
    found = await house.providers.get(OURS, "a")
    assert (found.created_at, found.updated_at, found.default_model) == (NOW, NOW + 5, "m")
    assert await house.providers.list(OURS) == [found]
