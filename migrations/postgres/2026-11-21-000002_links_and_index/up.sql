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
);
CREATE INDEX entity_mixins_by_mixin ON entity_mixins (mixin, entity_id);

CREATE TABLE entity_attributes (
    entity_id TEXT NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (entity_id, name)
);
CREATE INDEX entity_attributes_by_value ON entity_attributes (name, value, entity_id);

INSERT INTO entity_mixins (entity_id, position, mixin)
SELECT entities.id, (member.position - 1)::INTEGER, member.mixin
FROM entities, json_array_elements_text(entities.mixins::json) WITH ORDINALITY AS member (mixin, position);

-- Whole numbers are written without a fraction. Values of more than 256 bytes are found again once they are written
-- again.
INSERT INTO entity_attributes (entity_id, name, value)
SELECT
    entities.id,
    member.key,
    CASE json_typeof(member.value)
        WHEN 'number' THEN regexp_replace(member.value::text, '\.0$', '')
        ELSE member.value::text
    END
FROM entities, json_each(entities.attributes::json) AS member
WHERE octet_length(member.value::text) <= 256;
