#!/usr/bin/env bash
# The story behind `cmake/dev demo`. Usage: demo.sh VOUCH WORK_DIR DIR...
# Fails when a step does not give what it promises.
set -euo pipefail

vouch=$1
work=$2
shift 2
database=$PWD/$work/demo.db
copy=$PWD/$work/altered.db

step() { printf '\n== %s\n' "$*"; }
show() {
  printf '$ %s\n' "${*/#"$PWD/"/}"
  "$@"
}
broken() {
  printf '\ndemo: %s\n' "$*" >&2
  exit 1
}
query() { sqlite3 -readonly "$1" "$2"; }

rm -rf "$work"
mkdir -p "$work"

step "1. Index: every file below the directories becomes a row, in a unit of work with a receipt"
show "$vouch" --db "$database" index "$@"
units=$(query "$database" "SELECT count(*) FROM unit_of_work WHERE status = 'committed'")
((units > 0)) || broken "index left no receipts"

step "2. Audit: recompute every receipt, the chain between them, and every row from what is stored"
show "$vouch" --db "$database" audit || broken "the audit found something in an untouched database"

step "3. One receipt: the bytes that are hashed are plain text"
show "$vouch" --db "$database" receipt list --limit 3
id=$(query "$database" "SELECT uow_id FROM unit_of_work WHERE status = 'committed'
                        ORDER BY seq LIMIT 1 OFFSET $((units / 2))")
show "$vouch" --db "$database" receipt show "$id"
computed=$("$vouch" --db "$database" receipt show "$id" | sha256sum | cut -d ' ' -f 1)
stored=$(query "$database" "SELECT receipt_hash FROM unit_of_work WHERE uow_id = '$id'")
printf 'sha256sum says  %s\nthe ledger says %s\n' "$computed" "$stored"
[[ $computed == "$stored" ]] || broken "the receipt's bytes do not have the stored hash"

step "4. Tamper: alter one row of a copy behind vouch's back, and audit the copy"
cp "$database" "$copy"
row=$(sqlite3 "$copy" "UPDATE document_index SET title = 'altered' WHERE id =
  (SELECT id FROM document_index ORDER BY id LIMIT 1
   OFFSET (SELECT count(*) / 2 FROM document_index)) RETURNING id")
printf "altered document_index, id %s, with the sqlite3 shell\n" "$row"
status=0
findings=$(show "$vouch" --db "$copy" audit 2>&1) || status=$?
printf '%s\n(exit code %s)\n' "$findings" "$status"
((status == 1)) || broken "the audit of an altered copy ended with $status, not 1"
[[ $findings == *"document_index/"*"$row"* ]] || broken "the audit did not name the altered row"

step "5. What to read next"
cat <<END
README.md        what vouch promises, when not to use it, the numbers
uow/engine.h     units of work and receipts in your own program; start here
pool/pool.h      the connection pool
$work/demo.db
                 this database; what else to ask it: $vouch --help
END
