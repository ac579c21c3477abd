"""`python -m serinus.agent`: the process in the agent's pod."""

import os
import sys

from serinus.agent import logs
from serinus.agent.agent import main
from serinus.agent.api import AccessError
from serinus.agent.settings import SettingsError, read_settings

if __name__ == "__main__":
    logs.set_up()
    try:
        main(read_settings(os.environ))
    except (SettingsError, AccessError) as error:
        sys.exit(f"The agent can't start. {error}")
