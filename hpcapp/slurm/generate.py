# SPDX-License-Identifier: MIT
"""The scripts in ``slurm/``, made from the profiles.

``python -m hpcapp.slurm.generate`` writes them, in the top folder of a checkout.
"""

from pathlib import Path

from hpcapp.slurm.profile import Profile
from hpcapp.slurm.request import Request, choose
from hpcapp.slurm.script import Subject, batch_script
from hpcapp.slurm.sites import read_profile, site_names

__all__ = ["main", "scripts"]


def scripts() -> dict[str, str]:
    """Return the names and the texts of all scripts: CPU and GPU of each site."""
    found = {}
    for site in site_names():
        profile = read_profile(site)
        for gpu in (False, True):
            name = f"{site}-{'gpu' if gpu else 'cpu'}.sbatch"
            text = _script(profile, gpu, f"slurm/{name}")
            if text:
                found[name] = text
    return found


def _script(profile: Profile, gpu: bool, name: str) -> str:
    """Return one script, "" where the site has no such nodes that serve."""
    queues = [queue for queue in profile.queues if (queue.gpu is not None) == gpu]
    queues = [queue for queue in queues if not (queue.gpu and queue.gpu.refused)]
    if not queues:
        return ""
    account = ""
    if profile.account.needed:
        account = profile.account.example + (queues[0].account_suffix or "")
    request = Request(gpu=gpu, queue=queues[0].name, account=account)
    return batch_script(choose(request, profile, {}), Subject(name=name))


def main() -> None:
    """Write them."""
    for name, text in scripts().items():
        path = Path("slurm", name)
        path.write_text(text, encoding="utf-8")
        print(f"{path}: written")


if __name__ == "__main__":
    main()
