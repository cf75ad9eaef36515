"""Puts the house together. Adapters are chosen in `wiring` and nowhere else."""

from app.bootstrap.administration import administer
from app.bootstrap.house import House, open_house
from app.bootstrap.wiring import PERFORMERS, build_providers, build_secrets, build_services, build_world

__all__ = [
    "PERFORMERS",
    "House",
    "administer",
    "build_providers",
    "build_secrets",
    "build_services",
    "build_world",
    "open_house",
]
