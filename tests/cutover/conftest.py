"""One old CMS for all tests of a process that move away from it."""

from collections.abc import Iterator

import pytest

from tests.php_cms.running import PhpCms, php_cms


@pytest.fixture(scope="session")
def cms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhpCms]:
    with php_cms(tmp_path_factory.mktemp("cms")) as running:
        yield running
