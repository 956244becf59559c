"""Both channels against real servers of the standard library, on free ports of this machine."""

import doctest
import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mlops_alert_http import alertmanager, mlops_alert_channel, webhook
from mlops_alert_http.alertmanager import Alertmanager
from mlops_alert_http.webhook import Webhook
from mlops_core import Project
from mlops_core.exceptions import ConfigError, MonitoringError
from mlops_core.testing.alert_suite import AlertChannelSuite, alert

SECRET = "T0K3N-that-nobody-may-see"
TOO_LONG = ".".join(["a" * 60] * 5)  # a name that no server of names has to be asked for
Channel = type[Webhook] | type[Alertmanager]


@frozen
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@define
class Server:
    """An HTTP server that keeps what it is sent and answers the next of ``answers``, or 200 when there is none left."""

    url: str = ""
    asked: list[Asked] = field(factory=list)
    answers: list[int] = field(factory=list)
    wait: float = 0.0
    location: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = request.rfile.read(int(headers.get("content-length", 0)))
        self.asked.append(Asked(request.command, request.path, headers, body))
        time.sleep(self.wait)
        request.send_response(self.answers.pop(0) if self.answers else 200, f"the token is {SECRET}")
        if self.location:
            request.send_header("Location", self.location)
        request.send_header("Content-Length", "0")
        request.end_headers()


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies, to which a test adds its own."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.fixture
def server() -> Iterator[Server]:
    kept = Server()

    class Handler(BaseHTTPRequestHandler):
        def answered(self) -> None:
            kept.answer(self)

        do_GET = do_POST = answered  # noqa: N815  the names that the standard library calls

        def log_message(self, *_: object) -> None:
            """Be silent."""

    class Quiet(ThreadingHTTPServer):
        request_queue_size = 32  # clients that the system lets wait: with fewer it tells some to come back after a second

        def handle_error(self, *_: object) -> None:
            """A client that went away is no news."""

    with Quiet(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        kept.url = f"http://127.0.0.1:{listening.server_port}"
        yield kept
        listening.shutdown()
        thread.join()


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return f"http://127.0.0.1:{gone.getsockname()[1]}"


def refusal(kind: Channel, url: str, **options: Any) -> str:
    """The one line of a send that fails; it shows no secret."""
    channel = kind(url=url, headers={"Authorization": f"Bearer {SECRET}"}, **options)
    with pytest.raises(MonitoringError) as caught:
        channel.send(alert())
    message = caught.value.message
    place = url.partition("//")[2].partition("/")[0]
    assert message.startswith(f"alert.{kind.__name__.lower()}: {place}: ")
    assert "\n" not in message
    assert SECRET not in f"{message}{channel!r}"
    return message


class TestWebhook(AlertChannelSuite):
    @pytest.fixture
    def channel(self, server: Server) -> Webhook:
        return Webhook(url=f"{server.url}/alerts", secret="key")

    @pytest.fixture
    def delivered(self, server: Server) -> Callable[[], Sequence[str]]:
        """What a receiver takes that drops the keys it knows, as the documentation asks of it."""
        return lambda: list(dict.fromkeys(one.headers["idempotency-key"] for one in server.asked))


class TestAlertmanager(AlertChannelSuite):
    @pytest.fixture
    def channel(self, server: Server) -> Alertmanager:
        return Alertmanager(url=server.url)

    @pytest.fixture
    def delivered(self, server: Server) -> Callable[[], Sequence[str]]:
        """An alert that differs in nothing but a later ``endsAt`` is the same to an Alertmanager."""

        def keys() -> list[str]:
            sent = [document for one in server.asked for document in one.document]
            told = {json.dumps([one["labels"], one["startsAt"], one["annotations"]]): one["annotations"]["key"] for one in sent}
            return list(told.values())

        return keys


def test_a_webhook_is_sent_the_whole_alert(server: Server) -> None:
    Webhook(url=f"{server.url}/hooks/a?room=1", headers={"Authorization": "Bearer t"}).send(alert())
    (one,) = server.asked
    assert (one.method, one.path) == ("POST", "/hooks/a?room=1")
    assert one.document == {"version": 1, **alert().to_dict()}
    assert datetime.fromisoformat(one.document["at"]) == alert().at
    assert one.headers["idempotency-key"] == alert().key
    assert one.headers["content-type"] == "application/json"
    assert one.headers["authorization"] == "Bearer t"
    assert "x-mlops-signature" not in one.headers


def test_the_signature_is_an_hmac_of_the_body(server: Server) -> None:
    Webhook(url=server.url, secret="schlüssel").send(alert(summary="Δ 警报 \ud800"))
    (one,) = server.asked
    expected = hmac.new("schlüssel".encode(), one.body, hashlib.sha256).hexdigest()
    assert one.headers["x-mlops-signature"] == f"sha256={expected}"


def test_a_repeated_delivery_carries_the_same_key_and_body(server: Server) -> None:
    channel = Webhook(url=server.url)
    server.answers = [503]
    with pytest.raises(MonitoringError):
        channel.send(alert())
    channel.send(alert())
    first, second = server.asked
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == alert().key
    assert first.body == second.body


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_json_cannot_hold_is_null(server: Server, value: float) -> None:
    Webhook(url=server.url).send(alert(value=value))
    assert server.asked[0].document["value"] is None


def test_a_key_of_any_text_is_one_header(server: Server) -> None:
    Webhook(url=server.url).send(alert(key="a b/ü\r\nX-Evil: 1/firing"))
    assert server.asked[0].headers["idempotency-key"] == "a%20b/%C3%BC%0D%0AX-Evil:%201/firing"
    assert "x-evil" not in server.asked[0].headers


@pytest.mark.parametrize("kind", [Webhook, Alertmanager])
@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_success_is_delivery(server: Server, kind: Channel, status: int) -> None:
    server.answers = [status]
    kind(url=server.url).send(alert())
    assert len(server.asked) == 1


@pytest.mark.parametrize("kind", [Webhook, Alertmanager])
@pytest.mark.parametrize(
    ("status", "told"),
    [
        (400, "answered 400 Bad Request - it does not take this document: look at its log"),
        (401, "answered 401 Unauthorized - give it valid credentials in headers"),
        (404, "answered 404 Not Found - correct the path of url"),
        (418, "answered 418 I'm a Teapot - look at its log"),
        (500, "answered 500 Internal Server Error - look at its log; the alert is sent again at the next pass"),
        (599, "answered 599 - look at its log; the alert is sent again at the next pass"),
    ],
)
def test_any_other_answer_is_one_line_in_the_words_of_the_standard(server: Server, kind: Channel, status: int, told: str) -> None:
    server.answers = [status]
    assert refusal(kind, f"{server.url}/{SECRET}").endswith(f": {told}")


@pytest.mark.parametrize("kind", [Webhook, Alertmanager])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(server: Server, kind: Channel, status: int) -> None:
    server.answers, server.location = [status], f"{server.url}/elsewhere/{SECRET}"
    assert refusal(kind, server.url).endswith(" - redirects are not followed: give the address that it leads to as url")
    assert len(server.asked) == 1


@pytest.mark.parametrize("kind", [Webhook, Alertmanager])
def test_who_does_not_listen_or_answer_is_named(server: Server, silent: str, kind: Channel) -> None:
    assert refusal(kind, f"{nobody()}/{SECRET}").endswith(": nobody listens there - start it, or correct url")
    assert ": no answer within 0.2 s - " in refusal(kind, f"{silent}/{SECRET}", send_timeout=0.2)
    server.wait = 0.5
    assert ": no answer within 0.1 s - " in refusal(kind, server.url, send_timeout=0.1)


def test_a_name_that_nobody_knows_is_named(proxies: pytest.MonkeyPatch) -> None:
    assert refusal(Webhook, f"http://{TOO_LONG}/x").endswith(": its name is not known - correct the host of url")


def test_a_network_that_leads_nowhere_is_named(proxies: pytest.MonkeyPatch) -> None:
    told = refusal(Webhook, "http://255.255.255.255/x", send_timeout=1)
    assert ": not reached: " in told
    assert told.endswith(" - correct url, or repair the network")


@pytest.mark.parametrize(("words", "told"), [(b"", "the connection broke"), (b"SSH-2.0-x\r\n", "answers, but not as HTTP does")])
def test_what_speaks_no_http_is_named(words: bytes, told: str) -> None:
    def say(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(words)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=say, args=(listening,))
        thread.start()
        assert told in refusal(Webhook, f"http://127.0.0.1:{listening.getsockname()[1]}/x")
        thread.join()


def test_a_plain_server_asked_for_tls_is_named(server: Server) -> None:
    with pytest.raises(MonitoringError, match=r": does not speak TLS as expected - is it http and not https\?$"):
        Webhook(url=server.url.replace("http", "https", 1)).send(alert())


def test_a_certificate_that_nobody_vouches_for_is_named(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "server.pem"))

    def shake(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            context.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=shake, args=(listening,))
        thread.start()
        told = refusal(Webhook, f"https://127.0.0.1:{listening.getsockname()[1]}/{SECRET}")
        thread.join()
    assert "its certificate is not valid (self" in told
    assert told.endswith(" - renew it, or let this machine trust its issuer")


def self_signed(path: Path) -> Path:
    """A key and a certificate by itself, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "here")])
    start, later = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, later).sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


def test_the_proxy_of_the_environment_is_used(server: Server, proxies: pytest.MonkeyPatch) -> None:
    proxies.setenv("http_proxy", server.url)
    Webhook(url="http://hooks.invalid/a").send(alert())
    assert server.asked[0].path == "http://hooks.invalid/a"
    proxies.setenv("https_proxy", server.url)
    assert refusal(Webhook, "https://hooks.invalid/a").endswith(": the proxy of this environment lets nothing through - look at its log")


def test_no_proxy_stands_before_this_machine(server: Server, proxies: pytest.MonkeyPatch) -> None:
    proxies.setenv("http_proxy", nobody())
    Webhook(url=f"{server.url}/a").send(alert())
    assert server.asked[0].path == "/a"


@pytest.mark.parametrize("proxy", ["http://", "http:/x", f"socks5://{SECRET}:1"])
def test_a_proxy_that_is_none_is_named(proxies: pytest.MonkeyPatch, proxy: str) -> None:
    proxies.setenv("http_proxy", proxy)
    assert refusal(Webhook, "http://hooks.invalid/a").endswith(" has no usable address - correct http_proxy and https_proxy")


def test_an_alertmanager_is_sent_its_own_format(server: Server) -> None:
    before = datetime.now(UTC)
    Alertmanager(url=f"{server.url}/prefix/", lasts=timedelta(days=2)).send(alert())
    (one,) = server.asked
    assert (one.method, one.path, one.headers["content-type"]) == ("POST", "/prefix/api/v2/alerts", "application/json")
    (document,) = one.document
    check_schema(document)
    assert document["labels"] == {
        "alertname": "errors",
        "condition": "error_rate > 0.02",
        "environment": "production",
        "model": "tickets",
        "severity": "warning",
        "tenant": "acme",
    }
    assert document["annotations"] == {"summary": alert().summary, "key": alert().key, "value": "0.01"}
    assert datetime.fromisoformat(document["startsAt"]) == alert().at
    assert before <= datetime.fromisoformat(document["endsAt"]) - timedelta(days=2) <= datetime.now(UTC)


def test_the_end_of_an_incident_has_its_labels_and_ended(server: Server) -> None:
    channel, over = Alertmanager(url=server.url), alert().at + timedelta(hours=1)
    channel.send(alert())
    channel.send(alert(state="resolved", value=None, at=over))
    fired, ended = (one.document[0] for one in server.asked)
    check_schema(ended)
    assert ended["labels"] == fired["labels"]
    assert "value" not in ended["annotations"]
    assert datetime.fromisoformat(ended["endsAt"]) == over


def test_labels_follow_the_rule_of_prometheus(server: Server) -> None:
    odd = {"a-b": "1", "9th": "2", "": "3", "__name__": "4", "ß": "5", "tenant": "another", "severity": "page"}
    Alertmanager(url=server.url, severity="info").send(alert(labels=odd))
    (document,) = server.asked[0].document
    check_schema(document)
    assert document["labels"] == {
        "_": "5",
        "_9th": "2",
        "_name__": "4",
        "a_b": "1",
        "alertname": "errors",
        "environment": "production",
        "model": "tickets",
        "severity": "page",
        "tenant": "acme",
    }


def check_schema(document: dict[str, Any]) -> None:
    """``postableAlert`` of Alertmanager's api/v2/openapi.yaml: labels are required; label sets map text to text; times are RFC 3339."""
    assert set(document) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
    assert document["labels"]
    for texts in (document["labels"], document["annotations"]):
        assert all(isinstance(part, str) for pair in texts.items() for part in pair)
    for name in (*document["labels"], *document["annotations"]):
        assert name.isascii()
        assert name.isidentifier()
    assert not any(name.startswith("__") for name in document["labels"])
    starts, ends = (datetime.fromisoformat(document[name]) for name in ("startsAt", "endsAt"))
    assert starts.tzinfo is not None
    assert ends >= starts, "Alertmanager refuses an alert that ends before it starts"


def test_a_check_sends_no_alert(server: Server) -> None:
    Webhook(url=server.url).check()
    assert server.asked == []
    channel = Alertmanager(url=server.url)
    channel.check()
    assert [(one.method, one.path) for one in server.asked] == [("GET", "/api/v2/status")]
    server.answers = [404]
    with pytest.raises(MonitoringError, match=r": answered 404 Not Found - correct the path of url$"):
        channel.check()


@pytest.mark.parametrize("kind", [Webhook, Alertmanager])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"url": f"ftp://{SECRET}/x"}, "url: expected an http or https address with a host - "),
        ({"url": SECRET}, "url: expected an http or https address with a host - "),
        ({"url": f"http:///{SECRET}"}, "url: expected an http or https address with a host - "),
        ({"url": f"http://host:{SECRET}"}, "url: expected an http or https address with a host - "),
        ({"url": f"http://a..b/{SECRET}"}, "url: expected an http or https address with a host - "),
        ({"url": f"http://{'a' * 64}.example/{SECRET}"}, "url: expected an http or https address with a host - "),
        ({"url": f"http://[{SECRET}/"}, "url: expected an http or https address with a host - "),
        ({"url": f"http://host/{SECRET} b"}, "url: an address holds no spaces and only ASCII - "),
        ({"url": f"http://bücher.example/{SECRET}"}, "url: an address holds no spaces and only ASCII - "),
        ({"url": f"http://user:{SECRET}@host/"}, "url: holds a user or a password - give them in headers as Authorization"),
        ({"url": f"http://host/#{SECRET}"}, "url: what stands after # is never sent - "),
        ({"headers": {"a b": SECRET}}, "headers: 'a b' is no name of a header - "),
        ({"headers": {"X-Token": f"{SECRET}\r\nHost: x"}}, "headers: the value of X-Token is not one line of ASCII - correct it"),
        ({"headers": {"content-TYPE": SECRET}}, "headers: content-TYPE is set by the channel itself - leave it out"),
    ],
)
def test_options_that_cannot_work_are_refused_at_once(kind: Channel, options: dict[str, Any], told: str) -> None:
    with pytest.raises(MonitoringError) as caught:
        kind(**{"url": "http://host", **options})
    assert caught.value.message.startswith(told)
    assert SECRET not in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("url", ["http://host/api/v2/alerts", "http://host/am/api/v2/", "http://host?a=1"])
def test_an_alertmanager_is_given_by_its_address_alone(url: str) -> None:
    with pytest.raises(MonitoringError, match=r"^url: is more than where the Alertmanager is - write http://"):
        Alertmanager(url=url)


@pytest.mark.parametrize("wrong", [{"send_timeout": 0}, {"send_timeout": float("nan")}, {"send_timeout": 1e9}, {"secret": ""}])
def test_a_webhook_refuses_limits_and_keys_that_are_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Webhook(url="http://host", **wrong)


def test_the_examples_of_the_docstrings_are_true() -> None:
    assert doctest.testmod(webhook).failed == doctest.testmod(alertmanager).failed == 0


def test_a_path_of_another_program_before_an_alertmanager_is_kept(server: Server) -> None:
    Alertmanager(url=f"{server.url}/api/v1/namespaces/monitoring/services/alertmanager:9093/proxy").check()
    assert server.asked[0].path == "/api/v1/namespaces/monitoring/services/alertmanager:9093/proxy/api/v2/status"


def test_the_hook_hands_over_both() -> None:
    kinds = {"webhook": Webhook, "alertmanager": Alertmanager}
    assert {name: mlops_alert_channel(name) for name in kinds} == kinds


CONFIGURATION = """
version: 1
project: tickets
tenant: acme
tracker: []
registry: "mlops_core.testing.memory_registry:MemoryRegistry"
environments: {staging: "mlops_core.testing.memory_deployer:MemoryDeployer"}
formats: [json]
channels:
  ops: {use: webhook, url: "${HOOK}", headers: {Authorization: "Bearer ${TOKEN}"}, secret: "${TOKEN}", send_timeout: 5}
  pager: {use: alertmanager, url: "http://127.0.0.1:9", lasts: 30d}
monitoring:
  sinks: ["mlops_core.testing.memory_sink:MemorySink"]
  alerts: [{name: errors, when: "error_rate > 1%", notify: [ops]}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> Path:
    monkeypatch.setenv("HOOK", f"{server.url}/{SECRET}")
    monkeypatch.setenv("TOKEN", SECRET)
    (tmp_path / "mlops.yaml").write_text(CONFIGURATION, encoding="utf-8")
    return tmp_path


def test_an_alert_that_a_server_refused_arrives_at_the_next_pass(folder: Path, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answers = [500]
    with Project.open(folder) as project:
        project.monitoring.track_prediction("classifier", 0.1, success=False, environment="production")
        (opened,) = project.monitoring.evaluate()
        assert "answered 500 Internal Server Error" in caplog.text
        assert project.monitoring.evaluate() == ()
        assert project.monitoring.evaluate() == ()
    refused, taken = server.asked
    assert refused.headers["idempotency-key"] == taken.headers["idempotency-key"] == f"{opened.key}/firing"
    assert taken.headers["authorization"] == f"Bearer {SECRET}"
    assert (taken.document["rule"], taken.document["state"], taken.document["value"]) == ("errors", "firing", 1.0)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("url", [f"ftp://{SECRET}", "${TOKEN}"])
def test_the_configuration_names_the_option_that_is_wrong(folder: Path, url: str) -> None:
    (folder / "mlops.yaml").write_text(CONFIGURATION.replace("${HOOK}", url), encoding="utf-8")
    with Project.open(folder) as project, pytest.raises(ConfigError, match=r"mlops\.yaml:\d+:\d+: channels\.ops\.url: ") as caught:
        _ = project.stack.parts.channels["ops"]
    assert SECRET not in caught.value.message
