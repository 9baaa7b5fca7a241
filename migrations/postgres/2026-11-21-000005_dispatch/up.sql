-- A saga waits for its turn at its site, by operation and priority; who works on it is a replica that is alive.
ALTER TABLE sagas ADD COLUMN site TEXT NOT NULL DEFAULT '';
ALTER TABLE sagas ADD COLUMN operation TEXT NOT NULL DEFAULT 'change';
ALTER TABLE sagas ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sagas ADD COLUMN expires_at BIGINT;
ALTER TABLE sagas ADD COLUMN begun_at BIGINT;
ALTER TABLE sagas ADD COLUMN asked_at BIGINT;
ALTER TABLE sagas ADD COLUMN request_id TEXT;
ALTER TABLE sagas DROP COLUMN lease_until;
UPDATE sagas SET
    owner = NULL,
    site = (SELECT entities.site FROM entities WHERE entities.id = sagas.entity_id),
    begun_at = CASE WHEN fence > 0 THEN created_at END,
    asked_at = CASE WHEN fence > 0 THEN updated_at END,
    operation = CASE name
        WHEN 'provision' THEN 'create'
        WHEN 'make' THEN 'create'
        WHEN 'removal' THEN 'remove'
        WHEN 'power' THEN 'power'
        WHEN 'save' THEN 'save'
        WHEN 'link' THEN 'link'
        ELSE 'change'
    END;
DROP INDEX sagas_due;
CREATE INDEX sagas_due ON sagas (site, operation, priority DESC, run_at, id)
WHERE owner IS NULL AND blocked_by IS NULL AND state IN ('running', 'unwinding');
CREATE INDEX sagas_held ON sagas (site, operation, owner) WHERE owner IS NOT NULL AND state IN ('running', 'unwinding');
CREATE INDEX sagas_waiting ON sagas (site, operation) WHERE begun_at IS NULL AND state IN ('running', 'unwinding');
CREATE INDEX sagas_unfinished ON sagas (entity_id, created_at, id) WHERE state IN ('running', 'unwinding');

CREATE INDEX entities_by_backend_id ON entities (site, backend_id) WHERE backend_id IS NOT NULL;

-- Processes that work on sagas. Each raises its beat; one whose beat stands still is dead to the others, by their own
-- clocks.
CREATE TABLE replicas (
    id TEXT NOT NULL PRIMARY KEY,
    beat BIGINT NOT NULL,
    started_at BIGINT NOT NULL
);

-- Who reconciles a site.
CREATE TABLE watches (
    site TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL
);

-- What happened, in the order of its sealing. Rows are only ever added, and sealed once: each seal is a hash over the
-- row and the seal before it.
CREATE TABLE events (
    id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    project_id TEXT,
    entity_id TEXT,
    request_id TEXT,
    body TEXT NOT NULL,
    position BIGINT UNIQUE,
    seal TEXT
);
CREATE INDEX events_unsealed ON events (id) WHERE position IS NULL;
CREATE INDEX events_by_project ON events (project_id, position) WHERE position IS NOT NULL;
CREATE INDEX events_by_entity ON events (entity_id, position);

-- What a live entity takes of its project's share.
CREATE TABLE reservations (
    entity_id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL,
    site TEXT NOT NULL,
    machines BIGINT NOT NULL,
    cores BIGINT NOT NULL,
    memory_mib BIGINT NOT NULL,
    disk_bytes BIGINT NOT NULL,
    addresses BIGINT NOT NULL
);
CREATE INDEX reservations_by_project ON reservations (project_id);

-- Answers to requests that may be sent again under the same key.
CREATE TABLE idempotency_keys (
    project_id TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- What a backend has with a tag of ours and nobody owns.
CREATE TABLE orphans (
    id TEXT NOT NULL PRIMARY KEY,
    site TEXT NOT NULL,
    kind TEXT NOT NULL,
    backend_id TEXT NOT NULL,
    tag TEXT NOT NULL,
    reason TEXT NOT NULL,
    facts TEXT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    UNIQUE (site, kind, backend_id)
);

-- The log cannot be rewritten by mistake; whoever does it on purpose breaks the seals.
CREATE FUNCTION keep_events() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'events are never deleted';
    END IF;
    IF OLD.position IS NOT NULL
        OR (OLD.id, OLD.at, OLD.kind, OLD.body) IS DISTINCT FROM (NEW.id, NEW.at, NEW.kind, NEW.body)
        OR (OLD.project_id, OLD.entity_id, OLD.request_id)
            IS DISTINCT FROM (NEW.project_id, NEW.entity_id, NEW.request_id)
    THEN
        RAISE EXCEPTION 'events are never changed';
    END IF;
    RETURN NEW;
END;
$$;
CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION keep_events();
