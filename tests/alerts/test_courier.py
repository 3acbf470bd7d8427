"""Where messages may go: judged in the process that sends them, when it connects."""

import ipaddress
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest

from bots.alerts import policy
from botsite.platform.bootstrap import ROOT
from tests.receivers import mailbox, webhooks

#: Names that a resolver gives back, one answer after the other.
NAMES = {
    "inner.test": ["10.0.0.1"],
    "rebind.test": ["93.184.216.34", "127.0.0.1"],
    "mixed.test": ["127.0.0.1", "::1"],
    "metadata.test": ["169.254.169.254"],
    "mapped.test": ["::ffff:127.0.0.1"],
}
#: The courier with a resolver of ours: each look-up of a name gives its next answer.
PROGRAM = """
import json, socket, sys
names = json.loads(sys.argv[1])
real = socket.getaddrinfo
def look_up(host, port, *rest, **options):
    answers = names.get(host)
    if answers:
        host = answers.pop(0) if len(answers) > 1 else answers[0]
    return real(host, port, *rest, **options)
socket.getaddrinfo = look_up
from bots.alerts import courier
if len(sys.argv) > 2:
    check = courier.policy.check
    # The first look-up is anybody's, to ask whether the address may be used: it may.
    courier.policy.check = lambda url, **o: (look_up(sys.argv[2], 443), check(url, **o))[1]
courier.main()
"""


def courier(
    jobs: Sequence[str | dict[str, Any]], *, private: bool = False, first: str = ""
) -> dict[int, dict[str, Any]]:
    """Have the courier send a message to each address; returns its results by place."""
    rows = [
        {"id": n, "title": "t", "body": "b", "type": "info", "trusted": False}
        | ({"url": job} if isinstance(job, str) else job)
        for n, job in enumerate(jobs)
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(NAMES), *([first] if first else [])],
        input=json.dumps({"allow_private": private, "jobs": rows}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {row["id"]: row for row in found}


def refused(port: int) -> Iterator[tuple[str, str]]:
    """Yield addresses that lead to this machine, its network, or nowhere, and the fault of each."""
    hosts = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "localhost", "sub.localhost", "LOCALHOST."]
    hosts += ["10.0.0.1", "172.16.9.9", "192.168.1.1", "169.254.169.254", "100.64.0.1"]
    hosts += ["224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1"]
    hosts += ["[::1]", "[::]", "[::ffff:127.0.0.1]", "[fe80::1]", "[fd00::1]", "[64:ff9b::a00:1]"]
    hosts += ["[2002:7f00:1::]", "[::127.0.0.1]", "[ff02::1]", "[2001:db8::1]"]
    # As libraries of C read addresses: all of them 127.0.0.1.
    hosts += ["2130706433", "0x7f000001", "017700000001", "127.1", "0x7f.1"]
    hosts += ["inner.test", "mixed.test", "metadata.test", "mapped.test"]
    for host in hosts:
        yield f"jsons://{host}:{port}/hook", "private"
    yield f"mailto://user:secret@127.0.0.1:{port}/?to=a@example.org", "private"
    yield f"mailto://user:secret@example.org/?smtp=inner.test:{port}&to=a@example.org", "private"
    yield f"json://127.0.0.1:{port}/hook", "address"  # without TLS
    for url in ("file:///etc/passwd", "syslog://", "dbus://", "xml://127.0.0.1", "exec://ls"):
        yield url, "address"
    for option in ("verify=no", "redirect=yes", "template=/etc/passwd", "%76erify=no", "x=1"):
        yield f"jsons://example.org/?{option}", "address"
    yield "discord://123456789012345678/" + "a" * 40 + "?template=/etc/passwd", "address"
    yield "mailto://u:p@example.org/?pgppub=/etc/passwd&to=a@example.org", "address"


def test_no_address_leads_into_a_private_network() -> None:
    with webhooks() as received:
        table = list(refused(received.port))
        results = courier([url for url, _fault in table])
    assert len(table) > 45
    wrong = []
    for number, (url, fault) in enumerate(table):
        # A host that nobody could mean is none to apprise, whatever C makes of it.
        allowed = {fault, "address", "name"} if fault == "private" else {fault}
        if results[number]["ok"] or results[number]["fault"] not in allowed:
            wrong.append((url, results[number]))
    assert wrong == []
    assert received.connections == 0
    private = [n for n, (_url, fault) in enumerate(table) if fault == "private"]
    assert sum(results[n]["fault"] == "private" for n in private) > 30


def test_a_name_that_changes_its_address_is_judged_by_the_one_that_is_connected_to() -> None:
    with webhooks() as received:
        found = courier([f"jsons://rebind.test:{received.port}/hook"], first="rebind.test")
    assert found[0]["fault"] == "private"
    assert received.connections == 0


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *(("93.184.216.34", True), ("2606:2800:220:1::1", True), ("::ffff:8.8.8.8", True)),
        *(("64:ff9b::808:808", True), ("64:ff9b::7f00:1", False), ("fe80::1%eth0", False)),
        *(("100.127.255.255", False), ("2002:a00:1::", False), ("198.51.100.7", False)),
    ],
)
def test_what_is_public(address: str, expected: bool) -> None:
    assert policy.is_public(ipaddress.ip_address(address)) is expected
    assert policy.may_connect((address, 443), allow_private=False) is expected


def test_a_name_or_a_file_is_never_connected_to() -> None:
    for address in ("/run/docker.sock", ("localhost", 80), ("example.org", 443), None):
        assert not policy.may_connect(address, allow_private=True)


def test_each_failure_has_its_word_and_redirects_are_not_followed() -> None:
    answers = {"/404": 404, "/401": 401, "/redirect": 302}
    with webhooks() as received, webhooks(tls=True) as secure, mailbox() as post:
        received.answer = lambda path: answers.get(path, 200)
        here = f"json://127.0.0.1:{received.port}"
        jobs = [f"{here}/ok", f"{here}/404", f"{here}/401", f"{here}/redirect"]
        jobs += [f"jsons://localhost:{secure.port}/ok", "json://127.0.0.1:1/x"]
        jobs += ["json://no-such-host.invalid/", f"mailto://127.0.0.1:{post.port}?to=a@example.org"]
        faults = [(r["fault"], r["code"]) for _n, r in sorted(courier(jobs, private=True).items())]
    assert faults[:4] == [("", None), ("answer", 404), ("login", 401), ("answer", 302)]
    assert faults[4:7] == [("tls", None), ("connect", None), ("name", None)]
    assert sorted(path for path, _json in received.posts) == ["/401", "/404", "/ok", "/redirect"]
    assert secure.posts == [], "nobody vouches for its certificate"


def test_an_answer_without_end_is_read_no_further() -> None:
    with webhooks() as received:
        found = courier([f"json://127.0.0.1:{received.port}/endless"], private=True)
    assert found[0]["ok"]


def test_a_mail_server_that_greets_without_end_fills_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(
        globals(), "PROGRAM", PROGRAM.replace("main()", "MEMORY_BYTES = 160 << 20\ncourier.main()")
    )
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            guest, _address = server.accept()
            with guest, suppress(OSError):
                while True:
                    guest.sendall((b"220-" + b"x" * 8000 + b"\r\n") * 200)

        threading.Thread(target=greet, daemon=True).start()
        host = f"127.0.0.1:{server.getsockname()[1]}"
        url = f"mailto://{host}?from=a@example.org&to=b@example.org&mode=insecure"
        (found,) = courier([url], private=True).values()
    # Killed after 20 s otherwise, with gigabytes by then.
    assert (found["ok"], found["fault"]) == (False, "internal")


def test_only_the_sites_own_mail_server_may_be_private() -> None:
    with mailbox() as post:
        url = f"mailto://127.0.0.1:{post.port}?from=a@example.org&to=b@example.org&mode=insecure"
        found = courier([url, {"url": url, "trusted": True}])
    assert [found[0]["fault"], found[1]["ok"]] == ["private", True]
    assert [mail["To"] for mail in post.mails] == ["b@example.org"]


def test_the_courier_starts_no_program_and_opens_no_other_way() -> None:
    program = (
        "import sys, socket, subprocess, os\n"
        "from bots.alerts import courier\n"
        "sys.addaudithook(courier.guard)\n"
        "tries = [lambda: subprocess.run(['true']), lambda: os.system('true'),\n"
        "         lambda: socket.socket().connect(('127.0.0.1', 80)),\n"
        "         lambda: socket.socket().connect_ex(('127.0.0.1', 80)),\n"
        "         lambda: socket.socket(2, 2).sendto(b'', ('127.0.0.1', 53)), os.fork]\n"
        "for attempt in tries:\n"
        "    try:\n"
        "        attempt()\n"
        "    except OSError as error:\n"
        "        print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    denied = ["PermissionError", "PermissionError", "Denied", "Denied"]
    assert done.stdout.split() == [*denied, "PermissionError", "PermissionError"]
