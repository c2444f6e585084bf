-- What is searched has a column; the whole record is kept as JSON beside it, so that a new field of a session
-- needs no migration. `live` = the status is not terminal.
CREATE TABLE sessions (
    id            TEXT PRIMARY KEY,
    access_key    TEXT NOT NULL,
    name          TEXT NOT NULL,
    status        TEXT NOT NULL,
    live          INTEGER NOT NULL,
    enqueue_order INTEGER NOT NULL,
    record        TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX sessions_by_order ON sessions (enqueue_order);
CREATE INDEX sessions_by_owner ON sessions (access_key, enqueue_order);
CREATE INDEX sessions_by_status ON sessions (status, enqueue_order);
CREATE INDEX sessions_live ON sessions (enqueue_order) WHERE live = 1;

CREATE TABLE keypairs (
    access_key TEXT PRIMARY KEY,
    secret_key TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    user_uuid  TEXT NOT NULL,
    is_admin   INTEGER NOT NULL,
    is_active  INTEGER NOT NULL,
    created_at TEXT
) WITHOUT ROWID;
