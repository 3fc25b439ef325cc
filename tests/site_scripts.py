# SPDX-License-Identifier: MIT
"""All that ``hpcapp submit`` makes for each queue of each site, as files."""

from dataclasses import replace

from hpcapp.slurm.request import Request, choose
from hpcapp.slurm.script import Subject, batch_script, interactive_text
from hpcapp.slurm.sites import read_profile, site_names

ONE = Subject(name="x")
SEVERAL = Subject(("it's a.yaml", "b.yaml"), ("results/it's a", "b"), "hpcapp x")


def write_scripts(folder):
    """Write scripts, those of arrays and of the other launcher, and work by hand."""
    for name in site_names():
        profile = read_profile(name)
        for queue in profile.queues:
            if queue.gpu and queue.gpu.refused:
                continue
            request = Request(
                nodes=queue.min_nodes or 1,
                account=profile.account.example + (queue.account_suffix or ""),
                gpu=queue.gpu is not None,
                queue=queue.name,
            )
            job = choose(request, profile, {})
            assert job.ranks * job.threads <= queue.node.cores
            first = {"srun": "mpirun", "mpirun": "srun"}[job.environment.launcher]
            other = choose(replace(request, launcher=first), profile, {})
            path = folder / f"{name}-{queue.name}"
            path.with_suffix(".one").write_text(batch_script(job, ONE))
            path.with_suffix(".several").write_text(batch_script(job, SEVERAL))
            path.with_suffix(".other").write_text(batch_script(other, ONE))
            path.with_suffix(".hand").write_text(interactive_text(job, SEVERAL))
    return sorted(folder.iterdir())
