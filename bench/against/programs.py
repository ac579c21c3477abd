"""The controllers that the benchmark compares with, built from their Go modules; go.mod and go.sum beside pin them."""

from pathlib import Path

from local.golang import Program

_HOME = Path(__file__).resolve().parent
ARGO_MODULE = "github.com/argoproj/argo-rollouts"
ARGO_VERSION = "1.9.1"
FLAGGER_MODULE = "github.com/fluxcd/flagger"
FLAGGER_VERSION = "1.44.0"

ARGO = Program(
    name="rollouts-controller",
    module="argo-rollouts",
    package=f"{ARGO_MODULE}/cmd/rollouts-controller",
    hint="Argo Rollouts; once, 3 to 6 min",
    variables=(f"{ARGO_MODULE}/utils/version.version=v{ARGO_VERSION}",),
    home=_HOME,
)
FLAGGER = Program(
    name="flagger",
    module="flagger",
    package=f"{FLAGGER_MODULE}/cmd/flagger",
    hint="Flagger; once, 2 to 5 min",
    variables=(),
    home=_HOME,
)
