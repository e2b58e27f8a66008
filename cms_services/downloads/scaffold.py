"""A service's scaffold: the project of the template that it was created from.

Files stand in config_templates/scaffolds/<template>/project. One that ends in `.j2` is filled in,
any other goes out as it is; `dot_` at the beginning of a name stands for the dot of a hidden file,
since packages leave those out.
"""

import re
from pathlib import Path
from typing import Any

from cms_services.catalogue.models import Service
from cms_services.downloads import configured
from cms_services.downloads.configured import Memory
from cms_services.downloads.manifest import with_manifest
from cms_services.downloads.names import kubernetes_name
from cms_services.downloads.rendering import render
from cms_services.downloads.subject import Subject
from cms_services.errors import NotFound
from cms_services.scaffolds.templates import get_template
from cms_services.shipped_files import shipped_folder
from cms_services.wording import worded

_DEFAULT_PORT = 8080
# What the container runs where the configuration does not say; Docker's images have these tags.
_DEFAULT_VERSIONS = {"node": "24", "python": "3.13", "php": "8.3"}
_VERSION = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,2})(?:\.x)?", re.ASCII)
_DEFAULT_MEMORY = Memory(512, "M")


def scaffold_files(subject: Subject) -> dict[str, bytes]:
    """The files of the project, by path.

    Raises NotFound where the service has no template, ServiceConfigError, DownloadGenerationFailed.
    """
    service = subject.service
    if service.template is None:
        raise NotFound(
            worded("This service was not created from a template; set its template first.")
        )
    template = get_template(service.template)
    values = _values(service, subject)
    folder = shipped_folder("config_templates") / "scaffolds" / template.id / "project"
    files = {
        _path_in_project(path.relative_to(folder)): _content(path, values)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _is_left_over(path.relative_to(folder))
    }
    return with_manifest(files, "scaffold", subject, [])


def _is_left_over(path: Path) -> bool:
    """Whether a tool left this behind: installing a wheel compiles what is Python in it."""
    return any(each == "__pycache__" or each.startswith(".") for each in path.parts)


def _content(path: Path, values: dict[str, Any]) -> bytes:
    if path.suffix != ".j2":
        return path.read_bytes()
    return render(path.relative_to(shipped_folder("config_templates")).as_posix(), **values)


def _path_in_project(path: Path) -> str:
    parts = [f".{each[4:]}" if each.startswith("dot_") else each for each in path.parts]
    return "/".join(parts).removesuffix(".j2")


def _values(service: Service, subject: Subject) -> dict[str, Any]:
    """What the templates of a project can name."""
    return {
        "display_name": service.name,
        "description": service.description,
        "service_id": service.service_id,
        "slug": kubernetes_name(service.name, "service"),
        "port": configured.whole_number(
            subject.document, ("networking.port", "port"), 1, 65535, _DEFAULT_PORT
        ),
        "memory": configured.memory(subject.document, _DEFAULT_MEMORY).mebibytes,
        "versions": {name: _version_of(subject, name) for name in _DEFAULT_VERSIONS},
    }


def _version_of(subject: Subject, name: str) -> str:
    """The version of a runtime, which `nodeVersion` and the like name."""
    path = f"runtime.{name}Version"
    match = configured.text(
        subject.document,
        path,
        _VERSION,
        worded("Takes a version, such as 24.x or 3.13."),
        numbers=True,
    )
    return match[1] if match else _DEFAULT_VERSIONS[name]
