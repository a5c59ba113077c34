"""Answers of a Turnout to look at: two classes, three models, one budget of which binds."""

import json
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from turnout.v1 import admin_pb2 as pb
from turnout.v1 import routing_pb2

USD = 1_000_000_000
MADE_S = 1_750_000_000  # 15 June 2025, 15:06 UTC
MIDNIGHT_S = 1_750_032_000


def plan() -> pb.Plan:
    return pb.Plan(
        id="1-204",
        time=Timestamp(seconds=MADE_S),
        window_s=5,
        cells=[
            _cell("strict", "insurance", "law", 4, ("small", 0.25), ("large", 0.75)),
            _cell("strict", "insurance", "other", 8, ("small", 0.9), ("large", 0.1)),
            _cell("bulk", "company+insurance", "other", 300, ("small", 0.999), ("reader", 0.0002)),
        ],
        classes=[
            pb.PlanClass(
                traffic_class="strict",
                payer="insurance",
                requests_per_s=12,
                floor=0.9,
                accuracy=0.9043,
                realised_accuracy=pb.Estimate(mean=0.897, low=0.881, high=0.912, grades=1204),
                floor_basis="audited",
                slo_fraction=0.99,
                within_slo=0.9962,
                realised_within_slo=0.9815,
                realised_requests=12_000,
                shed=0.02,
                realised_shed=0.016,
                cost_nano_usd_per_day=int(34.21 * USD),
                requests_per_hour=36_000,
                cost_nano_usd_per_hour=int(1.19 * USD),
            ),
            pb.PlanClass(
                traffic_class="bulk",
                payer="company+insurance",
                requests_per_s=300,
                floor=0.7,
                accuracy=0.781,
                floor_basis="assumed",
                realised_within_slo=1,
                realised_requests=12_000,
                cost_nano_usd_per_day=int(6.99 * USD),
                requests_per_hour=900_000,
                cost_nano_usd_per_hour=int(0.24 * USD),
            ),
        ],
        budgets=[
            pb.PlanBudget(
                name="insurance",
                period="day",
                amount_nano_usd=40 * USD,
                spent_nano_usd=int(12.5 * USD),
                cost_nano_usd_per_day=41 * USD,
                pace_nano_usd_per_day=38 * USD,
                binds=True,
                cost_nano_usd_per_hour=int(1.43 * USD),
                period_end=Timestamp(seconds=MIDNIGHT_S),
                expected_nano_usd=int(41.3 * USD),
                text="budget insurance will be used up at 23:10 UTC",
            ),
            pb.PlanBudget(
                name="company",
                period="month",
                amount_nano_usd=3000 * USD,
                spent_nano_usd=410 * USD,
                cost_nano_usd_per_day=7 * USD,
                pace_nano_usd_per_day=86 * USD,
                cost_nano_usd_per_hour=int(0.24 * USD),
                period_end=Timestamp(seconds=MIDNIGHT_S + 15 * 86_400),
                expected_nano_usd=501 * USD,
                text="budget company will have $2,499 left",
            ),
        ],
        breaches=[
            pb.Breach(
                kind="pace",
                name="insurance",
                bound=38 * USD,
                best=41 * USD,
                text="budget insurance: what is told of this moment",
            )
        ],
        step_prices=[
            pb.StepPrice(
                kind="floor",
                name="strict",
                step=0.01,
                cost_nano_usd_per_day=int(3.1 * USD),
                text="raising the accuracy promised to class strict from 90% to 91% would cost "
                "$0.13 an hour",
            ),
            pb.StepPrice(
                kind="capacity",
                name="small",
                step=4,
            ),
        ],
        certificate=pb.Certificate(duality_gap=1e-12, worst_violation=3e-13, relaxed="pace"),
        cost_nano_usd_per_day=int(41.2 * USD),
        best_model_cost_nano_usd_per_day=163 * USD,
        averaged_s=3_581,
        cost_nano_usd_per_hour=int(1.43 * USD),
        best_model_cost_nano_usd_per_hour=int(5.66 * USD),
        solve_ms=12.4,
    )


def models() -> list[pb.ModelStatus]:
    return [
        pb.ModelStatus(
            model=pb.Model(
                name="small",
                version="2024-11",
                protocol="oip",
                endpoints=["10.0.0.11:8001", "10.0.0.12:8001"],
                enabled=True,
                price=pb.Price(input_usd_per_mtok=0.1, output_usd_per_mtok=0.4),
                prior_accuracy=0.78,
            ),
            in_flight=7,
            endpoints=[
                pb.EndpointStatus(address="10.0.0.11:8001", in_flight=7),
                pb.EndpointStatus(
                    address="10.0.0.12:8001",
                    ejected=True,
                    ejected_until=Timestamp(seconds=MADE_S + 8),
                ),
            ],
            payload_kinds=["tensors"],
            accuracy=pb.Estimate(mean=0.781, low=0.76, high=0.801, grades=1480),
            requests=12_040,
            cost_nano_usd=int(3.1 * USD),
        ),
        pb.ModelStatus(
            model=pb.Model(
                name="reader",
                protocol="openai",
                endpoints=["unix:/run/reader/oip.sock"],
                price=pb.Price(request_usd=0.0001, busy_second_usd=0.0008),
                prior_accuracy=0.94,
            ),
            endpoints=[pb.EndpointStatus(address="unix:/run/reader/oip.sock")],
            accuracy=pb.Estimate(mean=0.94, low=0.8, high=0.99),
            payload_kinds=["text"],
        ),
    ]


def decision() -> routing_pb2.RouteResponse:
    return routing_pb2.RouteResponse(
        decision_id="AbC123",
        plan_id="1-204",
        cell=routing_pb2.Cell(
            traffic_class="strict",
            payer="insurance",
            domain="law",
            size_bucket="s0",
            payload_kind="text",
        ),
        target=routing_pb2.Target(model="small", version="2024-11", endpoint="10.0.0.11:8001"),
        fallbacks=[
            routing_pb2.Target(model="large", endpoint="10.0.0.21:8001"),
            routing_pb2.Target(model="reader"),
        ],
        reason=routing_pb2.Reason(
            rule="strict",
            basis=routing_pb2.BASIS_PLAN,
            text="the plan gives small 25% of this cell, and it is owed the most",
        ),
        expected_cost_nano_usd=210_000,
        report_wanted=True,
    )


def answer(**payload: Any) -> routing_pb2.InferResponse:
    return routing_pb2.InferResponse(
        decision_id="AbC123",
        target=routing_pb2.Target(model="small", version="2024-11", endpoint="10.0.0.11:8001"),
        reason=routing_pb2.Reason(text="the plan gives small 25% of this cell"),
        usage=routing_pb2.Usage(
            input_tokens=1_014, output_tokens=8, latency=Duration(nanos=190_000_000)
        ),
        cost_nano_usd=11_300,
        attempts=1,
        **payload,
    )


def completion(part: str, text: str) -> bytes:
    """The body of a Chat Completions response, or with "delta" a chunk of one."""
    return json.dumps({"choices": [{"index": 0, part: {"content": text}}]}).encode()


def _cell(
    traffic_class: str, payer: str, domain: str, rate: float, *shares: tuple[str, float]
) -> pb.PlanCell:
    prices = {"small": (210_000, 0.78), "large": (5_500_000, 0.94), "reader": (900_000, 0.94)}
    return pb.PlanCell(
        cell=routing_pb2.Cell(
            traffic_class=traffic_class,
            payer=payer,
            domain=domain,
            size_bucket="s0",
            payload_kind="text",
        ),
        requests_per_s=rate,
        shares=[
            pb.PlanShare(
                model=model,
                share=share,
                cost_nano_usd=prices[model][0],
                accuracy=prices[model][1],
                miss=0.01,
            )
            for model, share in shares
        ],
    )


def classes() -> list[pb.TrafficClass]:
    return [
        pb.TrafficClass(
            name="strict",
            floor=0.9,
            slo=pb.Slo(metric="total", ms=800, fraction=0.99),
            audit_rate=0.05,
            priority=10,
            deadline_s=5,
        ),
        pb.TrafficClass(name="bulk", deadline_s=60),
    ]


def budgets() -> list[pb.BudgetStatus]:
    return [
        pb.BudgetStatus(
            budget=pb.Budget(
                name="insurance",
                amount_usd=40,
                period="day",
                tenant="insurance",
                traffic_class="strict",
            ),
            spent_nano_usd=int(12.5 * USD),
            unreported=7,
            unreported_nano_usd=int(0.04 * USD),
        ),
        pb.BudgetStatus(budget=pb.Budget(name="company", amount_usd=3000, period="month")),
    ]


def updates() -> list[pb.ConfigUpdate]:
    """The newest first."""
    price = "models.small.price.request_usd"
    return [
        pb.ConfigUpdate(
            time=Timestamp(seconds=MADE_S),
            who="uid 1000",
            operator="anna",
            changes=[
                pb.ConfigChange(
                    path=price, before="0.002", after="0.001", text=f"{price}: 0.002 -> 0.001"
                ),
                pb.ConfigChange(path="models.old", text="models: old removed"),
            ],
            left_out=3,
        ),
        pb.ConfigUpdate(
            time=Timestamp(seconds=MADE_S - 60),
            who="token from 10.0.0.7",
            changes=[
                pb.ConfigChange(
                    path="budgets.company.amount_usd", text="budgets.company.amount_usd: 1 -> 2"
                )
            ],
        ),
    ]
