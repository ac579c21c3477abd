"""Which configuration of the policy pack an operation runs with: policies/NAME.json."""

from pathlib import Path

from local.errors import LocalError


def pack_configuration(folder: Path, policies: str, stack: str) -> Path | None:
    """Return the file; None where there is none of the stack's own name: then the pack's strict defaults hold.

    Raises LocalError for any other name without a file: the defaults are not what was asked for.
    """
    known = sorted(path.stem for path in (folder / "policies").glob("*.json"))
    if policies in known:
        return folder / "policies" / f"{policies}.json"
    if policies != stack:
        raise LocalError(
            f"there is no policies/{policies}.json; there are: {', '.join(known) or 'none'}",
            remedy="Name one of these, or leave --policies out.",
        )
    return None
