-- How often something of a topic has changed: what was read at a revision holds for as long as it stays. Triggers
-- count, so that no writer can forget to.
CREATE TABLE revisions (
    topic TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL
);
INSERT INTO revisions (topic, revision) VALUES ('login', 0), ('catalogue', 0);

CREATE TRIGGER app_tokens_insert AFTER INSERT ON app_tokens
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
CREATE TRIGGER app_tokens_update AFTER UPDATE ON app_tokens
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
CREATE TRIGGER app_tokens_delete AFTER DELETE ON app_tokens
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;

CREATE TRIGGER users_insert AFTER INSERT ON users
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
CREATE TRIGGER users_update AFTER UPDATE ON users
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
CREATE TRIGGER users_delete AFTER DELETE ON users
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;

CREATE TRIGGER projects_insert AFTER INSERT ON projects
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
CREATE TRIGGER projects_update AFTER UPDATE ON projects
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;
CREATE TRIGGER projects_delete AFTER DELETE ON projects
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'login'; END;

CREATE TRIGGER appliances_insert AFTER INSERT ON appliances
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'catalogue'; END;
CREATE TRIGGER appliances_update AFTER UPDATE ON appliances
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'catalogue'; END;
CREATE TRIGGER appliances_delete AFTER DELETE ON appliances
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'catalogue'; END;

CREATE TRIGGER appliance_versions_insert AFTER INSERT ON appliance_versions
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'catalogue'; END;
CREATE TRIGGER appliance_versions_update AFTER UPDATE ON appliance_versions
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'catalogue'; END;
CREATE TRIGGER appliance_versions_delete AFTER DELETE ON appliance_versions
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'catalogue'; END;

CREATE TRIGGER user_mixins_insert AFTER INSERT ON user_mixins
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'catalogue'; END;
CREATE TRIGGER user_mixins_update AFTER UPDATE ON user_mixins
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'catalogue'; END;
CREATE TRIGGER user_mixins_delete AFTER DELETE ON user_mixins
BEGIN UPDATE revisions SET revision = revision + 1 WHERE topic = 'catalogue'; END;
