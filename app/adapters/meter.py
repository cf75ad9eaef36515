"""Counts outside work for Prometheus."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from app.engine.talk import Usage

_buckets: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class PrometheusMeter:
    """Implements ports.Meter."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Histogram(
            "antiphon_effects_seconds",
            "Time of one attempt of outside work, by operation and outcome.",
            ("operation", "outcome"),
            buckets=_buckets,
            registry=registry,
        )
        self._retries = Counter(
            "antiphon_effects_retries", "Attempts of outside work after the first.", ("operation",), registry=registry
        )
        self._models = Histogram(
            "antiphon_model_calls_seconds",
            "Time of one request of a model, by provider and outcome.",
            ("provider", "outcome"),
            buckets=_buckets,
            registry=registry,
        )
        self._tokens = Counter(
            "antiphon_model_tokens", "Tokens of models.", ("provider", "direction"), registry=registry
        )

    def attempt(self, operation: str, outcome: str, seconds: float, number: int) -> None:
        self._attempts.labels(operation, outcome).observe(seconds)
        if number > 1:
            self._retries.labels(operation).inc()

    def model(self, provider: str, outcome: str, seconds: float, usage: Usage | None = None) -> None:
        self._models.labels(provider, outcome).observe(seconds)
        if usage is not None:
            self._tokens.labels(provider, "input").inc(max(0, usage.input_tokens))
            self._tokens.labels(provider, "output").inc(max(0, usage.output_tokens))
