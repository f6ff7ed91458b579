"""What a server counts, in Prometheus' text format."""

from typing import Any

PATHS = ("/", "/predict", "/explain", "/health", "/metrics")  # others are counted as one
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counts of one server.

    Args:
        waiting: returns the number of texts in the queue.
    """

    def __init__(self, waiting: Any):
        import prometheus_client as prometheus

        self.registry = prometheus.CollectorRegistry()
        own: Any = {"registry": self.registry}
        self.requests = prometheus.Counter("bert_tf_requests", "Requests answered.", ["path", "code"], **own)
        self.seconds = prometheus.Histogram(
            "bert_tf_request_seconds", "Time to answer a request.", ["path"], buckets=SECONDS, **own
        )
        sizes = [1 << i for i in range(9)]
        self.batches = prometheus.Histogram(
            "bert_tf_batch_texts", "Texts that were classified together.", buckets=sizes, **own
        )
        prometheus.Gauge("bert_tf_queue_texts", "Texts that wait.", **own).set_function(waiting)

    def answered(self, path: str, code: int, seconds: float) -> None:
        path = path if path in PATHS else "other"
        self.requests.labels(path, str(code)).inc()
        self.seconds.labels(path).observe(seconds)

    def text(self) -> tuple[bytes, str]:
        """Returns the page for Prometheus and its content type."""
        import prometheus_client as prometheus

        return prometheus.generate_latest(self.registry), prometheus.CONTENT_TYPE_LATEST
