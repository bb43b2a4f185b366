"""Events about what costs money or lives outside the session: budget, jobs, sandboxes, and the web app's own."""

from __future__ import annotations

from ml_intern.protocol.event_base import Event


class BudgetReserved(Event, frozen=True):
    """``amount_usd`` is set aside under ``reservation_id`` before what costs it starts."""

    wire = "budget_reserved"
    reservation_id: str
    amount_usd: float
    kind: str


class BudgetSettled(Event, frozen=True):
    """The reservation ends; ``actual_usd`` None keeps the estimate as spent."""

    wire = "budget_settled"
    reservation_id: str
    actual_usd: float | None


class HfJobSubmit(Event, frozen=True):
    """A job was started. It holds the budget reservation ``reservation_id`` until ``hf_job_complete`` of the same ``job_id``.

    ``backend`` is ``hub`` or ``local``; ``tool_call_id`` is the call that started it. ``price_usd_per_hour`` None: nobody knows it.
    """

    wire = "hf_job_submit"
    job_id: str
    job_url: str
    flavor: str
    timeout: str
    job_type: str
    image: str
    namespace: str
    push_to_hub: bool
    backend: str = "hub"
    tool_call_id: str = ""
    reservation_id: str = ""
    price_usd_per_hour: float | None = None


class HfJobComplete(Event, frozen=True):
    """A job is over. ``final_status`` is its stage in lower case (``completed``, ``error``, ``canceled``, ``deleted``)."""

    wire = "hf_job_complete"
    job_id: str
    flavor: str
    final_status: str
    wall_time_s: float
    billable_seconds_estimate: float
    price_usd_per_hour: float | None
    estimated_cost_usd: float | None
    cost_estimate_source: str
    namespace: str = ""
    message: str = ""


class SandboxCreate(Event, frozen=True):
    """A sandbox was started; it is leased until ``sandbox_destroy`` of the same ``sandbox_id``, and holds ``reservation_id``.

    ``tool_call_id`` is the call that asked for it, empty where the first use of the machine did. ``price_usd_per_hour`` None: nobody
    knows it.
    """

    wire = "sandbox_create"
    sandbox_id: str
    hardware: str
    create_latency_s: float
    namespace: str = ""
    reservation_id: str = ""
    tool_call_id: str = ""
    price_usd_per_hour: float | None = None


class SandboxDestroy(Event, frozen=True):
    wire = "sandbox_destroy"
    sandbox_id: str
    hardware: str
    lifetime_s: float
    estimated_cost_usd: float | None


class Feedback(Event, frozen=True):
    wire = "feedback"
    rating: str
    turn_index: int
    message_id: str
    comment: str


class ProCtaClick(Event, frozen=True):
    wire = "pro_cta_click"
    source: str
    target: str


class ProConversion(Event, frozen=True):
    wire = "pro_conversion"
    first_seen_at: str


class CreditsToppedUp(Event, frozen=True):
    wire = "credits_topped_up"
    namespace: str
