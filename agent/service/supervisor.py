"""The service: starts every loop, and ends them in order. Never holds plaintext, never listens."""

import logging
from collections.abc import Callable
from functools import partial

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from agent.core import defect
from agent.core.errors import AgentError, ConfigError, SpoolError
from agent.service import drain, health, status, statussocket
from agent.service.board import Board, State
from agent.service.clock import ClockWatch, Jump
from agent.service.deliver import Deliver
from agent.service.drain import Drain
from agent.service.duties import Duties, Duty
from agent.service.gate import Gate
from agent.service.intake import Intake
from agent.service.link import Link
from agent.service.lock import hold
from agent.service.notify import Manager, sentence
from agent.service.orders import Orders
from agent.service.patience import Patience
from agent.service.perform import Performer
from agent.service.record import Recorder
from agent.service.renewal import CHECK_SECONDS, Certified, Renewal, life_of
from agent.service.running import Running
from agent.service.status import DAY_SECONDS, Figures, Moment
from agent.service.wiring import About, Options, Ports, Site, Step, no_step

LOW_DISK_BYTES = 512 * 1_048_576
READY_SECONDS = 5.0
"""How long the service manager waits for the carrier before it hears that the service serves."""
CLOSE_SECONDS = 10.0
"""How long the servers of workers and sandboxes have to end."""

_LOGGER = logging.getLogger(__name__)


class Supervisor:
    """One agent. `run` is its whole life, once."""

    def __init__(
        self,
        *,
        ports: Ports,
        site: Site,
        about: About,
        options: Options,
        reload: Callable[[], Site] | None = None,
        manager: Manager | None = None,
        step: Step = no_step,
    ) -> None:
        """Args: `reload` reads the configuration anew on SIGHUP (in a thread; ConfigError keeps the last good one).

        `manager` is the service manager, if there is one. `step` is told each of `wiring.STEPS`. Must be made inside
        the event loop that runs it.
        """
        self._ports, self._site, self._about, self._options = ports, site, about, options
        self._reload = reload
        self._manager = manager or Manager()
        self._board = Board()
        self._figures = Figures()
        clock = ports.clock
        self._started, self._begun, self._loaded = clock.now(), clock.monotonic(), clock.now()
        self._stop = anyio.Event()
        self._looked_back = anyio.Event()
        self._recorder = Recorder(ports.open_log)
        self._patience = Patience(self._board, retry_seconds=options.retry_seconds)
        self._running = Running({"sql": options.slots, "python": options.python_slots})
        self._link = Link(ports.transport, self._running, self._board)
        self._sandboxes = ports.sandboxes(lambda: self._site.python)
        self._duties = Duties(self._duty_table(), self._board)
        self._watch = ClockWatch(clock, on_jump=self._jumped)
        self._deliver = Deliver(
            ports=ports,
            recorder=self._recorder,
            board=self._board,
            watch=self._watch,
            ready=self._looked_back,
            cap_seconds=options.backoff_cap_seconds,
            step=step,
        )
        self._gate = Gate(
            ports=ports, board=self._board, running=self._running, site=self._current_site, options=options
        )
        self._intake = self._make_intake(step)

    def stop(self) -> None:
        """Drain and end, as on SIGTERM. Idempotent."""
        self._stop.set()

    async def run(self) -> int:
        """Serve until SIGTERM or `stop`, drain, and return the exit code 0.

        Raises StateBusyError when another process holds the state folder, ConfigError when it cannot be locked.
        """
        with hold(self._options.state_dir):
            await self._sweep_spool()
            try:
                async with anyio.create_task_group() as background:
                    await background.start(drain.on_signals, self.stop, partial(self._reload_in, background))
                    orders = Orders(self._board, self._running, record=self._recorder.append, tasks=background)
                    serve = partial(statussocket.serve, obey=orders)
                    await background.start(serve, self._options.state_dir, self._answer, self._board)
                    background.start_soon(partial(self._watch.run, on_calm=self._calm))
                    background.start_soon(self._sandboxes.run, self._board)
                    background.start_soon(self._link.run)
                    background.start_soon(self._manager.run, self._sentence)
                    self._duties.start()
                    await self._serve()
                    self._duties.stop()
                    background.cancel_scope.cancel()
            finally:
                self._board.state = State.STOPPED
                await self._close()
        return 0

    async def _serve(self) -> None:
        async with anyio.create_task_group() as work:
            work.start_soon(self._deliver.run)
            work.start_soon(self._intake.run)
            self._board.state = State.ONLINE
            work.start_soon(self._tell_ready)
            await self._stop.wait()
            self._manager.stopping()
            work.start_soon(self._link.announce_drain)
            await Drain(
                intake=self._intake,
                running=self._running,
                patience=self._patience,
                deliver=self._deliver,
                board=self._board,
                seconds=self._options.drain_seconds,
            ).run()
            work.cancel_scope.cancel()

    async def _tell_ready(self) -> None:
        """The carrier can take jobs; or it is away for now, which is no reason not to have started."""
        with anyio.move_on_after(READY_SECONDS):
            await self._looked_back.wait()
        if not self._stop.is_set():
            self._manager.ready()

    def _make_intake(self, step: Step) -> Intake:
        performer = Performer(
            ports=self._ports,
            recorder=self._recorder,
            patience=self._patience,
            board=self._board,
            running=self._running,
            sandboxes=self._sandboxes,
            wake=self._deliver.wake,
            step=step,
            progress=self._link.progress,
        )
        return Intake(
            ports=self._ports,
            recorder=self._recorder,
            patience=self._patience,
            board=self._board,
            running=self._running,
            performer=performer,
            site=self._current_site,
            options=self._options,
            gate=self._gate,
            opening={
                "version": self._about.version,
                "config_sha256": self._site.config_sha256,
                "policy_version": self._site.policy_version,
                "policy_sha256": self._site.policy_sha256,
            },
            looked_back=self._looked_back,
            wake=self._deliver.wake,
            ended=self._link.ended,
            step=step,
        )

    def _current_site(self) -> Site:
        return self._site

    def _duty_table(self) -> list[Duty]:
        return [
            Duty(name="status", every_seconds=self._options.status_seconds, run=self._write_status),
            Duty(name="sweep", every_seconds=3600, run=self._sweep_ledger),
            *self._renewals(),
        ]

    def _renewals(self) -> list[Duty]:
        transport, tls = self._ports.transport, self._options.tls
        if tls is None or not isinstance(transport, Certified):
            return []
        name, clock = self._site.me.agent, self._ports.clock
        renewal = Renewal(tls, name, transport.renew, clock=clock, board=self._board)
        return [Duty(name="renewal", every_seconds=CHECK_SECONDS, run=renewal.check)]

    async def _write_status(self) -> None:
        try:
            self._figures, problems = await to_thread.run_sync(self._read_figures)
        except SpoolError as error:
            self._board.find("figures", health.spool_unwritable(str(error)))
        else:
            self._board.find("figures", None)
            free, folder = self._figures.disk_free, self._options.state_dir
            low = free is not None and free < LOW_DISK_BYTES
            self._board.find("skew", self._skewed())
            self._board.find("disk", health.disk_low(folder, free or 0) if low else None)
            self._board.replace("seen.", {str(n): health.as_said(text) for n, text in enumerate(problems)})
        data = self._answer()
        await to_thread.run_sync(status.write, self._options.state_dir, data)

    def _read_figures(self) -> tuple[Figures, tuple[str, ...]]:
        ports = self._ports
        queue, oldest = ports.transport.waiting() or (None, None)
        figures = Figures(
            queue=queue,
            queue_oldest=oldest,
            counts=ports.ledger.counts(ports.clock.now() - DAY_SECONDS),
            spool_bytes=ports.spool.bytes(),
            spool_results=len(ports.spool.pending()),
            spool_oldest=ports.spool.oldest(),
            disk_free=status.disk_free(self._options.state_dir),
            certificate=None if self._options.tls is None else life_of(self._options.tls),
        )
        return figures, (*ports.transport.problems(), *ports.spool.problems())

    def _skewed(self) -> health.Health | None:
        link = self._link.view()
        seconds = None if link is None else link.skew_seconds
        return None if seconds is None or abs(seconds) < health.SKEW_NOTED_SECONDS else health.clock_skewed(seconds)

    def _answer(self) -> bytes:
        clock = self._ports.clock
        moment = Moment(
            now=clock.now(),
            started=self._started,
            loaded=self._loaded,
            uptime=clock.monotonic() - self._begun,
            running=self._running.busy,
            slots=self._running.slots,
            isolation=self._gate.isolation,
            sandbox=self._sandboxes.view,
            head=self._recorder.head,
            audit_sound=self._recorder.sound,
            link=self._link.view(),
        )
        return status.encode(status.document(self._about, self._site, self._board, self._figures, moment))

    def _sentence(self) -> str:
        return sentence(self._board, self._running.total)

    async def _sweep_spool(self) -> None:
        """What dead runs left half-written: only now, before anything new is begun."""
        try:
            await to_thread.run_sync(self._ports.spool.sweep)
        except SpoolError as error:
            _LOGGER.warning("the spool could not be swept: %s", error)

    async def _sweep_ledger(self) -> None:
        if self._watch.trusted():
            await to_thread.run_sync(self._ports.ledger.sweep, self._ports.clock.now())

    def _jumped(self, jump: Jump) -> None:
        _LOGGER.warning("the system clock jumped by %.0f s", jump.seconds)
        self._board.find("clock", health.clock_jumped(jump.seconds))
        self._duties.realign()

    def _calm(self) -> None:
        self._board.find("clock", None)

    def _reload_in(self, tasks: TaskGroup) -> None:
        if self._reload is not None:
            tasks.start_soon(self._take_configuration, self._reload)

    async def _take_configuration(self, read: Callable[[], Site]) -> None:
        """Validate, and keep the last good one. Jobs under way keep what they were claimed under."""
        self._manager.reloading()
        try:
            self._site = await to_thread.run_sync(read)
        except ConfigError as error:
            self._board.find("reload", health.reload_failed(str(error)))
            _LOGGER.warning("reload: %s", error)
        except Exception as error:  # noqa: BLE001 - the last good configuration stays, whatever is wrong with the new one
            self._board.find("reload", health.reload_failed(type(error).__name__))
            defect.report(_LOGGER, "reload", error)
        else:
            self._loaded = self._ports.clock.now()
            self._board.find("reload", None)
            later = self._site.from_next_start
            self._board.find("restart", health.restart_needed(later) if later else None)
            self._sandboxes.reconfigured()
            _LOGGER.info("configuration reloaded")
        finally:
            self._manager.ready()

    async def _close(self) -> None:
        """Let go in order. Nothing here may hold up the end: all that matters is durable."""
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(CLOSE_SECONDS):
                await self._ports.launcher.aclose()
                await self._sandboxes.aclose()
            await self._link.aclose()
            try:
                await self._recorder.append("service.stopped")
            except AgentError as error:
                _LOGGER.warning("the end could not be recorded: %s", error)
            await self._recorder.aclose()
            try:
                await self._write_status()
            except OSError as error:
                _LOGGER.warning("status.json could not be written: %s", error.strerror)
            await to_thread.run_sync(self._ports.ledger.close)


async def supervise(make: Callable[[], Supervisor]) -> int:
    """Make the service inside its event loop and run it to its end; its exit code."""
    return await make().run()
