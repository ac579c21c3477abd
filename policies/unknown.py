"""Makes a rule refuse what it can't read.

In a preview a value may not be known yet. The SDK then drops the rule's verdict to an advice, and a mandatory rule
would let the preview pass without having looked.
"""

from pulumi_policy import ReportViolation, ResourceValidation, ResourceValidationArgs
from pulumi_policy.proxy import UnknownValueError


def refuse_unknown(validate: ResourceValidation) -> ResourceValidation:
    """Wrap a rule's function: reading a value that is not known yet becomes a violation."""

    def checked(args: ResourceValidationArgs, report_violation: ReportViolation) -> None:
        try:
            validate(args, report_violation)
        except UnknownValueError as unknown:
            report_violation(
                f"{args.name}: {'.'.join(unknown.props)} can't be judged, because its value is not known in a preview. "
                "Make it a plain value, not the output of another resource.",
                None,
            )

    return checked
