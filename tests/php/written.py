"""Values and sessions as real PHP writes them."""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.downloads.samples import program

FORMATS = ("php", "php_serialize", "php_binary")
# What sessions hold in practice, and what is hard to read.
ZOO = r"""
class Parents { private $secret = 1; protected $kept = 2; public $shown = 3; }
class Child extends Parents { private $secret = 4; public $self; }
enum Suit: string { case Hearts = 'h'; case Spades = 's'; }
class Slept { public $a = 1; public $b = 2; function __sleep() { return ['b']; } }
class Packed { public $x = 5; function __serialize(): array { return ['x' => 5, 7 => [1]]; } }
class Old implements Serializable {
    function serialize() { return 'i:1;|}";x|'; } function unserialize($d) {}
}
function zoo(): array {
    $child = new Child; $child->self = $child;
    $list = [1, 2]; $text = 'käse | "mild"; {}';
    return [
        'user' => ['id' => 7, 'name' => 'Jürgen'], 'none' => null, 'yes' => true, 'no' => false,
        'floats' => [0.1, -1.5e100, 1e-320, INF, -INF, NAN, 3.0],
        'big' => [PHP_INT_MAX, PHP_INT_MIN],
        'child' => $child, 'suit' => Suit::Hearts, 'same' => [Suit::Hearts, Suit::Spades],
        'slept' => new Slept, 'packed' => new Packed, 'list' => &$list, 'again' => &$list,
        'deep' => [&$text, [&$text, $child]], 'array_object' => new ArrayObject([1, ['a' => 2]]),
        'date' => new DateTime('2012-03-02 12:00:00'), 'binary' => "\x00\xff\xfe", 'empty' => [],
        'text' => $text, 'last' => &$text,
    ];
}
function small(): array {
    return array_intersect_key(zoo(), ['user' => 1, 'child' => 1, 'last' => 1]);
}
"""
_LOOP = r"""
ini_set('session.use_cookies', 0); ini_set('session.save_path', sys_get_temp_dir());
function written($handler, $value) {
    ini_set('session.serialize_handler', $handler);
    session_start(); $_SESSION = $value; $text = session_encode(); session_abort(); return $text;
}
function user_id($handler, $data) {
    ini_set('session.serialize_handler', $handler);
    session_start(); $_SESSION = [];
    try { $read = session_decode($data); } catch (Throwable $error) { $read = false; }
    $user = is_array($_SESSION) && $read ? $_SESSION['user'] ?? null : null;
    if (session_status() == PHP_SESSION_ACTIVE) session_abort();
    return json_encode(is_array($user) ? $user['id'] ?? null : null);
}
ob_start();
while (($line = fgets(STDIN)) !== false) {
    [$handler, $value, $data] = json_decode($line, true);
    if ($data !== null) {
        fwrite(STDOUT, base64_encode(user_id($handler, base64_decode($data))) . "\n");
        continue;
    }
    if ($value === 'ZOO') $value = zoo();
    if ($value === 'SMALL') $value = small();
    fwrite(STDOUT, base64_encode($handler ? written($handler, $value) : serialize($value)) . "\n");
}
"""


class Php:
    """A running php that writes what it is given as JSON."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def serialized(self, value: Any) -> bytes:
        return self._ask(None, value)

    def session(self, session_format: str, variables: Any) -> bytes:
        """A session with these variables, or with those of ZOO or SMALL."""
        return self._ask(session_format, variables)

    def user_id(self, session_format: str, session: bytes) -> Any:
        """What PHP finds at user.id of a session; None where it can't be read."""
        data = base64.b64encode(session).decode()
        answer = self._ask(session_format, None, data)
        return json.loads(answer) if answer else None

    def _ask(self, handler: str | None, value: Any, data: str | None = None) -> bytes:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([handler, value, data]).encode() + b"\n")
        self._process.stdin.flush()
        return base64.b64decode(self._process.stdout.readline())


@contextmanager
def running_php() -> Iterator[Php]:
    quietly = ("-d", "error_reporting=0", "-d", "serialize_precision=-1")
    command = [program("php"), "-n", *quietly, "-r", ZOO + _LOOP]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Php(process)
        assert process.stdin is not None
        process.stdin.close()
