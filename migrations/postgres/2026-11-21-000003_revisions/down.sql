DROP TRIGGER app_tokens_changed ON app_tokens;
DROP TRIGGER users_changed ON users;
DROP TRIGGER projects_changed ON projects;
DROP TRIGGER appliances_changed ON appliances;
DROP TRIGGER appliance_versions_changed ON appliance_versions;
DROP TRIGGER user_mixins_changed ON user_mixins;
DROP FUNCTION count_revision();
DROP TABLE revisions;
