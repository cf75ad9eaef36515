"""docker-compose.yml by parsing: no Docker is at hand where these tests run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent


@pytest.fixture
def compose() -> Any:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_mongo_is_a_replica_set_that_its_healthcheck_initiates(compose: Any) -> None:
    mongo = compose["services"]["mongo"]
    assert mongo["image"] == "mongo:8"
    assert mongo["command"][mongo["command"].index("--replSet") + 1] == "rs0"
    check = mongo["healthcheck"]["test"]
    assert check[:2] == ["CMD", "mongosh"]
    assert 'rs.initiate({_id: "rs0"' in check[-1]
    assert "isWritablePrimary" in check[-1]


def test_the_server_waits_for_a_primary_and_uses_the_set(compose: Any) -> None:
    server = compose["services"]["server"]
    assert server["depends_on"] == {"mongo": {"condition": "service_healthy"}}
    assert server["environment"]["MONGODB_URI"] == "mongodb://mongo:27017/?replicaSet=rs0"
    assert server["environment"]["HOST"] == "0.0.0.0"
    assert server["ports"] == ["127.0.0.1:8000:8000"]


def test_the_server_runs_a_script_that_exists_and_outlives_containers(compose: Any) -> None:
    server = compose["services"]["server"]
    script = ROOT / server["command"][0]
    assert script.stat().st_mode & 0o111
    named = {volume.split(":")[0] for volume in server["volumes"] + compose["services"]["mongo"]["volumes"]} - {"."}
    assert named == set(compose["volumes"])
