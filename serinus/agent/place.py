"""Where one service is: its namespace, its name, and the paths of its objects on the API server."""

from dataclasses import dataclass

from serinus.rollout.agency import binding_name
from serinus.rollout.canary_release import API_VERSION, PLURAL


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A service. Its name alone says nothing: two namespaces may have one of the same name."""

    namespace: str
    service: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service}"

    @property
    def release_path(self) -> str:
        """The CanaryRelease on the API server."""
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/{PLURAL}/{self.service}"

    @property
    def ingress(self) -> str:
        """The name of the canary's Ingress."""
        return f"{self.service}-canary"

    @property
    def ingress_path(self) -> str:
        """The canary's Ingress on the API server."""
        return f"/apis/networking.k8s.io/v1/namespaces/{self.namespace}/ingresses/{self.ingress}"

    @property
    def terms_path(self) -> str:
        """The Secret with the service's terms."""
        return self.secret_path(binding_name(self.service))

    def secret_path(self, name: str) -> str:
        """Return a Secret of the service's namespace on the API server."""
        return f"/api/v1/namespaces/{self.namespace}/secrets/{name}"
