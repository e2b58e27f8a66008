"""Real nginx, php-fpm and Apache serve a site that was assembled from its bundle."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from cms_services.configuration.documents import Opened
from cms_services.downloads.subject import Subject
from tests.downloads.samples import GOOD_CONFIG, HOSTILE, a_service, a_subject
from tests.downloads.servers import IS_ROOT, Site, ask, assembled, running

_INDEX = """<?php
preg_match_all("/^(\\w+)='(.*)'$/m", file_get_contents(__DIR__ . '/../.env'), $lines);
$env = array_combine($lines[1], $lines[2]);
echo json_encode([
    'uri' => $_SERVER['REQUEST_URI'],
    'script' => $_SERVER['SCRIPT_NAME'],
    'https' => $_SERVER['HTTPS'] ?? '',
    'proxy' => $_SERVER['HTTP_PROXY'] ?? '',
    'authorization' => $_SERVER['HTTP_AUTHORIZATION'] ?? '',
    'greeting' => $env['GREETING'],
    'key' => $env['API_KEY'],
    'of_the_server' => getenv('OF_THE_SERVER'),
    'memory' => ini_get('memory_limit'),
    'upload' => ini_get('upload_max_filesize'),
    'outside' => @file_get_contents('/etc/hostname'),
]);
"""
_UPLOAD = """<?php
move_uploaded_file($_FILES['picture']['tmp_name'], __DIR__ . '/uploads/picture.jpg');
echo ini_get('upload_tmp_dir');
"""
_BODY = (
    b"--b\r\nContent-Disposition: form-data; name=picture; filename=x.jpg\r\n"
    b"Content-Type: image/jpeg\r\n\r\n<?php echo 'run';\r\n--b--\r\n"
)
_FORM = {"Content-Type": "multipart/form-data; boundary=b"}
SERVERS = pytest.mark.parametrize("server", ["nginx", "apache"])


def a_shop() -> Subject:
    environment = {"GREETING": "it is; $5 (cheap)", "API_KEY": Opened("open sesame")}
    return Subject(a_service(), GOOD_CONFIG | {"environment": environment})


@pytest.fixture(scope="module")
def sites() -> Iterator[dict[str, Site]]:
    """The same site under nginx and under Apache, both with php-fpm behind them."""
    with assembled(a_shop()) as one, assembled(a_shop()) as two:
        for site in (one, two):
            _fill(site)
        (one.public / ".htaccess").unlink()
        with (
            running([*one.php_fpm, "-F"], _socket(one)),
            running([*two.php_fpm, "-F"], _socket(two)),
            running(one.nginx, one.tls),
            running([*two.apache, "-DFOREGROUND"], two.tls),
        ):
            yield {"nginx": one, "apache": two}


def _socket(site: Site) -> Any:
    return site.root / "run/php" / f"{site.user}.sock"


def _fill(site: Site) -> None:
    for path, text in {
        "index.php": _INDEX,
        "upload.php": _UPLOAD,
        "style.css": "css",
        ".git/config": "secret",
        "a/.env": "secret",
        ".well-known/security.txt": "contact",
        "uploads/picture.jpg": "<?php echo 'run';",
    }.items():
        (site.public / path).parent.mkdir(exist_ok=True)
        (site.public / path).write_text(text)


@SERVERS
def test_a_page_is_served_over_tls_from_the_plans_own_php(
    sites: dict[str, Site], server: str
) -> None:
    site = sites[server]
    sent = {"Proxy": "http://evil.example", "Authorization": "Bearer token"}
    answer = ask(site.tls, "/index.php?a=b", headers=sent)
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "uri": "/index.php?a=b",
        "script": "/index.php",
        "https": "on",
        "proxy": "",
        "authorization": "Bearer token",
        "greeting": "it is; $5 (cheap)",
        "key": "open sesame",
        "of_the_server": False,
        "memory": "128M",
        "upload": "64M",
        "outside": False,
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert "x-powered-by" not in answer.headers


@SERVERS
@pytest.mark.parametrize("path", ["/", "/shop/basket", "/no.css", "/?a=b"])
def test_what_is_no_file_is_for_the_front_controller(
    sites: dict[str, Site], server: str, path: str
) -> None:
    answer = ask(sites[server].tls, path)
    assert answer.status == 200
    page = json.loads(answer.body)
    assert (page["uri"], page["script"]) == (path, "/index.php")


@SERVERS
@pytest.mark.parametrize(
    "path",
    [
        *("/.env", "/.user.ini", "/.htaccess", "/.git/config", "/a/.env", "/%2eenv"),
        *("/.well-known/.git/config", "/.git/", "//.git/config"),
        *("/no.php", "/uploads/picture.jpg/x.php", "/index.php/x.php", "/no/picture.jpg/x.php"),
    ],
)
def test_hidden_files_and_php_that_is_no_file_are_not_found(
    sites: dict[str, Site], server: str, path: str
) -> None:
    answer = ask(sites[server].tls, path)
    assert answer.status == 404
    assert b"secret" not in answer.body
    assert b"uri" not in answer.body


@SERVERS
def test_files_are_served_as_they_are(sites: dict[str, Site], server: str) -> None:
    site = sites[server]
    style = ask(site.tls, "/style.css")
    assert (style.status, style.body) == (200, b"css")
    assert style.headers["cache-control"] == "max-age=2592000"
    assert style.headers["x-content-type-options"] == "nosniff"
    assert ask(site.tls, "/.well-known/security.txt").body == b"contact"
    # A picture with a program in it stays a picture.
    assert ask(site.tls, "/uploads/picture.jpg").body == b"<?php echo 'run';"
    assert ask(site.tls, "/uploads/").status in (403, 404)


@SERVERS
def test_an_upload_arrives_and_never_runs(sites: dict[str, Site], server: str) -> None:
    site = sites[server]
    (site.public / "uploads/picture.jpg").unlink()
    answer = ask(site.tls, "/upload.php", body=_BODY, headers=_FORM)
    assert (answer.status, answer.body.decode()) == (200, str(site.home / "tmp"))
    assert ask(site.tls, "/uploads/picture.jpg").body == b"<?php echo 'run';"
    for size in (70 * 1024**2, 5 * 1024**3):
        large = {"Content-Length": str(size)}
        assert ask(site.tls, "/upload.php", body=b"x", headers=_FORM | large).status == 413


@SERVERS
def test_plain_http_leads_to_tls_and_answers_certificate_authorities(
    sites: dict[str, Site], server: str
) -> None:
    site = sites[server]
    webroot = site.root / "var/www/acme" if server == "nginx" else site.public
    challenge = webroot / ".well-known/acme-challenge/token"
    challenge.parent.mkdir(parents=True, exist_ok=True)
    challenge.write_text("answer")
    assert ask(site.plain, "/.well-known/acme-challenge/token", secure=False).body == b"answer"
    assert ask(site.plain, "/.well-known/acme-challenge/no", secure=False).status == 404
    answer = ask(site.plain, "/a?b=c", secure=False)
    assert answer.status == 301
    assert answer.headers["location"] == "https://shop.example.com/a?b=c"


def test_a_link_to_files_of_somebody_else_is_not_followed(sites: dict[str, Site]) -> None:
    if not IS_ROOT:
        pytest.skip("only root can give a file to somebody else")
    for site in sites.values():
        foreign = site.root / "foreign.css"
        foreign.write_text("secret")
        os.chown(foreign, 12345, 12345)
        (site.public / "link.css").symlink_to(foreign)
        assert b"secret" not in ask(site.tls, "/link.css").body


def test_without_its_module_apache_shows_no_source() -> None:
    with assembled(a_shop()) as site:
        _fill(site)
        path = site.root / "etc/apache2.conf"
        path.write_text(
            "".join(line for line in path.read_text().splitlines(True) if "proxy_fcgi" not in line)
        )
        with running([*site.apache, "-DFOREGROUND"], site.tls):
            assert ask(site.tls, "/index.php").status == 403
            assert ask(site.tls, "/style.css").status == 200


@pytest.mark.parametrize(
    "subject",
    [
        a_subject(),
        *(a_subject({"runtime": {"timeout": each, "concurrency": 1}}) for each in ("1s", "1h")),
        a_subject({"domains": ["a" * 60 + ".example.com", "www.käse.example"]}),
        *(a_subject({}, name=text, service_id=text or '"; evil') for text in HOSTILE[:8]),
    ],
)
def test_the_servers_accept_their_files(subject: Subject) -> None:
    with assembled(subject) as site:
        for command in (site.nginx, site.php_fpm, site.apache):
            done = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
