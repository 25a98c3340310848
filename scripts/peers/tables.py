"""The register as the peers get it: ids instead of names, microseconds instead of instants.

overstay compiles its register in its own time; to the peers the same is given ready, and is not timed.
"""

import csv
import json
import re
from datetime import datetime, timedelta, timezone

OPERATIONS = ["read", "write", "delete", "other"]
"""What methods yield; an operation's id is its index. The last stands for all that is none of the others."""

OUTCOMES = ["served", "denied", "failed", "unknown"]

SETTLED = ["open", "anonymous", "unknown-credential", "unlisted-api", "stale-credential"]
"""Verdicts that no timeline holds."""

PARTNERS_MAX, APIS_MAX = 1023, 63
"""What fits into the keys of the queries, the greatest number of each standing for none."""

ALWAYS_US = -(1 << 60)
NEVER_US = 1 << 60

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def instant_us(text, absent):
    """An instant of the register in microseconds since 1970; `absent` if it is blank."""
    if not text:
        return absent
    if text.lstrip("-").isdigit():
        return int(text) * 1_000_000
    # Fractions may have any number of digits: those past the sixth are cut.
    whole, fraction, zone = re.fullmatch(r"([^.]+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", text).groups()
    zone = "+00:00" if zone in (None, "Z") else zone
    whole = whole if "T" in whole else whole + "T00:00:00"
    at = datetime.fromisoformat(f"{whole}.{(fraction or '').ljust(6, '0')[:6]}{zone}")
    return (at - _EPOCH) // timedelta(microseconds=1)


def rows(path):
    """The rows of a table of the register as dicts; a column left out is blank."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def prepare(workload, into):
    """Writes the tables of the register in folder `workload` to folder `into`; returns the names behind the ids."""
    register = workload / "register"
    into.mkdir(exist_ok=True)
    partners = sorted({row["partner"] for row in rows(register / "partners.csv")})
    partner_ids = {name: index for index, name in enumerate(partners)}
    apis = sorted(row["api"] for row in rows(register / "apis.csv"))
    api_ids = {name: index for index, name in enumerate(apis)}
    if len(partners) > PARTNERS_MAX or len(apis) > APIS_MAX:
        raise ValueError(
            f"found {len(partners)} partners and {len(apis)} apis, expected at most {PARTNERS_MAX} and {APIS_MAX}"
        )
    if rows(register / "consents.csv") or any(row.get("consent") for row in rows(register / "apis.csv")):
        raise ValueError("found consents in the register, expected none: the queries of the peers do not ask for them")

    _write(
        into / "credentials.csv",
        ["credential", "partner", "begins_us", "next_us", "valid_from_us", "valid_until_us"],
        _credentials(rows(register / "credentials.csv"), partner_ids),
    )
    _write(
        into / "apis.csv",
        ["name", "api", "open", "propagation_us"],
        (
            [
                row["api"],
                api_ids[row["api"]],
                int(row.get("access") == "open"),
                int(row.get("propagation_s") or 0) * 1_000_000,
            ]
            for row in rows(register / "apis.csv")
        ),
    )

    verdicts, steps = _timeline(rows(workload / "timeline.csv"), partner_ids, api_ids)
    _write(into / "timeline.csv", ["slot", "from_us", "until_us", "verdict"], steps)
    names = {"partners": partners, "apis": apis, "verdicts": verdicts}
    (into / "names.json").write_text(json.dumps(names), encoding="utf-8")
    return names


def unpack(key, names):
    """What a row of the answer is about, from the number that the queries make of it: partner, api, operation, verdict,
    outcome. Partner or api may be None; without an api there is no operation."""
    key, verdict = divmod(int(key), 32)
    key, outcome = divmod(key, 4)
    key, operation = divmod(key, 4)
    partner, api = divmod(key, 64)
    return (
        None if partner == PARTNERS_MAX else names["partners"][partner],
        None if api == APIS_MAX else names["apis"][api],
        None if api == APIS_MAX else OPERATIONS[operation],
        names["verdicts"][verdict],
        OUTCOMES[outcome],
    )


def slot(partner, api, operation):
    """One number for (partner, api, operation); the queries make the same: 64 apis, 4 operations."""
    return (partner * 64 + api) * 4 + operation


def _credentials(credential_rows, partner_ids):
    """Each row with the time in which it speaks for its credential: from its start, the first always, to the next."""
    by_credential = {}
    for row in credential_rows:
        start_us = instant_us(row.get("valid_from"), ALWAYS_US)
        by_credential.setdefault(row["credential"], []).append((start_us, row))
    for credential, versions in by_credential.items():
        versions.sort(key=lambda version: version[0])
        starts = [start_us for start_us, _ in versions]
        for index, (start_us, row) in enumerate(versions):
            yield [
                credential,
                partner_ids[row["partner"]],
                start_us if index else ALWAYS_US,
                starts[index + 1] if index + 1 < len(starts) else NEVER_US,
                start_us,
                instant_us(row.get("valid_until"), NEVER_US),
            ]


def _timeline(timeline_rows, partner_ids, api_ids):
    """The steps of every slot, where the file has one list for all partners without a grant on an api, and one for
    all operations that no grant of a pair names. Returns the verdicts by id, and the steps."""
    lists = {}
    for row in timeline_rows:
        key = (row["partner"], row["api"], row["operation"])
        from_us = int(row["from_us"]) if row["from_us"] else ALWAYS_US
        lists.setdefault(key, []).append((from_us, row["verdict"]))
    verdicts = SETTLED + sorted({verdict for steps in lists.values() for _, verdict in steps} - set(SETTLED))
    ids = {verdict: index for index, verdict in enumerate(verdicts)}
    steps = []
    for api, api_id in api_ids.items():
        ungranted = lists.get(("", api, ""), [])
        for partner, partner_id in partner_ids.items():
            others = lists.get((partner, api, ""), ungranted)
            for operation_id, operation in enumerate(OPERATIONS):
                of_slot = sorted(lists.get((partner, api, operation), others))
                ends = [from_us for from_us, _ in of_slot[1:]] + [NEVER_US]
                number = slot(partner_id, api_id, operation_id)
                steps.extend(
                    [number, from_us, until_us, ids[verdict]] for (from_us, verdict), until_us in zip(of_slot, ends)
                )
    return verdicts, steps


def _write(path, header, lines):
    with open(path, "w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)
