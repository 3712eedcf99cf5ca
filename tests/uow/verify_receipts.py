#!/usr/bin/env python3
"""Checks a ledger of receipts without the library that wrote it.

    verify_receipts.py [--immutable] [--store NAME=TABLE[,TABLE...]]... [--explicit NAME]...
                       [--unreceipted TABLE]... [--print SEQ] DATABASE

Recomputes every receipt hash, the chain, each unit's tree of writes, the custody of each record
and the checksum of each live row, from the published description of the format alone: it shares
no code with the library, so that the two check each other. Needs Python 3.9 and nothing else.

Prints "N receipts, M writes, K rows agree" and the head, and exits with 0; or names the first
difference and exits with 1. Exit 2: wrong usage, or the database cannot be opened.
"""

import argparse
import hashlib
import re
import sqlite3
import struct
import sys
import urllib.parse

OWN_TABLES = {"uow_ledger", "unit_of_work", "uow_writes", "uow_tree", "uow_checkpoints",
              "uow_payloads", "uow_outbox", "schema_migrations"}
NO_HASH = b"0" * 64

ULID = re.compile(rb"[0-7][0-9A-HJKMNP-TV-Z]{25}")
TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
VERSION = re.compile(rb"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}")
HEX = re.compile(rb"[0-9a-f]{64}")
RECORD_PART = rb"(-?[1-9]\d*|0|'([A-Za-z0-9._~-]|%[0-9A-F]{2})*|x([0-9a-f]{2})*|r[0-9a-f]{16})"
ROW_RECORD = re.compile(rb"([A-Za-z0-9._~-]|%[0-9A-F]{2})+/" + RECORD_PART + rb"(," + RECORD_PART +
                        rb")*")


class Difference(Exception):
    """The database is not what its receipts say."""


# ---- The format ----

def sha256(data):
    return hashlib.sha256(data).digest()


def text(data):
    return b"%d:%s" % (len(data), data)


def opt(data):
    return b"-" if data is None else text(data)


def tree_head(leaves):
    """RFC 6962, by its recursive definition over hashes, a level at a time."""
    level = [sha256(b"\x00" + leaf) for leaf in leaves]
    if not level:
        return sha256(b"")
    # Pairing neighbours and carrying an odd one up gives the same tree as splitting at powers of 2.
    while len(level) > 1:
        pairs = [sha256(b"\x01" + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + (level[-1:] if len(level) % 2 else [])
    return level[0]


def real_bits(number):
    return struct.pack(">d", number + 0.0).hex().encode()  # -0.0 + 0.0 is 0.0


def normal(kind, value, real_affinity):
    """A stored value as it is hashed: an integer in a REAL column counts as a real."""
    if kind == b"integer" and real_affinity:
        return b"real", float(value)
    return kind, value


def encode_value(kind, value):
    if kind == b"integer":
        digits = b"%d" % value
        return b"i%d:%s" % (len(digits), digits)
    if kind == b"real":
        return b"r16:" + real_bits(value)
    return {b"text": b"t", b"blob": b"b"}[kind] + text(value)


def percent(data):
    return urllib.parse.quote(data, safe="").encode()  # quote() leaves A-Za-z0-9_.-~ as they are


def record_part(kind, value):
    if kind == b"integer":
        return b"%d" % value
    if kind == b"real":
        return b"r" + real_bits(value)
    if kind == b"text":
        return b"'" + percent(value)
    return b"x" + value.hex().encode()


def has_real_affinity(declared):
    """SQLite's rules, in their order: INT, then text, then BLOB, then REAL."""
    declared = declared.upper()
    if any(part in declared for part in (b"INT", b"CHAR", b"CLOB", b"TEXT", b"BLOB")):
        return False
    return any(part in declared for part in (b"REAL", b"FLOA", b"DOUB"))


# ---- Tables ----

class Table:
    """A table of the schema main, and why it is in no store, if so."""

    def __init__(self, database, name, kind, without_rowid, strict):
        self.name = name
        quoted = quote(name)
        columns = database.execute(f"PRAGMA main.table_xinfo({quoted})").fetchall()
        stored = [(column, has_real_affinity(declared), key, not_null)
                  for _, column, declared, not_null, _, key, hidden in columns if hidden == 0]
        self.key = sorted((c for c in stored if c[2]), key=lambda c: c[2])
        self.rest = sorted((c for c in stored if not c[2]), key=lambda c: c[0])
        self.reason = self.why_not(database, kind, without_rowid, strict, columns)

    def why_not(self, database, kind, without_rowid, strict, columns):
        if kind != b"table":
            return kind.decode()
        if not self.key:
            return "no primary key"
        if without_rowid or strict or all(not_null for _, _, _, not_null in self.key):
            return None
        types = [declared for _, _, declared, _, _, key, _ in columns if key]
        if [t.upper() for t in types] == [b"INTEGER"]:
            # Not the rowid when spelt INTEGER PRIMARY KEY DESC: then the key has an index.
            origins = database.execute(f"PRAGMA main.index_list({quote(self.name)})").fetchall()
            if not any(origin == b"pk" for _, _, _, origin, _ in origins):
                return None
        return "its key can be NULL"

    def count(self, database):
        try:
            return database.execute(f"SELECT count(*) FROM main.{quote(self.name)}").fetchone()[0]
        except sqlite3.Error:
            return "unknown"

    def rows(self, database):
        """Yields (record id, checksum) of every row, from a fresh SELECT."""
        columns = self.key + self.rest
        wanted = ", ".join(f"{quote(c[0])}, typeof({quote(c[0])})" for c in columns)
        head = b"vouch-row/1\n" + text(self.name) + b"\n"
        for row in database.execute(f"SELECT {wanted} FROM main.{quote(self.name)} NOT INDEXED"):
            values = [normal(row[2 * i + 1], row[2 * i], c[1]) for i, c in enumerate(columns)]
            lines = [text(c[0]) + encode_value(*v) + b"\n" if v[0] != b"null" else b""
                     for c, v in zip(columns, values)]
            keys = len(self.key)
            if any(kind == b"null" for kind, _ in values[:keys]):
                raise Difference(f"table {show(self.name)} has a row whose key is NULL")
            record = percent(self.name) + b"/" + b",".join(record_part(*v) for v in values[:keys])
            yield record, sha256(head + b"".join(lines[:keys]) + b"\n" + b"".join(lines[keys:]))


def quote(name):
    return '"' + name.decode().replace('"', '""') + '"'


def show(data):
    return data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else str(data)


def is_own(name):
    name = name.decode().lower()
    return (name in OWN_TABLES or name.endswith("_schema_migrations") or
            name.startswith("storage_"))


def read_tables(database):
    rows = database.execute("SELECT name, type, wr, strict FROM pragma_table_list"
                            " WHERE schema = 'main' ORDER BY name").fetchall()
    return {name: Table(database, name, kind, wr, strict) for name, kind, wr, strict in rows
            if kind != b"view" and not name.lower().startswith(b"sqlite_") and not is_own(name)}


# ---- The ledger ----

class Row:
    """One row of a ledger table, whose columns are checked as they are read."""

    def __init__(self, where, names, values):
        self.where = where
        self.cells = {name: (values[2 * i + 1], values[2 * i]) for i, name in enumerate(names)}

    def get(self, column, kind, pattern=None, optional=False):
        actual, value = self.cells[column]
        if optional and actual == b"null":
            return None
        if actual != kind:
            raise Difference(f"{self.where}: {column} is {show(actual)}, not {show(kind)}")
        if pattern is not None and not pattern.fullmatch(value):
            raise Difference(f"{self.where}: {column} is malformed: {show(value)!r}")
        return value

    def text(self, column, pattern=None, optional=False):
        return self.get(column, b"text", pattern, optional)

    def count(self, column):
        value = self.get(column, b"integer")
        if value < 0:
            raise Difference(f"{self.where}: {column} is negative")
        return value


def read(database, table, names, order):
    wanted = ", ".join(f"{n}, typeof({n})" for n in names)
    for values in database.execute(f"SELECT {wanted} FROM main.{table} NOT INDEXED {order}"):
        where = f"{table} {values[0]}" if order else table
        yield Row(where, names, values)


def require(condition, message):
    if not condition:
        raise Difference(message)


def read_ledger_id(database):
    rows = list(read(database, "uow_ledger", ["id", "format", "created"], ""))
    require(len(rows) == 1, f"uow_ledger has {len(rows)} rows, not one")
    ledger = rows[0].text("id", ULID)
    rows[0].text("created", TIME)
    version = rows[0].get("format", b"integer")
    require(version == 1, f"the ledger has format {version}, which this program does not know")
    return ledger


class Record:
    def __init__(self, checksum, seq):
        self.checksum, self.seq, self.live = checksum, seq, False


class Ledger:
    def __init__(self, database, printed=None):
        self.database = database
        self.printed = printed
        self.id = read_ledger_id(database)
        self.records = {}  # (store, record id) -> Record
        self.upserted = set()  # stores with an explicit write
        self.leaves = []
        self.head = NO_HASH
        self.writes = 0

    def check(self):
        columns = ["seq", "uow_id", "envelope_id", "status", "created_ts", "committed_ts",
                   "store_count", "total_bytes_written", "error_type", "failed_store",
                   "receipt_hash", "space_id", "actor_id", "device_id", "correlation_id", "band",
                   "contract_version"]
        writes = self.grouped_writes()
        group = next(writes, None)
        for unit in read(self.database, "unit_of_work", columns, "ORDER BY seq"):
            seq = unit.get("seq", b"integer")
            require(seq == len(self.leaves) + 1, f"unit {len(self.leaves) + 1} is missing")
            mine = []
            if group is not None and group[0] == seq:
                mine, group = group[1], next(writes, None)
            elif group is not None:
                require(group[0] > seq, f"writes of unit {group[0]}, which does not exist")
            self.check_unit(seq, unit, mine)
        require(group is None, f"writes of unit {group and group[0]}, which does not exist")

    def grouped_writes(self):
        """Yields (seq, writes) in order."""
        columns = ["seq", "ordinal", "store", "record_id", "operation_type", "bytes_written",
                   "checksum", "prior_checksum"]
        seq, group = None, []
        for write in read(self.database, "uow_writes", columns, "ORDER BY seq, ordinal"):
            number = write.get("seq", b"integer")
            if number != seq:
                if group:
                    yield seq, group
                seq, group = number, []
            group.append(write)
        if group:
            yield seq, group

    def check_unit(self, seq, unit, writes):
        leaves, stores, total = [], set(), 0
        for ordinal, write in enumerate(writes):
            require(write.get("ordinal", b"integer") == ordinal,
                    f"unit {seq}: write {ordinal} is missing")
            leaf, store, count = self.check_write(seq, ordinal, write)
            leaves.append(leaf)
            stores.add(store)
            total += count
        self.writes += len(writes)
        status = unit.text("status", re.compile(rb"committed|rolled_back|failed"))
        committed = unit.text("committed_ts", TIME, optional=True)
        error = unit.text("error_type", optional=True)
        failed = unit.text("failed_store", optional=True)
        require((committed is not None) == (status == b"committed"),
                f"unit {seq}: committed_ts does not fit its status")
        if status == b"failed":
            require(error is not None, f"unit {seq}: failed without an error_type")
        else:
            require(error is None and failed is None, f"unit {seq}: an error, but it did not fail")
        require(status == b"committed" or not writes, f"unit {seq}: writes, but not committed")
        require(unit.count("store_count") == len(stores), f"unit {seq}: store_count is wrong")
        require(unit.count("total_bytes_written") == total,
                f"unit {seq}: total_bytes_written is wrong")
        band = unit.text("band", re.compile(rb"GREEN|AMBER|RED|BLACK"), optional=True)
        lines = [
            b"vouch-receipt/1",
            b"ledger " + self.id,
            b"seq %d" % seq,
            b"prev " + self.head,
            b"uow " + unit.text("uow_id", ULID),
            b"status " + status,
            b"created " + unit.text("created_ts", TIME),
            b"committed " + (committed or b"-"),
            b"contract " + unit.text("contract_version", VERSION),
            b"envelope " + opt(unit.text("envelope_id", optional=True)),
            b"space " + opt(unit.text("space_id", optional=True)),
            b"actor " + opt(unit.text("actor_id", optional=True)),
            b"device " + opt(unit.text("device_id", optional=True)),
            b"correlation " + opt(unit.text("correlation_id", optional=True)),
            b"band " + (band or b"-"),
            b"error " + opt(error),
            b"failed " + opt(failed),
            b"stores %d" % len(stores),
            b"bytes %d" % total,
            b"writes %d %s" % (len(writes), tree_head(leaves).hex().encode()),
        ]
        receipt = b"\n".join(lines) + b"\n"
        if seq == self.printed:
            sys.stdout.buffer.write(receipt)
        self.head = sha256(receipt).hex().encode()
        require(unit.text("receipt_hash", HEX) == self.head,
                f"unit {seq}: its receipt hash does not match what it records")
        self.leaves.append(receipt)

    def check_write(self, seq, ordinal, write):
        where = f"unit {seq}, write {ordinal}"
        store, record = write.text("store"), write.text("record_id")
        operation = write.text("operation_type", re.compile(rb"create|update|delete|upsert"))
        count = write.count("bytes_written")
        prior = write.text("prior_checksum", HEX, optional=True)
        checksum = write.text("checksum", HEX, optional=True)
        before = self.records.get((store, record))
        where += f" ({show(store)} {show(record)})"
        require(before is None or before.seq != seq, f"{where}: second write of one record")
        require(prior == (before and before.checksum),
                f"{where}: the prior checksum is not the record's last one")
        require({b"create": prior is None and checksum is not None,
                 b"update": prior is not None and checksum is not None,
                 b"delete": prior is not None and checksum is None and count == 0,
                 b"upsert": checksum is not None}[operation],
                f"{where}: its checksums do not fit its operation")
        self.records[store, record] = Record(checksum, seq)
        if operation == b"upsert":
            self.upserted.add(store)
        leaf = b"".join([b"vouch-write/1\n",
                         b"store " + text(store) + b"\n",
                         b"record " + text(record) + b"\n",
                         b"op " + operation + b"\n",
                         b"bytes %d\n" % count,
                         b"prior " + (prior or b"-") + b"\n",
                         b"checksum " + (checksum or b"-") + b"\n"])
        return leaf, store, count


# ---- Live rows ----

def table_of(record):
    return urllib.parse.unquote_to_bytes(record.split(b"/", 1)[0])


def explicit_stores(ledger, given):
    """Stores without tables: those named, vouch's own, and those whose ids are no rows' ids."""
    explicit = set(given) | {b"vouch"} | ledger.upserted
    explicit |= {store for store, record in ledger.records if not ROW_RECORD.fullmatch(record)}
    return explicit


def assign(ledger, tables, stores, explicit, unreceipted):
    """The store of each table, where it has one."""
    owner = {}
    for store, names in stores.items():
        for name in names:
            owner[name] = store
    latest = {}
    for (store, record), last in ledger.records.items():
        if store not in explicit:
            table = table_of(record)
            # A table that moved has its records deleted in one store and created in another.
            claim = (last.seq if last.checksum else 0, last.seq)
            if claim > latest.get(table, ((0, 0), None))[0]:
                latest[table] = (claim, store)
    for table, (_, store) in latest.items():
        owner.setdefault(table, store)
    if b"main" not in stores and any(store == b"main" for store, _ in ledger.records):
        for name in tables:
            owner.setdefault(name, b"main")
    return {name: owner[name] for name, table in tables.items()
            if name in owner and table.reason is None and name not in unreceipted}


def check_rows(database, ledger, tables, owner, explicit):
    rows = 0
    for name, store in owner.items():
        for record, checksum in tables[name].rows(database):
            known = ledger.records.get((store, record))
            where = f"row {show(record)} of store {show(store)}"
            require(known is not None and known.checksum is not None, f"{where} has no receipt")
            require(not known.live, f"{where} is there twice")
            require(known.checksum == checksum.hex().encode(),
                    f"{where} is not what unit {known.seq} left")
            known.live = True
            rows += 1
    for (store, record), known in ledger.records.items():
        require(known.checksum is None or known.live or store in explicit,
                f"row {show(record)} of store {show(store)}, left by unit {known.seq}, is missing")
    return rows


def verify(database, options):
    encoding = database.execute("PRAGMA encoding").fetchone()[0]
    require(encoding == b"UTF-8", f"the database's encoding is {show(encoding)}, not UTF-8")
    ledger = Ledger(database, options.print)
    ledger.check()
    tables = read_tables(database)
    stores = {name.encode(): names.encode().split(b",") if names else []
              for name, _, names in (store.partition("=") for store in options.store)}
    explicit = explicit_stores(ledger, {name.encode() for name in options.explicit})
    explicit -= set(stores)
    owner = assign(ledger, tables, stores, explicit, {t.encode() for t in options.unreceipted})
    rows = check_rows(database, ledger, tables, owner, explicit)
    print(f"{len(ledger.leaves)} receipts, {ledger.writes} writes, {rows} rows agree")
    tree = tree_head(ledger.leaves).hex()
    print(f"ledger {show(ledger.id)} head {show(ledger.head)} tree {tree}")
    for store in sorted({store for store, _ in ledger.records} & explicit):
        print(f"store {show(store)}: custody only, it has no tables")
    for name, table in tables.items():
        if name not in owner:
            reason = table.reason or "in no store"
            print(f"table {show(name)}: skipped, {reason}, {table.count(database)} rows")


def main():
    parser = argparse.ArgumentParser(description="Checks a ledger of receipts.")
    parser.add_argument("database")
    parser.add_argument("--immutable", action="store_true",
                        help="open without locks: nothing else may use the file")
    parser.add_argument("--store", action="append", default=[], metavar="NAME=TABLE[,TABLE...]")
    parser.add_argument("--explicit", action="append", default=[], metavar="NAME")
    parser.add_argument("--unreceipted", action="append", default=[], metavar="TABLE")
    parser.add_argument("--print", type=int, metavar="SEQ", help="also print one receipt's bytes")
    options = parser.parse_args()
    uri = "file:" + urllib.parse.quote(options.database) + "?mode=ro"
    uri += "&immutable=1" if options.immutable else ""
    try:
        database = sqlite3.connect(uri, uri=True, isolation_level=None)
        database.text_factory = bytes
        database.execute("BEGIN")
        database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        print(f"cannot open {options.database}: {error}", file=sys.stderr)
        return 2
    try:
        verify(database, options)
    except Difference as difference:
        print(f"DIFFERENCE: {difference}")
        return 1
    except sqlite3.Error as error:
        print(f"DIFFERENCE: the database cannot be read: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
