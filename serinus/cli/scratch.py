"""A folder of its own for what one engine's processes leave behind.

At each start the Kubernetes provider writes a copy of the kubeconfig it was given, credentials and all, among the
temporary files, and never removes it.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def scratch() -> Iterator[dict[str, str]]:
    """Yield the variables for the engine's environment; its temporary files are gone when the block ends.

    Only this user can look into the folder.
    """
    # What a killed engine leaves running may still write there.
    with tempfile.TemporaryDirectory(prefix="serinus-engine-", ignore_cleanup_errors=True) as folder:
        yield {"TMPDIR": folder}
