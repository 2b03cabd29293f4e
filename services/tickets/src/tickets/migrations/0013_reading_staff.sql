-- Staff act by a token of their own, through the services, which write who it was. The role in SQL reads, and nothing else.
REVOKE UPDATE (status, assignee, updated_at) ON tickets FROM tickets_staff;
REVOKE INSERT ON audit FROM tickets_staff;
REVOKE UPDATE (state, changed_at) ON notifications FROM tickets_staff;
DROP POLICY staff ON tickets;
DROP POLICY staff ON audit;
DROP POLICY staff ON notifications;
CREATE POLICY staff ON tickets FOR SELECT TO tickets_staff USING (true);
CREATE POLICY staff ON audit FOR SELECT TO tickets_staff USING (true);
CREATE POLICY staff ON notifications FOR SELECT TO tickets_staff USING (true);

-- What members of staff decide about notifications that were not delivered.
CREATE POLICY decided ON notifications FOR UPDATE TO tickets_app
    USING ((SELECT tickets.desk()) LIKE 'staff/%')
    WITH CHECK ((SELECT tickets.desk()) LIKE 'staff/%' AND state IN ('wanted', 'dropped'));
