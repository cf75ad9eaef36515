"""Checks replies against the app's own OpenAPI document: is the status in it, do body and headers fit?"""

from __future__ import annotations

import re
from typing import Any

import httpx
import jsonschema_rs
import msgspec

Json = dict[str, Any]


class Contract:
    """The document with its validators, made when first used."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self._paths = [(_pattern(path), path) for path in document["paths"]]
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def check(self, reply: httpx.Response) -> None:
        """Fails with what does not fit. What is not in the document must be refused."""
        operation = self._operation(reply.request)
        if operation is None:
            assert reply.status_code in ((204, 400) if reply.request.method == "OPTIONS" else (404, 405))
            return
        assert str(reply.status_code) in operation["responses"], f"undocumented: {reply.status_code} {reply.text}"
        response = self.resolved(operation["responses"][str(reply.status_code)])
        for name, header in response.get("headers", {}).items():
            assert name in reply.headers or not header["required"], f"{name} is missing"
            if name in reply.headers:
                self.check_value(header["schema"], _typed(header["schema"], reply.headers[name]))
        if "content" not in response:
            assert reply.content == b""
            return
        media = reply.headers["content-type"].partition(";")[0]
        assert media in response["content"]
        if media == "application/json":
            self.check_value(response["content"][media]["schema"], msgspec.json.decode(reply.content))

    def check_value(self, schema: Json, value: Any) -> None:
        key = msgspec.json.encode(schema).decode()
        validator = self._validators.get(key)
        if validator is None:
            whole = {**schema, "components": self.document["components"]}
            validator = self._validators[key] = jsonschema_rs.Draft202012Validator(whole)
        faults = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]
        assert faults == [], value

    def resolved(self, response: Json) -> Json:
        if "$ref" not in response:
            return response
        found: Json = self.document["components"]["responses"][response["$ref"].rpartition("/")[2]]
        return found

    def _operation(self, request: httpx.Request) -> Json | None:
        path = request.url.path
        # an address without parameters goes before one with them
        for pattern, template in sorted(self._paths, key=lambda one: one[1].count("{")):
            if pattern.fullmatch(path):
                found: Json | None = self.document["paths"][template].get(request.method.lower())
                return found
        return None


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))


def _typed(schema: Json, text: str) -> Any:
    return int(text) if schema["type"] == "integer" else text
