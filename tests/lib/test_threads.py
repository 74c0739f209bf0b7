"""Results come in order, from threads, no further ahead than asked; a failure ends at once."""

import threading
import time

import pytest

from cellstorm_lib.threads import in_order


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("most_ahead", [0, 1, 5, 100])
def test_results_come_in_the_order_of_the_items(threads, most_ahead):
    def work(item):
        time.sleep(0.002 * (item % 3 == 0))
        return item**2

    made = list(in_order(work, iter(range(20)), threads=threads, most_ahead=most_ahead))
    assert made == [item**2 for item in range(20)]
    assert list(in_order(work, [], threads=threads, most_ahead=most_ahead)) == []


def test_items_are_read_no_further_ahead_than_asked():
    read = []

    def items():
        for item in range(50):
            read.append(item)
            yield item

    for taken, _ in enumerate(in_order(str, items(), threads=2, most_ahead=4), start=1):
        assert len(read) <= taken + 4
    assert len(read) == 50


def test_each_thread_is_prepared_before_it_works():
    prepared = set()

    def work(item):
        assert threading.get_ident() in prepared
        return item

    made = in_order(
        work,
        range(9),
        threads=3,
        most_ahead=6,
        prepare=lambda: prepared.add(threading.get_ident()),
    )
    assert list(made) == list(range(9))
    assert threading.get_ident() not in prepared


def test_a_failure_is_raised_in_its_place_and_what_waits_is_dropped():
    begun = []
    may_go_on = threading.Event()

    def work(item):
        begun.append(item)
        if item == 1:
            raise ValueError("no such item")
        if item == 2:
            assert may_go_on.wait(10)
        return item

    results = in_order(work, range(100), threads=1, most_ahead=20)
    assert next(results) == 0
    threading.Timer(0.2, may_go_on.set).start()
    with pytest.raises(ValueError, match="no such item"):
        next(results)
    assert begun in ([0, 1], [0, 1, 2])
    assert list(results) == []


def test_who_takes_no_more_waits_only_for_what_was_begun():
    begun = []
    may_go_on = threading.Event()

    def work(item):
        begun.append(item)
        if item:
            assert may_go_on.wait(10)
        return item

    results = in_order(work, range(100), threads=1, most_ahead=20)
    assert next(results) == 0
    threading.Timer(0.2, may_go_on.set).start()
    results.close()
    assert begun in ([0], [0, 1])


def test_a_failure_of_the_items_is_raised():
    def items():
        yield 1
        raise OSError("the file ends here")

    results = in_order(str, items(), threads=2, most_ahead=0)
    assert next(results) == "1"
    with pytest.raises(OSError, match="ends here"):
        next(results)
