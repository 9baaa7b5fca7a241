-- Mixins that members of a project define through the query interface.
CREATE TABLE user_mixins (
    project_id TEXT NOT NULL REFERENCES projects (id),
    id TEXT NOT NULL,
    title TEXT,
    depends TEXT NOT NULL,
    applies TEXT NOT NULL,
    location TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, id),
    UNIQUE (project_id, location)
);

-- What was there and is not any more, for as long as that is worth telling.
CREATE TABLE tombstones (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL,
    removed_at BIGINT NOT NULL
);
CREATE INDEX tombstones_by_age ON tombstones (removed_at);
