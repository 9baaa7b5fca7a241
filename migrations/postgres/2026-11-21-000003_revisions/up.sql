-- How often something of a topic has changed: what was read at a revision holds for as long as it stays. Triggers
-- count, so that no writer can forget to.
CREATE TABLE revisions (
    topic TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL
);
INSERT INTO revisions (topic, revision) VALUES ('login', 0), ('catalogue', 0);

CREATE FUNCTION count_revision() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE revisions SET revision = revision + 1 WHERE topic = TG_ARGV[0];
    RETURN NULL;
END;
$$;

CREATE TRIGGER app_tokens_changed AFTER INSERT OR UPDATE OR DELETE ON app_tokens
FOR EACH STATEMENT EXECUTE FUNCTION count_revision('login');
CREATE TRIGGER users_changed AFTER INSERT OR UPDATE OR DELETE ON users
FOR EACH STATEMENT EXECUTE FUNCTION count_revision('login');
CREATE TRIGGER projects_changed AFTER INSERT OR UPDATE OR DELETE ON projects
FOR EACH STATEMENT EXECUTE FUNCTION count_revision('login');
CREATE TRIGGER appliances_changed AFTER INSERT OR UPDATE OR DELETE ON appliances
FOR EACH STATEMENT EXECUTE FUNCTION count_revision('catalogue');
CREATE TRIGGER appliance_versions_changed AFTER INSERT OR UPDATE OR DELETE ON appliance_versions
FOR EACH STATEMENT EXECUTE FUNCTION count_revision('catalogue');
CREATE TRIGGER user_mixins_changed AFTER INSERT OR UPDATE OR DELETE ON user_mixins
FOR EACH STATEMENT EXECUTE FUNCTION count_revision('catalogue');
