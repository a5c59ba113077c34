"""turnout.v1.AdminService: what operators and finance call. No decision is taken here."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from server.config.budgets import BudgetConfig
from server.config.classes import ClassConfig
from server.config.diagnostics import ConfigError, did_you_mean
from server.config.live import Section, updated
from server.config.models import ModelConfig
from server.config.schema import Config
from server.control.messages import (
    budget_message,
    class_message,
    comparison_message,
    model_message,
    timestamp,
    update_message,
)
from server.control.plane import ControlPlane
from server.control.reload import Reloads
from server.routing.errors import InvalidRequest, NotFound
from server.routing.learned_classifier.file_format import ClassifierInvalid
from server.rpc.admin_changes import (
    Changes,
    budget_changes,
    class_changes,
    in_request,
    masked,
    model_changes,
    of_new_model,
    without_unsaid_keys,
)
from server.rpc.admin_keys import create_key, list_keys, revoke_key, rotate_key
from server.rpc.admin_reload import reload_response
from server.rpc.author import author_of
from server.rpc.errors import Context
from turnout.v1 import admin_pb2 as pb
from turnout.v1 import admin_pb2_grpc

Entry = TypeVar("Entry", ModelConfig, ClassConfig, BudgetConfig)

_SECTIONS: Mapping[str, Section] = {
    "model": "models",
    "traffic_class": "classes",
    "budget": "budgets",
}


class AdminServicer(admin_pb2_grpc.AdminServiceServicer):
    """Reads and changes what one control plane holds."""

    def __init__(self, plane: ControlPlane, reloads: Reloads, *, version: str) -> None:
        self._plane = plane
        self._reloads = reloads
        self._version = version

    async def GetServerInfo(
        self, request: pb.GetServerInfoRequest, context: Context
    ) -> pb.GetServerInfoResponse:
        return pb.GetServerInfoResponse(
            version=self._version,
            started=timestamp(self._plane.started_s),
            workers=self._plane.workers(),
            data_address=self._plane.data_address(),
            classifier=self._plane.classifier(),
        )

    async def GetPlan(self, request: pb.GetPlanRequest, context: Context) -> pb.GetPlanResponse:
        plan, why_none = self._plane.plan(request.plan_id), self._plane.no_plan_reason()
        return pb.GetPlanResponse(plan=plan, no_plan_reason=why_none)

    async def ListModels(
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        return pb.ListModelsResponse(models=self._plane.model_statuses())

    async def ListClasses(
        self, request: pb.ListClassesRequest, context: Context
    ) -> pb.ListClassesResponse:
        return pb.ListClassesResponse(classes=map(class_message, self._plane.config.classes))

    async def ListBudgets(
        self, request: pb.ListBudgetsRequest, context: Context
    ) -> pb.ListBudgetsResponse:
        return pb.ListBudgetsResponse(budgets=self._plane.budget_statuses())

    async def ListUpdates(
        self, request: pb.ListUpdatesRequest, context: Context
    ) -> pb.ListUpdatesResponse:
        return pb.ListUpdatesResponse(updates=map(update_message, self._plane.updates()))

    async def UpdateModel(
        self, request: pb.UpdateModelRequest, context: Context
    ) -> pb.UpdateModelResponse:
        name, changes = request.model.name, model_changes(request.model)
        is_new = all(model.name != name for model in self._plane.config.models)
        if is_new and request.allow_missing:
            changes = of_new_model(changes, request.update_mask.paths)
        else:
            _entry("model", self._plane.config.models, name)
            changes = masked(changes, request.update_mask.paths)
        if not request.update_mask.paths:
            changes = without_unsaid_keys(changes)
        config = await self._update(
            "model", name, changes, context, allow_missing=request.allow_missing
        )
        return pb.UpdateModelResponse(model=model_message(_entry("model", config.models, name)))

    async def UpdateClass(
        self, request: pb.UpdateClassRequest, context: Context
    ) -> pb.UpdateClassResponse:
        name = request.traffic_class.name
        _entry("traffic_class", self._plane.config.classes, name)
        if not request.update_mask.paths:
            raise InvalidRequest("say which fields to change, such as floor", field="update_mask")
        changes = masked(class_changes(request.traffic_class), request.update_mask.paths)
        config = await self._update("traffic_class", name, changes, context)
        changed = _entry("traffic_class", config.classes, name)
        return pb.UpdateClassResponse(traffic_class=class_message(changed))

    async def UpdateBudget(
        self, request: pb.UpdateBudgetRequest, context: Context
    ) -> pb.UpdateBudgetResponse:
        name = request.budget.name
        _entry("budget", self._plane.config.budgets, name)
        changes = masked(budget_changes(request.budget), request.update_mask.paths)
        config = await self._update("budget", name, changes, context)
        return pb.UpdateBudgetResponse(
            budget=budget_message(_entry("budget", config.budgets, name))
        )

    async def UpdateClassifier(
        self, request: pb.UpdateClassifierRequest, context: Context
    ) -> pb.UpdateClassifierResponse:
        try:
            comparison, in_force = await self._plane.update_classifier(
                request.classifier,
                force=request.force,
                dry_run=request.dry_run,
                by=author_of(context),
            )
        except ClassifierInvalid as error:
            raise InvalidRequest(str(error), field="classifier") from error
        response = pb.UpdateClassifierResponse(in_force=in_force)
        if comparison is not None:
            response.worse = comparison.worse
            response.comparison.CopyFrom(comparison_message(comparison))
        return response

    async def ReloadConfig(
        self, request: pb.ReloadConfigRequest, context: Context
    ) -> pb.ReloadConfigResponse:
        by = author_of(context)
        found = await self._reloads.reload(request.content, by=by, dry_run=request.dry_run)
        behind = await self._reloads.behind() if found.in_force else ()
        return reload_response(found, behind)

    async def CreateKey(
        self, request: pb.CreateKeyRequest, context: Context
    ) -> pb.CreateKeyResponse:
        return await create_key(self._plane, request, context)

    async def ListKeys(self, request: pb.ListKeysRequest, context: Context) -> pb.ListKeysResponse:
        return list_keys(self._plane)

    async def RotateKey(
        self, request: pb.RotateKeyRequest, context: Context
    ) -> pb.RotateKeyResponse:
        return await rotate_key(self._plane, request, context)

    async def RevokeKey(
        self, request: pb.RevokeKeyRequest, context: Context
    ) -> pb.RevokeKeyResponse:
        return await revoke_key(self._plane, request, context)

    async def _update(
        self,
        field: str,
        name: str,
        changes: Changes,
        context: Context,
        *,
        allow_missing: bool = False,
    ) -> Config:
        """Makes the changes; returns the configuration then in force.

        Raises ConfigError with the paths of the request.
        """
        section = _SECTIONS[field]
        try:
            return await self._plane.update(
                lambda config: updated(config, section, name, changes, allow_missing=allow_missing),
                by=author_of(context),
            )
        except ConfigError as error:
            raise in_request(error, section, field) from error


def _entry(field: str, entries: Sequence[Entry], name: str) -> Entry:
    """The one of this name; raises NotFound."""
    for entry in entries:
        if entry.name == name:
            return entry
    raise NotFound(
        f"there is no {field} {name[:64]!r}: {did_you_mean(name[:64], [e.name for e in entries])}",
        field=f"{field}.name",
    )
