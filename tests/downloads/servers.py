"""A hosting bundle assembled below a root of its own, and the real servers that run it there."""

import getpass
import hashlib
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cms_services.downloads.hosting.bundle import hosting_files
from cms_services.downloads.names import unix_name
from cms_services.downloads.subject import Subject
from tests.downloads.samples import program
from tests.local_servers import free_port

IS_ROOT = os.geteuid() == 0
PHP_FPM = ("php-fpm", "php-fpm8.2", "php-fpm8.3", "php-fpm8.4")
# What an installed system has before a site comes.
_SYSTEM_FOLDERS = (
    *("etc/nginx/sites-available", "etc/nginx/sites-enabled", "etc/logrotate.d", "etc/cron.d"),
    *("etc/systemd/system", "run/php", "srv", "var/log", "var/www", "etc/php"),
)
_FASTCGI_PARAMS = """
fastcgi_param QUERY_STRING $query_string;
fastcgi_param REQUEST_METHOD $request_method;
fastcgi_param CONTENT_TYPE $content_type;
fastcgi_param CONTENT_LENGTH $content_length;
fastcgi_param SCRIPT_NAME $fastcgi_script_name;
fastcgi_param REQUEST_URI $request_uri;
fastcgi_param DOCUMENT_ROOT $document_root;
fastcgi_param SERVER_PROTOCOL $server_protocol;
fastcgi_param HTTPS $https if_not_empty;
"""
_APACHE_MODULES = (
    *("mpm_event", "authz_core", "alias", "dir", "mime", "rewrite", "headers", "expires"),
    *("proxy", "proxy_fcgi", "ssl"),
)


@dataclass(frozen=True)
class Site:
    """A bundle whose README's commands were run, with every absolute path below `root`."""

    root: Path
    user: str
    plain: int
    tls: int

    @property
    def bundle(self) -> Path:
        return self.root / "bundle"

    @property
    def home(self) -> Path:
        return self.root / "srv/www" / self.user

    @property
    def public(self) -> Path:
        return self.home / "public"

    @property
    def nginx(self) -> list[str]:
        return [
            *(
                program("nginx"),
                "-p",
                str(self.root),
                "-c",
                str(self.root / "etc/nginx/nginx.conf"),
            ),
            *("-e", str(self.root / "error.log")),
        ]

    @property
    def php_fpm(self) -> list[str]:
        as_root = ["-R"] if IS_ROOT else []
        return [program(*PHP_FPM), *as_root, "-y", str(self.root / "etc/php/fpm.conf")]

    @property
    def apache(self) -> list[str]:
        return [program("apache2"), "-f", str(self.root / "etc/apache2.conf")]


@contextmanager
def assembled(subject: Subject) -> Iterator[Site]:
    """The bundle installed below a temporary root by the commands of its own README."""
    # Not pytest's folder: its length leaves no room for the path of a socket.
    root = Path(tempfile.mkdtemp(prefix="site"))
    try:
        # Servers that begin as root go on as www-data.
        root.chmod(0o755)
        site = Site(root, unix_name(subject.service.service_id), free_port(), free_port())
        _unpack(site, hosting_files(subject))
        for folder in _SYSTEM_FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)
        _run_readme(site)
        _write_main_configurations(site)
        yield site
    finally:
        shutil.rmtree(root)


def _unpack(site: Site, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        text = moved(content.decode(), site.root)
        # The account of the site is whoever runs the tests.
        text = re.sub(rf"(?<![\w/]){site.user}(?![\w.-])", getpass.getuser(), text)
        if path == "nginx/site.conf":
            text = _with_ports(text, site)
        if path == "php-fpm/pool.conf" and not IS_ROOT:
            text = text.replace("www-data", getpass.getuser())
        (site.bundle / path).parent.mkdir(parents=True, exist_ok=True)
        (site.bundle / path).write_text(text, newline="")
    sums = site.bundle / "SHA256SUMS"
    names = [line.split("  ")[1] for line in sums.read_text().splitlines()]
    sums.write_text(
        "".join(
            f"{hashlib.sha256((site.bundle / name).read_bytes()).hexdigest()}  {name}\n"
            for name in names
        )
    )


def _with_ports(text: str, site: Site) -> str:
    text = re.sub(r"(listen (?:\[::\]:)?)80;", rf"\g<1>{site.plain};", text)
    text = re.sub(r"(listen (?:\[::\]:)?)443 ", rf"\g<1>{site.tls} ", text)
    return text if has_ipv6() else re.sub(r".*listen \[::\].*\n", "", text)


def _run_readme(site: Site) -> None:
    """Run what installs; accounts, certificates and services of the machine are left alone."""
    readme = (site.bundle / "README.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    commands = "".join(block for block in blocks if re.search(r"^(install|ln) ", block, re.M))
    commands = re.sub(r"^(adduser|php-fpm|nginx|a2enmod) .*\n", "", commands, flags=re.M)
    commands = re.sub(r"^php-fpm[\d.]+ .*\n", "", commands, flags=re.M)
    if not IS_ROOT:
        commands = re.sub(r" -[og] \S+", "", commands)
    for folder in set(re.findall(rf"{site.root}/etc/php/[\d.]+/fpm/pool\.d", commands)):
        Path(folder).mkdir(parents=True)
    for folder in re.findall(rf"{site.root}/etc/letsencrypt/live/[^/\s`]+", readme)[:1]:
        write_certificate(Path(folder))
    script = f"set -e\n{commands}"
    subprocess.run(["/bin/sh"], input=script, text=True, cwd=site.bundle, check=True)


def _write_main_configurations(site: Site) -> None:
    """What the distribution ships, as far as the servers need it."""
    root = site.root
    temporary = "".join(
        f"{kind}_temp_path {root}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user www-data;" if IS_ROOT else ""
    (root / "etc/nginx/fastcgi_params").write_text(_FASTCGI_PARAMS)
    (root / "etc/nginx/nginx.conf").write_text(
        f"{user} daemon off; pid {root}/run/nginx.pid; error_log {root}/error.log;\n"
        "worker_processes 1; events {}\n"
        f"http {{ {temporary} types {{ text/css css; image/jpeg jpg; }}\n"
        f"server_names_hash_bucket_size 512; include {root}/etc/nginx/sites-enabled/*.conf; }}\n"
    )
    (root / "etc/php/fpm.conf").write_text(
        f"[global]\nerror_log = {root}/fpm.log\ndaemonize = no\n"
        f"include = {root}/etc/php/*/fpm/pool.d/*.conf\n"
    )
    (root / "etc/apache2.conf").write_text(_apache_configuration(site))


def _apache_configuration(site: Site) -> str:
    root = site.root
    folder = "/usr/lib/apache2/modules"
    modules = "".join(f"LoadModule {n}_module {folder}/mod_{n}.so\n" for n in _APACHE_MODULES)
    certificate = next(root.glob("etc/letsencrypt/live/*"))
    user = "User www-data\nGroup www-data\n" if IS_ROOT else ""
    return (
        f"{modules}{user}ServerRoot {root}\nServerName localhost\n"
        f"PidFile {root}/run/apache2.pid\nErrorLog {root}/apache2.log\nMutex pthread\n"
        f"DefaultRuntimeDir {root}/run\nTypesConfig /dev/null\nAddType text/css .css\n"
        f"StartServers 1\nListen 127.0.0.1:{site.plain}\nListen 127.0.0.1:{site.tls}\n"
        f"DocumentRoot {site.public}\n"
        f"<Directory {site.public}>\nAllowOverride All\nRequire all granted\n</Directory>\n"
        f"<VirtualHost *:{site.tls}>\nSSLEngine on\n"
        f"SSLCertificateFile {certificate}/fullchain.pem\n"
        f"SSLCertificateKeyFile {certificate}/privkey.pem\n</VirtualHost>\n"
        f"<VirtualHost *:{site.plain}>\n</VirtualHost>\n"
    )


@contextmanager
def running(command: list[str], answers: int | Path) -> Iterator[None]:
    """The server, once the port or the socket answers. It ends with the block."""
    environment = os.environ | {"OF_THE_SERVER": "secret"}
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(server, answers)
        yield
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(10)


def wait_for(server: subprocess.Popen[bytes], answers: int | Path) -> None:
    for _ in range(100):
        if server.poll() is not None:
            pytest.fail(f"{server.args!r} ended with {server.returncode}")
        if isinstance(answers, Path):
            if answers.is_socket():
                return
        else:
            try:
                with closing(socket.create_connection(("127.0.0.1", answers), 1)):
                    return
            except OSError:
                pass
        time.sleep(0.05)
    pytest.fail(f"{server.args!r} does not listen")


def moved(content: str, root: Path) -> str:
    """The file with its absolute paths below another root."""
    return re.sub(r"(?<![\w/])/(srv|var|run|etc)/", rf"{root}/\1/", content)


def write_certificate(folder: Path, *hosts: str) -> None:
    """A certificate that is its own authority, for host names, with its key."""
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
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts or ("test",)]),
            critical=False,
        )
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


@dataclass(frozen=True)
class Answer:
    """What a web server said. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    port: int,
    path: str,
    secure: bool = True,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """A GET, or a POST of the body."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=trusting)
        if secure
        else http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    )
    with closing(connection):
        method = "GET" if body is None else "POST"
        sent = {"Host": "shop.example.com"} | (headers or {})
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        given = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, given, answer.read())
