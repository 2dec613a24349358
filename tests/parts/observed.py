"""A deployment that is watched from outside: processes, a stand-in, a receiver of traces."""

from __future__ import annotations

import contextlib
import signal
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from tests.programs import running
from tests.servers import until

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from tests.programs import Program


@dataclass(frozen=True)
class Span:
    """A span as it was received; ids in hex."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: Mapping[str, Any]


@dataclass
class Receiver:
    """What came in over OTLP/HTTP: whole bodies, and the spans in them."""

    url: str
    bodies: list[bytes] = field(default_factory=list[bytes])

    @property
    def spans(self) -> list[Span]:
        return [span for body in self.bodies for span in _spans_of(body)]


def _spans_of(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Span(
            service=_attributes(group.resource.attributes)["service.name"],
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            attributes=_attributes(span.attributes),
        )
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@contextlib.contextmanager
def receiver() -> Generator[Receiver]:
    """A receiver of traces on a free port."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Receiver(f"http://127.0.0.1:{server.server_port}", bodies)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Observed:
    """An API and a worker as processes, and the addresses at which each is watched."""

    url: str
    api: Program
    worker: Program
    api_monitor: str
    worker_monitor: str

    def stop(self) -> str:
        """End both kindly; returns all that they have written."""
        for program in (self.worker, self.api):
            program.signal(signal.SIGTERM)
        codes = [program.wait() for program in (self.worker, self.api)]
        # uvicorn passes the signal on to itself once all is closed.
        assert codes == [0, -signal.SIGTERM], self.api.output + self.worker.output
        return f"{self.api.output}\n{self.worker.output}"


@contextlib.contextmanager
def observed(environment: Mapping[str, str], monitor_ports: tuple[int, int]) -> Generator[Observed]:
    """Run an API and a worker with these settings until both are ready."""
    api_port, worker_port = monitor_ports
    with (
        running(
            "-m", "mintari", "api", environment={**environment, "METRICS_PORT": str(api_port)}
        ) as api,
        running(
            "-m", "mintari", "worker", environment={**environment, "METRICS_PORT": str(worker_port)}
        ) as worker,
    ):
        found = Observed(
            url=f"http://127.0.0.1:{environment['API_PORT']}",
            api=api,
            worker=worker,
            api_monitor=f"http://127.0.0.1:{api_port}",
            worker_monitor=f"http://127.0.0.1:{worker_port}",
        )
        worker.line_with("worker ready", within_s=90)
        until(lambda: _answers(f"{found.url}/readyz"), within_s=90)
        yield found


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


Sample = tuple[str, frozenset[tuple[str, str]]]


class Scraped(dict[Sample, float]):
    """Samples of one scrape."""

    def value(self, name: str, **labels: str) -> float:
        """The only sample of that name whose labels are these, at least; 0 without any."""
        wanted = set(labels.items())
        found = [value for (key, had), value in self.items() if key == name and wanted <= had]
        assert len(found) <= 1, (name, labels, found)
        return found[0] if found else 0.0


def scrape(monitor: str) -> Scraped:
    """Ask a process for its metrics, as Prometheus does."""
    answer = httpx.get(f"{monitor}/metrics", timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    return parse(answer.text)


def parse(text: str) -> Scraped:
    """The samples of a scrape's text."""
    return Scraped(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    )
