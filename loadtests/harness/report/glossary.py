"""Words of the reports, for people who do not measure computers for a living.

One source: the report links to it, and ``docs/glossary.md`` is its text (written by ``docs.generate``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    name: str
    text: str
    also: tuple[str, ...] = ()  # other spellings that link here

    @property
    def anchor(self) -> str:
        return "term-" + re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


TERMS: tuple[Term, ...] = (
    Term(
        "A/A",
        "Two equal arms compared with each other. What they seem to differ by is what this machine cannot "
        "tell from nothing.",
    ),
    Term(
        "arm",
        "One of the ways that are compared: a strategy with its settings, file size, revision and network.",
        ("arms",),
    ),
    Term(
        "block",
        "Turns of all arms in a drawn order, forth and back, such as A B B A. Each block gives one ratio, "
        "in which whatever changes slowly on the machine has cancelled out.",
        ("blocks",),
    ),
    Term(
        "carry-over",
        "What the turn of one arm still does to the next. The beginning of each turn is left out for it, "
        "and what is left is looked for.",
    ),
    Term(
        "direct",
        "The client asks the server for signed addresses and sends the file straight to the store: in "
        "parts, or in one PUT. The server sees no byte of it.",
    ),
    Term(
        "as if k6 ran elsewhere",
        "The rate that a full machine would do if the load generator took none of its processor time: "
        "rate x busy / (busy - k6's), block by block. It takes for granted that processors set the rate and "
        "that everything else of an upload costs the same.",
        ("load generator on a machine of its own",),
    ),
    Term(
        "equally fast",
        "The whole interval of the ratio lies inside the margin: a difference that small would not matter.",
    ),
    Term(
        "goodput",
        "Verified uploads per second, as the panels call it. Failed and unverified uploads do not count.",
    ),
    Term(
        "interval",
        "The range in which the true value lies for 95 of 100 such runs. A narrow interval is a sure answer.",
        ("95 % interval", "intervals"),
    ),
    Term(
        "knee",
        "The range of clients at once within which more of them stop bringing 10 % more uploads. Where only "
        "one end is shown, only that one is stated.",
    ),
    Term(
        "lower bound",
        "The true value is at least this. Where the load generator shares the processors with the system, "
        "absolute rates are lower bounds; ratios are not touched by it as long as it needs the same for "
        "every arm.",
        ("lower bounds",),
    ),
    Term(
        "making",
        "Starting two stacks anew, with empty databases. Two stacks of equal code differ a little by "
        "themselves, so that where arms have stacks of their own the making is what is counted, not the "
        "block.",
        ("makings", "makings of the stacks", "making of the stacks"),
    ),
    Term(
        "not shown",
        "The interval holds 1 and reaches beyond the margin, or it is one of several that may miss 1 by "
        "chance: there may be a difference or none. A longer run may tell.",
    ),
    Term(
        "RSS",
        "Memory that a process holds in RAM. What the processes of a database share counts once, in panels "
        "as in reports. The peak is the most it held in any turn.",
        ("peak memory",),
    ),
    Term(
        "saturated",
        "Twice as many clients bring less than a tenth more uploads. Only then does a rate say something "
        "about the system and not about the number of clients.",
        ("saturation",),
    ),
    Term(
        "stack",
        "A set of our four processes with databases and a bucket of their own. Arms that differ in what "
        "the client does share one; arms that differ in settings or revision have one each.",
        ("stacks",),
    ),
    Term(
        "switchback",
        "One load without a pause in which the arms take turns of a second or two. Neighbouring turns meet "
        "the same state of the machine, so that small differences can be seen in minutes.",
    ),
    Term(
        "through the server",
        "The client sends the file to the server, which passes it on to the store and checks it on the way.",
    ),
    Term(
        "time to acknowledgement",
        "From an upload's first request to the answer that says it is done.",
        ("acknowledged",),
    ),
    Term(
        "time to durable",
        "From an upload's first request until its file could survive a crash. It may be a little shorter "
        "than the time to acknowledgement: the answer still has to travel to the client.",
    ),
    Term(
        "turn",
        "The seconds in which one arm is loaded before another one is.",
        ("turns", "period", "periods"),
    ),
    Term(
        "winner",
        "Named only where the near end of the interval is beyond 1 by a quarter of the margin, for every "
        "pair.",
    ),
    Term("acknowledgement", "The answer after which a client believes that its upload is done.", ("ack",)),
    Term(
        "backlog",
        "Uploads that were acknowledged but are not yet durable. A growing backlog means that the system "
        "answers faster than it works.",
    ),
    Term(
        "closed loop",
        "Every client waits for its answer before it sends the next request. A slow system therefore gets "
        "less to do: good for asking how much, misleading for asking how slow.",
    ),
    Term(
        "CPU-seconds",
        "Time that one processor core was busy. Two cores that are busy for one second are two CPU-seconds.",
        ("processor time", "CPU"),
    ),
    Term(
        "durable", "The file's row is committed and the whole object is in the store: a crash cannot lose it."
    ),
    Term(
        "ledger",
        "The books of a run: every intended upload is found again in the databases and in the store, or its "
        "loss is counted and named.",
    ),
    Term("margin", "Differences smaller than this count as equal. It is fixed before the run."),
    Term("median", "Half of the values are smaller. The same as p50.", ("p50",)),
    Term(
        "open loop",
        "Clients arrive at a fixed rate, as real users do, whether or not the system keeps up. This is how "
        "waiting times are measured.",
        ("open arrivals",),
    ),
    Term(
        "percentile",
        "p95 = 200 ms: 95 of 100 took at most 200 ms, and 5 took longer. Averages hide those five.",
        ("p95", "p99", "percentiles"),
    ),
    Term(
        "pool wait",
        "Time a request waits for one of a fixed number of database connections. It grows before anything "
        "else looks busy.",
    ),
    Term(
        "RPS",
        "Requests per second. The strategies need different numbers of requests for one file, so RPS "
        "compares nothing here; uploads per second do.",
        ("requests/s",),
    ),
    Term(
        "real users",
        "People pause, so one person is far less load than one virtual user without pauses. Divide the "
        "uploads per second by how often a person uploads to get people.",
    ),
    Term(
        "iteration",
        "One round of what a virtual user does, from the first request to the last. An iteration that "
        "ended need not have uploaded anything: that is why uploads are counted instead.",
    ),
    Term("SQL statements", "Questions and orders that the services send to their databases."),
    Term("store", "The object store that keeps the files' bytes; MinIO here.", ("object store",)),
    Term("store requests", "Requests that our services send to the store, not counting the clients' own."),
    Term(
        "strategy",
        "How a file's bytes travel: through the server, or straight to the store.",
        ("strategies",),
    ),
    Term(
        "verified upload",
        "Acknowledged, durable, visible to its owner, and with the size and content that were sent.",
        ("verified uploads", "verified", "uploads/s"),
    ),
    Term(
        "VU",
        "Virtual user: one client of the load generator that does the same thing over and over.",
        ("VUs", "virtual user", "virtual users", "clients"),
    ),
    Term("G-00 clean failure", "The client saw a failure, and nothing was stored. Counted.", ("G-00",)),
    Term(
        "G-01 no trace",
        "The client saw a failure or nothing, and the server knows nothing of it. Counted.",
        ("G-01",),
    ),
    Term(
        "G-02 lost",
        "Acknowledged and then not there: a ghost. Fails the run, unless it killed a process on purpose.",
        ("G-02", "ghost", "ghosts"),
    ),
    Term("G-03 corrupt", "There, but with another size or content. Fails the run.", ("G-03",)),
    Term("G-04 orphan object", "An object in the store that no file row knows.", ("G-04",)),
    Term("G-05 orphan row", "A file row whose object is missing. Fails the run.", ("G-05",)),
    Term("G-06 stuck", "Never acknowledged, and never ended either.", ("G-06",)),
    Term("G-07 duplicate", "One intended upload is there twice. Fails the run.", ("G-07",)),
    Term(
        "G-08 late success",
        "The client saw an error, and the upload is there all the same. Not counted as an upload.",
        ("G-08",),
    ),
    Term("G-09 leftovers", "Unfinished parts or chunks of sessions that have ended.", ("G-09",)),
    Term(
        "G-10 early ack", "Acknowledged before it was durable: a hazard, shown for every strategy.", ("G-10",)
    ),
    Term("G-11 foreign", "A row or object that belongs to nothing that was sent. Fails the run.", ("G-11",)),
    Term(
        "G-12 hollow iteration",
        "The load generator counted a round as done, and no verified upload was in it.",
        ("G-12",),
    ),
    Term(
        "batch",
        "Several files in one request: their bytes in an upload, their addresses in a download. What is "
        "counted is one file all the same.",
    ),
    Term(
        "fleet",
        "Many clients that download the same file at once, as machines do that are told of an update.",
        ("fleets",),
    ),
    Term(
        "resumed",
        "The client ended the download in the middle and asked for the rest by range. It counts when all "
        "of it together has the bytes that were uploaded.",
    ),
    Term(
        "verified download",
        "Its length and its SHA-256 are those of the file that was uploaded; the client computes both.",
        ("verified downloads", "downloads/s"),
    ),
    Term(
        "kill",
        "All processes of a service end at once, without being asked (SIGKILL). What was only in their "
        "memory is gone; what was stored stays. Whoever supervises them starts them again.",
        ("kills", "killed"),
    ),
)


def spellings() -> dict[str, Term]:
    """Every spelling that links, to its term."""
    return {spelling: term for term in TERMS for spelling in (term.name, *term.also)}


def markdown() -> str:
    """The text of ``docs/glossary.md``."""
    lines = [
        "# Glossary",
        "",
        "Words of the reports, for people who do not measure computers for a living.",
        "",
    ]
    for term in sorted(TERMS, key=lambda term: term.name.lower()):
        also = f" (also: {', '.join(term.also)})" if term.also else ""
        lines += [f'<a id="{term.anchor}"></a>**{term.name}**{also}  ', term.text, ""]
    return "\n".join(lines)
