-- Keys by which the staff's own tools come in at the desk: they stand beside those of machines, and open no other door.
ALTER TABLE api_keys
    ADD COLUMN door text NOT NULL DEFAULT 'gateway' CHECK (door IN ('gateway', 'console')),
    ADD COLUMN roles text[] NOT NULL DEFAULT '{}',
    ADD COLUMN person text NOT NULL DEFAULT '';
