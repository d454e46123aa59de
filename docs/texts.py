"""The words of the generated pages: their introductions, and when each error is given."""

from __future__ import annotations

SETTINGS_HEAD = """# Settings

Every process reads its settings once, from its environment, and stops with one line per problem when
something is missing or malformed. Ports and URLs come from `compose/ports.env`, secrets from `.env`,
which the first `make up` writes. `GET /settings` on a process's admin port shows what is in effect,
without secrets (with `BENCH_ENDPOINTS=1`).
"""

WORDS_HEAD = """
Words stand behind the make target: `make up WORKERS=2`. All targets about one testbed take the same words,
so a second testbed is started, measured and stopped with one line of them. A word that a target does not
know, or that has no effect in this kind of testbed, is refused; so is a setting that differs from what runs,
with both values. Fixed values may be written in capitals. A word in the environment does not count: somebody
else may have put it there ([Inherited](#inherited) lists what does). What `make up` takes may also stand in
`.env`, one `NAME=value` in a line; what is said behind the target wins. `python -m compose` and
`python -m loadtests`, which people call without make, do read words from the environment.

"""

INHERITED_HEAD = """
## Inherited

What make and all that it starts take over from the caller's environment (`compose/inherited.list`), besides
the secrets of `compose/secrets.list`. All else stays outside; only the docker program sees the rest. The
processes of the testbed get none of it: their environment is what `compose/native.yaml` and
`compose/compose.yaml` say.

"""

METRICS_HEAD = """# Metrics

`GET /metrics` on the admin port (public port + 10) of every process, Prometheus text, read every 5 s.
With `Accept: application/json` the same figures come as JSON, with the process's `pid` and start, counted
since then or since the last `POST /metrics/reset` (with `BENCH_ENDPOINTS=1`); a reset changes nothing for
Prometheus.
Labels hold only values from fixed sets: those named below, or a table in the code (route templates,
statement names). A value outside its set counts as `other`, so no client can make a series. `process_*` and
`python_*` are the client library's own. Times are seconds, sizes bytes.

Prometheus also reads MinIO's own page, and, where they can be had (as Debian packages, or as images with
containers), exporters of the three databases (`pg_*`), the host (`node_*`) and the processes
(`namedprocess_*`). k6 pushes its figures (`k6_*`) while a run is on. The alerts are in
[Alerts](alerts.md).

The process exporter reads all of `/proc` for each scrape; what that costs is its own
`process_cpu_seconds_total{job="processes"}` and grows with the number of processes. It is asked for no
threads and no memory maps. It is read as often as the rest: read more rarely, the databases' CPU would
spread over more turns before and after. Reports do not use it: the harness looks at each process at the
bounds of every turn. A sum of resident sizes would count a database's shared pages once for each of its
processes, so panels take the memory of databases from the harness too, which counts what they share once.
"""

HARNESS_HEAD = """
## harness

On port 9014, while a run is on, also where its arms have stacks of their own: the testbed beside them is
told. `testbed_arm_*` and `testbed_ratio` are the report's figures, made by its own functions of what was
audited so far: turns are shorter than the time between two scrapes, so that no rate over the services'
counters tells whose uploads they count.

"""

ALERTS_HEAD = """# Alerts

Prometheus loads `grafana/rules/recording.yml` and `grafana/rules/alerts.yml` and judges them every 5 s;
`GET /api/v1/alerts` there lists those that are pending or firing. **Critical** hurts users now, **warning**
will. Nothing is sent anywhere: to be called at night, point an Alertmanager of yours at it.

During a load test alerts fire because the test looks for the limit; that is what they are for.

`make alerts` provokes them: each must be silent on a healthy system, fire within its waiting time and two
scrapes after its condition holds, and clear. `PROFILE=smoke` provokes three with shortened waiting times,
`full` all of them as they are. `not provoked` is a rule whose condition did not come true within five
minutes: a process can only use nine tenths of a core where others on the machine leave it one.
"""

HARNESS_LABELS = {
    "testbed_turn_active": "`run`, `part`, `arm`: whose turn it is",
    "testbed_fault_active": "`fault`, `target`: of the fault that is in force",
    "testbed_memory_bytes": "`run`, `process`: while a stretch of a run is played",
    "testbed_blocks_done": "`run`, `part`: of each question, from when it is asked first",
    "testbed_blocks_wanted": "`run`, `part`: the same",
    "testbed_arm_uploads_per_second": "`run`, `arm`: of the comparison, from its first audit on",
    "testbed_arm_cpu_seconds_per_upload": "`run`, `arm`: the same",
    "testbed_arm_time_to_durable_seconds": "`run`, `arm`: the same",
    "testbed_arm_gateway_bytes_per_file_byte": "`run`, `arm`: the same, without logins or lists beside",
    "testbed_ratio": "`run`, `part`: the comparison, from its first audit on; `metric`: uploads_per_s, "
    "cpu_s_per_upload; `arm`, `over`: what is compared with what; `bound`: low, middle, high",
    "testbed_half_width_wanted": "`run`, `part`: the comparison, from its first audit on",
}

RECORDED_HEAD = """
## Recorded series

What alerts and dashboards share. The name says level, metric and operation.

"""

ERRORS_HEAD = """# Errors

Every error is JSON: `{"error": code, "message": text for people, "request_id": uuid}`, sometimes with
`details`. Test the code, show the message. The code is also the label of the metric and a field of
the log line. HTTP that cannot be parsed gets a bare 400, 431 or 501.

"""

COMMANDS_HEAD = """# Commands

`make` alone lists the targets. Behind them stand two programs, each with `--help` and an example for
every command.
"""

# What may stand behind a make target or in its environment; a test compares the names with the code.
STARTUP: dict[str, str] = {
    "RUNTIME": "how the parts run; empty: chosen by what the machine has",
    "DOCKER_HOST": "where the Docker engine listens; empty: the chosen context, else the usual socket",
    "WITHOUT": "with containers: parts that are not started, such as `grafana` or `exporters` (all five); "
    "`prometheus` leaves out those too that only serve it",
    "LIMITS": "with the overlay `limits`: `micro`, `small`, `medium` or `one-cpu-900`",
    "TOXIPROXY_SEED": "with the overlay `faults`: makes random faults repeatable; 1 when not said",
    "OVERLAYS": "with containers: more Compose files, by the word between `compose.` and `.yaml`",
    "EXTRA_CA": "with containers: folder of certificates for building images behind a TLS proxy",
    "COMPOSE_PROJECT_NAME": "with containers: their common name; `vaultbench`",
    "VAULTBENCH_COMPOSE": "the Compose program, when there are two: `docker compose` or `docker-compose`",
    "VAULTBENCH_TEST_COMPOSE": "`1`: pytest also runs the tests that start containers (`make test-compose`)",
    "PROMETHEUS_SOURCE": "where Prometheus comes from; `off` leaves it out",
    "WORKERS": "how many processes of each service: a number, 1 to 32, or `auto` (the default): one each "
    "below 4 cores; from 4 on gateway and upload one for every 4 cores, files and auth one for every 8",
    "TOPOLOGY": "`scaled`: several gateways, upload and files processes behind nginx and PgBouncer",
    "STORE": "the object store of plain processes: `minio` (the default) or `versitygw`; docs/stores.md",
    "RATE_LIMIT_BACKEND": "`redis`: one count for all gateways, in a Redis that then runs (docs/switches.md)",
    "CACHE": "`memory` or `redis`: rows that are read again and again are kept (docs/switches.md)",
    "POOLER": "`pgbouncer`: PgBouncer before the databases; `none` leaves it out of the scaled topology",
    "DB_POOL_MAX": "connections of each process to its database, which allows as many; 20 when not said",
    "REPLICAS": "how many of each with `TOPOLOGY=scaled`, instead of `WORKERS`: 1 to 32; 2 when not said",
    "VAULTBENCH_OFFLINE": "`1`: never use the network; a part that is missing is an error",
    "ALL": "`make clean ALL=1` also deletes the secrets; `make trace ALL=1` omits nothing",
    "VAULTBENCH_TOOLS": "folder of the installed programs, shared by all checkouts",
    "VAULTBENCH_RUN_DIR": "folder of data, logs and state: a second testbed beside the first",
    "VAULTBENCH_ENV_FILE": "the file of secrets that goes with it",
    "PORT_SHIFT": "added to every port below that is not set itself, 0 to 50000: moves a second testbed. "
    "0, 1000 and 2000, and these with 10000, 20000, 30000 or 40000 more, never meet; by others, such as 0 "
    "and 100, two testbeds may want one port, and the second is refused. The highest ones lead to "
    "ports that Linux lends to outgoing connections: one may be taken when it is needed, and `make up` warns",
    "GATEWAY_HOST": "the address of this machine on which the gateway listens, IPv4 or IPv6; `0.0.0.0` is "
    "every network by IPv4, `::` by IPv6. The store stays on loopback: from elsewhere, upload by proxy",
    "MINIO": "a program of your own instead of the one that would be installed; its version is recorded",
    "K6": "a program of your own instead of the one that would be installed; its version is recorded",
    "PROMETHEUS": "a program of your own instead of the one that would be installed",
    "REPORT": "`make doctor REPORT=1` writes findings and ends of logs into one file, without secrets",
    "TOXIPROXY_BIN": "use this program instead of installing one",
    "VERSITYGW_BIN": "use this program instead of installing one",
    "FAKETIME_BIN": "use this program instead of installing one",
    "POSTGRES_EXPORTER_BIN": "use this program instead of installing one",
    "NODE_EXPORTER_BIN": "use this program instead of installing one",
    "PROCESS_EXPORTER_BIN": "use this program instead of installing one",
    "NGINX_BIN": "use this program instead of installing one",
    "REDIS_BIN": "use this program instead of installing one",
    "PGBOUNCER_BIN": "use this program instead of installing one",
    "POSTGRES_BIN_DIR": "folder with `initdb`, `postgres`, `pg_isready`, instead of installing them",
    "GRAFANA_HOME": "folder of an unpacked Grafana, to start it beside the testbed with all dashboards",
    "PROMTOOL_BIN": "promtool of the rules' tests; several are separated as in `PATH`",
    "CHROMIUM_BIN": "browser of the browser tests",
    "PROMETHEUS3_BIN": "a Prometheus 3 for the tests of the dashboards",
    "GRAFANA_SHOTS": "folder in which the browser tests leave pictures of a Grafana",
    "VAULTBENCH_RESULTS": "folder of the runs; `results` in the checkout when not said",
    "TOXIPROXY_PORT": "with the overlay `faults`: port through which faults are set; 8474",
    "FAULTS_GATEWAY_PORT": "with the overlay `faults`: where clients reach the gateway; 8600",
    "FAULTS_PUBLIC_STORE_PORT": "with the overlay `faults`: where clients reach the store; 8611",
    "MEMORY_TOXIPROXY_MB": "with containers: memory limit of toxiproxy in MiB",
    "MEMORY_NGINX_MB": "with containers: memory limit of nginx in MiB",
    "MEMORY_PGBOUNCER_MB": "with containers: memory limit of PgBouncer in MiB",
    "MEMORY_REDIS_MB": "with containers: memory limit of Redis in MiB",
    "NAME": "of `make logs`: the part",
    "ID": "of `make trace`: an upload_uuid or a request id",
    "CASES": "of `make chaos`: how many cases",
    "LIMIT_S": "of `make chaos`: begin no case after so many seconds",
    "KEEP_GOING": "of `make chaos`: `1` goes on after a case that failed",
}

HARNESS: dict[str, str] = {
    "PROFILE": "size of a run: `smoke` (a minute, no winner), `ci` (the default), `full`",
    "PRECISION": "wanted half-width of the main ratios, such as `0.05` or `5%`",
    "BUDGET_S": "seconds that a run may take",
    "SCALE": "of `make govault`: factor on the source's numbers of clients, 0.005 to 1",
    "TIME": "of `make govault`: factor on its durations, 0.01 to 1; typed, it lifts the limit of 20 minutes",
    "DISK": "of `make govault`: what uploads may fill at once; `8GB` when not said",
    "SEED": "draws the order of the turns; of `make chaos`: the first case",
    "VUS": "the number of clients, instead of the one that the warm-up finds",
    "FILE_SIZE": "bytes of each file, such as `1MiB`",
    "Q": "of `make ask`: the prepared question; without it they are listed",
    "STRATEGIES": "of `make stress`, and of a question whose arms are strategies: comma list of folders in "
    "`loadtests/strategies`",
    "STRATEGY": "the strategy of all arms that do not say one",
    "KEEP_ALIVE": "`off`: clients take a new connection for every request",
    "READS": "how often a client looks at its file's entry after each upload, 0 to 100",
    "SCRAPE": "`on`: the metrics of all processes are read once in every turn",
    "RTT_MS": "whole milliseconds of round trip that are added before gateway and store (docs/ab.md); of "
    "`make stress`, `ab`, `demo` and `smoke`",
    "BANDWIDTH_MBIT": "megabits a second of each connection to gateway and store; of the same",
    "A": "of `make ab`: the words of the first arm (docs/ab.md)",
    "B": "of `make ab`: the words of the second arm",
    "BASE": "of `make ab`: a revision, compared with the working tree",
    "TARGET": "of `make ab`: the address of another implementation of the contract, as the second arm",
    "PIDS": "of `make ab`: a file with `name pid` in each line, of the processes of `TARGET`",
    "FAIL_ON_LOSS": "of `make ab`: a share such as `10%`; a larger loss of B that is shown ends it with 4",
    "LOGIN": "`prepared` (before the load) or `each` (one login inside every upload)",
    "PRICES": "a file of what a core, memory, traffic and requests cost you, as "
    "`loadtests/prices/example.yaml`: the table of what each way costs then has the sum; of `make report`: "
    "instead of those of the run",
    "CLEAN": "`1`: also delete other users' files before the run",
    "RUN": "of `make report` and `make ledger`: the run's id",
    "RUNS": "of `make compare`: the ids of two runs, with a comma between them",
    "DRY_RUN": "of `make sweep`: `1` counts and removes nothing",
    "OLDER_THAN_S": "of `make sweep`: seconds, instead of the settings' ages; `0` also ends all open uploads",
    "UNKNOWN_OLDER_THAN_S": "of `make sweep`: seconds instead of 30 that the store's things stay which no row"
    " knows; less breaks uploads that begin meanwhile",
    "K6_PUSH": "`off`: k6 does not push its own figures to Prometheus while it runs",
    "PYTHON": "the interpreter of `.venv`; not said: the newest optimised CPython from 3.11 on",
    "RUNTIME": "as for `make up`; what runs is measured where it runs",
}

ERRORS: dict[str, str] = {
    "invalid_json": "the body is not exactly one JSON value, or a member is there twice",
    "unknown_field": "a member that this route does not know (`details.field`)",
    "missing_field": "a required member or parameter is absent, null or empty (`details.field`)",
    "invalid_field": "a member has the wrong type, form or range (`details.field`)",
    "invalid_file_name": "the name breaks a rule; the message says which",
    "invalid_file_size": "a size below 0 or above 2^63-1",
    "invalid_part_size": "several parts need 5 MiB to 5 GiB each; one part holds at most 5 GiB",
    "too_many_parts": "more than 10,000 parts",
    "invalid_part_number": "a part number outside 1 to the number of parts",
    "invalid_chunk_index": "`id` is missing or not an integer from 0 to 9,999",
    "invalid_checksum": "`Checksum` is not 64 hexadecimal characters",
    "missing_header": "a required header is absent (`details.header`)",
    "invalid_uuid": "a path, query, header or member is not a UUID in its 36-character form",
    "invalid_form": "the form is malformed, has a field that is not known here, no file, or too many",
    "invalid_query": "a query parameter is unknown, out of range, or a cursor does not fit",
    "invalid_folder": "a folder that no file could be in; the message says which rule it breaks",
    "invalid_recipients": "over 5 recipients, one twice, the owner, or an unknown permission",
    "invalid_credentials": "unknown e-mail or wrong password",
    "switch_disabled": "an experiment switch was used while `BENCH_ENDPOINTS` is off",
    "authentication_required": "the route needs a token and none was sent",
    "token_malformed": "the `Authorization` header holds no token",
    "token_invalid": "wrong signature, algorithm, issuer or audience, or a claim is missing",
    "token_expired": "the token's time is over; log in again",
    "service_credential_invalid": "a service was called by something that is not its gateway or peer",
    "forbidden": "the caller may see the file but not do this with it",
    "origin_not_allowed": "a browser page of an origin that is not on the list",
    "route_not_found": "no such path",
    "upload_not_found": "no such upload, or another user's",
    "file_not_found": "no such file, deleted, or not for this caller",
    "share_not_found": "the file is not shared with this user",
    "recipient_not_found": "no account has such an e-mail (`details.emails`)",
    "folder_not_found": "no own file is in this folder",
    "method_not_allowed": "the path exists with other methods (`Allow`)",
    "request_timeout": "the request body made no progress for 30 s",
    "user_exists": "user name or e-mail are taken",
    "wrong_upload_method": "the route does not fit the way this upload was begun",
    "upload_not_open": "the upload is being finished or is completed",
    "chunk_conflict": "other bytes for a chunk of a completed upload, or nothing for a stored one",
    "upload_aborted": "the upload was aborted or has expired",
    "upload_failed": "the upload failed for good; the message says why",
    "missing_parts": "complete was asked before all parts were registered (`details.missing`)",
    "object_missing": "complete was asked, but nothing was sent to the URL",
    "already_shared": "somebody has another permission already (`details.emails`); nobody was added",
    "share_limit": "a file is shared with at most 100 users",
    "registration_conflict": "the same file was registered before with other facts",
    "idempotency_conflict": "this `Idempotency-Key` was used before with other facts",
    "length_required": "raw bytes need a `Content-Length`",
    "file_too_large": "more than this way of uploading takes",
    "body_too_large": "JSON over 64 KiB, or a chunk over 10 MiB",
    "unsupported_media_type": "a `Content-Encoding`, or the wrong kind of form",
    "range_not_satisfiable": "the range lies outside the file (`Content-Range` tells its size)",
    "checksum_mismatch": "the bytes that arrived have another SHA-256 than `Checksum`",
    "size_mismatch": "more or fewer bytes than declared",
    "chunk_gap": "all bytes would be in, but an index is missing (`details.missing`)",
    "invalid_part": "the store's parts differ from those registered (`details.part_numbers`)",
    "rate_limited": "too many requests in this minute (`Retry-After`)",
    "too_many_open_uploads": "too many uploads are open for this user",
    "internal_error": "an unexpected fault; the log has the request id",
    "store_inconsistent": "the row of the file exists, its object does not or is another one",
    "upstream_unavailable": "a service behind the gateway could not be reached",
    "circuit_open": "the service behind has failed too often and is left alone for a while (`Retry-After`)",
    "queue_timeout": "the request waited too long for its turn",
    "injected_fault": "a bench request asked for it (`fail_p`); its status is the one asked for",
    "overloaded": "too much waits already; nothing was done",
    "not_ready": "a health check is down, or the process is shutting down",
    "dependency_unavailable": "database, store or another service did not answer",
    "insufficient_storage": "the spool disk is nearly full",
    "deadline_exceeded": "a service behind the gateway did not answer in time",
    "still_finalising": "the upload is not finished yet; repeat the request to wait for it",
}
