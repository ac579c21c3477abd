"""The engine, by its Automation API, with its processes in our hands.

The API's own way to start the engine leaves it in our process group, where a Ctrl-C of the terminal reaches both, and a
signal to us alone reaches nobody but us: then we would wait for an update that nobody has told to end. And it reads the
engine's output by a pipe, so an engine whose promoter is killed would die of its next line in the middle of an update.
Here the engine has a session of its own, is interrupted by us only, and writes to a file without a name.
"""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pulumi import automation
from pulumi.automation.errors import CommandError, ConcurrentUpdateError, create_command_error
from semver import VersionInfo

from local.errors import LocalError
from local.processes import kill_tree
from serinus.cli.engine_events import read_preview
from serinus.cli.pack import pack_configuration
from serinus.cli.promote.interrupts import Interrupts
from serinus.cli.scratch import scratch
from serinus.rollout.plan import Preview

# An engine that was asked to end writes its state and gives its lock back; one that hangs is ended anyway.
_CLEAN_END_SECONDS = 20.0
_HARD_END_SECONDS = 10.0
_POLL_SECONDS = 0.1
# How the backends of the engine that keep their state in files or buckets tell who holds a lock.
_LOCK_HOLDER = re.compile(r"created by (?P<user>\S+)@(?P<host>\S+) \(pid (?P<pid>[0-9]+)\)")


@dataclass(frozen=True, slots=True)
class Update:
    """How one `pulumi up` ended. `said` is what it told: refusals and errors; empty where it went well."""

    ok: bool
    said: tuple[str, ...]
    seconds: float


class LockHolder(Enum):
    """Who holds a stack's lock, as far as this machine can tell."""

    DEAD = "dead"  # a process of this machine that is gone
    HERE = "here"  # an engine on this machine
    ELSEWHERE = "elsewhere"  # on another machine, or unknown


class LockedError(Exception):
    """Somebody holds the stack's lock. The message says who."""

    def __init__(self, message: str, holder: LockHolder) -> None:
        super().__init__(message)
        self.holder = holder


class Command(automation.PulumiCommand):
    """The engine's program; `interrupts` end what runs."""

    def __init__(self, environment: Mapping[str, str], interrupts: Interrupts) -> None:
        # The base class looks for the program in our own environment, which may know nothing of it.
        found = shutil.which("pulumi", path=environment.get("PATH", os.environ.get("PATH")))
        if found is None:
            raise LocalError("the program pulumi is not on the PATH", remedy="Install it, or run `make up`.")
        self.command = found
        self.events: Path | None = None
        """Where the next update logs its events. For a listener of ours the engine would need us alive to its end."""
        self._interrupts = interrupts
        self._process: subprocess.Popen[bytes] | None = None
        told = subprocess.run(
            [found, "version"], capture_output=True, text=True, env={**os.environ, **environment}, check=True
        )
        self.version = VersionInfo.parse(told.stdout.strip().removeprefix("v"))

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: automation.OnOutput | None = None,
        on_error: automation.OnOutput | None = None,
    ) -> automation.CommandResult:
        """Run one command to its end, or end it after a signal. Raises CommandError where it fails."""
        self._interrupts.check()
        events = ["--event-log", str(self.events)] if self.events and args[0] == "up" else []
        # Without a name they are gone with the last of us who has them open; they may hold a secret of the stack.
        with scratch() as own, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                [self.command, "--non-interactive", *args, *events],
                cwd=cwd,
                env={**os.environ, **additional_env, **own.environment, "PULUMI_AUTOMATION_API": "true"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=own.pass_fds,
                start_new_session=True,
            )
            self._process = process
            self._interrupts.on_signal = self._pass_on
            try:
                if self._interrupts.count:  # it came while the process was started
                    self._pass_on()
                self._wait(process)
            finally:
                self._interrupts.on_signal = None
                self._process = None
            result = automation.CommandResult(_text(out), _text(err), process.returncode)
        for callback, text in ((on_output, result.stdout), (on_error, result.stderr)):
            for line in text.splitlines() if callback else ():
                callback(line)  # type: ignore[misc]  # there is one, or there would be no lines
        if result.code != 0:
            raise create_command_error(result)
        return result

    def _pass_on(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        asked: float | None = None
        pressed = False
        while True:
            try:
                process.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if not self._interrupts.count:
                    continue
            else:
                return
            asked = asked or time.monotonic()
            waited = time.monotonic() - asked
            if waited > _CLEAN_END_SECONDS and not pressed:
                pressed = True
                self._pass_on()
            if waited > _CLEAN_END_SECONDS + _HARD_END_SECONDS:
                kill_tree([process.pid])


class Engine:
    """One stack, driven by the Automation API with the project's policy pack."""

    def __init__(
        self,
        folder: Path,
        stack: str,
        environment: Mapping[str, str],
        policies: str,
        interrupts: Interrupts,
        log: Path,
    ) -> None:
        """`policies` names the pack's configuration. Raises LocalError: no engine, no stack, no such configuration."""
        config = pack_configuration(folder, policies, stack)
        self._project = folder / "Pulumi.yaml"
        self._log = log
        self._command = Command(environment, interrupts)
        workspace = automation.LocalWorkspace(
            work_dir=str(folder), env_vars=dict(environment), pulumi_command=self._command
        )
        try:
            self._stack = automation.Stack.select(stack, workspace)
        except automation.StackNotFoundError:
            interrupts.check()
            raise LocalError(
                f"there is no stack {stack}", remedy=f"pulumi stack init {stack}, then pulumi up"
            ) from None
        except CommandError as error:
            interrupts.check()
            raise LocalError(f"the stack {stack} can't be selected: {_words(error)}") from None
        self._policies: dict[str, list[str]] = {"policy_packs": [str(folder / "policies")]}
        if config:
            self._policies["policy_pack_configs"] = [str(config)]
        self._interrupts = interrupts

    def up(self, message: str, project: str) -> Update:
        """Update the stack, without a preview: the pack and the guard judge the update itself.

        Raises LockedError where somebody else's update has the stack; InterruptedByUserError after a signal.
        """
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            self._command.events = Path(scratch) / "events"
            try:
                done = self._stack.up(
                    message=message,
                    color="never",
                    suppress_outputs=True,
                    policy_packs=self._policies["policy_packs"],
                    policy_pack_configs=self._policies.get("policy_pack_configs"),
                )
            except ConcurrentUpdateError as error:
                raise locked(str(error), os.uname().nodename) from None
            except CommandError as error:
                self._note(str(error))
                self._interrupts.check()
                said = _said(self._events(project)) or (_words(error),)
                return Update(ok=False, said=said, seconds=time.monotonic() - started)
            finally:
                self._command.events = None
        self._note(done.stdout)
        return Update(ok=True, said=(), seconds=time.monotonic() - started)

    def has_pending_operations(self) -> bool:
        """Tell whether the state holds operations that a killed update has left."""
        # Not the API's export: that one asks for the secrets.
        told = self._run("stack", "export", "--stack", self._stack.name)
        return '"pending_operations"' in told

    def clear(self) -> None:
        """Look at what there is after a killed update, and forget what it never finished."""
        try:
            self._stack.refresh(clear_pending_creates=True, color="never", suppress_outputs=True)
        except ConcurrentUpdateError as error:
            raise locked(str(error), os.uname().nodename) from None
        except CommandError as error:
            self._interrupts.check()
            raise LocalError(f"refreshing the stack failed: {_words(error)}", log=self._log) from None

    def unlock(self) -> None:
        """Take away the lock of an update that is dead."""
        try:
            self._stack.cancel()
        except CommandError as error:
            self._interrupts.check()
            raise LocalError(f"`pulumi cancel` failed: {_words(error)}") from None

    def _run(self, *words: str) -> str:
        try:
            workspace = self._stack.workspace
            return self._command.run(list(words), workspace.work_dir, dict(workspace.env_vars)).stdout
        except CommandError as error:
            self._interrupts.check()
            raise LocalError(f"`pulumi {' '.join(words)}` failed: {_words(error)}") from None

    def _events(self, project: str) -> Preview:
        events = self._command.events
        lines = events.read_text(encoding="utf-8").splitlines() if events and events.exists() else []
        return read_preview(lines, project)

    def _note(self, text: str) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{text}\n\n")


def locked(said: str, host: str) -> LockedError:
    """Tell from the engine's words who holds the stack; `host` is this machine's name."""
    holders = list(_LOCK_HOLDER.finditer(said))
    told = ", ".join(f"{one['user']}@{one['host']} (pid {one['pid']})" for one in holders) or "somebody"
    sentence = f"the stack is locked by {told}"
    if not holders or any(one["host"] != host for one in holders):
        return LockedError(sentence, LockHolder.ELSEWHERE)
    alive = any(_is_engine(int(one["pid"])) for one in holders)
    return LockedError(sentence, LockHolder.HERE if alive else LockHolder.DEAD)


def _is_engine(pid: int) -> bool:
    """Tell whether this process of this machine is an engine; a pid may have gone to another program since."""
    try:
        return "pulumi" in Path(f"/proc/{pid}/comm").read_text(encoding="utf-8")
    except OSError:
        return False


def _said(preview: Preview) -> tuple[str, ...]:
    told = [f"{one.sentence} ({one.rule})" for one in preview.refusals]
    return (*(" ".join(one.split()) for one in told), *preview.errors)


def _words(error: CommandError) -> str:
    """The engine's own last words, without the frame that the API puts around them."""
    text = str(error).partition("stderr:")[2].strip() or str(error).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason"


def _text(file: io.BufferedRandom) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
