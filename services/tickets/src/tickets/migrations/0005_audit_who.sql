-- Who did it is the database's own word, whatever a statement says: of the services it is the caller for whom they act (the
-- policy `caller` holds them to it), of everybody else the role that has logged in.
CREATE FUNCTION audit_who() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_user <> 'tickets_app' THEN
        NEW.who := session_user;
    END IF;
    RETURN NEW;
END
$$;

REVOKE ALL ON FUNCTION audit_who() FROM PUBLIC;
CREATE TRIGGER audit_who BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_who();
