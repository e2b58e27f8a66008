"""Sealing: what opens, what never does, and several keys at once."""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cms_services.accounts.second_factor import totp_context
from cms_services.configuration.secrets import secret_context
from cms_services.encryption import Vault, key_id_of
from cms_services.errors import ServiceConfigError

OLD, NEW, OTHER = (bytes([n]) * 32 for n in (1, 2, 3))
CONTEXT = "service:1:environment.KEY"
SECRET = "s3cr3t-välue"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.text(st.characters(categories=["L", "N"], include_characters="_-. "), max_size=20)
places = st.one_of(
    st.builds(secret_context, names, names),
    st.builds(totp_context, names),
)


class KeptKeys:
    """Keys that somebody else can change, and that can be out of reach."""

    def __init__(self, *keys: bytes) -> None:
        self.keys: Sequence[bytes] | None = keys

    def newest(self) -> Sequence[bytes] | None:
        return self.keys


class TestWhatOpens:
    @given(secret=texts, place=places)
    def test_a_value_opens_at_its_place(self, secret: str, place: str) -> None:
        assert Vault([OLD]).open(Vault([OLD]).seal(secret, place), place) == secret

    @given(secret=texts, position=st.integers(min_value=0), bit=st.integers(0, 7))
    def test_any_flipped_bit_is_refused(self, secret: str, position: int, bit: int) -> None:
        vault = Vault([OLD, NEW])
        changed = bytearray(vault.seal(secret, CONTEXT).encode())
        changed[position % len(changed)] ^= 1 << bit
        with pytest.raises(ServiceConfigError):
            vault.open(changed.decode("latin-1"), CONTEXT)

    def test_each_single_bit_of_one_value_counts(self) -> None:
        vault = Vault([OLD])
        # Of three lengths, so that base64 ends in each of its three ways.
        for secret in ("x", "xy", "xyz"):
            sealed = vault.seal(secret, CONTEXT).encode()
            for position in range(len(sealed) * 8):
                changed = bytearray(sealed)
                changed[position // 8] ^= 1 << position % 8
                with pytest.raises(ServiceConfigError):
                    vault.open(changed.decode("latin-1"), CONTEXT)

    @given(secret=texts, place=places, other=places)
    def test_a_moved_value_is_refused(self, secret: str, place: str, other: str) -> None:
        assume(place != other)
        sealed = Vault([OLD]).seal(secret, place)
        with pytest.raises(ServiceConfigError, match="moved"):
            Vault([OLD]).open(sealed, other)

    @given(secret=texts, cut=st.integers(0, 60))
    def test_a_cut_or_lengthened_value_is_refused(self, secret: str, cut: int) -> None:
        vault = Vault([OLD])
        sealed = vault.seal(secret, CONTEXT)
        for changed in (
            sealed[: cut % len(sealed)],
            sealed + "A",
            sealed + "\n",
            sealed + sealed,
            " " + sealed,
        ):
            with pytest.raises(ServiceConfigError):
                vault.open(changed, CONTEXT)

    @given(st.text())
    def test_no_text_crashes_it(self, text: str) -> None:
        for each in (text, f"v1:{text}", f"v1:{Vault([OLD]).key_id}:{text}"):
            with pytest.raises(ServiceConfigError):
                Vault([OLD]).open(each, CONTEXT)

    def test_a_key_that_passes_for_another_opens_nothing(self) -> None:
        sealed = Vault([OLD]).seal(SECRET, CONTEXT)
        forged = sealed.replace(Vault([OLD]).key_id, Vault([NEW]).key_id)
        with pytest.raises(ServiceConfigError, match="damaged"):
            Vault([NEW, OLD]).open(forged, CONTEXT)

    def test_a_missing_key_is_named_with_what_to_do(self) -> None:
        sealed = Vault([OLD]).seal(SECRET, CONTEXT)
        with pytest.raises(ServiceConfigError) as caught:
            Vault([NEW]).open(sealed, CONTEXT)
        assert Vault([OLD]).key_id in caught.value.message
        assert "docs/keys.md" in caught.value.message
        assert SECRET not in caught.value.message

    def test_equal_secrets_look_different(self) -> None:
        vault = Vault([OLD])
        assert len({vault.seal(SECRET, CONTEXT) for _ in range(100)}) == 100


class TestSeveralKeys:
    def test_the_first_seals_and_all_open(self) -> None:
        old = Vault([OLD]).seal(SECRET, CONTEXT)
        vault = Vault([NEW, OLD])
        assert vault.open(old, CONTEXT) == SECRET
        new = vault.seal(SECRET, CONTEXT)
        assert key_id_of(new) == vault.key_id == vault.key_ids[0] == Vault([NEW]).key_id
        assert vault.key_ids[1] == key_id_of(old)
        assert (vault.needs_resealing(old), vault.needs_resealing(new)) == (True, False)
        assert not vault.needs_resealing("v1:latest")

    def test_sealed_anew_it_is_the_same_secret_at_the_same_place(self) -> None:
        old, vault = Vault([OLD]).seal(SECRET, CONTEXT), Vault([NEW, OLD])
        new = vault.reseal(old, CONTEXT)
        assert Vault([NEW]).open(new, CONTEXT) == SECRET
        with pytest.raises(ServiceConfigError):
            vault.open(new, "service:2:environment.KEY")
        with pytest.raises(ServiceConfigError):
            vault.reseal(old, "service:2:environment.KEY")
        with pytest.raises(ServiceConfigError):
            Vault([NEW]).reseal(old, CONTEXT)

    def test_equal_values_stay_equal_and_others_different(self) -> None:
        vault = Vault([NEW, OLD])
        values = [Vault([OLD]).seal(SECRET, CONTEXT) for _ in range(100)]
        assert [vault.reseal(each, CONTEXT) for each in values] == [
            Vault([NEW, OTHER, OLD]).reseal(each, CONTEXT) for each in values
        ]
        nonces = {
            base64.b64decode(vault.reseal(each, CONTEXT).rpartition(":")[2])[:12] for each in values
        }
        assert len(nonces) == 100

    def test_a_new_first_key_is_noticed_before_sealing(self) -> None:
        kept = KeptKeys(OLD)
        vault = Vault([OLD], kept.newest)
        assert vault.key_id == Vault([OLD]).key_id
        kept.keys = (NEW, OLD)
        assert key_id_of(vault.seal(SECRET, CONTEXT)) == Vault([NEW]).key_id
        assert vault.key_id == Vault([NEW]).key_id

    def test_a_new_key_is_noticed_before_a_value_is_refused(self) -> None:
        kept = KeptKeys(OLD)
        vault = Vault([OLD], kept.newest)
        sealed = Vault([NEW]).seal(SECRET, CONTEXT)
        with pytest.raises(ServiceConfigError):
            vault.open(sealed, CONTEXT)
        kept.keys = (NEW, OLD)
        assert vault.open(sealed, CONTEXT) == SECRET

    def test_while_the_keys_are_out_of_reach_it_goes_on_with_those_it_knows(self) -> None:
        kept = KeptKeys(OLD)
        vault = Vault([OLD], kept.newest)
        kept.keys = None
        assert vault.open(vault.seal(SECRET, CONTEXT), CONTEXT) == SECRET


class TestDerivedKeys:
    def test_each_purpose_and_each_key_has_its_own(self) -> None:
        vault = Vault([NEW, OLD])
        derived = {
            vault.derive("audit"),
            vault.derive("letters"),
            vault.derive("audit", Vault([OLD]).key_id),
        }
        assert len(derived) == 3
        assert {len(key) for key in derived} == {32}
        assert vault.derive("audit") == vault.derive("audit", vault.key_id)
        assert vault.derive("audit", Vault([OLD]).key_id) == Vault([OLD]).derive("audit")

    def test_it_is_hkdf_as_rfc_5869_has_it(self) -> None:
        extracted = hmac.digest(bytes(32), OLD, hashlib.sha256)
        expanded = hmac.digest(extracted, b"audit\x01", hashlib.sha256)
        assert Vault([OLD]).derive("audit") == expanded

    def test_a_missing_key_is_named(self) -> None:
        with pytest.raises(ServiceConfigError, match=re.escape(Vault([OLD]).key_id)):
            Vault([NEW]).derive("audit", Vault([OLD]).key_id)
