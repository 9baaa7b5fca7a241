-- Ids are UUIDv7 text, times microseconds since 1970 in UTC, documents JSON text: the same on both databases.
CREATE TABLE projects (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE app_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    project_id TEXT NOT NULL REFERENCES projects (id),
    secret_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE TABLE appliances (
    name TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    publisher TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE appliance_versions (
    id TEXT NOT NULL PRIMARY KEY,
    appliance TEXT NOT NULL REFERENCES appliances (name),
    label TEXT NOT NULL,
    image TEXT NOT NULL,
    image_bytes BIGINT NOT NULL,
    requirements TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    withdrawn_at BIGINT,
    UNIQUE (appliance, label)
);

CREATE TABLE entities (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES projects (id),
    kind TEXT NOT NULL,
    mixins TEXT NOT NULL,
    attributes TEXT NOT NULL,
    state TEXT NOT NULL,
    state_message TEXT,
    site TEXT NOT NULL,
    placement TEXT NOT NULL,
    specification TEXT NOT NULL,
    machine TEXT,
    facts TEXT NOT NULL,
    removal_requested_at BIGINT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX entities_by_project ON entities (project_id, kind, id);
CREATE INDEX entities_by_site ON entities (site, id);

CREATE TABLE sagas (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    entity_id TEXT NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
    blocked_by TEXT,
    state TEXT NOT NULL,
    step INTEGER NOT NULL,
    parameters TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    run_at BIGINT NOT NULL,
    owner TEXT,
    lease_until BIGINT,
    fence BIGINT NOT NULL,
    cancel_requested_at BIGINT,
    error TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX sagas_due ON sagas (state, run_at);
CREATE INDEX sagas_by_entity ON sagas (entity_id, id);

CREATE TABLE saga_log (
    saga_id TEXT NOT NULL REFERENCES sagas (id) ON DELETE CASCADE,
    sequence BIGINT NOT NULL,
    step TEXT NOT NULL,
    event TEXT NOT NULL,
    detail TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (saga_id, sequence)
);

CREATE TABLE intents (
    id TEXT NOT NULL PRIMARY KEY,
    entity_id TEXT NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
    saga_id TEXT NOT NULL,
    site TEXT NOT NULL,
    machine TEXT,
    created_at BIGINT NOT NULL,
    settled_at BIGINT
);
CREATE INDEX intents_by_entity ON intents (entity_id);
