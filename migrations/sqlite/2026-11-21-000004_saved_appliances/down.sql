ALTER TABLE appliances DROP COLUMN project_id;
