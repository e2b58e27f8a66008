"""nginx's configuration for a table of actions."""

import re
from pathlib import PurePosixPath

from cms_services.downloads.rendering import render
from cms_services.legacy.routes import WHOLE, RouteTable, Rule

# Names that stand in a query as themselves; others the application looks at.
_PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z")


def http_configuration(table: RouteTable, *, all_to_php: bool = False) -> bytes:
    """What belongs into the http block. With `all_to_php` every action goes to PHP."""
    rules = {name: table.rule_of(name) for name in table.known_actions}
    shares = sorted({rule.hundredths for rule in rules.values() if _is_share(rule)})
    groups = sorted({rule.projects for rule in rules.values() if rule.projects is not None})
    return render(
        "cutover/http.conf",
        **_addresses(table),
        flask=list(table.flask),
        default=table.default,
        session_cookie=table.session_cookie,
        known=list(table.known_actions),
        all_to_php=all_to_php,
        shares=[{"number": str(each), "percent": f"{each / 100:g}"} for each in shares],
        project_groups=[
            {"number": str(number), "names": [name for name in group if _PLAIN.match(name)]}
            for number, group in enumerate(groups)
        ],
        sides=[
            {
                "action": name,
                "side": "flask" if rule.hundredths == WHOLE else "php",
                "variable": _variable(rule, groups),
            }
            for name, rule in rules.items()
        ],
    )


def server_configuration(table: RouteTable) -> bytes:
    """What belongs into the server block that answers services.php."""
    return render("cutover/server.location", **_addresses(table))


def _addresses(table: RouteTable) -> dict[str, object]:
    script = table.script_filename or ""
    return {
        "php": table.php,
        "fastcgi": table.fastcgi,
        "script_filename": script,
        "document_root": str(PurePosixPath(script).parent),
        "body_limit_mb": str(table.body_limit_mb),
        "mirror": list(table.mirror),
    }


def _is_share(rule: Rule) -> bool:
    return rule.projects is None and rule.hundredths not in (0, WHOLE)


def _variable(rule: Rule, groups: list[tuple[str, ...]]) -> str | None:
    """The nginx variable that decides, behind its prefix; None where nothing is to be decided."""
    if rule.projects is not None:
        return f"projects_{groups.index(rule.projects)}"
    return f"share_{rule.hundredths}" if _is_share(rule) else None
