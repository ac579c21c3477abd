"""The program that `pulumi up` runs: settings in, resources out."""

import os
from pathlib import Path

import pulumi
from pulumi.runtime.config import CONFIG

from stacks.serving import declare
from stacks.settings import SettingsError, read_settings

try:
    settings = read_settings(CONFIG.get(), pulumi.get_project(), Path(__file__).parent, os.environ)
except SettingsError as error:
    # A RunError ends the program with its message alone; anything else would bury it under a traceback.
    raise pulumi.RunError(str(error)) from None

declare(settings)

pulumi.export("url", f"http://{settings.host}")
pulumi.export("weight", settings.weight)
pulumi.export("stable", settings.stable.id)
pulumi.export("canary", settings.canary.id if settings.canary else None)
