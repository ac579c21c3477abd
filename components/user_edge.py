"""Users come in here when buckets split them: each request gets its user's bucket before it reaches the split.

A gateway chooses a route before anything else, so a header that it adds itself comes too late for its own choice. So
there are two layers on one gateway: the edge asks the bucketer, overwrites the bucket's header and sends the request to
the gateway again, under an inner host where the header counts. Only the gateway's own addresses may use that host.

The bucketer is asked through the gateway as well. Where it gives no answer the stable release gives one, without a
bucket, and without a bucket a user is on the stable release: nobody gets an error.

The split comes to the inner host after the edge, and leaves it before the edge does. For these moments the stable
release stands behind that host whenever nothing else does.
"""

import hashlib
import hmac
from dataclasses import dataclass
from ipaddress import ip_address

import pulumi
import pulumi_kubernetes as k8s

from components.bucketer import CONFIG_FILE, pod
from components.model_service import PORT_NAME, ModelService
from serinus.bucketer.config import Config
from serinus.rollout.share import BUCKET_HEADER, KEEP_HEADER, PREFIX

# A bucket that takes longer than this would be felt. Then the user is on the stable release for once.
_PATIENCE_SECONDS = "1"


@dataclass(frozen=True)
class UserEdgeArgs:
    """Where users come in, the inner host behind it, and what the bucketer looks at.

    gateway is the host, perhaps with a port, under which the gateway reaches itself; sources are the blocks of
    addresses that it comes from then. stable answers in place of a bucketer that does not.
    """

    service: str
    namespace: str
    host: str
    inner_host: str
    ingress_class: str
    gateway: str
    sources: tuple[str, ...]
    image: str
    replicas: int
    config: Config
    stable: ModelService


class UserEdge(pulumi.ComponentResource):
    """The bucketer, and the Ingresses before the split: the users' host, the way to the bucketer, the net below."""

    def __init__(self, args: UserEdgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"service": args.service, "host": args.host, "innerHost": args.inner_host}
        super().__init__("serinus:components:UserEdge", f"{args.service}-edge", inputs, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self, depends_on=opts.depends_on if opts else None)
        name, _, port = args.gateway.partition(":")
        gateway = k8s.core.v1.Service(
            f"{args.service}-gateway",
            metadata=self._metadata("gateway"),
            spec={
                "type": "ExternalName",
                "external_name": name,
                "ports": [{"name": PORT_NAME, "port": int(port or 80), "target_port": int(port or 80)}],
            },
            opts=self._child,
        )
        path = f"/.serinus/{args.namespace}/{args.service}/bucket"
        buckets = self._ingress(
            "buckets",
            {
                "whitelist-source-range": ",".join(args.sources),
                "proxy-connect-timeout": _PATIENCE_SECONDS,
                "proxy-read-timeout": _PATIENCE_SECONDS,
                # In place of these answers the gateway takes the default backend's to `GET /`, whatever was asked. 404
                # is what that backend itself says to the path above, where the bucketer has no pod at all.
                "custom-http-errors": "404,500,502,503,504",
                "default-backend": args.stable.service_name,
            },
            _to(f"{args.service}-bucketer", path, host="" if _is_address(name) else name),
            after=[self._bucketer(), args.stable],
        )
        behind = self._behind()
        self._ingress(
            "edge",
            {
                "auth-url": f"http://{args.gateway}{path}",
                # Taken from the bucketer's answer alone: what a client says under these names is dropped.
                "auth-response-headers": f"{BUCKET_HEADER},{KEEP_HEADER}",
                "upstream-vhost": args.inner_host,
            },
            _to(f"{args.service}-gateway", "/", args.host),
            after=[gateway, buckets, behind],
        )
        self.register_outputs({})

    def _bucketer(self) -> k8s.apps.v1.Deployment:
        args, name = self._args, f"{self._args.service}-bucketer"
        document = args.config.document()
        secret = k8s.core.v1.Secret(
            name,
            metadata=self._metadata("bucketer"),
            string_data={CONFIG_FILE: pulumi.Output.secret(document)},
            opts=self._child,
        )
        selector = {"app.kubernetes.io/name": args.service, "app.kubernetes.io/instance": name}
        # Keyed by the salt itself: who reads the annotation learns that something changed, and nothing else.
        version = hmac.new(args.config.salt.encode(), document.encode(), hashlib.sha256).hexdigest()[:16]
        labels = self._labels("bucketer")
        deployment = k8s.apps.v1.Deployment(
            name,
            metadata=self._metadata("bucketer"),
            spec={
                "replicas": args.replicas,
                "selector": {"match_labels": selector},
                "strategy": {"type": "RollingUpdate", "rolling_update": {"max_unavailable": 0, "max_surge": 1}},
                "min_ready_seconds": 3,
                "template": {
                    "metadata": {"labels": labels, "annotations": {"serinus.dev/configuration": version}},
                    "spec": pod(name, args.image, selector),
                },
            },
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=[secret])),
        )
        k8s.core.v1.Service(
            name,
            metadata=self._metadata("bucketer", {"pulumi.com/skipAwait": "true"}),
            spec={"selector": selector, "ports": [{"name": PORT_NAME, "port": 80, "target_port": PORT_NAME}]},
            opts=self._child,
        )
        k8s.policy.v1.PodDisruptionBudget(
            name,
            metadata=self._metadata("bucketer"),
            spec={
                "selector": {"match_labels": selector},
                # Without a bucketer nobody gets an error, so a drain of a node never has to wait for the only one.
                "max_unavailable": 1,
                "unhealthy_pod_eviction_policy": "AlwaysAllow",
            },
            opts=self._child,
        )
        return deployment

    def _behind(self) -> k8s.networking.v1.Ingress:
        """Catch what reaches the inner host while the split is not there: a rule with a path goes before this one."""
        args = self._args
        annotations = {"whitelist-source-range": ",".join(args.sources), "upstream-vhost": args.host}
        backend = _backend(args.stable.service_name)
        return self._ingress(
            "behind", annotations, {"default_backend": backend, "rules": [{"host": args.inner_host}]}, [args.stable]
        )

    def _ingress(
        self,
        part: str,
        annotations: dict[str, str],
        spec: k8s.networking.v1.IngressSpecArgsDict,
        after: list[pulumi.Resource],
    ) -> k8s.networking.v1.Ingress:
        # Gateways that publish no address would make the engine wait for one until it gives up.
        told = {"pulumi.com/skipAwait": "true", **{f"{PREFIX}/{key}": value for key, value in annotations.items()}}
        return k8s.networking.v1.Ingress(
            f"{self._args.service}-{part}",
            metadata=self._metadata(part, told),
            spec={"ingress_class_name": self._args.ingress_class, **spec},
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=after)),
        )

    def _metadata(self, part: str, annotations: dict[str, str] | None = None) -> k8s.meta.v1.ObjectMetaArgsDict:
        return {
            "name": f"{self._args.service}-{part}",
            "namespace": self._args.namespace,
            "labels": self._labels(part),
            **({"annotations": annotations} if annotations else {}),
        }

    def _labels(self, part: str) -> dict[str, str]:
        # Not `serinus.dev/service`: by that the policies know a model service, and readers the Ingresses of a split.
        return {
            "app.kubernetes.io/name": self._args.service,
            "app.kubernetes.io/instance": f"{self._args.service}-{part}",
            "app.kubernetes.io/component": "user-edge",
            "app.kubernetes.io/part-of": "serinus",
            "app.kubernetes.io/managed-by": "pulumi",
        }


def _to(service: str, path: str, host: str) -> k8s.networking.v1.IngressSpecArgsDict:
    """Send a path of a host, of every host where it is empty, to a Service."""
    paths: list[k8s.networking.v1.HTTPIngressPathArgsDict] = [
        {"path": path, "path_type": "Prefix", "backend": _backend(service)}
    ]
    return {"rules": [{**({"host": host} if host else {}), "http": {"paths": paths}}]}


def _backend(service: str) -> k8s.networking.v1.IngressBackendArgsDict:
    return {"service": {"name": service, "port": {"name": PORT_NAME}}}


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
