"""When a carrier that did not answer is asked again."""

from agent.core.errors import TransportError
from agent.service.board import Board
from agent.service.clock import SystemClock
from agent.service.reach import Reach
from agent.service.wiring import Options


def test_nobody_knocks_before_the_time_that_they_were_told(tmp_path) -> None:
    reach = Reach(Board(), SystemClock(), Options(state_dir=tmp_path, trust_file=tmp_path / "trust.json"))
    busy = TransportError("The Router refused: too many calls.")
    busy.retry_after = 300.0
    assert [reach.not_reached(busy) for _ in range(5)] == [300.0] * 5
    assert all(reach.not_reached(TransportError("away")) <= 60 for _ in range(50))
