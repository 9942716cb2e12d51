from cluster.gangs.gang_board import GangBoard, Order, RankReport, Seat


def seat(rank, node="10.0.0.1"):
    return Seat(rank=rank, node=node, node_id=f"id of {node}", pid=100 + rank)


def board_of(*seats):
    board = GangBoard(len(seats))
    for each in seats:
        board.sign_in(each)
    return board


def test_the_seats_are_known_once_all_ranks_signed_in():
    board = GangBoard(2)
    board.sign_in(seat(1))
    assert board.seats() is None
    board.sign_in(seat(0))
    assert set(board.seats()) == {0, 1}


def test_a_rank_that_neither_reported_nor_left_is_silent():
    board = board_of(seat(0), seat(1), seat(2))
    board.report(RankReport(rank=0, error="the connection was reset"))
    assert board.look().silent == [1, 2]
    board.order(Order.LEAVE)
    assert board.beat(2) is Order.LEAVE
    assert board.look().silent == [1]


def test_reports_stay_in_the_order_in_which_they_came():
    board = board_of(seat(0), seat(1))
    assert board.look().decided_s == 0
    board.report(RankReport(rank=1, answer="first"))
    board.report(RankReport(rank=0, answer="second"))
    assert [report.rank for report in board.look().reports] == [1, 0]


def test_who_is_told_to_leave_is_not_told_to_stop_afterwards():
    board = board_of(seat(0))
    assert board.beat(0) is Order.GO_ON
    board.order(Order.STOP)
    assert board.beat(0) is Order.STOP
    board.order(Order.LEAVE)
    board.order(Order.STOP)
    assert board.beat(0) is Order.LEAVE


def test_nodes_are_named_with_their_ranks_where_there_are_several():
    assert board_of(seat(0), seat(1)).look().nodes == "10.0.0.1"
    spread = board_of(seat(0), seat(1), seat(2, "10.0.0.2")).look()
    assert spread.nodes == "10.0.0.1 (ranks 0 1), 10.0.0.2 (ranks 2)"
    assert GangBoard(2).look().nodes == ""
