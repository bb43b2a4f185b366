"""What is said of a job wherever somebody has to know how to go on with it: in its call's answer, also in one that a crash left open."""

from __future__ import annotations

from ml_intern.protocol.resource_events import HfJobSubmit

PERHAPS_STARTED = (
    "Whether the job was started is not known: it may appear in the next minutes. It is looked for, and its money stays set "
    "aside meanwhile; if it appears, it is followed and you are told when it ends. Look with `ps` before you run it again."
)


def goes_on(job: HfJobSubmit) -> str:
    """It was submitted, and outlives its call: its name, its address, its log, its end."""
    page = f": {job.job_url}" if job.job_url else "."
    return f"Job {job.job_id} on {job.flavor} was submitted{page}\nIt goes on if this call is interrupted. {how_to(job.job_id)}\n"


def how_to(job_id: str) -> str:
    """Read its log, stop it."""
    return f"Its log: hf_jobs logs job_id={job_id}; to stop it: hf_jobs cancel job_id={job_id}."
