-- A login of the application, for one lease. It acts as the owner of the database from the first statement on, so that what
-- it makes belongs to the owner and outlives the login. {{...}} is filled in by Vault.
CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE "${database}";
ALTER ROLE "{{name}}" SET role = '${database}';
-- Only a member may end its sessions.
GRANT "{{name}}" TO CURRENT_USER;
