"""What a guard stands before: one service, by the names of its objects."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guarded:
    """The service that is guarded.

    `break_glass` is a group whose members the guard lets pass, empty for nobody. `inner_host` is where the split is,
    if that is not the users' own host.
    """

    service: str
    namespace: str
    host: str
    break_glass: str = ""
    inner_host: str = ""

    @property
    def canary_ingress(self) -> str:
        """The name of the only Ingress that may hold the canary's share."""
        return f"{self.service}-canary"

    @property
    def stable_ingress(self) -> str:
        """The name of the Ingress that all other users come through."""
        return f"{self.service}-stable"
