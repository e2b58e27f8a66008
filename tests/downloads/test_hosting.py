"""The hosting bundle is right for nginx and PHP, and no value leaves its place in it."""

import http.client
import re
import socket
import ssl
import subprocess
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_services.downloads.hosting import hosting_files
from cms_services.downloads.names import (
    unix_name,
)
from cms_services.downloads.subject import Subject
from tests.downloads.samples import (
    GOOD_CONFIG,
    HOSTILE,
    a_subject,
    program,
    unicode_text,
    without_comments,
)


@settings(max_examples=60, deadline=None)
@given(name=unicode_text | st.sampled_from(HOSTILE))
def test_the_name_of_a_service_changes_nothing_but_comments(name: str) -> None:
    plain, hostile = hosting_files(a_subject()), hosting_files(a_subject(name=name))
    for path in ("nginx/site.conf", "php-fpm/pool.conf", ".user.ini", "logrotate.conf"):
        assert without_comments(hostile[path], "#;") == without_comments(plain[path], "#;")
    assert without_comments(hostile[".env.example"], "#") == without_comments(
        plain[".env.example"], "#"
    )


@pytest.mark.parametrize("value", [text for text in HOSTILE if len(text) < 200])
def test_env_values_mean_the_same_to_a_shell_or_are_left_out(value: str) -> None:
    environment = {"BEFORE": "1", "VALUE": value, "ZLAST": "2"}
    content = hosting_files(a_subject(GOOD_CONFIG | {"environment": environment}))[".env.example"]
    script = content + b'\nprintf %s "$BEFORE|${VALUE-left out}|$ZLAST"'
    done = subprocess.run(["/bin/sh"], input=script, capture_output=True, check=True, env={})
    left_out = not value.isprintable() or ("'" in value and '"' in value)
    expected = "left out" if left_out else value
    assert done.stdout.decode() == f"1|{expected}|2"
    assert (b"\n#VALUE=\n" in content) == left_out


@pytest.mark.parametrize(
    ("memory", "children", "each"), [("512MiB", 4, 128), ("64MiB", 2, 32), ("2GiB", 16, 128)]
)
def test_the_pool_never_takes_more_than_the_plan_has(memory: str, children: int, each: int) -> None:
    files = hosting_files(a_subject({"runtime": {"memory_limit": memory}}))
    pool = files["php-fpm/pool.conf"].decode()
    assert f"pm.max_children = {children}\n" in pool
    assert f"php_admin_value[memory_limit] = {each}M\n" in pool


@pytest.mark.parametrize(("given", "used"), [("8.3.x", "8.3"), (8.2, "8.2"), (None, "8.2")])
def test_the_php_version_is_read_as_people_write_it(given: Any, used: str) -> None:
    files = hosting_files(a_subject({"runtime": {"php_version": given}}))
    assert f"/etc/php/{used}/fpm/pool.d/" in files["README.md"].decode()


@pytest.mark.parametrize(
    ("name", "domain"),
    [("blog.example.org", "blog.example.org"), ("Blog", "482913749123.example.invalid")],
)
def test_without_a_domain_the_name_of_the_service_may_be_one(name: str, domain: str) -> None:
    site = hosting_files(a_subject({}, name=name))["nginx/site.conf"].decode()
    assert f'server_name "{domain}";' in site


@pytest.mark.parametrize(
    "subject",
    [
        a_subject(),
        a_subject({}, name="semi; } $(x) \n evil", service_id='"; evil'),
        a_subject({"domains": ["a" * 60 + ".example.com", "www.käse.example"]}),
    ],
    ids=["plain", "hostile", "long"],
)
def test_nginx_accepts_the_site(subject: Subject, tmp_path: Path) -> None:
    command = nginx_command(subject, tmp_path, 18080, 18443)
    done = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_site_serves_what_it_should_and_nothing_else(tmp_path: Path) -> None:
    plain, tls = free_port(), free_port()
    command = nginx_command(a_subject(), tmp_path, plain, tls)
    public = next(tmp_path.glob("srv/www/*/public"))
    for path, text in {
        "style.css": "css",
        ".env": "secret",
        ".git/config": "secret",
        ".well-known/security.txt": "contact",
        "index.php": "<?php",
        "picture.jpg": "jpeg",
    }.items():
        (public / path).parent.mkdir(exist_ok=True)
        (public / path).write_text(text)
    challenge = tmp_path / "var/www/acme/.well-known/acme-challenge/token"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("answer")
    server = subprocess.Popen(command)
    try:
        wait_for(tls)
        assert ask(plain, "/.well-known/acme-challenge/token")[::2] == (200, b"answer")
        status, location, _ = ask(plain, "/a?b=c")
        assert (status, location) == (301, "https://shop.example.com/a?b=c")
        assert ask(tls, "/style.css", secure=True)[::2] == (200, b"css")
        assert ask(tls, "/.well-known/security.txt", secure=True)[::2] == (200, b"contact")
        for path in ("/.env", "/.git/config", "/.user.ini", "/.well-known/.git/config", "/no.php"):
            assert ask(tls, path, secure=True)[0] == 404
        assert ask(tls, "/picture.jpg/x.php", secure=True)[0] == 404
        # There is no php-fpm here: that nginx looks for it shows what would be run.
        assert ask(tls, "/index.php", secure=True)[0] == 502
        assert ask(tls, "/shop/basket", secure=True)[0] == 502
    finally:
        server.terminate()
        server.wait(10)


def test_php_fpm_accepts_the_pool(tmp_path: Path) -> None:
    binary = program("php-fpm", "php-fpm8.2", "php-fpm8.3", "php-fpm8.4")
    subject = a_subject(name="x\n[global]\n; $pool")
    pool = hosting_files(subject)["php-fpm/pool.conf"].decode()
    pool = moved(pool, tmp_path).replace(f'"{unix_name(subject.service.service_id)}"', '"nobody"')
    pool = pool.replace('group = "nobody"', "group = nogroup")
    for folder in ("srv/www/web482913749123", "var/log/sites/web482913749123"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pool.conf").write_text(pool)
    main = f"[global]\nerror_log = {tmp_path}/fpm.log\ninclude = {tmp_path}/pool.conf\n"
    (tmp_path / "fpm.conf").write_text(main)
    command = [binary, "-t", "-y", str(tmp_path / "fpm.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def moved(content: str, root: Path) -> str:
    """The file with its absolute paths below another root."""
    return re.sub(r"(?<![\w/])/(srv|var|run|etc)/", rf"{root}/\1/", content)


def nginx_command(subject: Subject, root: Path, plain: int, tls: int) -> list[str]:
    """The site assembled in a root of its own, and the command that runs nginx there."""
    binary = program("nginx")
    site = moved(hosting_files(subject)["nginx/site.conf"].decode(), root)
    site = re.sub(r"(listen (?:\[::\]:)?)80;", rf"\g<1>{plain};", site)
    site = re.sub(r"(listen (?:\[::\]:)?)443 ", rf"\g<1>{tls} ", site)
    if not has_ipv6():
        site = re.sub(r".*listen \[::\].*\n", "", site)
    for folder in re.findall(rf'(?:access_log|root) "?({root}[^";]+)', site):
        (Path(folder).parent if folder.endswith(".log") else Path(folder)).mkdir(
            parents=True, exist_ok=True
        )
    certificate = re.search(r'ssl_certificate "(.+)/fullchain.pem"', site)
    assert certificate
    write_certificate(Path(certificate[1]))
    (root / "fastcgi_params").write_text("fastcgi_param QUERY_STRING $query_string;\n")
    (root / "site.conf").write_text(site)
    temporary = "".join(
        f"{kind}_temp_path {root}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (root / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/error.log;\n"
        "events {}\n"
        f"http {{ {temporary} server_names_hash_bucket_size 512; include site.conf; }}\n"
    )
    return [binary, "-p", str(root), "-c", str(root / "nginx.conf"), "-e", str(root / "error.log")]


def write_certificate(folder: Path) -> None:
    folder.mkdir(parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def has_ipv6() -> bool:
    try:
        with closing(socket.create_server(("::", 0), family=socket.AF_INET6)):
            return True
    except OSError:
        return False


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    for _ in range(100):
        try:
            with closing(socket.create_connection(("127.0.0.1", port), 1)):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("nginx does not listen")


def ask(port: int, path: str, secure: bool = False) -> tuple[int, str | None, bytes]:
    """The status, the Location and the body of an answer."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=trusting)
        if secure
        else http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    )
    with closing(connection):
        connection.request("GET", path, headers={"Host": "shop.example.com"})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location"), answer.read()
