-- An appliance that a project has saved of one of its machines is for its members alone.
ALTER TABLE appliances ADD COLUMN project_id TEXT REFERENCES projects (id);
