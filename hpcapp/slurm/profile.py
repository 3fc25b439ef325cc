# SPDX-License-Identifier: MIT
"""What hpcapp knows of a site: frozen models of ``slurm/sites/*.yaml``.

A profile holds only what decides the header of a batch script, its environment and its
launch line. Each fact names its evidence: no fact stands on memory.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from hpcapp.config import Count, Duration, Model, parameter, rule_broken

__all__ = [
    "FORMAT_VERSION",
    "Account",
    "Environment",
    "Evidence",
    "Files",
    "Gpu",
    "Layout",
    "Node",
    "Profile",
    "Queue",
]

FORMAT_VERSION = 1

DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")

# keys of a section that are no facts, or sections of their own
ABOUT = frozenset({"source", "sources", "name", "environment", "setup"})
INNER = frozenset({"node", "gpu", "layout"})


def _dated(text: str) -> str:
    match = DATE.fullmatch(text)
    try:
        if match:
            date(int(match[1]), int(match[2] or 1), int(match[3] or 1))
            return text
    except ValueError:
        pass
    raise ValueError("must be a date such as 2026, 2026-08 or 2026-08-21")


def _one_line(text: str) -> str:
    # a line break would end the option of a batch script and begin a command
    if not text.isprintable():
        raise ValueError("must be one line of printable characters")
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", text):
        raise ValueError("must be a name of letters, digits, '_', '.', '+' and '-'")
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"must be a regular expression ({error})") from None
    return text


Text = Annotated[str, AfterValidator(_one_line)]
Name = Annotated[str, AfterValidator(_name)]
Dated = Annotated[str, AfterValidator(_dated)]
Pattern = Annotated[Text, AfterValidator(_pattern)]
Option = Annotated[Text, Field(pattern="^--?[a-z]")]


class Evidence(Model):
    """Where facts come from."""

    kind: Literal["site", "copied", "script", "choice"] = parameter(
        ...,
        "site: the site's own text; copied: a copy of it by others; script: a script "
        "or measurement of somebody there; choice: hpcapp's own, no fact of the site",
        "",
    )
    title: Text = parameter(..., "what it is, and where to find it", "")
    date: Dated | None = parameter(
        None, "of that text, in quotes where it is a year; null: it has none", ""
    )


class Facts(Model):
    """A section of facts, with the evidence for them."""

    source: Name = parameter(..., "the key in evidence for all facts here", "")
    sources: dict[str, Name] = parameter(
        {}, "facts of this section with other evidence: {fact: key}", ""
    )

    @model_validator(mode="after")
    def _sources_are_of_facts(self) -> "Facts":
        for fact in self.sources:
            if fact not in set(type(self).model_fields) - ABOUT - INNER:
                raise rule_broken(f"sources.{fact}", "must be a fact of this section")
        return self

    def stated(self) -> dict[str, str]:
        """Return the facts that are given here, and the evidence of each."""
        given = sorted(self.model_fields_set - ABOUT - INNER)
        return {fact: self.sources.get(fact, self.source) for fact in given}


class Account(Facts):
    """The account that a job is charged to."""

    needed: bool | None = parameter(None, "null: not known", "")
    pattern: Pattern | None = parameter(None, "what all of an account must match", "")
    example: Text = parameter("", "how one looks", "")


class Environment(Facts):
    """Software that a job loads, and the launcher that belongs to its MPI."""

    setup: Name = parameter(..., "script in slurm/ that makes it", "")
    before: tuple[Text, ...] = parameter((), "shell lines before the modules", "")
    modules: tuple[Text, ...] = parameter((), "for module load", "")
    after: tuple[Text, ...] = parameter((), "shell lines after the modules", "")
    variables: dict[str, Text] = parameter({}, "environment variables", "")
    launcher: Literal["srun", "mpirun"] = parameter(..., "what starts the ranks", "")
    mpi: Name | None = parameter(
        None, "plugin, as srun --mpi=NAME; null: the site's default", ""
    )
    options: tuple[Option, ...] = parameter(
        (), "of the launcher; {ranks} of a node, {threads} of a rank", ""
    )


class Files(Facts):
    """The file system for results."""

    kind: Literal["lustre", "gpfs", "vast", "ceph", "other"] = parameter(
        "other", "what it is", ""
    )
    scratch: Text = parameter(
        "",
        "where results should go; {account}, {account_lower}, {project}: the account "
        "without account_suffix",
        "",
    )
    stripe_count: Count | None = parameter(None, "of a large shared file on Lustre")
    stripe_size: Text | None = parameter(None, "such as 4M", "")


class Node(Facts):
    """One node of a queue."""

    cores: Count = parameter(..., "that jobs may use")
    reserved: Count | None = parameter(None, "more cores, which the system keeps")
    threads: Count = parameter(1, "hardware threads of a core that Slurm sees")
    numa: Count | None = parameter(None, "NUMA nodes as lscpu counts them")
    memory: Count | None = parameter(None, "that jobs may use", "MiB")
    arch: Literal["x86_64", "aarch64"] = parameter("x86_64", "machine", "")


class Gpu(Facts):
    """GPUs of a node."""

    model: Text = parameter(..., "what they are", "")
    count: Count = parameter(..., "as Slurm counts them, in a node")
    request: Option = parameter(..., "option of sbatch; {gpus}: of a node", "")
    bind: tuple[Option, ...] = parameter(
        (), "options of srun that give each rank its own", ""
    )
    counts: tuple[Count, ...] = parameter(
        (), "how many a job may have, or a multiple of the last; none: any number", ""
    )
    cores: Count | None = parameter(None, "that a job must ask for with each GPU")
    refused: Text = parameter("", "why CUDA does not run there, and what does", "")


class Layout(Facts):
    """How ranks are laid out on a node."""

    ranks: Count = parameter(..., "on each node")
    threads: Count = parameter(..., "of each rank, one a core")
    bind: tuple[Option, ...] = parameter((), "binding options of srun", "")


class Queue(Facts):
    """What a job can be sent to: partition, QOS, limits, kind of node."""

    name: Name = parameter(..., "for --queue", "")
    environment: Name = parameter(..., "the key in environments", "")
    partition: Name | None = parameter(None, "null: none is given", "")
    qos: Text | None = parameter(None, "null: none is given; {account} is filled in")
    account_suffix: Name | None = parameter(
        None, "what an account must end with for this queue", ""
    )
    max_nodes: Count | None = parameter(None, "of a job; null: not known")
    max_time: Duration | None = parameter(None, "of a job; null: not known", "s")
    min_nodes: Count | None = parameter(None, "of a job")
    min_time: Duration | None = parameter(None, "of a job", "s")
    header: tuple[Option, ...] = parameter(
        (), "more options of sbatch, such as --exclusive or --mem=224G", ""
    )
    node: Node
    gpu: Gpu | None = None
    layout: Layout

    @model_validator(mode="after")
    def _ranks_fit(self) -> "Queue":
        wanted = self.layout.ranks * self.layout.threads
        if wanted > self.node.cores:
            raise rule_broken(
                "layout.ranks",
                f"ranks x threads must be <= the {self.node.cores} cores of a node",
            )
        return self

    def parts(self) -> dict[str, Facts]:
        """Return this section and those inside of it, by name."""
        inner = {"node": self.node, "gpu": self.gpu, "layout": self.layout}
        found = {f"{self.name}.{k}": v for k, v in inner.items() if v is not None}
        return {self.name: self, **found}


class Profile(Model):
    """A whole profile."""

    version: Count = parameter(FORMAT_VERSION, "format of this file", le=FORMAT_VERSION)
    site: Name = parameter(..., "for --site; the name of the file", "")
    title: Text = parameter(..., "in words", "")
    status: Literal["supported", "draft"] = parameter(
        ..., "draft: nobody has run hpcapp submit --check there", ""
    )
    note: Text = parameter("", "said in each script", "")
    evidence: dict[Name, Evidence] = parameter(..., "by key", "")
    account: Account
    environments: dict[Name, Environment] = parameter(..., "by name", "")
    files: Files
    notebooks: Text = parameter("", "address of the site's own notebooks", "")
    queues: tuple[Queue, ...] = parameter(
        ..., "the first is the default, the first with a GPU for --gpu", ""
    )

    @model_validator(mode="after")
    def _names_are_known(self) -> "Profile":
        if not self.queues:
            # min_length would complain too where an item is wrong
            raise rule_broken("queues", "must have at least an item")
        names: set[str] = set()
        for index, queue in enumerate(self.queues):
            place = f"queues.{index}"
            if queue.name in names:
                raise rule_broken(f"{place}.name", "is the name of two queues")
            names.add(queue.name)
            _known(f"{place}.environment", queue.environment, self.environments)
            for name, part in queue.parts().items():
                inner = name.removeprefix(queue.name).removeprefix(".")
                _check(f"{place}.{inner}" if inner else place, part, self.evidence)
        for name, environment in self.environments.items():
            _check(f"environments.{name}", environment, self.evidence)
        _check("account", self.account, self.evidence)
        _check("files", self.files, self.evidence)
        return self


def _check(place: str, facts: Facts, evidence: Mapping[str, Any]) -> None:
    _known(f"{place}.source", facts.source, evidence)
    for fact, key in facts.sources.items():
        _known(f"{place}.sources.{fact}", key, evidence)


def _known(place: str, key: str, known: Mapping[str, Any]) -> None:
    if key not in known:
        raise rule_broken(place, f"must be one of {', '.join(sorted(known))}")
