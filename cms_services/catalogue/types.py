"""The types of service there are, as callers are told."""

from cms_services.vocabulary import (
    DEFAULT_ICONS,
    FAMILY_OF_TYPE,
    TRANSITIONS,
    TYPE_DESCRIPTIONS,
    ServiceType,
)


def describe_types() -> list[dict[str, object]]:
    """Every type with its family, icon, purpose and statuses."""
    return [
        {
            "type": each,
            "family": FAMILY_OF_TYPE[each],
            "icon": DEFAULT_ICONS[each],
            "description": TYPE_DESCRIPTIONS[each],
            "statuses": list(TRANSITIONS[FAMILY_OF_TYPE[each]]),
        }
        for each in ServiceType
    ]
