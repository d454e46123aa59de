"""Words of the reports, for people who do not measure computers for a living.

One source: the report links to it, and ``docs/glossary.md`` is its text (a test keeps them equal).
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
    Term("acknowledgement", "The answer after which a client believes that its upload is done.", ("ack",)),
    Term(
        "arm", "One complete way of doing it that a run tries: a strategy with all its settings.", ("arms",)
    ),
    Term(
        "backlog",
        "Uploads that were acknowledged but are not yet durable. A growing backlog means that the system "
        "answers faster than it works.",
    ),
    Term(
        "bottleneck",
        "What limits the whole. It is named here only with proof: it saturates first, and changing it moves "
        "the result. Otherwise the report says that it was not identified.",
    ),
    Term(
        "capacity",
        "The most verified uploads per second that an arm carries on this machine with these settings.",
    ),
    Term(
        "closed loop",
        "Every client waits for its answer before it sends the next request. A slow system therefore gets "
        "less to do: good for asking how much, misleading for asking how slow.",
    ),
    Term(
        "concurrency",
        "How many uploads are on their way at the same moment, as measured, not as configured.",
        ("uploads at once",),
    ),
    Term(
        "CPU-seconds",
        "Time that one processor core was busy. Two cores that are busy for one second are two CPU-seconds.",
        ("processor time", "CPU"),
    ),
    Term(
        "direct",
        "The client asks the server for signed addresses and sends the file straight to the store. The "
        "server sees no byte of it.",
    ),
    Term(
        "durable", "The file's row is committed and the whole object is in the store: a crash cannot lose it."
    ),
    Term(
        "equivalent",
        "The whole interval of the ratio lies inside the margin: a difference that small would not matter.",
    ),
    Term(
        "goodput",
        "Verified uploads per second that became durable inside the steady window. Failed, "
        "unverified and late ones do not count.",
        ("uploads/s",),
    ),
    Term(
        "interval",
        "The range in which the true value lies for 95 of 100 such runs. A narrow interval is a sure answer.",
        ("95 % interval",),
    ),
    Term(
        "iteration",
        "One round of what a virtual user does, from the first request to the last. An "
        "iteration that ended need not have uploaded anything: that is why uploads are counted instead.",
    ),
    Term(
        "knee",
        "The load from which more clients bring hardly more uploads (less than 5 %), or waiting gets three "
        "times as long as without load.",
        ("stops gaining",),
    ),
    Term(
        "ledger",
        "The books of a run: every intended upload is found again in the databases and in the store, or its "
        "loss is counted and named.",
    ),
    Term(
        "lower bound",
        "The true value is at least this. Here the load generator takes part of the "
        "processors that the system would otherwise have.",
        ("at least",),
    ),
    Term(
        "margin",
        "Differences smaller than this count as equal. It is fixed before the run.",
    ),
    Term("median", "Half of the values are smaller. The same as p50.", ("p50",)),
    Term(
        "noise floor",
        "How far two equal trials differ for no reason at all. Smaller differences mean nothing.",
    ),
    Term(
        "open loop",
        "Clients arrive at a fixed rate, as real users do, whether or not the system keeps up. This is how "
        "waiting times are measured.",
        ("open arrivals",),
    ),
    Term(
        "pair",
        "Two neighbouring trials, one of each arm. Comparing neighbours takes out whatever changes slowly on "
        "the machine.",
        ("pairs",),
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
        "ports",
        "Numbers from which the operating system gives every connection one. A program that opens a new "
        "connection for every request runs out of them.",
    ),
    Term(
        "proxy",
        "The client sends the file through the server, which passes it on to the store and checks it on the "
        "way.",
    ),
    Term(
        "raw",
        "Bare requests that put the same files into the same store, without any of our services: "
        "what the store alone can do.",
    ),
    Term(
        "real users",
        "People pause, so one person is far less load than one virtual user without pauses. Divide the "
        "uploads per second by how often a person uploads to get people.",
    ),
    Term(
        "RPS",
        "Requests per second. The strategies need different numbers of requests for one file, so RPS "
        "compares nothing here; uploads per second do.",
        ("requests/s",),
    ),
    Term(
        "RSS",
        "Memory that a process holds in RAM. The peak is the most it held inside the windows.",
        ("peak memory",),
    ),
    Term(
        "saturated",
        "Half as many clients again bring less than 5 % more uploads. Only then does a rate say something "
        "about the system and not about the script.",
        ("saturation", "saturating"),
    ),
    Term("SQL statements", "Questions and orders that the services send to their databases."),
    Term(
        "steady window",
        "The part of a trial that counts: after the warm-up, before the load ends.",
        ("window",),
    ),
    Term("store", "The object store that keeps the files' bytes; MinIO here.", ("object store",)),
    Term("store requests", "Requests that our services send to the store, not counting the clients' own."),
    Term(
        "strategy",
        "How a file's bytes travel: through the server, or straight to the store.",
        ("strategies",),
    ),
    Term(
        "think time",
        "A pause in the script. With pauses the script sets the rate, whatever the system can do.",
    ),
    Term("trial", "One arm under one load, from a clean start to the audit.", ("trials",)),
    Term(
        "TTA",
        "Time to acknowledgement: from an upload's first request to the answer that says it is done.",
        ("time to acknowledgement",),
    ),
    Term(
        "TTD",
        "Time to durable: from an upload's first request until its file could survive a crash. It may be "
        "a little shorter than TTA: the answer still has to travel to the client.",
        ("time to durable",),
    ),
    Term(
        "verified upload",
        "Acknowledged, durable, visible to its owner, and with the size and content that were sent.",
        ("verified uploads", "verified"),
    ),
    Term(
        "verdict",
        "faster, slower, equivalent, or ~ for no difference shown. It needs six pairs and saturation in both "
        "arms.",
    ),
    Term(
        "VU",
        "Virtual user: one client of the load generator that does the same thing over and over.",
        ("VUs", "virtual user", "virtual users"),
    ),
    Term(
        "G-00 clean failure",
        "The client saw a failure, and nothing was stored. Counted.",
        ("G-00",),
    ),
    Term(
        "G-01 no trace",
        "The client saw a failure or nothing, and the server knows nothing of it. Counted.",
        ("G-01",),
    ),
    Term("G-02 lost", "Acknowledged and then not there. Fails the trial.", ("G-02",)),
    Term("G-03 corrupt", "There, but with another size or content. Fails the trial.", ("G-03",)),
    Term("G-04 orphan object", "An object in the store that no file row knows.", ("G-04",)),
    Term("G-05 orphan row", "A file row whose object is missing. Fails the trial.", ("G-05",)),
    Term("G-06 stuck", "Never acknowledged, and never ended either.", ("G-06",)),
    Term("G-07 duplicate", "One intended upload is there twice. Fails the trial.", ("G-07",)),
    Term(
        "G-08 late success",
        "The client saw an error, and the upload is there all the same. Not in the goodput.",
        ("G-08",),
    ),
    Term("G-09 leftovers", "Unfinished parts or chunks of sessions that have ended.", ("G-09",)),
    Term(
        "G-10 early ack", "Acknowledged before it was durable: a hazard, shown for every strategy.", ("G-10",)
    ),
    Term(
        "G-11 foreign", "A row or object that belongs to nothing that was sent. Fails the trial.", ("G-11",)
    ),
    Term(
        "G-12 hollow iteration",
        "The load generator counted a round as done, and no verified upload was in it.",
        ("G-12",),
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
