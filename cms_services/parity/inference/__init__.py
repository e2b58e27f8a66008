"""Proposing the profile that makes the most of our answers equal to recorded ones.

What could be the rule is read from pairs of answers: the recorded one, and ours without a profile.
Each step is tried by the same code that the application adapts its answers by, and kept only
where more of the answers agree with it than without.
"""

import copy
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from cms_services.legacy.profile import KIND_OF_ACTION, Profile
from cms_services.parity.inference import envelope, objects, wire
from cms_services.parity.inference.asking import Pair
from cms_services.parity.inference.changes import Changes, find_changes
from cms_services.parity.inference.trying import COMPARISON, Step, Trial, adapted


@dataclass
class Proposal:
    """The settings of the profile, how they were found, and what stays unlike."""

    settings: dict[str, Any]
    steps: list[Step]
    pairs: int
    equal: int
    changes: list[str] = field(default_factory=list)
    remaining: list[str] = field(default_factory=list)

    def as_yaml(self) -> str:
        """The profile as a file."""
        head = f"# Proposed by cms-services parity infer: {self.equal} of {self.pairs} equal.\n"
        return head + yaml.safe_dump(self.settings, sort_keys=False, allow_unicode=True)

    def as_text(self) -> str:
        """How it was found, step by step, and what it leaves."""
        lines = [f"{self.pairs} recorded answers compared with ours."]
        for step in self.steps:
            if step.is_kept:
                lines.append(
                    f"+ {step.what}: equal {step.before.equal} -> {step.after.equal},"
                    f" agreement {step.before.share:.1%} -> {step.after.share:.1%}"
                )
        lines += [f"+ {each}" for each in self.changes]
        refused = [step.what for step in self.steps if not step.is_kept]
        lines += [f"- without use: {'; '.join(refused)}"] if refused else []
        lines.append(f"Equal with this profile: {self.equal} of {self.pairs}.")
        lines += ["What still differs, and what the recording can't tell:"]
        lines += [f"  {each}" for each in self.remaining]
        return "\n".join(lines) + "\n"


def infer(pairs: Sequence[Pair], changes: Changes) -> Proposal:
    """The profile that makes the most answers equal, found step by step.

    `changes` are recorded answers to what was not asked for.
    """
    trial = Trial(pairs)
    envelope.find_status(trial)
    envelope.find_envelope(trial)
    envelope.find_errors(trial)
    aligned = objects.aligned(trial)
    names = {kind: objects.find_names(trial, kind, each) for kind, each in aligned.items()}
    objects.find_dates(trial, aligned, names)
    objects.find_types(trial, aligned, names)
    trial.attempt("empty objects are []", {"empty_object": "[]"})
    objects.find_order(trial, aligned)
    wire.find_encoding(trial)
    wire.find_headers(trial)
    trial.retry()
    told = find_changes(trial, changes, names)
    remaining = _remaining(trial, changes)
    return Proposal(trial.settings, trial.steps, len(pairs), trial.score.equal, told, remaining)


def _remaining(trial: Trial, changes: Changes) -> list[str]:
    """What is left unlike, and what the recording can't tell."""
    profile = Profile(copy.deepcopy(trial.settings))
    found: Counter[str] = Counter()
    for pair in trial.pairs:
        for each in COMPARISON.differences(pair.action, pair.old, adapted(profile, pair)):
            place = re.sub(r"\[[0-9]+\]", "[*]", each.path)
            found[f"{pair.action}: {each.kind} at {place}"] += 1
    told = [f"{what} ({count})" for what, count in found.most_common(40)]
    told += trial.notes
    seen = {pair.action for pair in trial.pairs} | changes.keys()
    unseen = [action for action in KIND_OF_ACTION if action not in seen]
    if unseen:
        told.append(f"Not in the recording, so nothing is known of: {', '.join(unseen)}.")
    failures = sorted({pair.code for pair in trial.bad})
    told.append(f"Failures that were seen: {', '.join(failures) or 'none'}.")
    return told
