"""Asks one peer the question of `overstay audit`; scripts/compare-peers runs it in an environment that has the peers.

    peer.py PEER LOG TABLES OUT THREADS

PEER is duckdb, clickhouse or polars; LOG the JSON lines; TABLES the folder that tables.py wrote. Writes the answer to
OUT/usage.csv (key, calls, bytes, first_us, last_us, subjects) and OUT/latency.csv (kind, id, p50, p90, p99), and prints
the version and the seconds that the query alone took. Imports, the register's tables, and the writing of the answer
are not counted.
"""

import csv
import json
import os
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent


def parts(file, names):
    """The parts of a file of SQL by name, each a list of statements."""
    text = (HERE / file).read_text(encoding="utf-8")
    for name in sorted(names, key=len, reverse=True):
        text = text.replace("$" + name, str(names[name]))
    chunks = (chunk.split("\n", 1) for chunk in text.split("-- part: ")[1:])
    return {name.strip(): [one.strip() for one in sql.split(";\n") if one.strip()] for name, sql in chunks}


def duckdb(names, threads):
    import duckdb as engine

    connection = engine.connect(config={"threads": threads, "preserve_insertion_order": False})
    connection.execute("SET TimeZone = 'UTC'")
    statements = parts("duckdb.sql", names)
    for statement in statements["tables"]:
        connection.execute(statement)
    start = time.perf_counter()
    for statement in statements["query"]:
        connection.execute(statement)
    seconds = time.perf_counter() - start
    (usage,), (latency,) = statements["usage"], statements["latency"]
    return engine.__version__, seconds, connection.execute(usage).fetchall(), connection.execute(latency).fetchall()


def clickhouse(names, threads):
    from chdb import session

    engine = session.Session()
    settings = {
        "max_threads": threads,
        "join_use_nulls": 1,
        "session_timezone": "'UTC'",
        "input_format_skip_unknown_fields": 1,
        "date_time_input_format": "'best_effort'",
    }
    for name, value in settings.items():
        engine.query(f"SET {name} = {value}")
    engine.query("CREATE DATABASE peers")
    engine.query("USE peers")
    version = str(engine.query("SELECT version()", "TSV")).strip()
    statements = parts("clickhouse.sql", names)
    for statement in statements["tables"]:
        engine.query(statement)
    start = time.perf_counter()
    for statement in statements["query"]:
        engine.query(statement)
    seconds = time.perf_counter() - start
    (usage,), (latency,) = statements["usage"], statements["latency"]

    def rows(sql):
        return list(csv.reader(str(engine.query(sql, "CSV")).splitlines()))

    return version, seconds, rows(usage), rows(latency)


def polars(names, threads):
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as engine

    import with_polars

    tables = with_polars.tables(Path(names["TABLES"]))
    start = time.perf_counter()
    usage, latency = with_polars.query(Path(names["LOG"]), tables, names)
    seconds = time.perf_counter() - start
    return engine.__version__, seconds, usage.rows(), latency.rows()


def main():
    peer, log, folder, out, threads = sys.argv[1:]
    ids = json.loads((Path(folder) / "names.json").read_text(encoding="utf-8"))["verdicts"]
    names = {"LOG": log, "TABLES": folder}
    # The first word of a verdict is enough to tell those that the queries name.
    names.update({verdict.split("-")[0]: index for index, verdict in reversed(list(enumerate(ids)))})
    ask = {"duckdb": duckdb, "clickhouse": clickhouse, "polars": polars}[peer]
    try:
        version, seconds, usage, latency = ask(names, int(threads))
    except Exception as error:
        traceback.print_exc()
        # What was wrong stands in one line at the end, whatever the peer draws under its queries.
        sys.exit(f"{type(error).__name__}: {str(error).splitlines()[0]}" if str(error) else type(error).__name__)
    for name, rows in (("usage", usage), ("latency", latency)):
        with open(Path(out) / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    print(json.dumps({"version": version, "seconds": seconds}))


if __name__ == "__main__":
    main()
