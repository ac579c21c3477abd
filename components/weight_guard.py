"""The guard in the cluster: whoever writes the Ingress, by whatever tool, meets the rules of `pulumi preview`.

The rules come from `serinus.rollout.admission`; here they become ValidatingAdmissionPolicies. All names carry service
and namespace, so several stacks on one cluster have a guard each and none touches another's.
"""

import pulumi
import pulumi_kubernetes as k8s

from serinus.rollout.admission import Guarded, Policy, policies
from serinus.rollout.canary_release import API_VERSION, KIND


class WeightGuard(pulumi.ComponentResource):
    """The policies of one service and their bindings.

    They must come before the Ingresses and the CanaryRelease (`depends_on` there): then an Ingress is born under
    guard, and the guard is the last to go.
    """

    def __init__(self, guarded: Guarded, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"service": guarded.service, "host": guarded.host, "breakGlass": guarded.break_glass}
        super().__init__("serinus:components:WeightGuard", guarded.service, inputs, opts)
        for policy in policies(guarded):
            self._bind(guarded, policy)
        self.register_outputs({})

    def _bind(self, guarded: Guarded, policy: Policy) -> None:
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {
            "name": policy.name,
            "labels": {
                "app.kubernetes.io/name": guarded.service,
                "app.kubernetes.io/component": "weight-guard",
                "app.kubernetes.io/part-of": "serinus",
                "app.kubernetes.io/managed-by": "pulumi",
                "serinus.dev/service": guarded.service,
            },
        }
        declared = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
            policy.name,
            metadata=metadata,
            spec=_policy_spec(policy),
            opts=pulumi.ResourceOptions(parent=self),
        )
        # Without its object the guard must not stop a decrease. That the object can't go is the guard's own work.
        release: k8s.admissionregistration.v1.ParamRefArgsDict = {
            "name": guarded.service,
            "namespace": guarded.namespace,
            "parameter_not_found_action": "Allow",
        }
        k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            policy.name,
            metadata=metadata,
            spec={
                "policy_name": policy.name,
                "validation_actions": ["Deny"],
                **({"param_ref": release} if policy.with_release else {}),
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[declared]),
        )


def _policy_spec(policy: Policy) -> k8s.admissionregistration.v1.ValidatingAdmissionPolicySpecArgsDict:
    resource = policy.resource
    kind: k8s.admissionregistration.v1.ParamKindArgsDict = {"api_version": API_VERSION, "kind": KIND}
    return {
        **({"param_kind": kind} if policy.with_release else {}),
        "failure_policy": "Fail",
        "match_constraints": {
            "resource_rules": [
                {
                    "api_groups": [resource.group],
                    "api_versions": [resource.version],
                    "resources": [resource.plural],
                    "operations": list(resource.operations),
                }
            ]
        },
        "match_conditions": [{"name": one.name, "expression": one.expression} for one in policy.conditions],
        "variables": [{"name": one.name, "expression": one.expression} for one in policy.variables],
        "validations": [
            {
                "expression": one.expression,
                # Said where the sentence can't be made, such as from a reason that has line breaks.
                "message": f"refused by the rule {one.code}",
                "message_expression": one.says,
                # Not "Forbidden": a preview takes that for a lack of rights, and goes on.
                "reason": "Invalid",
            }
            for one in policy.validations
        ],
    }
