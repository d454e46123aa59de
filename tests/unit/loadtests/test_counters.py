"""Counters: parsed, subtracted, and never made up."""

from __future__ import annotations

import pytest

from loadtests.harness.metrics.counters import differences, parse, total

pytestmark = pytest.mark.unit


def page(inserts: int, puts: int, requests: int) -> str:
    return f"""
# TYPE db_query_seconds histogram
db_query_seconds_bucket{{statement="insert_session",le="+Inf"}} {inserts}
db_query_seconds_count{{statement="insert_session"}} {inserts}
db_query_seconds_sum{{statement="insert_session"}} 0.5
db_query_seconds_count{{statement="open_chunk"}} 7
db_query_seconds_count{{statement="poll_jobs"}} {inserts * 100}
db_query_seconds_count{{statement="file_void"}} {inserts * 7}
db_query_seconds_sum{{statement="open_chunk"}} 0.5
# TYPE store_request_seconds histogram
store_request_seconds_count{{op="put",result="ok"}} {puts}
store_request_seconds_count{{op="put",result="error"}} 1
store_request_seconds_sum{{op="put",result="ok"}} 1
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_count{{method="POST",path="/x"}} {requests}
http_request_duration_seconds_sum{{method="POST",path="/x"}} {requests * 0.5}
"""


def test_differences_by_database_and_operation() -> None:
    before = {"upload": parse(page(3, 2, 1)), "gateway": parse(page(0, 0, 10))}
    after = {"upload": parse(page(13, 6, 1)), "gateway": parse(page(0, 0, 14))}
    found = differences(before, after)
    assert found.statements == {"upload_db": 10.0}
    assert found.store_requests == {"put": 4.0}


def test_what_was_not_counted_is_absent_not_zero() -> None:
    scrape = parse("# TYPE x counter\nx_total 1\n")
    found = differences({"gateway": scrape}, {"gateway": scrape})
    assert found.gateway_bytes_in is None
    assert found.statements == {}


def test_a_series_that_appears_counts_from_zero() -> None:
    found = differences({"upload": parse("")}, {"upload": parse(page(4, 0, 0))})
    assert found.statements == {"upload_db": 11.0}


def test_a_process_that_began_anew_counted_nothing_that_can_be_told() -> None:
    started = "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {}\n"
    before = {"upload": parse(page(30, 20, 1) + started.format(100))}
    after = {"upload": parse(page(4, 2, 1) + started.format(200))}
    found = differences(before, after)
    assert (found.statements, found.store_requests) == ({}, {})


def test_replicas_count_together() -> None:
    before = {"upload": parse(page(3, 2, 1)), "upload-2": parse(page(5, 1, 1))}
    after = {"upload": parse(page(13, 6, 1)), "upload-2": parse(page(6, 2, 1))}
    found = differences(before, after)
    assert found.statements == {"upload_db": 11.0}
    assert found.store_requests == {"put": 5.0}


def test_a_service_of_which_a_replica_is_silent_is_absent() -> None:
    both = {"upload": parse(page(3, 2, 1)), "upload-2": parse(page(5, 1, 1))}
    found = differences({"upload": both["upload"]}, both)
    assert found.statements == {}
    assert total({"gateway": parse(page(1, 1, 1))}, ["gateway", "gateway-2"]) is None
    gateways = {"gateway": parse(page(1, 1, 3)), "gateway-2": parse(page(1, 1, 4))}
    summed = total(gateways, gateways)
    assert summed is not None
    assert summed.total("http_request_duration_seconds_count") == 7
