"""The OpenAPI document: complete, with examples that fit, and readable offline."""

from __future__ import annotations

import re
from typing import Any

from litestar.routes import HTTPRoute

from app.api.errors import STATUSES
from tests.api.sites import Site

Json = dict[str, Any]


def every_operation(document: Json) -> list[tuple[str, str, Json]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def test_the_document_has_every_route(site: Site) -> None:
    document = (await site.get("/schema/openapi.json", key=None)).json()
    found = {(path, method.upper()) for path, method, _ in every_operation(document)}
    routes = [route for route in site.app.routes if isinstance(route, HTTPRoute)]
    assert found == {(route.path_format, method) for route in routes for method in route.methods if method != "OPTIONS"}
    ids = [operation["operationId"] for _, _, operation in every_operation(document)]
    assert len(ids) == len(set(ids))


async def test_every_operation_has_examples_that_fit(site: Site) -> None:
    contract = site.contract
    for path, method, operation in every_operation(contract.document):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        responses = {status: contract.resolved(found) for status, found in operation["responses"].items()}
        bodies += [response for response in responses.values() if "content" in response]
        assert any(status.startswith("2") for status in responses), (path, method)
        for parameter in operation["parameters"]:
            contract.check_value(parameter["schema"], parameter["example"])
        for body in bodies:
            for content in body["content"].values():
                assert content["examples"], (path, method)
                for example in content["examples"].values():
                    contract.check_value(content["schema"], example["value"])
        assert bodies or operation["parameters"], (path, method)


async def test_path_parameters_are_all_described(site: Site) -> None:
    for path, _, operation in every_operation(site.contract.document):
        named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))


async def test_every_code_of_a_refusal_is_in_the_document(site: Site) -> None:
    responses = site.contract.document["components"]["responses"]
    for code, status in STATUSES.items():
        schema = responses[f"Refused{status}"]["content"]["application/json"]["schema"]
        assert code in schema["allOf"][1]["properties"]["error"]["enum"]


async def test_the_reference_works_offline(site: Site) -> None:
    page = await site.get("/schema", key=None)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<script" not in page.text
    assert re.findall(r"(?:src|href)='(?!/)", page.text) == []
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    for path, _, operation in every_operation(site.contract.document):
        assert path in page.text
        assert operation["summary"] in page.text
