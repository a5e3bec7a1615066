"""What LocalStack's CloudFormation leaves out of updates and deletions. Each function fills one gap, and says which."""

import json

from localstack.services.cloudformation.engine.v2.change_set_model import is_nothing
from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent
from localstack.utils.patch import patch


def fill():
    conditional_resources_that_refer_to_each_other()
    what_a_stack_keeps()
    replacements_that_follow_from_a_replacement()
    updates_of_rules()
    updates_of_alarms()
    the_retention_of_log_groups()
    updates_of_managed_policies()
    updates_of_roles()
    updates_of_the_policies_of_buses()
    the_recursive_loop_of_a_function()


def conditional_resources_that_refer_to_each_other():
    """A template with them cannot be updated, and a resource whose condition becomes false stays."""
    from localstack.services.cloudformation.engine.v2.change_set_model_executor import ChangeSetModelExecutor
    from localstack.services.cloudformation.engine.v2.change_set_model_preproc import ChangeSetModelPreproc
    from localstack.services.cloudformation.engine.validations import ValidationError

    def exists(self, node_resource):
        if is_nothing(node_resource.condition_reference):
            return True, True
        delta = self._resolve_resource_condition_reference(node_resource.condition_reference)
        return (not is_nothing(delta.before) and bool(delta.before)), (not is_nothing(delta.after) and bool(delta.after))

    def node_of(self, name):
        return next(node for node in self._change_set.update_model.node_template.resources.resources if node.name == name)

    @patch(ChangeSetModelPreproc.visit_node_resource)
    def visit_node_resource(fn, self, node_resource):
        self.__dict__.setdefault("_within", []).append(exists(self, node_resource))
        try:
            return fn(self, node_resource)
        finally:
            self._within.pop()

    @patch(ChangeSetModelPreproc._resolve_attribute)
    def _resolve_attribute(fn, self, arguments, select_before):
        try:
            return fn(self, arguments, select_before)
        except (ValidationError, RuntimeError):
            within = self.__dict__.get("_within") or [(True, True)]
            name = arguments.split(".")[0] if isinstance(arguments, str) else arguments[0]
            side = 0 if select_before else 1
            # What does not exist may refer to what does not exist; and each side of an Fn::If is read for both times. Nobody uses this value. But Fn::Sub, Fn::Split
            # and Fn::Select around it want a text.
            if not within[-1][side] or exists(self, node_of(self, name))[1 - side]:
                return "arn:aws:of:what:does:not/exist/here"
            raise

    def visit_node_resources(self, node_resources):
        for node_resource in node_resources.resources:
            if any(exists(self, node_resource)):
                self.visit(node_resource)

    ChangeSetModelExecutor.visit_node_resources = visit_node_resources


def what_a_stack_keeps():
    """DeletionPolicy and UpdateReplacePolicy are read, and not followed."""
    from localstack.services.cloudformation.engine.v2.change_set_model_executor import ChangeSetModelExecutor

    @patch(ChangeSetModelExecutor._execute_resource_action)
    def _execute_resource_action(fn, self, action, logical_resource_id, *args, part_of_replacement=False, **kwargs):
        if getattr(action, "value", action) == "Remove":
            for node in self._change_set.update_model.node_template.resources.resources:
                if node.name == logical_resource_id:
                    kept = node.update_replace_policy if part_of_replacement else node.deletion_policy
                    if getattr(kept, "value", "") in ("Retain", "RetainExceptOnCreate"):
                        return ProgressEvent(OperationStatus.SUCCESS, resource_model={}, message="DELETE_SKIPPED")
        return fn(self, action, logical_resource_id, *args, part_of_replacement=part_of_replacement, **kwargs)


def replacements_that_follow_from_a_replacement():
    """What refers to the ARN of a replaced resource, in a property that can be set only at creation, is replaced as well. LocalStack leaves it as it is."""
    from localstack.services.cloudformation.engine.v2.change_set_model_executor import ChangeSetModelExecutor

    @patch(ChangeSetModelExecutor._execute_resource_change)
    def _execute_resource_change(fn, self, name, before, after):
        if not is_nothing(before) and not is_nothing(after) and before.resource_type == after.resource_type:
            provider = self.resource_provider_executor.try_load_resource_provider(after.resource_type)
            for path in getattr(provider, "SCHEMA", {}).get("createOnlyProperties", []) if provider else []:
                key = path.split("/")[2]
                if before.properties.properties.get(key) != after.properties.properties.get(key):
                    after.requires_replacement = True
        return fn(self, name, before, after)


# ---- Updates of these types do nothing. (LocalStack's log says so.)


def updates_of_rules():
    """Rules are never updated; and a rule that is removed keeps the targets that an update added, which stops its removal."""
    from localstack.services.events.resource_providers.aws_events_rule import EventsRuleProvider

    def of_bus(model):
        return {"EventBusName": model["EventBusName"]} if model.get("EventBusName") else {}

    def update(self, request):
        before, model = request.previous_state, request.desired_state
        model["Name"] = before["Id"].rpartition("|")[2]
        event = self.create(request)
        stale = {target["Id"] for target in before.get("Targets") or []} - {target["Id"] for target in model.get("Targets") or []}
        if stale:
            request.aws_client_factory.events.remove_targets(Rule=model["Name"], Ids=sorted(stale), **of_bus(model))
        return event

    def delete(self, request):
        model, events = request.desired_state, request.aws_client_factory.events
        name, bus = model["Id"].rpartition("|")[2], of_bus(model)
        if ids := [target["Id"] for target in events.list_targets_by_rule(Rule=name, **bus)["Targets"]]:
            events.remove_targets(Rule=name, Ids=ids, **bus)
        events.delete_rule(Name=name, **bus)
        return _done(request, model)

    EventsRuleProvider.update, EventsRuleProvider.delete = update, delete


def updates_of_alarms():
    """Alarms are never updated."""
    from localstack.services.cloudwatch.resource_providers.aws_cloudwatch_alarm import CloudWatchAlarmProvider

    def update(self, request):
        request.desired_state["AlarmName"] = request.previous_state["AlarmName"]
        return self.create(request)

    CloudWatchAlarmProvider.update = update


def the_retention_of_log_groups():
    """A log group gets no retention, neither when it is created nor later."""
    from localstack.services.logs.resource_providers.aws_logs_loggroup import LogsLogGroupProvider

    without = LogsLogGroupProvider.create

    def kept(request, model):
        if days := model.get("RetentionInDays"):
            request.aws_client_factory.logs.put_retention_policy(logGroupName=model["LogGroupName"], retentionInDays=int(days))
        return _done(request, model)

    def create(self, request):
        return kept(request, without(self, request).resource_model)

    def update(self, request):
        return kept(request, {**request.previous_state, **request.desired_state, "LogGroupName": request.previous_state["LogGroupName"]})

    LogsLogGroupProvider.create, LogsLogGroupProvider.update = create, update


def updates_of_managed_policies():
    """Managed policies are never updated."""
    from localstack.services.iam.resource_providers.aws_iam_managedpolicy import IAMManagedPolicyProvider

    def update(self, request):
        before, model, iam = request.previous_state, request.desired_state, request.aws_client_factory.iam
        arn = before["Id"]
        older = [version["VersionId"] for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]]
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(_without_none(model["PolicyDocument"])), SetAsDefault=True)
        for version in older:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version)
        return _done(request, {**before, **model})

    IAMManagedPolicyProvider.update = update


def updates_of_roles():
    """Of a role, neither the policies nor the boundary are updated."""
    from localstack.services.iam.resource_providers.aws_iam_role import IAMRoleProvider

    def update(self, request):
        before, model, iam = request.previous_state, request.desired_state, request.aws_client_factory.iam
        name = before["RoleName"]
        old, new = ({arn for arn in state.get("ManagedPolicyArns") or [] if arn} for state in (before, model))
        for arn in old - new:
            iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        for arn in new - old:
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(model["AssumeRolePolicyDocument"]))
        for policy in model.get("Policies") or []:
            iam.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=json.dumps(_without_none(policy["PolicyDocument"])))
        if model.get("PermissionsBoundary"):
            iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=model["PermissionsBoundary"])
        elif before.get("PermissionsBoundary"):
            iam.delete_role_permissions_boundary(RoleName=name)
        return _done(request, {**before, **model})

    IAMRoleProvider.update = update


def updates_of_the_policies_of_buses():
    """Policies of buses are never updated."""
    from localstack.services.events.resource_providers.aws_events_eventbuspolicy import EventsEventBusPolicyProvider

    EventsEventBusPolicyProvider.update = lambda self, request: self.create(request)


def the_recursive_loop_of_a_function():
    """LocalStack's Lambda knows it, and its CloudFormation does not set it."""
    from localstack.services.lambda_.resource_providers.aws_lambda_function import LambdaFunctionProvider

    def with_it(name):
        without = getattr(LambdaFunctionProvider, name)

        def then(self, request):
            event, loop = without(self, request), request.desired_state.get("RecursiveLoop")
            if loop and event.status == OperationStatus.SUCCESS:
                function = (event.resource_model or {}).get("FunctionName") or request.previous_state["FunctionName"]
                request.aws_client_factory.lambda_.put_function_recursion_config(FunctionName=function, RecursiveLoop=loop)
            return event

        setattr(LambdaFunctionProvider, name, then)

    with_it("create")
    with_it("update")


def _done(request, model):
    return ProgressEvent(OperationStatus.SUCCESS, resource_model=model, custom_context=request.custom_context)


def _without_none(node):
    if isinstance(node, dict):
        return {key: _without_none(value) for key, value in node.items() if value is not None}
    return [_without_none(item) for item in node if item is not None] if isinstance(node, list) else node
