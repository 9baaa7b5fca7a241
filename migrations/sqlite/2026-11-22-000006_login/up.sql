-- Who a user is to a provider. Never the e-mail address, which providers give to others too.
CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    provider TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_by_user ON identities (user_id);

-- Users have a standing: only active ones get in.
ALTER TABLE users ADD COLUMN standing TEXT NOT NULL DEFAULT 'active';
ALTER TABLE users ADD COLUMN display_name TEXT;
ALTER TABLE users ADD COLUMN email TEXT;

-- When a provider was last asked whether it still knows the user, and what it is asked with (sealed). Changes often, and
-- nothing that is kept in memory depends on it.
CREATE TABLE confirmations (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (id),
    provider TEXT NOT NULL,
    refresh_token TEXT,
    confirmed_at BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    claimed_until BIGINT
);

-- Of users without a provider.
CREATE TABLE passwords (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (id),
    hash TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- One-time links, by which the local administrator gets in.
CREATE TABLE login_links (
    secret_hash TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    expires_at BIGINT NOT NULL
);

-- Browsers that are signed in. The cookie's secret is not here, only its hash; the provider's token is sealed.
CREATE TABLE sessions (
    secret_hash TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    provider TEXT,
    provider_session TEXT,
    id_token TEXT,
    project_id TEXT REFERENCES projects (id),
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_provider ON sessions (provider, provider_session);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- What may be used once, until it would be void anyway: nonces, logout tokens.
CREATE TABLE spent (
    key TEXT NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX spent_by_end ON spent (expires_at);

-- Who has which role where: project and site are empty where the role has none. Those of a mapping are replaced whenever
-- the provider tells of the user anew.
CREATE TABLE grants (
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    project_id TEXT NOT NULL,
    site TEXT NOT NULL,
    origin TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (user_id, role, project_id, site, origin)
);
CREATE INDEX grants_by_project ON grants (project_id, user_id);

-- Limits of a project (user_id empty), of each of its members (user_id *), or of one member. No number, no limit.
CREATE TABLE quotas (
    project_id TEXT NOT NULL REFERENCES projects (id),
    user_id TEXT NOT NULL,
    machines BIGINT,
    cores BIGINT,
    memory_mib BIGINT,
    disk_bytes BIGINT,
    addresses BIGINT,
    PRIMARY KEY (project_id, user_id)
);

ALTER TABLE reservations ADD COLUMN user_id TEXT;
CREATE INDEX reservations_by_user ON reservations (project_id, user_id);

-- What a token is for, and no more than that: its owner's rights may be less by now.
ALTER TABLE app_tokens ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE app_tokens ADD COLUMN rights TEXT NOT NULL DEFAULT 'read operate';
CREATE INDEX app_tokens_by_user ON app_tokens (user_id);

-- Who has a token of a project was let into it by its operator.
INSERT INTO grants (user_id, role, project_id, site, origin, reason, created_at)
SELECT user_id, 'member', project_id, '', 'operator', 'had a token before roles were', MIN(created_at)
FROM app_tokens GROUP BY user_id, project_id;

CREATE TABLE invitations (
    id TEXT NOT NULL PRIMARY KEY,
    secret_hash TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL REFERENCES projects (id),
    role TEXT NOT NULL,
    note TEXT NOT NULL,
    created_by TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    uses_left INTEGER NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX invitations_by_project ON invitations (project_id, id);

-- People who have asked to be let in.
CREATE TABLE registrations (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    project_id TEXT REFERENCES projects (id),
    words TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    decided_at BIGINT,
    decided_by TEXT,
    outcome TEXT
);
CREATE INDEX registrations_open ON registrations (created_at) WHERE decided_at IS NULL;
CREATE INDEX registrations_by_user ON registrations (user_id, id);

-- Terminals that wait until a person lets them in (RFC 8628).
CREATE TABLE device_requests (
    device_code_hash TEXT NOT NULL PRIMARY KEY,
    user_code_hash TEXT NOT NULL UNIQUE,
    client TEXT NOT NULL,
    address TEXT NOT NULL,
    rights TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    polled_at BIGINT,
    interval_seconds INTEGER NOT NULL,
    state TEXT NOT NULL,
    user_id TEXT,
    project_id TEXT,
    -- For how long the token is to be good.
    days INTEGER,
    -- How often its user code was entered.
    entered INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX device_requests_by_end ON device_requests (expires_at);

-- Codes for programs on the person's own computer (RFC 8252), until they are exchanged.
CREATE TABLE authorization_codes (
    code_hash TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    project_id TEXT NOT NULL REFERENCES projects (id),
    client TEXT NOT NULL,
    rights TEXT NOT NULL,
    days INTEGER NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TRIGGER grants_insert AFTER INSERT ON grants
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
CREATE TRIGGER grants_update AFTER UPDATE ON grants
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
CREATE TRIGGER grants_delete AFTER DELETE ON grants
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
CREATE TRIGGER identities_insert AFTER INSERT ON identities
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
CREATE TRIGGER identities_update AFTER UPDATE ON identities
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
CREATE TRIGGER identities_delete AFTER DELETE ON identities
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
-- One that is not there is not kept in memory, so that a new one changes nothing.
CREATE TRIGGER sessions_update AFTER UPDATE ON sessions
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
CREATE TRIGGER sessions_delete AFTER DELETE ON sessions
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
