"""Upload pipeline: from the session to the durable object, phase by phase."""

from __future__ import annotations

from grafana.model import Dashboard, Panel, Query, Row, Threshold, Unit
from grafana.parts import METHOD, RED, RUN, STRATEGY, YELLOW, lines, percentile, spans
from grafana.promql import mean, per_s

WAITING_LONG = (Threshold(10, YELLOW), Threshold(60, RED))


SESSIONS: tuple[Panel, ...] = (
    lines(
        "What happens to uploads",
        "Uploads created, completed, failed, aborted and expired per second. Created far above completed "
        "for long: uploads are begun and not ended; they show as `expired` when their time is over.",
        Unit.PER_S,
        Query(per_s(f"upload_sessions_total{METHOD}", "event"), "{{event}}"),
    ),
    lines(
        "Open uploads",
        "Uploads by state, as the database has them. `uploading` follows the clients; a growing "
        "`assembling` or `completing` means that finalising does not keep up.",
        Unit.COUNT,
        Query(f"max by (method, status) (upload_sessions_open{METHOD})", "{{method}} {{status}}"),
        stacked=True,
    ),
    lines(
        "Chunks by result",
        "Chunks of proxied uploads. `duplicate` and `replaced` are chunks sent again; `refused` ones were "
        "damaged or too late.",
        Unit.PER_S,
        Query(per_s("upload_chunks_total", "result"), "{{result}}"),
    ),
    lines(
        "Bodies that are being received",
        "Chunks on their way in. Many with little traffic are slow senders; of one user there are at most "
        "UPLOADS_PER_USER in each process.",
        Unit.COUNT,
        Query("sum(upload_bodies)", "bodies"),
    ),
    percentile(
        "Phases of a chunk",
        "Receiving its body, hashing it, writing it, recording it. They overlap in time. The top line is "
        "what a proxied upload waits for: `receive` a slow client or gateway, `write` the store.",
        "upload_chunk_phase_seconds",
        "phase",
    ),
    lines(
        "Mean time of a chunk's phases",
        "The same phases as exact means. Means far below the percentile: few chunks are very slow.",
        Unit.SECONDS,
        Query(mean("upload_chunk_phase_seconds", "", "phase"), "{{phase}}"),
    ),
    lines(
        "Parts registered",
        "Parts that clients of direct uploads reported. `same` and `updated` are reports sent again.",
        Unit.PER_S,
        Query(per_s("upload_parts_registered_total", "result"), "{{result}}"),
    ),
    lines(
        "Files of batches",
        "Files that came many to a form, by result. A batch is answered 200 even when files of it failed: "
        "`failed` shows here only.",
        Unit.PER_S,
        Query(per_s('batch_files_total{op="upload"}', "result"), "{{result}}"),
    ),
)


FINALISING: tuple[Panel, ...] = (
    percentile(
        "Phases of finalising",
        "Waiting for a worker, assembling, the store's work, verifying, registering. A high `wait` asks "
        "for more workers, a high `store` for a faster store.",
        "upload_finalise_seconds",
        "phase",
        selector='{method=~"$strategy", phase!="total"}',
    ),
    lines(
        "Finalisations",
        "Queued and running in this process. Running at its ceiling with a growing queue is saturation.",
        Unit.COUNT,
        Query("sum by (state) (upload_finalise_jobs)", "{{state}}"),
        stacked=True,
    ),
    lines(
        "Age of the oldest queued finalisation",
        "How long the first in the queue has waited. A saw-tooth is work in batches; a straight rise "
        "means that nobody takes jobs any more.",
        Unit.SECONDS,
        Query("max(upload_finalise_oldest_seconds)", "oldest"),
        limits=WAITING_LONG,
    ),
    lines(
        "Attempts to finalise",
        "By strategy and result. `retry` means that the store or a database was not there; `failed` has "
        "given up.",
        Unit.PER_S,
        Query(per_s(f"upload_finalise_attempts_total{METHOD}", "method", "result"), "{{method}} {{result}}"),
    ),
    lines(
        "Spool on disk",
        "Bytes of spool files, in one folder for all processes. Back to 0 when nothing is uploaded; what "
        "stays is left over from crashes.",
        Unit.BYTES,
        Query("max(upload_spool_bytes)", "spool"),
    ),
    lines(
        "Acknowledged before durable",
        "Last chunks answered while the file was not safe yet, per second: with the default settings "
        "none, because the answer waits.",
        Unit.PER_S,
        Query(per_s("upload_ack_before_durable_total"), "early"),
    ),
)

SWEEPING: tuple[Panel, ...] = (
    lines(
        "Swept",
        "What sweeps removed per second, by service and kind. Expired uploads come in waves, `UPLOAD_TTL_S` "
        "after a load that broke off.",
        Unit.PER_S,
        Query(per_s('sweep_items_total{dry_run="0"}', "service", "kind"), "{{service}} {{kind}}"),
    ),
    lines(
        "Found and left",
        "The same for what sweeps found and did not touch: all of it with `SWEEP_DRY_RUN`, and orphans, "
        "which stay unless `ORPHAN_DELETE` is on. Orphans without a restored backup deserve a question.",
        Unit.PER_S,
        Query(per_s('sweep_items_total{dry_run="1"}', "service", "kind"), "{{service}} {{kind}}"),
    ),
    lines(
        "Since the last sweep",
        "Of whichever replica does them. A saw-tooth as high as `SWEEP_INTERVAL_S`; a straight rise means "
        "that every sweep fails, and at ten intervals `SweepOverdue` is due.",
        Unit.SECONDS,
        Query("time() - max by (service) (sweep_last_success_timestamp_seconds)", "{{service}}"),
        Query("10 * max by (service) (sweep_interval_seconds)", "{{service}} overdue from here"),
    ),
    lines(
        "Duration of the last sweep",
        "Mostly the store's lists. It grows with what there is to remove.",
        Unit.SECONDS,
        Query("max by (service) (sweep_last_duration_seconds)", "{{service}}"),
    ),
)


def dashboard() -> Dashboard:
    return Dashboard(
        uid="vaultbench-pipeline",
        title="Upload pipeline",
        answers="Where an upload spends its time between its first byte and being safe, and what piles up.",
        rows=(Row("Sessions and chunks", SESSIONS), Row("Finalising", FINALISING), Row("Sweeping", SWEEPING)),
        variables=(STRATEGY, RUN),
        annotations=spans(),
    )
