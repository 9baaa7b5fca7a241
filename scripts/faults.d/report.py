"""Adds up what the fault harness prints, as a table and as docs/reliability.md."""

from dataclasses import dataclass, field

COUNTS = ("runs", "kills", "duplicates", "lost", "orphans")

# What a row does, and what must hold beside the invariants.
MEANING = {
    "F1": ("A site refuses connections.", "Its breaker opens after a few failures; other sites go on as before."),
    "F2": ("A site's address swallows every attempt to connect.",
           "Attempts do not pile up; other sites, the start and the end of the server are not held up."),
    "F4": ("The answer to a create is lost, though the machine was made.", "It is found by its tag and adopted."),
    "F5": ("A site says 503 to a create, and makes the machine all the same.", "As F4."),
    "F6": ("A site fails once and then works.", "One machine."),
    "F7": ("A client sends the same POST ten times at once under one key, at all replicas.",
           "One name ten times, one machine."),
    "F8": ("The same key with another body or another kind.", "422; the first request's answer stays."),
    "F9": ("A client sends the same POST again without a key.", "Two machines, both known: that is the rule."),
    "F10": ("A machine fails after other things were made for it.", "All is undone, the last one first."),
    "F11": ("An undo fails again and again.", "It stays visible and is tried until it succeeds."),
    "F12": ("A server is killed (`kill -9`) at every moment of every saga, done or undone: before the effect, after it "
            "and before it is written, after that. Alone it is started again; among others, another replica takes "
            "over.", "Everything accepted comes to its end."),
    "F13": ("Every step and every undo is done twice.", "The end is the same."),
    "F14": ("A replica is stopped (SIGSTOP) in the middle of creations for 20 s, and goes on when another one has "
            "taken over.", "It writes nothing stale, and asks for nothing twice."),
    "F15": ("PostgreSQL is killed under load: started again, or replaced by its synchronous standby.",
            "Everything that was answered 201 is there; writes work again by themselves."),
    "F16": ("The database's disk is full, or PostgreSQL takes no writes.",
            "Writes are answered 503 with `Retry-After`, reads go on, and all is well when there is room again."),
    "F17": ("The database is restored from a backup; machines were made since.",
            "All of them are listed as orphans; nothing is deleted."),
    "F23": ("A machine vanishes behind the broker's back.", "It is shown as gone, and its quota is freed."),
    "F24": ("A machine with our tag appears that nobody asked for.", "It is listed as an orphan, and not deleted."),
    "F25": ("A site answers with an old list.", "Nothing is taken for gone."),
    "F26": ("A machine seems to fail and recover, again and again.", "Few events tell of it."),
    "F27": ("A site revokes our credentials.", "It is marked, its owners are told, and it is left alone."),
    "F29": ("Replicas' clocks are ten minutes apart.", "Nothing expires falsely; times never go back."),
    "F30": ("The clock is set back an hour while the server works, and stays so over a restart.",
            "Work goes on at once, nothing expires falsely, times in the log never go back."),
    "F35": ("Consumers of `/events` stop reading.",
            "Memory is bounded; they go on at their place and miss nothing."),
    "F36": ("Ten clients ask for machines without a pause.",
            "What does not fit is answered 503 with `Retry-After`; every GET succeeds; what was accepted is done."),
    "F37": ("The queue is full, and the broker has something to do itself.", "Its own request passes."),
    "F38": ("A request waits longer than it may.", "It is given up, and never dispatched."),
    "F39": ("A request is cancelled while it waits or runs.", "Nothing is left of it."),
    "F45": ("One object in a long list makes no sense.", "That one is left out, all others are seen."),
    "seeds": ("Random lives: many things accepted, many calls failing in every way, death at any moment.",
              "The invariants."),
}


@dataclass
class Row:
    """One row of faults on one database, all its tests together."""

    name: str
    database: str
    counts: dict = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    figures: dict = field(default_factory=dict)

    @property
    def is_broken(self):
        return any(self.counts[count] for count in ("duplicates", "lost", "orphans"))


def rows(lines):
    """The rows that the harness's lines come to, in their order."""
    known = {}
    for line in lines:
        # "F15 (fail-over)" is a part of F15.
        name, _, part = str(line.get("row", "?")).partition(" (")
        database = str(line.get("database", "-"))
        row = known.setdefault((name, database), Row(name, database))
        for count in COUNTS:
            row.counts[count] += int(line.get(count, 0))
        for figure, value in line.get("figures", {}).items():
            label = f"{part.rstrip(')')}: {figure}" if part else figure
            row.figures[label] = max(value, row.figures.get(label, value))
    return sorted(known.values(), key=lambda row: (row_number(row.name), row.database))


def row_number(name):
    return int(name[1:]) if name[1:].isdigit() else 1000


def spoken(figures):
    return "; ".join(f"{name} {round(value, 2):g}" for name, value in figures.items())


def table(all_rows, plain=False):
    """A table, for a terminal or as Markdown."""
    heads = ["row", "database", *COUNTS, "measured"]
    body = [[row.name, row.database, *(str(row.counts[count]) for count in COUNTS), spoken(row.figures)]
            for row in all_rows]
    total = [sum(row.counts[count] for row in all_rows) for count in COUNTS]
    body.append(["all", "", *map(str, total), ""])
    if not plain:
        lines = [heads, ["---"] * 2 + ["--:"] * len(COUNTS) + ["---"], *body]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    widths = [max(len(line[column]) for line in [heads, *body]) for column in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in [heads, *body])


def document(all_rows, failed, command, started, seeds, is_broken):
    """docs/reliability.md."""
    meanings = []
    for name in dict.fromkeys(row.name for row in all_rows):
        what, must = MEANING.get(name, ("A row that scripts/faults.d/report.py does not describe.", ""))
        meanings.append(f"| {name} | {what} | {must} |")
    verdict = "Something failed." if is_broken else "Nothing was lost, nothing was done twice, nothing was left behind."
    failures = "".join(f"- failed: `{name}`\n" for name in failed)
    return f"""# Reliability

Written by `{command}` on {started:%Y-%m-%d %H:%M} UTC, with {seeds} random lives on each database. Do not edit: run it
again.

{verdict}
{failures}
## What must hold after every fault

1. Whatever was accepted has come to its end: it is as it was asked for, or it is in error with a reason, or it is gone
   as its client wished.
2. A site has one object for one intent, however often it was asked; and exactly those that live entities have.
3. What belongs to nobody is listed by `tombolo orphans`, and there is such a thing only after a restored backup.
4. The log of events is as it was sealed (`tombolo events verify`).
5. What is reserved is what the log comes to.
6. Another project sees none of it.

The simulated site is not idempotent: whoever asks twice gets two machines.

## What was done

| row | what happens | what must hold beside |
| --- | --- | --- |
{chr(10).join(meanings)}

## How it went

A run is one story with its check at the end; `kills` are processes, or engines within one, that were ended without
warning. Figures are the worst of all runs, on the machine that ran them.

{table(all_rows)}
"""
