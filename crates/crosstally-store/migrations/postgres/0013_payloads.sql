-- Payloads that are to be purged are found by the call that sent them, which tells their age.
CREATE INDEX attempts_with_payload ON attempts (call, workspace) WHERE payload <> '';
