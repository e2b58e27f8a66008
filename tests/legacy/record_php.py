"""Record how real PHP reads query strings, for tests that run without PHP.

Run ``python -m tests.legacy.record_php`` in the root of the checkout, with PHP 8.2's ``php`` on
PATH, to make php_recorded.json again.  The queries are CURATED_QUERIES followed by random ones
from a fixed seed, so that the file changes only when PHP's answers or the lists below do.

The file holds PHP's version and a list of cases, each a query and PHP's array for it.  An array
is a list of ``[key, item]``, where a JSON number is an integer key.
"""

import base64
import json
import random
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

PhpArray: TypeAlias = list[tuple[int | str, "PhpItem"]]
PhpItem: TypeAlias = "str | PhpArray"

RECORDED_FILE = Path(__file__).with_name("php_recorded.json")
RECORDED_COUNT = 400

# A line of base64 in, a line of JSON out.  Strings are base64, so that integer keys stand out.
PHP_PROGRAM = r"""
function encode(string|array $item): string|array {
    if (is_string($item)) {
        return base64_encode($item);
    }
    $pairs = [];
    foreach ($item as $key => $nested) {
        $pairs[] = [is_int($key) ? $key : base64_encode($key), encode($nested)];
    }
    return $pairs;
}
while (($line = fgets(STDIN)) !== false) {
    parse_str(base64_decode($line), $variables);
    echo json_encode(encode($variables), JSON_THROW_ON_ERROR), "\n";
}
"""
PHP_COMMAND = ["php", "-n", "-d", "max_input_vars=100000", "-r", PHP_PROGRAM]

CURATED_QUERIES = [
    # Names and values
    "getServices&project=shop",
    "getServices=&project=shop&user=5",
    "configuration[port]=3000&configuration[host]=localhost",
    "endpoints[]=http://a&endpoints[]=http://b",
    "a=1&a=2",
    "=1&&a",
    "&",
    "a==b=c",
    "a;b=1;c=2",
    "a+b=c+d&%20e=%20",
    "a=%zz%4%&b=%%41%2B",
    "caf%C3%A9=%E6%97%A5&café=日本",
    "a.b=1&c d=2&.e=3&+f=4&g.[h.i]=5",
    "a%00b=1&c=d%00e&%00f=2&g[h%00i]=3",
    "a\0b=1&c=d\0e",
    # Brackets
    "a%5Bb%5D=1&a[c%5D=2",
    "a[b=1&c[d.e f[g=2",
    "a[b][c=1&a[][d.e=2&a[b]c=3",
    "a[b]c[d]=1&e]=1&f[[g]=1&h[i]]=1",
    "[a]=1&[=2&[]=3&]=4&+[b]=5",
    "a[ ]=1&a[\t]=2&a[  ]=3&a[ b]=4&a[%0b]=5&a[\u00a0]=6&a[%C2%85]=7",
    "a[ =1&b[=2&c[ [d]=3",
    "a[][]=1&a[][]=2&a[x][]=3",
    "a=1&a[b]=2&a=3&a[]=4",
    "a[b]=1&a[b][c]=2&a[d]=3&a[b]=4",
    # Integer keys
    "5=a&05=b&-5=c&0=d&-0=e&00=f",
    "a[0]=x&a[1]=y&a[]=z",
    "a[1]=x&a[0]=y&a[]=z",
    "a[01]=x&a[ 1]=y&a[+1]=z&a[1 ]=w&a[%2B1]=v&a[]=u",
    "a[-5]=x&a[]=y&a[-1]=z&a[]=w",
    "a[x]=1&a[]=2&a[-7]=3&a[]=4",
    "a[9223372036854775806]=x&a[]=y&a[]=z",
    "a[9223372036854775807]=x&a[]=y&a[][b]=z&a[c]=w",
    "a[9223372036854775808]=x&a[]=y",
    "a[-9223372036854775807]=x&a[]=y",
    "a[-9223372036854775808]=x&a[]=y",
    "a[-9223372036854775809]=x&a[]=y",
    "a[18446744073709551617]=x&a[99999999999999999999]=y&a[]=z",
    "a[١]=x&a[１]=y&a[]=z",
    # Names that imitate protected cookies
    "__Host-a=1&__Secure-b=2&  __Host-c=3&__Host=4&__host-d=5",
    "..Host-a=1&_.Secure-b=2&_[Host-c=3&__[Host-d=4&_[Host-e]=5",
    "a[__Host-b]=1&c[__Secure-d][e]=2&c[f]=3&g[][__Host-h]=4&i[__Host-j=5",
    "__Host-a[__Host-b]=1&__Host-a[__Secure-c]=2",
    "a[__Host]=1&a[__Secure]=2&a[ __Host-]=3&a[__secure-b]=4",
    # The deepest nesting that PHP accepts
    "a" + "[b]" * 64 + "=1",
    "a" + "[]" * 64 + "x=1",
]

NAME_TOKENS = [
    *"ab01-9[].+ %_;",
    *("[]", "[ ]", "[a]", "[0]", "[1]", "[-5]", "[01]", "[b.c]", "[9223372036854775807]"),
    *("\0", "\t", "\n", "%00", "%20", "%2e", "%5B", "%5d", "%09", "%5", "%zz"),
    *("é", "日", "%C3%A9", "%F0%9F%98%80", "__Host-", "Secure-"),
]
QUERY_TOKENS = [*NAME_TOKENS, *"&&==", "a[", "a=1&", "%26", "%3D"]


class Php:
    """A running PHP that answers what its parse_str() makes of query strings."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def parse(self, query: bytes) -> PhpArray:
        """Return the variables of a query whose names and values are all UTF-8."""
        assert self._process.stdin is not None and self._process.stdout is not None
        # $_POST takes a raw NUL like an escaped one, while parse_str() would stop reading there.
        question = base64.b64encode(query.replace(b"\0", b"%00")).decode()
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        return [(_decoded(key), _decoded(item)) for key, item in json.loads(answer)]


@contextmanager
def running_php() -> Iterator[Php]:
    """Start PHP for the duration of the context; raises FileNotFoundError when there is none."""
    with subprocess.Popen(
        PHP_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Php(process)


def random_query(generator: random.Random) -> str:
    """Return a random query, half of the time a soup of tokens, else parameters and values."""
    if generator.random() < 0.5:
        return "".join(generator.choices(QUERY_TOKENS, k=generator.randint(1, 40)))
    names = ("".join(generator.choices(NAME_TOKENS, k=6)) for _ in range(generator.randint(1, 8)))
    return "&".join(f"{generator.choice('ab')}{name}={index}" for index, name in enumerate(names))


def is_utf8(query: bytes) -> bool:
    """Tell whether all names and values of the query are UTF-8 once their escapes are decoded."""
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        return False
    return True


def _decoded(answer: Any) -> Any:
    if isinstance(answer, int):
        return answer
    if isinstance(answer, str):
        return base64.b64decode(answer).decode()
    return [(_decoded(key), _decoded(item)) for key, item in answer]


def _php_version() -> str:
    banner = subprocess.run(["php", "-v"], check=True, capture_output=True, text=True).stdout
    match = re.match(r"PHP (\S+)", banner)
    assert match is not None, banner
    return match[1]


def record() -> None:
    """Write php_recorded.json with one case a line."""
    generator = random.Random(20)
    queries = dict.fromkeys(CURATED_QUERIES)
    while len(queries) < RECORDED_COUNT:
        query = random_query(generator)
        if is_utf8(query.encode()):
            queries[query] = None
    with running_php() as php:
        cases = [json.dumps([query, php.parse(query.encode())]) for query in queries]
    lines = ",\n".join(cases)
    RECORDED_FILE.write_text(f'{{"php": "{_php_version()}", "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    record()
