"""The public numbers that we give to new services."""

import secrets


def new_service_number() -> str:
    """Twelve random digits, so that nobody can count our services or guess another's."""
    return str(secrets.randbelow(9 * 10**11) + 10**11)


def new_billing_id() -> str:
    return f"BIL-{new_service_number()}"


def new_cluster_id() -> str:
    return f"k8s-{secrets.token_hex(6)}"
