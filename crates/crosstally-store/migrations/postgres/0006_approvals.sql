-- What was decided, so that the share of approvals can be measured without reading what was not. New entries stand at the
-- end of their partner's.
CREATE INDEX conversions_decided ON conversions (partner, workspace, created_at, campaign, status)
    WHERE status = 'approved' OR status = 'rejected' OR status = 'reversed';
