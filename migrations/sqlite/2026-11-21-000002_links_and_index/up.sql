-- What the backend calls an object is not always a machine.
ALTER TABLE entities RENAME COLUMN machine TO backend_id;

-- The ends of a link. A target may be elsewhere (a URI), so only the source is held by the database.
ALTER TABLE entities ADD COLUMN source TEXT REFERENCES entities (id);
ALTER TABLE entities ADD COLUMN target TEXT;
CREATE INDEX entities_by_source ON entities (source, project_id, id) WHERE source IS NOT NULL;
CREATE INDEX entities_by_target ON entities (target, project_id, id) WHERE target IS NOT NULL;

-- A list of places is read from one of these indices alone.
DROP INDEX entities_by_project;
CREATE INDEX entities_by_project ON entities (project_id, id, kind, source, removal_requested_at)
WHERE removal_requested_at IS NULL;
CREATE INDEX entities_by_kind ON entities (project_id, kind, id, source, removal_requested_at)
WHERE removal_requested_at IS NULL;

-- The end of every saga looks for those that wait for it.
CREATE INDEX sagas_by_blocker ON sagas (blocked_by) WHERE blocked_by IS NOT NULL;

-- What entities are found by. Their rows hold the same as documents; both are written by the same functions.
CREATE TABLE entity_mixins (
    entity_id TEXT NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    mixin TEXT NOT NULL,
    PRIMARY KEY (entity_id, position)
) WITHOUT ROWID;
CREATE INDEX entity_mixins_by_mixin ON entity_mixins (mixin, entity_id);

CREATE TABLE entity_attributes (
    entity_id TEXT NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (entity_id, name)
) WITHOUT ROWID;
CREATE INDEX entity_attributes_by_value ON entity_attributes (name, value, entity_id);

INSERT INTO entity_mixins (entity_id, position, mixin)
SELECT entities.id, member.key, member.value
FROM entities, json_each(entities.mixins) AS member;

-- Whole numbers are written without a fraction. Values of more than 256 bytes are found again once they are written
-- again: this database has no digests.
INSERT INTO entity_attributes (entity_id, name, value)
SELECT id, name, CASE WHEN type = 'real' AND text LIKE '%.0' THEN substr(text, 1, length(text) - 2) ELSE text END
FROM (
    SELECT entities.id AS id, member.key AS name, member.type AS type, entities.attributes -> member.fullkey AS text
    FROM entities, json_each(entities.attributes) AS member
)
WHERE length(CAST(text AS BLOB)) <= 256;
