# SPDX-License-Identifier: MIT
"""Site profiles: finding and reading them, and how far they can be trusted."""

import os
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpcapp.errors import ConfigError
from hpcapp.messages import explain, nearest
from hpcapp.slurm.profile import FORMAT_VERSION, Evidence, Facts, Profile, Queue
from hpcapp.yaml_source import read_yaml

__all__ = ["doubts", "profile_folder", "read_profile", "site_names"]

# a site changes its partitions and modules about once a year
FRESH = 365

KINDS = {
    "site": "the site's own text",
    "copied": "a copy by others",
    "script": "somebody's script or measurement",
}


def profile_folder() -> Path:
    """Return where the profiles lie in the installed package."""
    return Path(str(resources.files("hpcapp") / "slurm" / "sites"))


def site_names() -> tuple[str, ...]:
    """Return the names of the shipped profiles."""
    return tuple(sorted(path.stem for path in profile_folder().glob("*.yaml")))


def read_profile(site: str) -> Profile:
    """Read a profile.

    Parameters
    ----------
    site : str
        A name from `site_names`, or the path of a file ``.yaml``.

    Returns
    -------
    Profile
        Validated.

    Raises
    ------
    ConfigError
        If there is none of that name, or with every fault in it.
    """
    if site.endswith((".yaml", ".yml")):
        path = site
    elif site in site_names():
        path = os.path.relpath(profile_folder() / f"{site}.yaml")
    else:
        names = ", ".join(site_names())
        near = nearest(site, site_names()) if site else ""
        hint = near if near.startswith(", did") else ""
        raise ConfigError(
            f"--site {site}: no such site{hint}; known: {names}; or the path of a "
            "profile of your own, which ends in .yaml"
        )
    source = read_yaml(path)
    version = source.values.get("version", FORMAT_VERSION)
    if isinstance(version, int) and version > FORMAT_VERSION:
        place = source.where(("version",)).origin
        raise ConfigError(
            f"{place}: version: must be <= {FORMAT_VERSION}, got {version}: written "
            "for a newer hpcapp"
        )
    try:
        return Profile.model_validate(source.values)
    except ValidationError as error:
        raise ConfigError(explain(error, Profile, source)) from None


def doubts(profile: Profile, queue: Queue, today: date) -> tuple[str, ...]:
    """Return warnings of facts that are old, undated or not of the site itself.

    Parameters
    ----------
    profile : Profile
        Of the site.
    queue : Queue
        That a job goes to: only facts that it stands on are looked at.
    today : date
        The day to count from.

    Returns
    -------
    tuple of str
        One line for the profile, if it is a draft, and one for each evidence.
    """
    lines = []
    if profile.status == "draft":
        lines.append(
            f"site {profile.site}: a draft: nobody has run there: hpcapp submit "
            f"--site {profile.site} --check"
        )
    facts = defaultdict(list)
    for name, part in _parts(profile, queue):
        for fact, key in part.stated().items():
            facts[key].append(f"{name}.{fact}")
    for key, names in facts.items():
        doubt = _doubt(profile.evidence[key], today)
        if doubt:
            lines.append(f"site {profile.site}: {doubt}: {', '.join(names)}")
    return tuple(lines)


def _parts(profile: Profile, queue: Queue) -> Iterator[tuple[str, Facts]]:
    yield "account", profile.account
    yield "files", profile.files
    yield queue.environment, profile.environments[queue.environment]
    yield from queue.parts().items()


def _doubt(evidence: Evidence, today: date) -> str:
    if evidence.kind == "choice":
        return ""
    words: list[str] = []
    if evidence.kind != "site":
        words.append(KINDS[evidence.kind])
    if evidence.date is None:
        words.append("without a date")
    elif (today - _day(evidence.date)).days > FRESH:
        words.append(f"of {evidence.date}, older than a year")
    return f"{' '.join(words)} ({evidence.title})" if words else ""


def _day(text: str) -> date:
    parts: Any = [int(part) for part in text.split("-")]
    return date(*parts, *[1] * (3 - len(parts)))
