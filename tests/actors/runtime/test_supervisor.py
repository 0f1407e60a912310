"""Each rule of OTP's supervisor that we promise, without waiting: time moves when a test says so."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from actors.runtime.actor import Actor
from actors.runtime.clock import FakeClock
from actors.runtime.exits import (
    AutoShutdown,
    ChildNotFound,
    IntensityExceeded,
    RootExited,
    Shutdown,
    SpecError,
    StartFailed,
)
from actors.runtime.spec import Backoff, ChildSpec
from actors.runtime.supervisor import Supervisor

pytestmark = pytest.mark.anyio

WAIT = Backoff(initial=10, maximum=10, jitter=0)


# Starting


async def test_children_start_in_order_each_after_the_one_before_is_ready(stage: Any) -> None:
    """b is not even begun before a is ready."""
    stage.gates["a"] = anyio.Event()
    supervisor = Supervisor(stage.specs("abc"))

    async def open_gate() -> None:
        await stage.clock.settle()
        assert stage.log == ["starting a"]
        assert {id: child.status for id, child in supervisor.children.items()} == {
            "a": "starting",
            "b": "pending",
            "c": "pending",
        }
        stage.gates["a"].set()

    async with anyio.create_task_group() as group:
        group.start_soon(open_gate)
        async with stage.open(supervisor):
            assert stage.log == ["starting a", "start a", "starting b", "start b", "starting c", "start c"]


async def test_a_failed_start_stops_those_started_in_reverse_and_fails_with_the_cause(stage: Any) -> None:
    """The error of on_start is at the end of the chain of causes; later children are never begun."""
    stage.failing_starts["c"] = 1
    with pytest.raises(StartFailed) as caught:
        async with stage.open(Supervisor(stage.specs("abcd"))):
            pytest.fail("it must not start")
    assert stage.log == ["starting a", "start a", "starting b", "start b", "starting c", "stop b", "stop a"]
    child = caught.value.__cause__
    assert isinstance(child, StartFailed)
    assert child.path == ("root", "c")
    assert child.__cause__ is stage.start_error
    assert "no route to host" in str(caught.value)


async def test_a_factory_that_raises_is_a_failed_start(stage: Any) -> None:
    """Also when it makes something that is no actor."""

    def broken() -> Actor:
        raise KeyError("token")

    for start, expected in ((broken, KeyError), (lambda: 7, TypeError)):
        with pytest.raises(StartFailed) as caught:
            async with stage.open(Supervisor([stage.spec("a"), ChildSpec("b", start)])):  # type: ignore[arg-type]
                pytest.fail("it must not start")
        assert isinstance(caught.value.__cause__.__cause__, expected)  # type: ignore[union-attr]
        assert stage.new() == "start a, stop a"


async def test_a_duplicate_id_is_refused_before_any_start(stage: Any) -> None:
    """As are flags that are impossible."""
    with pytest.raises(SpecError, match="'a' is there twice"):
        Supervisor(stage.specs("aba"))
    for flags in ({"strategy": "one_for_some"}, {"intensity": -1}, {"period": 0}, {"auto_shutdown": "always"}):
        with pytest.raises(SpecError):
            Supervisor(stage.specs("a"), **flags)
    assert stage.log == []


async def test_a_tree_that_is_cancelled_while_it_starts_is_stopped_in_reverse(stage: Any) -> None:
    """What had started is stopped, what was starting is interrupted."""
    stage.gates["c"] = anyio.Event()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                await stage.clock.settle()
                scope.cancel()

            group.start_soon(cancel)
            async with stage.open(Supervisor(stage.specs("abcd"))):
                pytest.fail("it must not start")
    assert stage.log == ["starting a", "start a", "starting b", "start b", "starting c", "stop b", "stop a"]


# Restart types


@pytest.mark.parametrize(
    ("restart", "error", "restarted"),
    [
        ("permanent", None, True),
        ("permanent", Shutdown("done"), True),
        ("permanent", RuntimeError(), True),
        ("transient", None, False),
        ("transient", Shutdown("done"), False),
        ("transient", RuntimeError(), True),
        ("transient", SystemExit(1), True),
        ("temporary", None, False),
        ("temporary", RuntimeError(), False),
    ],
)
async def test_restart_types(stage: Any, restart: Any, error: BaseException | None, restarted: bool) -> None:
    """Permanent after any exit, transient after an abnormal one, temporary never."""
    supervisor = Supervisor([stage.spec("a", restart=restart)])
    async with stage.open(supervisor):
        stage.new()
        await stage.end("a", error)
        assert stage.new() == ("stop a, start a" if restarted else "stop a")
        expected = {"permanent": "running", "transient": "running" if restarted else "stopped"}.get(restart)
        assert (await stage.statuses(supervisor)).get("a") == expected


async def test_a_temporary_child_is_forgotten_also_as_a_siblings_victim(stage: Any) -> None:
    """Its spec goes with it."""
    supervisor = Supervisor([stage.spec("a"), stage.spec("t", restart="temporary")], strategy="one_for_all")
    async with stage.open(supervisor):
        stage.new()
        await stage.crash("a")
        assert stage.new() == "stop a, stop t, start a"
        assert await stage.statuses(supervisor) == {"a": "running"}
        with pytest.raises(ChildNotFound):
            await supervisor.restart_child("t")


# Strategies


@pytest.mark.parametrize(
    ("strategy", "log"),
    [
        ("one_for_one", "stop b, start b"),
        ("one_for_all", "stop b, stop d, stop c, stop a, start a, start b, start c, start d"),
        ("rest_for_one", "stop b, stop d, stop c, start b, start c, start d"),
    ],
)
async def test_strategies(stage: Any, strategy: Any, log: str) -> None:
    """One alone; all, stopped in reverse and started in order; or those after it."""
    async with stage.open(Supervisor(stage.specs("abcd"), strategy=strategy)):
        stage.new()
        await stage.crash("b")
        assert stage.new() == log


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@pytest.mark.parametrize(("restart", "error"), [("transient", None), ("temporary", RuntimeError())])
async def test_an_exit_that_asks_for_no_restart_touches_no_sibling(
    stage: Any, strategy: Any, restart: Any, error: BaseException | None
) -> None:
    """No group action, whatever the strategy."""
    supervisor = Supervisor([stage.spec("a", restart=restart), *stage.specs("bc")], strategy=strategy)
    async with stage.open(supervisor):
        stage.new()
        await stage.end("a", error)
        assert stage.new() == "stop a"


async def test_a_group_stops_completely_before_it_starts(stage: Any) -> None:
    """While a victim takes its time to stop, nothing has started."""
    stage.stop_gates["a"] = anyio.Event()
    supervisor = Supervisor(stage.specs("abc"), strategy="one_for_all")
    async with stage.open(supervisor):
        stage.new()
        await stage.crash("c")
        assert stage.new() == "stop c, stop b, stopping a"
        assert await stage.statuses(supervisor) == {"a": "stopping", "b": "restarting", "c": "restarting"}
        assert (await supervisor.count_children()).active == 1
        stage.stop_gates["a"].set()
        await stage.clock.settle()
        assert stage.new() == "stop a, start a, start b, start c"


async def test_a_group_starts_in_order_each_after_the_one_before_is_ready(stage: Any) -> None:
    """As at the first start."""
    supervisor = Supervisor(stage.specs("abc"), strategy="rest_for_one")
    async with stage.open(supervisor):
        stage.gates["b"] = anyio.Event()
        await stage.crash("b")
        assert await stage.statuses(supervisor) == {"a": "running", "b": "starting", "c": "restarting"}
        stage.new()
        stage.gates["b"].set()
        await stage.clock.settle()
        assert stage.new() == "start b, start c"


async def test_a_crash_during_the_first_start_restarts_the_group_before_the_supervisor_is_ready(stage: Any) -> None:
    """It is ready when all its children have started, however often they were begun."""
    stage.gates["b"] = anyio.Event()
    supervisor = Supervisor([stage.spec("a", backoff=WAIT), stage.spec("b")], strategy="one_for_all")
    ready = []

    async def open_it() -> None:
        async with stage.open(supervisor) as root:
            ready.append(root)
            await leave.wait()

    leave = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(open_it)
        await stage.clock.settle()
        await stage.crash("a")
        assert await stage.statuses(supervisor) == {"a": "restarting", "b": "restarting"}
        assert ready == []
        await stage.clock.advance(10)
        assert await stage.statuses(supervisor) == {"a": "running", "b": "starting"}
        assert ready == []
        stage.gates["b"].set()
        await stage.clock.settle()
        assert ready
        leave.set()


async def test_a_crash_during_a_group_restart_starts_the_group_again(stage: Any) -> None:
    """What is half started is stopped and started again, in order."""
    supervisor = Supervisor(stage.specs("abc"), strategy="one_for_all", intensity=2)
    async with stage.open(supervisor):
        stage.gates["c"] = anyio.Event()
        await stage.crash("a")
        assert await stage.statuses(supervisor) == {"a": "running", "b": "running", "c": "starting"}
        stage.new()
        stage.gates["c"].set()
        await stage.crash("a")
        assert stage.new().endswith("stop b, start a, start b, start c")
        assert set((await stage.statuses(supervisor)).values()) == {"running"}


# Intensity


async def test_one_restart_too_many_stops_all_in_reverse_and_ends_the_supervisor(stage: Any) -> None:
    """Up to ``intensity`` within ``period`` are allowed; the exit is a shutdown with the reason."""
    supervisor = Supervisor(stage.specs("abc"), intensity=2, period=5)
    with pytest.raises(RootExited) as caught:
        async with stage.open(supervisor) as root:
            for _ in range(2):
                await stage.crash("b")
            assert set((await stage.statuses(supervisor)).values()) == {"running"}
            stage.new()
            await stage.crash("b")
            await anyio.sleep_forever()
    assert stage.new() == "stop b, stop c, stop a"
    assert not root.alive
    assert caught.value.exit.kind == "shutdown"
    assert isinstance(caught.value.exit.error, IntensityExceeded)
    assert str(caught.value.exit.error.__cause__) == "b broke"
    assert "more than 2 restarts within 5 s" in str(caught.value)


async def test_intensity_0_ends_at_the_first_crash(stage: Any) -> None:
    """Nothing is restarted."""
    with pytest.raises(RootExited):
        async with stage.open(Supervisor(stage.specs("ab"), intensity=0)):
            stage.new()
            await stage.crash("a")
            await anyio.sleep_forever()
    assert stage.new() == "stop a, stop b"


async def test_the_window_slides(stage: Any) -> None:
    """A crash every 3 seconds never is more than 2 within 5; three in one period are."""
    supervisor = Supervisor(stage.specs("a"), intensity=2, period=5)
    with pytest.raises(RootExited):
        async with stage.open(supervisor):
            for _ in range(10):
                await stage.crash("a")
                await stage.clock.advance(3)
            assert await stage.statuses(supervisor) == {"a": "running"}
            await stage.crash("a")
            await stage.clock.advance(1)
            await stage.crash("a")
            await anyio.sleep_forever()


async def test_a_group_restart_counts_once(stage: Any) -> None:
    """Five children restarted, and two that crash at the same moment, are one restart."""
    supervisor = Supervisor(stage.specs("abcde"), strategy="one_for_all", intensity=1, period=5)
    async with stage.open(supervisor):
        await stage.crash("c")
        await stage.clock.advance(6)
        stage.end_soon("b", RuntimeError())
        stage.end_soon("d", RuntimeError())
        await stage.clock.settle()
        assert set((await stage.statuses(supervisor)).values()) == {"running"}


async def test_a_manual_restart_counts_not_at_all(stage: Any) -> None:
    """Stopping and starting by hand as often as one likes leaves the allowance as it is."""
    supervisor = Supervisor(stage.specs("a"), intensity=1)
    async with stage.open(supervisor):
        for _ in range(5):
            await supervisor.terminate_child("a")
            await supervisor.restart_child("a")
        await stage.crash("a")
        (child,) = await supervisor.which_children()
        assert (child.status, child.restarts) == ("running", 1)


async def test_a_failed_start_during_a_restart_counts_as_an_attempt(stage: Any) -> None:
    """It is tried again at once, each time counted."""
    supervisor = Supervisor(stage.specs("ab"), intensity=3)
    with pytest.raises(RootExited, match="no route to host"):
        async with stage.open(supervisor):
            stage.failing_starts["b"] = 2
            await stage.crash("b")
            (_, b) = await supervisor.which_children()
            assert (b.status, b.restarts) == ("running", 3)
            await stage.clock.advance(6)
            stage.failing_starts["b"] = 3
            await stage.crash("b")
            await anyio.sleep_forever()
    assert stage.reasons("b").count("start failed: ConnectionError: no route to host") == 5


async def test_a_failed_start_of_a_victim_restarts_its_group(stage: Any) -> None:
    """In one_for_all those that had come up go down again first."""
    supervisor = Supervisor(stage.specs("abc"), strategy="one_for_all", intensity=2)
    async with stage.open(supervisor):
        stage.new()
        stage.failing_starts["c"] = 1
        await stage.crash("a")
        assert stage.new() == "stop a, stop c, stop b, start a, start b, stop b, stop a, start a, start b, start c"


async def test_a_supervisor_that_ends_is_restarted_by_its_own(stage: Any) -> None:
    """The subtree comes up again, new from its specs, and its siblings don't notice."""
    inner = ChildSpec("inner", lambda: Supervisor(stage.specs("xy"), intensity=0), type="supervisor")
    async with stage.open(Supervisor([stage.spec("a"), inner])) as root:
        stage.new()
        await stage.crash("x")
        assert stage.new() == "stop x, stop y, start x, start y"
        assert stage.kinds("inner") == ["started", "exited", "restarted"]
        (_, node) = root.tree().children
        assert (node.restarts, [child.id for child in node.children]) == (1, ["x", "y"])
        assert "more than 0 restarts" in (node.reason or "")


# Stopping


async def test_stop_order_is_reverse_start_order_including_children_added_later(stage: Any) -> None:
    """A restart does not change a child's place."""
    supervisor = Supervisor(stage.specs("abc"))
    async with stage.open(supervisor):
        await supervisor.start_child(stage.spec("later"))
        await stage.crash("a")
        stage.new()
    assert stage.new() == "stop later, stop c, stop b, stop a"


async def test_each_child_is_stopped_after_the_one_behind_it_has_ended(stage: Any) -> None:
    """One that takes its time is waited for."""
    stage.stop_gates["b"] = anyio.Event()
    async with stage.leaving(Supervisor(stage.specs("abc"))):
        assert stage.log[-2:] == ["stop c", "stopping b"]
        stage.stop_gates["b"].set()
    assert stage.log[-2:] == ["stop b", "stop a"]


async def test_a_child_over_its_shutdown_time_is_killed_and_the_others_still_stop(stage: Any) -> None:
    """It is reported as killed, after exactly its time."""
    stage.stop_gates["b"] = anyio.Event()
    async with stage.leaving(Supervisor([stage.spec("a"), stage.spec("b", shutdown=3), stage.spec("c")])) as task:
        await stage.clock.advance(2.9)
        assert stage.log[-1] == "stopping b"
        await stage.clock.advance(0.1)
        assert stage.log[-1] == "stop a"
        assert task.done()
    assert stage.reasons("b") == ["killed"]
    assert stage.reasons("a") == ["shutdown"]


async def test_brutal_is_killed_at_once_without_on_stop(stage: Any) -> None:
    """No time passes, and nothing is closed."""
    async with stage.open(Supervisor([stage.spec("a"), stage.spec("b", shutdown="brutal")])):
        stage.new()
    assert stage.new() == "stop a"
    assert stage.reasons("b") == ["killed"]


async def test_infinity_is_never_killed(stage: Any) -> None:
    """It is waited for, a week if it must be."""
    stage.stop_gates["a"] = anyio.Event()
    root = Supervisor([stage.spec("a", shutdown="infinity")])
    async with stage.leaving(root, stop_within=1e9) as task:
        await stage.clock.advance(7 * 86400)
        assert not task.done()
        stage.stop_gates["a"].set()
    assert stage.reasons("a") == ["shutdown"]


async def test_a_stop_beats_a_pending_restart(stage: Any) -> None:
    """A child that waits for its backoff is simply stopped, and stays so."""
    supervisor = Supervisor([stage.spec("a", backoff=WAIT), stage.spec("b")])
    async with stage.open(supervisor):
        await stage.crash("a")
        assert await stage.statuses(supervisor) == {"a": "restarting", "b": "running"}
        await supervisor.terminate_child("a")
        assert stage.clock.deadlines == []
        await stage.clock.advance(60)
        assert await stage.statuses(supervisor) == {"a": "stopped", "b": "running"}
        assert stage.kinds("a") == ["started", "exited"]


async def test_the_supervisors_stop_beats_a_pending_restart(stage: Any) -> None:
    """Nothing is started on the way out, and nobody waits for the backoff."""
    async with stage.open(Supervisor([stage.spec("a", backoff=WAIT), stage.spec("b")])):
        await stage.crash("a")
        stage.new()
    assert stage.new() == "stop b"
    assert stage.clock.deadlines == []


async def test_a_crash_while_all_are_being_stopped_restarts_nothing(stage: Any) -> None:
    """Even a permanent child stays down then."""
    stage.stop_gates["c"] = anyio.Event()
    async with stage.leaving(Supervisor(stage.specs("abc"), strategy="one_for_all")):
        await stage.crash("a")
        stage.stop_gates["c"].set()
    assert stage.log[-4:] == ["stopping c", "stop a", "stop c", "stop b"]


async def test_a_stopped_child_keeps_its_spec_and_is_not_restarted_by_itself(stage: Any) -> None:
    """It can be started again by hand, or forgotten."""
    supervisor = Supervisor(stage.specs("ab"))
    async with stage.open(supervisor):
        await supervisor.terminate_child("a")
        await stage.clock.advance(3600)
        await stage.crash("b")
        assert await stage.statuses(supervisor) == {"a": "stopped", "b": "running"}
        assert supervisor.whereis("a") is None
        ref = await supervisor.restart_child("a")
        assert ref.alive
        assert supervisor.whereis("a") is ref
        await supervisor.terminate_child("a")
        await supervisor.delete_child("a")
        assert await stage.statuses(supervisor) == {"b": "running"}


async def test_a_group_restart_brings_a_stopped_sibling_back_as_in_otp(stage: Any) -> None:
    """OTP: "The child process can later be restarted by the supervisor"."""
    supervisor = Supervisor(stage.specs("abc"), strategy="one_for_all")
    async with stage.open(supervisor):
        await supervisor.terminate_child("b")
        stage.new()
        await stage.crash("a")
        assert stage.new() == "stop a, stop c, start a, start b, start c"


async def test_a_group_restart_that_comes_after_a_stop_brings_the_child_back_as_in_otp(stage: Any) -> None:
    """Also when the stop takes so long that the crash comes before its end; who asked for the stop is answered."""
    stage.stop_gates["b"] = anyio.Event()
    supervisor = Supervisor(stage.specs("abc"), strategy="one_for_all")
    async with stage.open(supervisor), anyio.create_task_group() as group:
        group.start_soon(supervisor.terminate_child, "b")
        await stage.clock.settle()
        await stage.crash("a")
        stage.stop_gates["b"].set()
        await stage.clock.settle()
        assert set((await stage.statuses(supervisor)).values()) == {"running"}


async def test_stopping_a_victim_of_a_group_restart_keeps_it_down(stage: Any) -> None:
    """The stop came later than the crash; the rest of the group comes up."""
    stage.stop_gates["b"] = anyio.Event()
    supervisor = Supervisor(stage.specs("abc"), strategy="one_for_all")
    async with stage.open(supervisor), anyio.create_task_group() as group:
        await stage.crash("a")
        group.start_soon(supervisor.terminate_child, "b")
        await stage.clock.settle()
        stage.stop_gates["b"].set()
        await stage.clock.settle()
        assert await stage.statuses(supervisor) == {"a": "running", "b": "stopped", "c": "running"}


# Significant children


async def test_any_significant_child_that_is_done_ends_the_supervisor(stage: Any) -> None:
    """In order, and without an error for whoever opened the root."""
    specs = [stage.spec("a"), stage.spec("s", restart="transient", significant=True), stage.spec("b")]
    async with stage.open(Supervisor(specs, auto_shutdown="any_significant")) as root:
        stage.new()
        stage.end_soon("s")
        exit = await root.wait()
    assert exit.kind == "shutdown"
    assert isinstance(exit.error, AutoShutdown)
    assert stage.new() == "stop s, stop b, stop a"


async def test_all_significant_waits_for_the_last_one(stage: Any) -> None:
    """A crash of a transient one is a restart and no end; that of a temporary one is its end."""
    specs = [
        stage.spec("a"),
        stage.spec("s", restart="transient", significant=True),
        stage.spec("t", restart="temporary", significant=True),
    ]
    async with stage.open(Supervisor(specs, auto_shutdown="all_significant")) as root:
        await stage.crash("s")
        await stage.crash("t")
        assert root.alive
        stage.end_soon("s")
        assert (await root.wait()).kind == "shutdown"


async def test_a_significant_child_that_was_stopped_is_not_waited_for(stage: Any) -> None:
    """Only active ones are: the last active one that is done ends the supervisor."""
    specs = stage.specs("st", restart="transient", significant=True)
    supervisor = Supervisor(specs, auto_shutdown="all_significant")
    async with stage.open(supervisor) as root:
        await supervisor.terminate_child("s")
        stage.end_soon("t")
        assert (await root.wait()).kind == "shutdown"


async def test_a_significant_child_that_is_terminated_ends_nothing(stage: Any) -> None:
    """Only an exit of its own does."""
    specs = [stage.spec("s", restart="transient", significant=True)]
    supervisor = Supervisor(specs, auto_shutdown="any_significant")
    async with stage.open(supervisor):
        await supervisor.terminate_child("s")
        await stage.clock.settle()
        assert await stage.statuses(supervisor) == {"s": "stopped"}


async def test_significant_children_that_make_no_sense_are_refused(stage: Any) -> None:
    """A permanent one never is done, and without auto_shutdown it would mean nothing."""
    with pytest.raises(SpecError, match="permanent"):
        stage.spec("a", significant=True)
    with pytest.raises(SpecError, match="auto_shutdown is never"):
        Supervisor([stage.spec("a", restart="transient", significant=True)])
    supervisor = Supervisor()
    async with stage.open(supervisor):
        with pytest.raises(SpecError, match="auto_shutdown is never"):
            await supervisor.start_child(stage.spec("a", restart="transient", significant=True))


# Backoff


async def test_backoff_doubles_and_forgets_after_a_while(stage: Any) -> None:
    """1, 2, 4 seconds for failures in a row; after reset_after seconds up it begins anew."""
    backoff = Backoff(initial=1, maximum=8, jitter=0, reset_after=60)
    supervisor = Supervisor([stage.spec("a", backoff=backoff)], intensity=100)
    async with stage.open(supervisor):
        for delay in (1, 2, 4, 8, 8):
            await stage.crash("a")
            assert stage.clock.deadlines == [stage.clock.now() + delay]
            await stage.clock.advance(delay)
            assert await stage.statuses(supervisor) == {"a": "running"}
        await stage.clock.advance(60)
        await stage.crash("a")
        assert stage.clock.deadlines == [stage.clock.now() + 1]


async def test_backoff_has_jitter(stage: Any) -> None:
    """A random part is taken off, so that those who fail together don't come back together."""
    numbers = iter([0.0, 0.5, 0.999])
    backoff = Backoff(initial=10, maximum=10, jitter=0.5)
    supervisor = Supervisor(stage.specs("abc", backoff=backoff), intensity=9, random=lambda: next(numbers))
    async with stage.open(supervisor):
        for id in "abc":
            stage.end_soon(id, RuntimeError())
        await stage.clock.settle()
        assert stage.clock.deadlines == [pytest.approx(5.005), 7.5, 10]


async def test_restarts_that_wait_do_not_block_the_supervisor(stage: Any) -> None:
    """It answers, adds, stops and restarts others meanwhile."""
    supervisor = Supervisor([stage.spec("a", backoff=WAIT), *stage.specs("bc")], intensity=9)
    async with stage.open(supervisor):
        await stage.crash("a")
        await supervisor.start_child(stage.spec("d"))
        await supervisor.terminate_child("c")
        await stage.crash("b")
        assert await stage.statuses(supervisor) == {"a": "restarting", "b": "running", "c": "stopped", "d": "running"}
        await stage.clock.advance(10)
        assert (await stage.statuses(supervisor))["a"] == "running"


async def test_a_group_waits_together(stage: Any) -> None:
    """The others are stopped at once, and all start in order when the backoff is over."""
    supervisor = Supervisor([stage.spec("a"), stage.spec("b", backoff=WAIT), stage.spec("c")], strategy="one_for_all")
    async with stage.open(supervisor):
        stage.new()
        await stage.crash("b")
        assert stage.new() == "stop b, stop c, stop a"
        assert set((await stage.statuses(supervisor)).values()) == {"restarting"}
        await stage.clock.advance(9.9)
        assert stage.new() == ""
        await stage.clock.advance(0.1)
        assert stage.new() == "start a, start b, start c"


async def test_a_timer_that_is_a_little_early_still_restarts(stage: Any) -> None:
    """Event loops round the time: what counts is that the timer has fired."""

    class Hasty(FakeClock):
        def call_at(self, when: float, callback: Any, *args: Any) -> Any:
            return super().call_at(when - 0.001, callback, *args)

    stage.clock = Hasty()
    supervisor = Supervisor([stage.spec("a", backoff=WAIT), stage.spec("b")], strategy="one_for_all")
    async with stage.open(supervisor):
        await stage.crash("a")
        await stage.clock.advance(9.9995)
        assert set((await stage.statuses(supervisor)).values()) == {"running"}
