-- Every statement of the store, by name. `-- name: x` begins one; parameters are named.

-- name: save_session
INSERT INTO sessions (id, access_key, name, status, live, enqueue_order, record)
VALUES (:id, :access_key, :name, :status, :live, :enqueue_order, :record)
ON CONFLICT (id) DO UPDATE SET
    access_key = excluded.access_key,
    name = excluded.name,
    status = excluded.status,
    live = excluded.live,
    enqueue_order = excluded.enqueue_order,
    record = excluded.record;

-- name: live_sessions
SELECT record FROM sessions WHERE live = 1 ORDER BY enqueue_order;

-- name: session_by_id
SELECT record FROM sessions WHERE id = :id;

-- name: last_enqueue_order
SELECT coalesce(max(enqueue_order), 0) FROM sessions;

-- name: search_sessions
-- A page is cut from an index first: records are large, and those of other pages are not read.
SELECT record FROM sessions
WHERE id IN (
    SELECT id FROM sessions
    WHERE status IN (SELECT value FROM json_each(:statuses))
    ORDER BY enqueue_order DESC
    LIMIT :limit OFFSET :offset
)
ORDER BY enqueue_order DESC;

-- name: count_sessions
SELECT count(*) FROM sessions WHERE status IN (SELECT value FROM json_each(:statuses));

-- name: search_sessions_of_owner
SELECT record FROM sessions
WHERE access_key = :access_key AND status IN (SELECT value FROM json_each(:statuses))
ORDER BY enqueue_order DESC
LIMIT :limit OFFSET :offset;

-- name: count_sessions_of_owner
SELECT count(*) FROM sessions
WHERE access_key = :access_key AND status IN (SELECT value FROM json_each(:statuses));

-- name: used_since
SELECT access_key,
       json_extract(record, '$.requested_slots'),
       coalesce(json_extract(record, '$.status_history.SCHEDULED'), json_extract(record, '$.starts_at')),
       json_extract(record, '$.terminated_at')
FROM sessions
WHERE live = 0
  AND json_extract(record, '$.terminated_at') >= :since
  AND coalesce(json_extract(record, '$.status_history.SCHEDULED'), json_extract(record, '$.starts_at')) IS NOT NULL
ORDER BY json_extract(record, '$.terminated_at');

-- name: keypairs
SELECT access_key, secret_key, user_id, user_uuid, is_admin, is_active, created_at FROM keypairs ORDER BY access_key;

-- name: add_keypair
INSERT INTO keypairs (access_key, secret_key, user_id, user_uuid, is_admin, is_active, created_at)
VALUES (:access_key, :secret_key, :user_id, :user_uuid, :is_admin, :is_active, :created_at)
ON CONFLICT (access_key) DO UPDATE SET
    secret_key = excluded.secret_key,
    user_id = excluded.user_id,
    user_uuid = excluded.user_uuid,
    is_admin = excluded.is_admin,
    is_active = excluded.is_active;

-- name: remove_keypair
DELETE FROM keypairs WHERE access_key = :access_key;
